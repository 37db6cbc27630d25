"""The guard's callbacks run in the application context of the Flask request, which then ends."""

import logging
import secrets
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from adapters.faces import ask_wsgi
from authguard import APIKey, APIKeyVerifier, ConfigurationError, Guard, JWTVerifier, MemoryQuotas, Quota
from authguard.flask import current_principal, current_user, current_user_of, init_app, requires
from authguard.testing import issue_token

SECRET = secrets.token_urlsafe(40)
KEY = "sk_test_" + "c0ntext" * 8


def bearer() -> tuple[str, bytes]:
    """Return the field with a valid token."""
    return "Authorization", f"Bearer {issue_token(SECRET, expires_in=3600)}".encode()


def note(*_: Any) -> None:
    """Note in the current application context that a callback has run."""
    flask.g.setdefault("notes", []).append(flask.current_app.name)


def load(principal: Any) -> Any:
    """Return the user of the application, with its context."""
    note()
    return SimpleNamespace(name=f"user {principal.subject}", context=flask.g._get_current_object())


async def load_later(principal: Any) -> Any:
    """Return the same user by a coroutine function."""
    return load(principal)


class Revocations:
    """Revocations in a database of the application."""

    def is_revoked(self, principal: Any) -> bool:
        note()
        return False


def look_up(digest: str) -> APIKey:
    """Return a key from a database of the application."""
    note()
    return APIKey("robot")


def on_error(request: Any, refusal: Any) -> Any:
    note()
    return refusal.with_header("x-notes", ",".join(flask.g.notes))


def site(
    *verifiers: Any, error_handlers: bool = True, is_guarded: bool = True, **options: Any
) -> flask.Flask:
    """Return an application whose page lists the callbacks that have run in its context."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    app = flask.Flask("site")

    @app.get("/")
    def _page() -> str:
        return ",".join(flask.g.get("notes", ()))

    @app.get("/fails")
    def _fails() -> str:
        raise LookupError("broken")

    @app.get("/handled")
    def _handled() -> str:
        raise KeyError("handled")

    app.register_error_handler(KeyError, lambda error: ("", 409))
    if is_guarded:
        init_app(app, Guard(verifier, *verifiers, **options), error_handlers=error_handlers)
    return app


@pytest.mark.parametrize("loader", [load, load_later])
def test_user_loader_runs_in_the_context_of_the_request(loader: Callable[..., Any]) -> None:
    """The loader runs in the context of the view, so that the view finds its values in `g`."""
    for _ in range(2):
        assert ask_wsgi(site(user_loader=loader), "GET", "/", [bearer()]).body == b"site"


def test_revocations_and_key_functions_run_there() -> None:
    """The function for keys and the revocations run in the context of the request for a first-seen key."""
    app = site(APIKeyVerifier(look_up), revocations=Revocations())
    answer = ask_wsgi(app, "GET", "/", [("X-API-Key", KEY.encode())])
    assert answer.body == b"site,site"


@pytest.mark.parametrize("error_handlers", [True, False])
def test_on_error_runs_there(error_handlers: bool) -> None:
    """`on_error` runs in the context of the request, with and without error handlers."""
    answer = ask_wsgi(site(on_error=on_error, error_handlers=error_handlers), "GET", "/")
    assert (answer.status, answer.headers["x-notes"]) == (401, "site")


def test_a_quota_store_runs_there() -> None:
    """A quota store of the application, async or not, runs in the context of the request."""

    class Store:
        def __init__(self) -> None:
            self.counts = MemoryQuotas()

        def take(self, takes: Any) -> Any:
            note()
            return self.counts.take(takes)

        def give_back(self, taken: Any) -> None: ...

    class Later(Store):
        async def take(self, takes: Any) -> Any:
            return super().take(takes)

    for store in (Store(), Later()):
        app = site(quotas=[Quota(1, 60)], quota_store=store, on_error=on_error)
        assert ask_wsgi(app, "GET", "/", [bearer()]).body == b"site"
        refused = ask_wsgi(app, "GET", "/", [bearer()])
        assert (refused.status, refused.headers["x-notes"]) == (429, "site,site")


def test_each_request_has_a_context_of_its_own() -> None:
    """A request has none of the notes of an earlier request, also after a refusal."""
    app = site(user_loader=load, on_error=on_error)
    for fields, expected in (([bearer()], 200), ([], 401), ([bearer()], 200), ([], 401)):
        answer = ask_wsgi(app, "GET", "/", fields)
        assert answer.status == expected
        assert (answer.headers.get("x-notes") or answer.body.decode()) == "site"
        assert not flask.has_app_context()


@pytest.mark.parametrize("path", ["/", "/fails", "/handled", "/nowhere"])
def test_teardown_functions_are_told_what_flask_tells_them(path: str) -> None:
    """A teardown function is called once for each request, with the same error as without the guard."""
    told: dict[bool, list[Any]] = {True: [], False: []}
    for guarded in (True, False):
        app = site(user_loader=load, is_guarded=guarded)
        app.teardown_appcontext(lambda error, told=told[guarded]: told.append(type(error)))
        ask_wsgi(app, "GET", path, [bearer()])
    assert told[True] == told[False]
    assert told[True] == [LookupError if path == "/fails" else type(None)]


@pytest.mark.parametrize("propagate", [True, False])
def test_teardown_functions_are_told_of_errors_that_propagate(propagate: bool) -> None:
    """A teardown function gets an error that Flask raises to the test."""
    app = site(user_loader=load)
    app.config["PROPAGATE_EXCEPTIONS"] = propagate
    told: list[Any] = []
    app.teardown_appcontext(lambda error: told.append(type(error)))
    if propagate:
        with pytest.raises(LookupError):
            ask_wsgi(app, "GET", "/fails", [bearer()])
    else:
        assert ask_wsgi(app, "GET", "/fails", [bearer()]).status == 500
    assert told == [LookupError]
    assert not flask.has_app_context()


@pytest.mark.parametrize("error_handlers", [True, False])
def test_a_refused_request_is_torn_down(error_handlers: bool) -> None:
    """The teardown functions run for a refused request, since callbacks may have opened resources."""
    app = site(on_error=on_error, error_handlers=error_handlers)
    told: list[Any] = []
    app.teardown_appcontext(told.append)
    assert ask_wsgi(app, "GET", "/").status == 401
    assert told == [None]


def test_a_stream_keeps_its_context() -> None:
    """`stream_with_context` can read the loaded user while the server sends the answer."""
    app = site(user_loader=load)

    @app.get("/stream")
    def _stream() -> Any:
        @flask.stream_with_context
        def parts() -> Any:
            yield current_user_of(SimpleNamespace).name
            yield f" {flask.g.notes}"

        return flask.Response(parts())

    torn_down: list[Any] = []
    app.teardown_appcontext(torn_down.append)
    for _ in range(2):
        assert ask_wsgi(app, "GET", "/stream", [bearer()]).body == b"user somebody ['site']"
        assert not flask.has_app_context()
        assert not flask.has_request_context()
    assert len(torn_down) >= 2


def test_the_context_of_a_test_is_used() -> None:
    """An application context that a test has opened is used, and keeps its values, as in Flask."""
    app = site(user_loader=load)
    with app.app_context():
        flask.g.notes = ["test"]
        assert ask_wsgi(app, "GET", "/", [bearer()]).body == b"test,site"
        assert flask.g.notes == ["test", "site"]


def test_another_application_s_context_is_not_used() -> None:
    """A guarded application that is called from a view of another one has a context of its own."""
    inner, outer = site(user_loader=load), flask.Flask("outer")
    outer.add_url_rule("/", view_func=lambda: ask_wsgi(inner, "GET", "/", [bearer()]).body)
    assert ask_wsgi(outer, "GET", "/").body == b"site"


def test_a_test_client_may_look_into_the_request() -> None:
    """A test client in a `with` block keeps the context and the caller after the request."""
    app = site(user_loader=load)
    with app.test_client() as client:
        name, value = bearer()
        client.get("/", headers=[(name, value.decode())])
        assert flask.g.notes == ["site"]
        assert current_principal.subject == "somebody"
    assert not flask.has_app_context()


# The caller in views and templates


def test_current_principal_is_there_beside_the_user() -> None:
    """`current_principal` is available beside the user of a `user_loader`."""
    app = site(user_loader=load)
    app.add_url_rule("/who", view_func=lambda: f"{current_user.name} {current_principal.subject}")  # type: ignore[attr-defined]
    assert ask_wsgi(app, "GET", "/who", [bearer()]).body == b"user somebody somebody"


def test_current_user_of_another_class_is_an_error() -> None:
    """A user of another class than that of `current_user_of` is a `TypeError`."""
    app = site(user_loader=load)
    app.testing = True
    user = current_user_of(flask.Flask)
    app.add_url_rule("/who", view_func=lambda: user.name)
    with pytest.raises(TypeError, match="SimpleNamespace, and not a Flask"):
        ask_wsgi(app, "GET", "/who", [bearer()])


def test_current_user_of_takes_a_class() -> None:
    """`current_user_of` refuses the name of a class."""
    name: Any = "User"
    with pytest.raises(ConfigurationError, match=r"^kind must be type, got str: write current_user_of"):
        current_user_of(name)


def test_current_user_of_may_be_anonymous() -> None:
    """The user of `current_user_of` may be anonymous on a public path."""
    app = site(user_loader=load, public_paths=["/who"])
    user: Any = current_user_of(SimpleNamespace)
    app.add_url_rule("/who", view_func=lambda: str(user.is_authenticated))
    assert ask_wsgi(app, "GET", "/who").body == b"False"


def rendered(app: flask.Flask, *fields: Any) -> str:
    """Return the text of a page that shows `current_user` in its template."""
    app.add_url_rule("/page", view_func=lambda: flask.render_template_string("{{ current_user.subject }}!"))
    return ask_wsgi(app, "GET", "/page", fields).body.decode()


def test_templates_have_the_current_user() -> None:
    """The `current_user` of a template may be anonymous."""
    assert rendered(site(), bearer()) == "somebody!"
    assert rendered(site(public_paths=["/page"])) == "!"


def test_a_current_user_of_the_application_stays() -> None:
    """A `current_user` of a context processor or of the Jinja environment is not replaced by the guard."""
    mine = SimpleNamespace(subject="mine")
    app = site()
    app.context_processor(lambda: {"current_user": mine})
    assert rendered(app, bearer()) == "mine!"
    app = site()
    app.jinja_env.globals["current_user"] = mine
    assert rendered(app, bearer()) == "mine!"
    early = flask.Flask("early")
    early.context_processor(lambda: {"current_user": mine})
    init_app(early, Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)))
    assert rendered(early, bearer()) == "mine!"


def test_templates_outside_of_requests_have_no_current_user() -> None:
    """The template of a mail, outside of a request, has an empty `current_user`."""
    app = site()
    with app.app_context():
        assert flask.render_template_string("{{ current_user.subject or 'nobody' }}") == "nobody"
    with app.test_request_context("/"):
        assert flask.render_template_string("{% if current_user %}?{% endif %}.") == "."


def test_a_refused_requirement_is_logged_and_answered_once(caplog: pytest.LogCaptureFixture) -> None:
    """A requirement that a decorator refuses has one log line, and `on_error` runs in the same context."""
    app = site(on_error=on_error)
    app.add_url_rule("/admin", view_func=requires("admin")(lambda: "in"))
    with caplog.at_level(logging.DEBUG, "authguard"):
        answer = ask_wsgi(app, "GET", "/admin", [bearer()])
    assert (answer.status, answer.headers["x-notes"], len(caplog.records)) == (403, "site", 1)


def test_what_is_called_for_a_known_caller_runs_there() -> None:
    """`on_decision` and in-memory revocations run in the context of the request for a remembered token."""

    class InMemory(Revocations):
        in_memory = True

    app = site(on_decision=note, revocations=InMemory())
    for _ in range(2):
        body = ask_wsgi(app, "GET", "/", [bearer()]).body
        assert set(body.split(b",")) == {b"site"}


def test_a_verifier_of_the_application_runs_there() -> None:
    """A verifier class of the application runs in the context of the request."""

    class Own(JWTVerifier):
        def flow(self, credential: Any, now: float) -> Any:
            note()
            return super().flow(credential, now)

    verifier = Own(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    app = flask.Flask("site")
    app.add_url_rule("/", view_func=lambda: ",".join(flask.g.get("notes", ())))
    init_app(app, Guard(verifier))
    assert ask_wsgi(app, "GET", "/", [bearer()]).body == b"site"


def test_a_guarded_application_within_another_leaves_its_context() -> None:
    """Each of two nested applications, which share an environ, ends its own context."""
    outer, inner = site(user_loader=load), site(user_loader=load)
    outer.wsgi_app.app = DispatcherMiddleware(outer.wsgi_app.app, {"/inner": inner.wsgi_app})
    ended: list[str] = []
    outer.teardown_appcontext(lambda _: ended.append("outer"))
    inner.teardown_appcontext(lambda _: ended.append("inner"))
    assert ask_wsgi(outer, "GET", "/inner/", [bearer()]).body == b"site"
    assert ended == ["inner", "outer"]
    assert not flask.has_app_context()
