"""Refusals by path rules and decorators go through the error handlers of Flask, and remain refusals."""

import json
import logging
import secrets
from typing import Any

import flask
import pytest
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import Forbidden, HTTPException, InternalServerError, Unauthorized

from adapters.faces import Answer, ask_wsgi
from authguard import Guard, JWTVerifier, VerificationUnavailableError
from authguard.flask import RefusedHTTPException, current_user, init_app, requires
from authguard.testing import issue_token

SECRET = secrets.token_urlsafe(40)
BROWSER = [("Accept", b"text/html"), ("Sec-Fetch-Mode", b"navigate")]
#: The challenge by path: the decorator names its scope, and the other path has no rule.
CHALLENGES = {
    "/some/page": 'Bearer realm="api"',
    "/some/decorated": 'Bearer realm="api", scope="write"',
}
PLAIN = "application/problem+json"


def bearer() -> tuple[str, bytes]:
    """Return the field with a valid token."""
    return "Authorization", f"Bearer {issue_token(SECRET, expires_in=3600)}".encode()


def down(principal: Any) -> Any:
    raise VerificationUnavailableError("down", retry_after=7)


def broken(principal: Any) -> Any:
    raise ValueError("broken")


def site(*, error_handlers: bool = True, **options: Any) -> flask.Flask:
    """Return an application with a blueprint of two pages, of which one has a decorator."""
    app = flask.Flask("site")
    blueprint = flask.Blueprint("some", "site", url_prefix="/some")

    @blueprint.get("/decorated")
    @requires("write")
    def _decorated() -> str:
        return SECRET

    @blueprint.get("/page")
    def _page() -> str:
        return SECRET

    app.register_blueprint(blueprint)
    options = {"public_paths": ["/some/decorated"], **options}
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    init_app(app, Guard(verifier, **options), error_handlers=error_handlers)
    return app


PATHS = pytest.mark.parametrize("path", ["/some/page", "/some/decorated"])


def mine(error: Any) -> Any:
    return flask.jsonify(mine=error.code), error.code


@PATHS
@pytest.mark.parametrize("key", [401, Unauthorized, HTTPException, RefusedHTTPException], ids=str)
@pytest.mark.parametrize("scope", ["app", "blueprint"])
def test_a_handler_of_the_application_is_asked(path: str, key: Any, scope: str) -> None:
    """A handler by class or by status, of the application or of a blueprint, answers the refusal."""
    app = site()
    if scope == "app":
        app.register_error_handler(key, mine)
    else:
        app.error_handler_spec["some"][key if isinstance(key, int) else getattr(key, "code", None)][
            Unauthorized if key == 401 else key
        ] = mine
    answer = ask_wsgi(app, "GET", path)
    assert (answer.status, json.loads(answer.body)) == (401, {"mine": 401})


@PATHS
@pytest.mark.parametrize("scope", [None, "some"])
@pytest.mark.parametrize("key", [Exception, 500, InternalServerError, 404, Forbidden], ids=str)
def test_a_handler_for_something_else_is_not_asked(path: str, key: Any, scope: str | None) -> None:
    """A handler for another status or class does not answer the refusal."""
    app = site()
    code = key if isinstance(key, int) else getattr(key, "code", None)
    kind = {500: InternalServerError, 404: HTTPException}.get(key, key)
    app.error_handler_spec[scope][code][kind] = lambda error: ("a page", 500)
    answer = ask_wsgi(app, "GET", path)
    assert (answer.status, answer.headers["content-type"]) == (401, PLAIN)
    assert answer.headers["www-authenticate"] == CHALLENGES[path]


@PATHS
def test_an_async_handler_is_asked(path: str) -> None:
    """An async handler answers the refusal."""

    async def later(error: Any) -> Any:
        return mine(error)

    app = site()
    app.register_error_handler(HTTPException, later)
    assert json.loads(ask_wsgi(app, "GET", path).body) == {"mine": 401}


@PATHS
def test_handlers_may_ask_the_exception_as_any_of_werkzeug(path: str) -> None:
    """A handler can read the name, fields, body and response of the exception, as in Werkzeug."""

    def generic(error: Any) -> Any:
        assert (error.name, error.description) == ("Unauthorized", "Authentication is required.")
        assert dict(error.get_headers())["WWW-Authenticate"] == CHALLENGES[path]
        assert json.loads(error.get_body())["status"] == 401
        response = error.get_response()
        response.data = "own"
        return response

    app = site()
    app.register_error_handler(HTTPException, generic)
    answer = ask_wsgi(app, "GET", path)
    assert (answer.status, answer.body, answer.headers["www-authenticate"]) == (401, b"own", CHALLENGES[path])


@PATHS
@pytest.mark.parametrize("changes", [True, False], ids=["changed", "removed"])
def test_handlers_may_change_the_fields_as_those_of_werkzeug(path: str, changes: bool) -> None:
    """A handler can remove or set `Content-Type` in a dict of the fields, as APIFlask does."""

    def as_json(error: Any) -> Any:
        fields = dict(error.get_headers())
        del fields["Content-Type"]
        assert all(name[0].isupper() for name in fields)
        if changes:
            fields["Content-Type"] = "application/vnd.mine+json"
            fields["WWW-Authenticate"] = "Mine"
        return flask.jsonify(message=error.name), error.code, fields

    app = site()
    app.register_error_handler(HTTPException, as_json)
    response = app.test_client().get(path)
    assert (response.status_code, response.json) == (401, {"message": "Unauthorized"})
    types, challenges = (response.headers.getlist(name) for name in ("Content-Type", "WWW-Authenticate"))
    assert types == ["application/vnd.mine+json" if changes else "application/json"]
    assert challenges == ["Mine" if changes else CHALLENGES[path]]


def test_fields_are_spelled_as_in_their_specifications() -> None:
    """The exception and its response have the usual capital letters, also in names that need several."""
    names: list[list[str]] = []

    def noting(error: Any) -> Any:
        names.append([name for name, _ in error.get_headers()])
        assert list(error.response.headers.keys())[: len(names[0])] == names[0]
        return error

    def on_error(request: Any, refusal: Any) -> Any:
        for name in ("dpop-nonce", "ratelimit-policy", "x-request-id", "hx-redirect"):
            refusal = refusal.with_header(name, "1")
        return refusal

    app = site(user_loader=down, on_error=on_error)
    app.register_error_handler(RefusedHTTPException, noting)
    assert ask_wsgi(app, "GET", "/some/page", [bearer()]).status == 503
    assert names[0][-6:] == [
        "Vary",
        "Retry-After",
        "DPoP-Nonce",
        "RateLimit-Policy",
        "X-Request-Id",
        "HX-Redirect",
    ]
    assert names[0][:3] == ["Content-Type", "Cache-Control", "X-Content-Type-Options"]


@pytest.mark.parametrize(("fields", "status"), [([], 401), ([bearer()], 410)], ids=["anonymous", "known"])
def test_a_handler_with_a_decorator_refuses(fields: Any, status: int) -> None:
    """A handler for another error that requires a caller answers an anonymous one by 401, and not by 500."""
    app = site(public_paths=["/old"])

    @app.get("/old")
    def _old() -> str:
        flask.abort(410)

    @app.errorhandler(410)
    @requires()
    def _gone(error: Any) -> Any:
        return f"gone for {current_user.is_authenticated}", 410

    answer = ask_wsgi(app, "GET", "/old", fields)
    assert answer.status == status
    assert (answer.headers.get("www-authenticate"), answer.body) == (
        (None, b"gone for True") if fields else ('Bearer realm="api"', answer.body)
    )


@pytest.mark.parametrize("path", [*CHALLENGES, "/some/missing"])
def test_a_handler_of_refusals_with_a_decorator_is_the_guards_answer(path: str) -> None:
    """A handler of 401 that itself requires a caller leaves the guard's answer, as 401."""
    app = site(public_paths=["/some/decorated", "/some/missing"])
    app.register_error_handler(401, requires()(lambda error: "signed in"))
    app.register_error_handler(404, requires()(lambda error: "signed in"))
    answer = ask_wsgi(app, "GET", path)
    assert (answer.status, answer.headers["content-type"]) == (401, PLAIN)


@pytest.mark.parametrize(
    ("loader", "status", "field"),
    [(down, 503, ("retry-after", "7")), (broken, 500, ("cache-control", "no-store"))],
)
def test_an_outage_and_a_bug_have_handlers_too(loader: Any, status: int, field: Any) -> None:
    """A handler of 503 or 500 is called for an outage or a bug, and the fields of the refusal stay."""
    app = site(user_loader=loader)
    app.register_error_handler(status, lambda error: (f"sorry {error.original_exception}", status))
    answer = ask_wsgi(app, "GET", "/some/page", [bearer()])
    assert (answer.status, answer.body) == (status, b"sorry None")
    assert answer.headers[field[0]] == field[1]


# The answer of a handler remains a refusal


def made_of(handler: Any, *, path: str = "/some/page", **options: Any) -> Answer:
    """Return the answer of an application with this handler for refusals."""
    app = site(**options)
    app.register_error_handler(RefusedHTTPException, handler)
    return ask_wsgi(app, "GET", path, BROWSER if options else [])


def test_what_a_handler_makes_is_no_success() -> None:
    """A handler's answer without a status gets the status and the fields of the refusal."""
    answer = made_of(lambda error: flask.jsonify(error="sign in"))
    assert (answer.status, json.loads(answer.body)) == (401, {"error": "sign in"})
    assert answer.headers["www-authenticate"] == CHALLENGES["/some/page"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


def test_what_a_handler_decides_stays() -> None:
    """A handler may set another status, challenge and cache control, and may redirect."""
    answer = made_of(lambda error: ("", 404, {"WWW-Authenticate": "Own", "Cache-Control": "private"}))
    assert (answer.status, answer.headers["www-authenticate"]) == (404, "Own")
    assert answer.headers["cache-control"] == "private"
    answer = made_of(lambda error: flask.redirect("/elsewhere"))
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")


def test_a_function_after_the_request_makes_no_success_of_it() -> None:
    """A function after the request cannot make the status of a refusal a 200."""
    app = site()

    @app.after_request
    def _after(response: Any) -> Any:
        response.status_code = 200
        return response

    assert ask_wsgi(app, "GET", "/some/page").status == 401


def test_nobody_is_let_in_by_a_handler() -> None:
    """The caller in a handler is anonymous, and a view with a decorator refuses the call of a handler."""

    @requires()
    def helper() -> str:
        return SECRET

    answer = made_of(lambda error: f"<{current_user.subject}>")
    assert (answer.status, answer.body) == (401, b"<>")
    assert SECRET.encode() not in made_of(lambda error: helper()).body


@pytest.mark.parametrize("kind", [ValueError, Forbidden])
def test_a_handler_that_raises_lets_nobody_in(kind: Any) -> None:
    """A handler that raises makes the refusal a 500."""

    def raising(error: Any) -> Any:
        raise kind

    assert made_of(raising).status == 500


def test_the_view_does_not_run() -> None:
    """Functions before the request and preprocessors of URL values do not run for a refusal."""
    app, ran = site(), []
    app.before_request(lambda: ran.append("before"))
    app.url_value_preprocessor(lambda *_: ran.append("values"))
    assert ask_wsgi(app, "GET", "/some/page").status == 401
    assert ran == []


@pytest.mark.parametrize("key", [HTTPException, Exception], ids=str)
def test_a_redirect_to_the_login_page_is_no_error(key: Any) -> None:
    """A handler for errors does not replace the redirect to the login page."""
    app = site(login_path="/login")
    app.register_error_handler(key, lambda error: ("an error", 500))
    answer = ask_wsgi(app, "GET", "/some/page", BROWSER)
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2Fsome%2Fpage")


def test_a_handler_of_refusals_is_told_of_a_redirect() -> None:
    """A handler of `RefusedHTTPException` may return the redirect; another answer of it is a 401."""
    app = site(login_path="/login")
    app.secret_key = SECRET

    @app.errorhandler(RefusedHTTPException)
    def _refused(error: RefusedHTTPException) -> Any:
        flask.flash("Please sign in.")
        return error

    answer = ask_wsgi(app, "GET", "/some/page", BROWSER)
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2Fsome%2Fpage")
    assert answer.headers["set-cookie"].startswith("session=")
    answer = made_of(lambda error: "the login page", login_path="/login")
    assert (answer.status, answer.body) == (401, b"the login page")


def test_head_has_no_body() -> None:
    """A handler's answer to HEAD has no body."""
    app = site()
    app.register_error_handler(401, lambda error: ("own", 401))
    assert ask_wsgi(app, "HEAD", "/some/page").body == b""


# Functions after the request


def test_each_function_after_the_request_runs_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """A function after the request that raises is logged once, and does not prevent the others."""
    app = site()

    @app.after_request
    def _first(response: Any) -> Any:
        response.headers["X-First"] = "ran"
        return response

    @app.after_request
    def _timing(response: Any) -> Any:
        response.headers["X-Time"] = str(flask.g.started)
        return response

    with caplog.at_level(logging.WARNING, "authguard"):
        for _ in range(3):
            answer = ask_wsgi(app, "GET", "/some/page")
            assert (answer.status, answer.headers["x-first"]) == (401, "ran")
    [record] = caplog.records
    assert "_timing" in record.getMessage()


def test_functions_of_blueprints_and_of_the_request_run() -> None:
    """The order is that of Flask: the request, the blueprint, then the application, the last added first."""
    app, ran = site(), []

    def noting(name: str) -> Any:
        def note(response: Any) -> Any:
            ran.append(name)
            return response

        return note

    app.after_request(noting("app 1"))
    app.after_request(noting("app 2"))
    app.after_request_funcs["some"] = [noting("blueprint")]

    @app.errorhandler(401)
    def _handle(error: Any) -> Any:
        flask.after_this_request(noting("request"))
        return error

    assert ask_wsgi(app, "GET", "/some/page").status == 401
    assert ran == ["request", "blueprint", "app 2", "app 1"]


def test_an_async_function_after_the_request_runs() -> None:
    """An async function after the request runs."""
    app = site()

    @app.after_request
    async def _after(response: Any) -> Any:
        response.headers["X-After"] = "ran"
        return response

    assert ask_wsgi(app, "GET", "/some/page").headers["x-after"] == "ran"


def test_a_store_of_sessions_that_is_down_does_not_hide_the_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal stays a 401 if the session cannot be opened."""

    class Down(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            raise ConnectionError("down")

    app = site()
    app.session_interface = Down()
    with caplog.at_level(logging.WARNING, "authguard"):
        answer = ask_wsgi(app, "GET", "/some/page")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, CHALLENGES["/some/page"])
    assert "session" in caplog.text
    assert not flask.has_app_context()
    assert not flask.has_request_context()


@PATHS
def test_without_error_handlers_the_guard_answers(path: str) -> None:
    """A refusal by a path rule does not reach a handler, and one by a decorator does."""
    app = site(error_handlers=False)
    app.register_error_handler(401, lambda error: ("own", 401))
    answer = ask_wsgi(app, "GET", path)
    assert (answer.body == b"own") is (path == "/some/decorated")
    assert answer.status == 401


def test_flask_signals_are_sent() -> None:
    """The signal `request_finished` is sent for a refusal."""
    app, seen = site(), []

    def note(sender: Any, response: Any, **_: Any) -> None:
        seen.append(response.status_code)

    with flask.request_finished.connected_to(note, app):
        ask_wsgi(app, "GET", "/some/page")
    assert seen == [401]
