"""Preflights of protected paths on WSGI: no handler runs."""

import functools
from collections.abc import Callable
from typing import Any

import flask
import pytest
from flask.views import MethodView, View
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from adapters.preflight_layers import BODIES, WSGIAdds, WSGIHandlers
from adapters.preflights import SECRET_TEXT, guard, preflight_wsgi
from authguard.wsgi import AuthGuardMiddleware


@pytest.fixture
def handlers() -> WSGIHandlers:
    return WSGIHandlers()


def _flask(handlers: WSGIHandlers, **options: Any) -> flask.Flask:
    app = flask.Flask("app")
    options = {"methods": ["GET", "OPTIONS"]} | options
    app.add_url_rule("/private", "page", handlers.view, **options)
    return app


class App:
    """A WSGI application that is a class."""

    def __init__(self, handlers: WSGIHandlers, app: Any = None) -> None:
        self.handlers = handlers
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.handlers.plain(environ, start_response)


class Opaque:
    """Middleware that keeps the inner application under another name."""

    def __init__(self, app: Any) -> None:
        self.wrapped = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.wrapped(environ, start_response)


class Hidden(WSGIAdds):
    """Middleware that keeps the inner application under a second name."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.kept = {"app": app}
        self.next = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.next(environ, start_response)


class Served(flask.Flask):
    """A Flask class with a method that is a WSGI application."""

    handlers: WSGIHandlers

    def own(self, environ: Any, start_response: Any) -> Any:
        return self.handlers.plain(environ, start_response)


def _closure(handlers: WSGIHandlers) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        return handlers.plain(environ, start_response)

    return app


def _generator(handlers: WSGIHandlers) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        yield from handlers.plain(environ, start_response)

    return app


def _shared_view(handlers: WSGIHandlers) -> flask.Flask:
    app = _flask(handlers, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/private", "page", _view_of(app), methods=["OPTIONS"])
    return app


def _view_of(app: flask.Flask) -> Any:
    """Return the registered view, as a second decorator gets it."""
    return app.view_functions["page"]


def _shared_view_of_two_names(handlers: WSGIHandlers) -> flask.Flask:
    app = _flask(handlers, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/private", "other", _view_of(app), methods=["OPTIONS"])
    return app


def _shared_method(handlers: WSGIHandlers) -> flask.Flask:
    class Page(MethodView):
        def get(self) -> str:
            return handlers.view()

        options = get

    app = flask.Flask("app")
    app.add_url_rule("/private", view_func=Page.as_view("page"))
    return app


def _own_dispatch(handlers: WSGIHandlers) -> flask.Flask:
    class Page(MethodView):
        def get(self) -> str:
            return ""

        def options(self) -> str:
            return ""

        def dispatch_request(self, **_: Any) -> Any:
            return handlers.view()

    app = flask.Flask("app")
    app.add_url_rule("/private", view_func=Page.as_view("page"))
    return app


def _view_class(handlers: WSGIHandlers) -> flask.Flask:
    class Page(View):
        methods = ["GET", "OPTIONS"]

        def options(self) -> str:
            return ""

        def dispatch_request(self, **_: Any) -> Any:
            return handlers.view()

    app = flask.Flask("app")
    app.add_url_rule("/private", view_func=Page.as_view("page"))
    return app


def _own_method(handlers: WSGIHandlers) -> Any:
    app = Served("app")
    app.handlers = handlers
    return app.own


ATTACKED: dict[str, Callable[[WSGIHandlers], Any]] = {
    "a function": lambda handlers: handlers.plain,
    "a closure": _closure,
    "a partial": lambda handlers: functools.partial(handlers.plain),
    "a generator": _generator,
    "a class": App,
    "a class with an `app` that is none": lambda handlers: App(handlers, {"name": "x"}),
    "a class with an `app` of another kind": lambda handlers: App(handlers, lambda item: item),
    "middleware of its own name": lambda handlers: Opaque(handlers.plain),
    "middleware that hides it": lambda handlers: Hidden(handlers.plain),
    "a mount": lambda handlers: DispatcherMiddleware(handlers.plain, {"/private": handlers.plain}),
    "beside a mount": lambda handlers: DispatcherMiddleware(
        handlers.plain, {"/other": WSGIAdds(handlers.plain)}
    ),
    "Flask": _flask,
    "a method of a Flask class": _own_method,
    "a view with two decorators": _shared_view,
    "a view with two names": _shared_view_of_two_names,
    "MethodView with one method for all": _shared_method,
    "MethodView with its own dispatch": _own_dispatch,
    "View": _view_class,
}


@BODIES
@pytest.mark.parametrize("name", ATTACKED)
def test_no_handler_runs(name: str, body: bytes, handlers: WSGIHandlers) -> None:
    """A handler that accepts each method does not run, and the body is not read."""
    answer = preflight_wsgi(AuthGuardMiddleware(ATTACKED[name](handlers), guard=guard()), "/private", body)
    assert (answer.status, answer.headers, answer.body) == (204, {}, b"")
    assert (answer.read, handlers.ran) == ([], [])


@pytest.mark.parametrize(
    "options", [{"preflight": "pass"}, {"public_paths": ["/private"]}], ids=["passes", "public"]
)
def test_a_weaker_guard_inside_lets_nothing_through(options: Any, handlers: WSGIHandlers) -> None:
    """A preflight that the outer guard has answered does not reach a handler behind a weaker guard."""
    inner = AuthGuardMiddleware(handlers.plain, guard=guard(**options))
    assert preflight_wsgi(AuthGuardMiddleware(inner, guard=guard())).status == 204
    assert handlers.ran == []


@pytest.mark.parametrize("name", ATTACKED)
def test_an_open_path_is_as_before(name: str, handlers: WSGIHandlers) -> None:
    """A preflight of a path that is not protected reaches the handler."""
    app = AuthGuardMiddleware(ATTACKED[name](handlers), guard=guard(public_paths=["/private"]))
    assert preflight_wsgi(app).body == SECRET_TEXT.encode()
    assert len(handlers.ran) == 1
