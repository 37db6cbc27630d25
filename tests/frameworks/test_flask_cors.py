"""Flask-CORS works behind the guard as without it, and no view runs for a preflight."""

from collections.abc import Callable
from typing import Any

import pytest

from frameworks.support import need

need("flask_cors", "a2wsgi", "fastapi")

pytestmark = pytest.mark.frameworks

import a2wsgi
import fastapi
import flask
from flask_cors import CORS, cross_origin

import authguard.flask
from adapters.preflights import SECRET_TEXT, SPA, guard, preflight_asgi, preflight_wsgi
from authguard.asgi import AuthGuardMiddleware

BODIES = pytest.mark.parametrize("body", [b"", b'{"a": 1}'], ids=["no body", "a body"])


def _view(ran: list[str]) -> Callable[..., str]:
    def view(**_: Any) -> str:
        ran.append(flask.request.path)
        flask.request.get_data()
        return SECRET_TEXT

    return view


def _init_app(app: flask.Flask, ran: list[str]) -> None:
    CORS(app, origins=[SPA])
    app.add_url_rule("/private", "page", _view(ran), methods=["GET", "POST"])


def _init_app_late(app: flask.Flask, ran: list[str]) -> None:
    app.add_url_rule("/private", "page", _view(ran), methods=["GET", "OPTIONS"])
    CORS(origins=[SPA]).init_app(app)


def _resources(app: flask.Flask, ran: list[str]) -> None:
    CORS(app, resources={r"/private*": {"origins": SPA}}, supports_credentials=True)
    app.add_url_rule("/<path:rest>", "page", _view(ran))


def _blueprint(app: flask.Flask, ran: list[str]) -> None:
    blueprint = flask.Blueprint("some", "app")
    CORS(blueprint, origins=[SPA])
    blueprint.add_url_rule("/private", "page", _view(ran))
    app.register_blueprint(blueprint)


def _decorated(app: flask.Flask, ran: list[str]) -> None:
    app.add_url_rule("/private", "page", cross_origin(origins=[SPA])(_view(ran)), methods=["GET", "POST"])


def _decorated_under_another(app: flask.Flask, ran: list[str]) -> None:
    view = cross_origin(origins=[SPA])(authguard.flask.requires("read")(_view(ran)))
    app.add_url_rule("/private/<name>", "page", view)


def _decorated_below_another(app: flask.Flask, ran: list[str]) -> None:
    view = authguard.flask.requires("read")(cross_origin(origins=[SPA])(_view(ran)))
    app.add_url_rule("/private", "page", view)


def _decorated_without_automatic_options(app: flask.Flask, ran: list[str]) -> None:
    view = cross_origin(origins=[SPA], automatic_options=False)(_view(ran))
    app.add_url_rule("/private", "page", view, methods=["GET", "OPTIONS"])


SET_UPS = {
    "CORS(app)": _init_app,
    "init_app at the end": _init_app_late,
    "resources": _resources,
    "CORS(blueprint)": _blueprint,
    "@cross_origin": _decorated,
    "@cross_origin over @requires": _decorated_under_another,
    "@cross_origin under @requires": _decorated_below_another,
    "@cross_origin without automatic_options": _decorated_without_automatic_options,
}


@BODIES
@pytest.mark.parametrize("error_handlers", [True, False], ids=["through Flask", "plain"])
@pytest.mark.parametrize("guard_first", [True, False], ids=["guard first", "CORS first"])
@pytest.mark.parametrize("name", SET_UPS)
def test_it_answers_preflights(
    name: str,
    guard_first: bool,
    error_handlers: bool,
    body: bytes,
    ran: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Flask-CORS answers preflights in both orders, and no warning is logged."""
    app = flask.Flask("app")
    for step in (True, False):
        if step is guard_first:
            authguard.flask.init_app(app, guard(), error_handlers=error_handlers)
        else:
            SET_UPS[name](app, ran)
    answer = preflight_wsgi(app, "/private/x" if "over" in name else "/private", body)
    assert answer.allows, answer
    assert answer.headers["access-control-allow-headers"] == "authorization"
    assert (answer.body, answer.read, ran, caplog.records) == (b"", [], [], [])


@pytest.mark.parametrize("name", SET_UPS)
def test_an_origin_that_is_refused_stays_refused(
    name: str, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """An origin that Flask-CORS refuses gets no CORS fields, and no warning is logged."""
    app = flask.Flask("app")
    SET_UPS[name](app, ran)
    authguard.flask.init_app(app, guard())
    path = "/private/x" if "over" in name else "/private"
    answer = preflight_wsgi(app, path, Origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers
    assert (answer.body, ran, caplog.records) == (b"", [], [])


# A decorator above `@cross_origin` refuses an anonymous caller, as without a guard.
@pytest.mark.parametrize("name", [name for name in SET_UPS if "under" not in name])
def test_passing_on_works_too(name: str, ran: list[str]) -> None:
    """With `preflight="pass"` Flask-CORS answers, without a body."""
    app = flask.Flask("app")
    SET_UPS[name](app, ran)
    authguard.flask.init_app(app, guard(preflight="pass"))
    answer = preflight_wsgi(app, "/private/x" if "over" in name else "/private", b"{}")
    assert (answer.allows, answer.body) == (True, b"")


@BODIES
def test_in_flask_mounted_in_an_asgi_application(body: bytes, ran: list[str]) -> None:
    """A CORS layer of Flask within an ASGI application answers preflights."""
    inner = flask.Flask("inner")
    CORS(inner, origins=[SPA])
    inner.add_url_rule("/x", "page", _view(ran), methods=["GET", "OPTIONS"])
    app = fastapi.FastAPI()
    app.mount("/private", a2wsgi.WSGIMiddleware(inner))
    app.add_middleware(AuthGuardMiddleware, guard=guard())
    answer = preflight_asgi(app, "/private/x", body)
    assert (answer.allows, answer.body, ran) == (True, b"", [])


def test_a_wsgi_application_mounted_in_an_asgi_application(ran: list[str]) -> None:
    """A WSGI application within an ASGI application does not run for a preflight."""

    def plain(environ: Any, start_response: Any) -> list[bytes]:
        ran.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [SECRET_TEXT.encode()]

    app = fastapi.FastAPI()
    app.mount("/private", a2wsgi.WSGIMiddleware(plain))
    app.add_middleware(AuthGuardMiddleware, guard=guard())
    answer = preflight_asgi(app, "/private/x", b"{}")
    assert (answer.status, answer.headers, answer.body, ran) == (204, {}, b"", [])
