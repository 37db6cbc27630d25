"""A request that reaches Flask without having passed its guard is refused, and never served."""

import http.client
import json
import logging
import secrets
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import WSGIRequestHandler, make_server

import authguard.wsgi
from adapters.faces import ask_wsgi
from authguard import Guard, JWTVerifier
from authguard.flask import current_user, init_app
from authguard.testing import issue_token, override

SECRET = secrets.token_urlsafe(40)
REMEDY = "call init_app before app.wsgi_app is used elsewhere, or give the application itself"


@cache
def bearer() -> tuple[str, bytes]:
    """Return the field with a token, which is issued when the first test runs."""
    return "Authorization", f"Bearer {issue_token(SECRET, subject='ann', expires_in=3600)}".encode()


def guard(**options: Any) -> Guard:
    """Return a guard with a public page and a public folder."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return Guard(verifier, **{"public_paths": ["/public", "/static"], **options})


def api() -> flask.Flask:
    """Return an application without a guard, which notes in `ran` all functions of it that run."""
    app = flask.Flask(__name__, static_folder=".")
    ran: list[str] = []
    app.extensions["ran"] = ran

    @app.before_request
    def _before() -> None:
        ran.append("before_request")

    @app.errorhandler(404)
    @app.errorhandler(500)
    def _handled(error: Any) -> Any:
        ran.append("errorhandler")
        return "mine", 200

    def view() -> str:
        ran.append("view")
        return f"served {getattr(current_user, 'subject', None)}"

    blueprint = flask.Blueprint("inner", __name__, url_prefix="/inner")
    blueprint.add_url_rule("/secret", "secret", view)
    app.register_blueprint(blueprint)
    for path in ("/secret", "/public"):
        app.add_url_rule(path, path[1:], view)
    return app


def by_function(app: Any) -> Any:
    """Return middleware that is a function."""

    def called(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return called


LAYERS: dict[str, Callable[[Any], Any]] = {
    "dispatched": lambda app: DispatcherMiddleware(flask.Flask("site"), {"/api": app}),
    "fixed": lambda app: DispatcherMiddleware(ProxyFix(app), {"/api": ProxyFix(app)}),
    "bare": lambda app: DispatcherMiddleware(app, {"/api": app}),
    "function": lambda app: by_function(DispatcherMiddleware(app, {"/api": by_function(app)})),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("path", ["/secret", "/inner/secret", "/public", "/static/faces.py", "/missing"])
def test_what_has_taken_the_application_before_serves_nothing(
    layer: Any, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Views, files and errors behind an early `app.wsgi_app` are 500, and one ERROR names the remedy."""
    app = api()
    outside = layer(app.wsgi_app)
    init_app(app, guard())
    for fields in ([], [bearer()]):
        answer = ask_wsgi(outside, "GET", f"/api{path}", fields)
        assert (answer.status, json.loads(answer.body)["status"]) == (500, 500)
        assert answer.headers["cache-control"] == "no-store"
    assert app.extensions["ran"] == []
    [record] = [record for record in caplog.records if record.name == "authguard"]
    assert record.levelno == logging.ERROR
    assert REMEDY in record.getMessage()
    assert app.test_client().get("/secret").status_code == 401
    assert ask_wsgi(app, "GET", "/secret", [bearer()]).body == b"served ann"


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_the_application_itself_is_guarded_and_served(layer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The application itself in such a layer has its guard, also if that is added afterwards."""
    app = api()
    outside = layer(app)
    init_app(app, guard())
    assert ask_wsgi(outside, "GET", "/api/secret").status == 401
    assert ask_wsgi(outside, "GET", "/api/secret", [bearer()]).body == b"served ann"
    assert ask_wsgi(outside, "GET", "/api/public").body == b"served "
    assert "has not passed the guard" not in caplog.text


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


def test_a_server_with_the_early_method_serves_nothing() -> None:
    """A server that was given `app.wsgi_app` too early answers each request by 500."""
    app = api()
    server = make_server("127.0.0.1", 0, app.wsgi_app, threaded=True, request_handler=_Quiet)
    init_app(app, guard())
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            connection.request(method, "/secret")
            assert connection.getresponse().status == 500
            connection.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert app.extensions["ran"] == []


def test_another_guard_around_it_is_not_enough() -> None:
    """A request that has passed only the guard of another application is refused."""
    app, site = api(), api()
    site.wsgi_app = DispatcherMiddleware(site.wsgi_app, {"/public/api": app.wsgi_app})  # type: ignore[method-assign]
    init_app(app, guard())
    init_app(site, guard())
    assert ask_wsgi(site, "GET", "/public").status == 200
    assert ask_wsgi(site, "GET", "/public/api/secret").status == 500
    assert app.extensions["ran"] == []


def test_a_refused_request_does_not_come_in_by_another_way() -> None:
    """A layer that tries the unguarded application after a refusal gets no answer from it."""
    app = api()
    early = app.wsgi_app

    def twice(environ: Any, start_response: Any) -> Any:
        assert app.wsgi_app(environ, start_response)
        return early(environ, start_response)

    init_app(app, guard())
    assert ask_wsgi(twice, "GET", "/secret").status == 500
    assert app.extensions["ran"] == []


def test_guards_around_each_other_serve() -> None:
    """Each of two guards counts for a request that has passed both, in the order of their layers."""
    app = api()
    app.wsgi_app = authguard.wsgi.AuthGuardMiddleware(app.wsgi_app, guard=guard())  # type: ignore[method-assign]
    init_app(app, guard())
    init_app(app, guard())
    assert ask_wsgi(app, "GET", "/secret").status == 401
    assert ask_wsgi(app, "GET", "/secret", [bearer()]).body == b"served ann"
    assert ask_wsgi(app, "GET", "/public").body == b"served "


def test_tests_of_the_application_still_work() -> None:
    """Contexts of tests, functions of `before_request` called by hand, and `override` work."""
    app, rules = api(), guard()
    init_app(app, rules)
    with app.test_request_context("/secret"):
        assert app.preprocess_request() is None
        assert flask.request.endpoint == "secret"
    with app.app_context(), override(rules, "ann"):
        assert app.test_client().get("/secret").status_code == 200
    assert app.extensions["ran"] == ["before_request", "before_request", "view"]


def test_a_request_without_the_guard_in_a_test_is_refused() -> None:
    """A context of a test that dispatches a whole request has not passed the guard."""
    app = api()
    init_app(app, guard())
    with app.test_request_context("/secret"):
        assert app.full_dispatch_request().status_code == 500


def test_on_error_answers_it() -> None:
    """The refusal has the form that `on_error` gives to refusals."""
    app = api()
    early = app.wsgi_app
    init_app(app, guard(on_error=lambda request, refusal: refusal.with_json({"path": request.path})))
    answer = ask_wsgi(early, "GET", "/secret")
    assert (answer.status, json.loads(answer.body)) == (500, {"path": "/secret"})


def test_teardown_functions_run_once() -> None:
    """A refused request is torn down as any other, once."""
    app = api()
    torn: list[Any] = []
    app.teardown_request(torn.append)
    early = app.wsgi_app
    init_app(app, guard())
    assert ask_wsgi(early, "GET", "/secret").status == 500
    assert torn == [None]
