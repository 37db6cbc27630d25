"""Preflights of protected paths on WSGI: each CORS set-up works as without the guard."""

import functools
from collections.abc import Callable
from typing import Any

import flask
import pytest
from flask.views import MethodView
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import authguard.flask
from adapters.preflight_layers import (
    BODIES,
    AddsToApplication,
    AddsToWSGIApp,
    WSGIAdds,
    WSGIAnswers,
    WSGIHandlers,
)
from adapters.preflights import SECRET_TEXT, SPA, guard, preflight_wsgi
from authguard.wsgi import AuthGuardMiddleware


@pytest.fixture
def handlers() -> WSGIHandlers:
    return WSGIHandlers()


def _layered(layer: Any) -> Callable[[WSGIHandlers], Any]:
    return lambda handlers: layer(ProxyFix(handlers.plain))


def _flask(handlers: WSGIHandlers, **options: Any) -> flask.Flask:
    app = flask.Flask("app")
    options = {"methods": ["GET", "OPTIONS"]} | options
    app.add_url_rule("/private", "page", handlers.view, **options)
    return app


def _in_flask(layer: Any) -> Callable[[WSGIHandlers], Any]:
    def make(handlers: WSGIHandlers) -> flask.Flask:
        app = _flask(handlers)
        app.wsgi_app = layer(ProxyFix(app.wsgi_app))
        return app

    return make


def _after_request(handlers: WSGIHandlers, **options: Any) -> flask.Flask:
    app = _flask(handlers, **options)

    @app.after_request
    def cors(response: flask.Response) -> flask.Response:
        response.headers["Access-Control-Allow-Origin"] = SPA
        response.headers["Set-Cookie"] = "tracker=1"
        return response

    return app


def _before_request(handlers: WSGIHandlers) -> flask.Flask:
    app = _flask(handlers)

    @app.before_request
    def cors() -> flask.Response | None:
        assert not authguard.flask.current_user.is_authenticated
        assert flask.request.get_data() == b""
        assert flask.current_app._get_current_object() is app
        fields = {"Access-Control-Allow-Origin": SPA}
        return flask.Response(SECRET_TEXT, headers=fields) if flask.request.method == "OPTIONS" else None

    return app


def _of_a_blueprint(handlers: WSGIHandlers) -> flask.Flask:
    app, blueprint = flask.Flask("app"), flask.Blueprint("some", "app")
    blueprint.add_url_rule("/private", "page", handlers.view)

    @blueprint.after_request
    def cors(response: flask.Response) -> flask.Response:
        response.headers["Access-Control-Allow-Origin"] = SPA
        return response

    app.register_blueprint(blueprint)
    return app


def _options_view(handlers: WSGIHandlers, **options: Any) -> flask.Flask:
    app = _flask(handlers, methods=["GET"], provide_automatic_options=False)

    @app.route("/private", methods=["OPTIONS"])
    def answer() -> Any:
        return SECRET_TEXT, {"Access-Control-Allow-Origin": SPA, "X-Secret": SECRET_TEXT}

    return app


def _async_options_view(handlers: WSGIHandlers) -> flask.Flask:
    app = _flask(handlers, methods=["GET"], provide_automatic_options=False)

    @app.route("/private", methods=["OPTIONS"])
    async def answer() -> Any:
        return "", {"Access-Control-Allow-Origin": SPA}

    return app


def _options_method(handlers: WSGIHandlers) -> flask.Flask:
    class Page(MethodView):
        def get(self) -> str:
            return handlers.view()

        def options(self) -> Any:
            return "", {"Access-Control-Allow-Origin": SPA}

    app = flask.Flask("app")
    app.add_url_rule("/private", view_func=Page.as_view("page"))
    return app


def _dispatched(handlers: WSGIHandlers) -> Any:
    return DispatcherMiddleware(handlers.plain, {"/private": WSGIAdds(handlers.plain)})


def _flask_dispatched(handlers: WSGIHandlers) -> Any:
    inner = flask.Flask("inner")
    inner.add_url_rule("/", "page", handlers.view, methods=["GET", "OPTIONS"])
    inner.wsgi_app = WSGIAdds(inner.wsgi_app)
    return DispatcherMiddleware(handlers.plain, {"/private": inner})


def _guard_inside(handlers: WSGIHandlers) -> Any:
    app = _after_request(handlers)
    authguard.flask.init_app(app, guard())
    return app


SET_UPS: dict[str, Callable[[WSGIHandlers], Any]] = {
    "a class that adds": _layered(WSGIAdds),
    "a class with `wsgi_app`": _layered(AddsToWSGIApp),
    "a class with `application`": _layered(AddsToApplication),
    "a class that answers": _layered(WSGIAnswers),
    "a class that adds, in Flask": _in_flask(WSGIAdds),
    "a class that answers, in Flask": _in_flask(WSGIAnswers),
    "after_request": _after_request,
    "after_request, without OPTIONS": functools.partial(_after_request, methods=["GET"]),
    "before_request": _before_request,
    "a blueprint": _of_a_blueprint,
    "a view for OPTIONS": _options_view,
    "an async view for OPTIONS": _async_options_view,
    "MethodView.options": _options_method,
    "DispatcherMiddleware": _dispatched,
    "Flask in DispatcherMiddleware": _flask_dispatched,
    "another guard inside": _guard_inside,
}


@BODIES
@pytest.mark.parametrize("name", SET_UPS)
def test_set_ups_work(
    name: str, body: bytes, handlers: WSGIHandlers, caplog: pytest.LogCaptureFixture
) -> None:
    """The CORS layer answers, no view runs, and no warning is logged."""
    app = AuthGuardMiddleware(SET_UPS[name](handlers), guard=guard())
    caplog.clear()  # some have a ProxyFix inside of the guard
    answer = preflight_wsgi(app, "/private", body)
    assert answer.allows, answer
    assert (answer.body, answer.read, handlers.ran, caplog.records) == (b"", [], [], [])
    assert SECRET_TEXT not in str(answer.headers)
    assert "set-cookie" not in answer.headers


def test_a_layer_that_keeps_a_method_twice_reaches_no_handler(handlers: WSGIHandlers) -> None:
    """A layer that keeps a method in two objects reaches no handler."""

    class Twice(WSGIAdds):
        def __init__(self, app: flask.Flask) -> None:
            super().__init__(app.wsgi_app)
            self.again = type(app).wsgi_app.__get__(app)

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return WSGIAdds(self.again)(environ, start_response)

    app = AuthGuardMiddleware(Twice(_flask(handlers)), guard=guard())
    assert (preflight_wsgi(app).allows, handlers.ran) == (True, [])


@BODIES
@pytest.mark.parametrize("error_handlers", [True, False])
@pytest.mark.parametrize("guard_first", [True, False], ids=["guard first", "CORS first"])
@pytest.mark.parametrize(
    "make", [_after_request, _before_request, _options_view], ids=lambda made: made.__name__
)
def test_set_ups_work_with_init_app(
    make: Any, guard_first: bool, error_handlers: bool, body: bytes, handlers: WSGIHandlers
) -> None:
    """The CORS layer answers regardless of the order in which the guard and the layer were added."""
    if guard_first:
        made: list[flask.Flask] = []
        original = flask.Flask.__init__

        def init(self: flask.Flask, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            authguard.flask.init_app(self, guard(), error_handlers=error_handlers)
            made.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flask.Flask, "__init__", init)
            app = make(handlers)
    else:
        app = make(handlers)
        authguard.flask.init_app(app, guard(), error_handlers=error_handlers)
    answer = preflight_wsgi(app, "/private", body)
    assert answer.allows, answer
    assert (answer.body, handlers.ran) == (b"", [])


def test_an_error_handler_answers_what_a_function_raises(handlers: WSGIHandlers) -> None:
    """The answer of an error handler to a function before the request has CORS fields."""
    app = _after_request(handlers)
    app.before_request(lambda: flask.abort(403))
    answer = preflight_wsgi(AuthGuardMiddleware(app, guard=guard()))
    assert (answer.status, answer.body, handlers.ran) == (403, b"", [])
    assert answer.headers["access-control-allow-origin"] == SPA


def test_a_function_that_fails_is_the_application_s_500(handlers: WSGIHandlers) -> None:
    """An error of a function before or after the request is a 500 without a body."""
    app = _after_request(handlers)
    app.before_request(lambda: 1 / 0)
    answer = preflight_wsgi(AuthGuardMiddleware(app, guard=guard()))
    assert (answer.status, answer.body, handlers.ran) == (500, b"", [])
    app.after_request(lambda response: 1 / 0)
    assert preflight_wsgi(AuthGuardMiddleware(app, guard=guard())).status == 500


def test_paths_that_do_not_exist_look_the_same(handlers: WSGIHandlers) -> None:
    """A preflight of an unknown path has the same status as one of a known path."""
    app = AuthGuardMiddleware(_after_request(handlers, methods=["GET"]), guard=guard())
    known, unknown = preflight_wsgi(app), preflight_wsgi(app, "/unknown")
    assert (known.status, unknown.status) == (200, 200)
