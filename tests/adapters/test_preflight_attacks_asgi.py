"""Preflights of protected paths on ASGI: no handler runs."""

import functools
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from adapters.preflight_layers import BODIES, ASGIHandlers, Frozen, PureAdds
from adapters.preflights import guard, preflight_asgi
from authguard.asgi import AuthGuardMiddleware


@pytest.fixture
def handlers() -> ASGIHandlers:
    return ASGIHandlers()


class App:
    """An ASGI application that is a class."""

    def __init__(self, handlers: ASGIHandlers, app: Any = None) -> None:
        self.handlers = handlers
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handlers.plain(scope, receive, send)


class Opaque:
    """Middleware that keeps the inner application under another name."""

    def __init__(self, app: Any) -> None:
        self.wrapped = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.wrapped(scope, receive, send)


class Computed:
    """A class with a computed `app`, which only resembles middleware."""

    def __init__(self, app: Any) -> None:
        self._inner = (app,)

    @property
    def app(self) -> Any:
        return self._inner[0]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Hidden(PureAdds):
    """Middleware that keeps the inner application under a second name."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.next = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.next(scope, receive, send)


class Keeps(PureAdds):
    """Middleware that calls the inner application by a reference that a copy of the middleware shares."""

    def __init__(self, app: Any, keep: Any) -> None:
        super().__init__(app)
        self.kept = keep(app)
        self.number = 7

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kept = self.kept
        while isinstance(kept, list | tuple | dict):
            kept = kept["x"] if isinstance(kept, dict) else kept[-1]
        await kept(scope, receive, send)


def _wrapped(app: Any) -> Any:
    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return call


class Passes:
    """Middleware that changes nothing."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


KEPT = {
    "in a list in a list": lambda app: [1, [app]],
    "in a dictionary in a tuple": lambda app: ({"x": app},),
    "in a partial": functools.partial,
    "in a closure": _wrapped,
    "in another layer": Passes,
    "in a method of another layer": lambda app: Passes(app).__call__,
    "in layers": lambda app: Passes(Passes(app)),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_layer_that_keeps_what_it_wraps_twice_is_not_copied(name: str, handlers: ASGIHandlers) -> None:
    """A layer with a second reference to the handler is not copied for a preflight."""
    app = Keeps(_wrapped(handlers.plain), KEPT[name])
    assert preflight_asgi(AuthGuardMiddleware(app, guard=guard())).headers == {}
    assert handlers.ran == []
    preflight_asgi(AuthGuardMiddleware(app, guard=guard(public_paths=["/private"])))
    assert handlers.ran == ["/private"]


@pytest.mark.parametrize(
    "keep",
    [lambda app: app, lambda app: [app], lambda app: (1, app), lambda app: {"x": app}],
    ids=["itself", "list", "tuple", "dictionary"],
)
def test_what_a_layer_keeps_is_replaced_where_it_is_seen(keep: Any, handlers: ASGIHandlers) -> None:
    """The references in a copy of a layer are replaced, so that it answers and the original is unchanged."""
    inner = _wrapped(handlers.plain)
    app = Keeps(inner, keep)
    before = keep(inner)
    assert preflight_asgi(AuthGuardMiddleware(app, guard=guard())).status == 204
    assert (handlers.ran, app.kept, app.app) == ([], before, inner)


def test_methods_that_a_layer_keeps_are_those_of_its_copy(handlers: ASGIHandlers) -> None:
    """Methods that a layer keeps are those of its copy, since the original ones would call the handler."""

    class Dispatches(PureAdds):
        def __init__(self, app: Any) -> None:
            super().__init__(app)
            self.by_type = {"http": self.http}

        async def http(self, scope: Any, receive: Any, send: Any) -> None:
            await PureAdds(self.app)(scope, receive, send)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.by_type[scope["type"]](scope, receive, send)

    app = Dispatches(handlers.plain)
    assert preflight_asgi(AuthGuardMiddleware(app, guard=guard())).allows
    assert (handlers.ran, app.by_type) == ([], {"http": app.http})


class CannotBeCopied(Frozen):
    def __copy__(self) -> Any:
        raise TypeError("there is one of it")


class IsItsOwnCopy(Frozen):
    def __copy__(self) -> Any:
        return self


class Loop:
    """Middleware whose `app` is itself."""

    def __init__(self, handlers: ASGIHandlers) -> None:
        self.handlers = handlers
        self.app = self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handlers.plain(scope, receive, send)


def _closure(handlers: ASGIHandlers) -> Any:
    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        await handlers.plain(scope, receive, send)

    return middleware


def _starlette(*routes: Any, **options: Any) -> Any:
    return Starlette(routes=list(routes), **options)


def _stacked(handlers: ASGIHandlers) -> Any:
    app = FastAPI()
    app.get("/private")(app.options("/private")(handlers.page))
    return app


def _stacked_included(handlers: ASGIHandlers) -> Any:
    app, router = FastAPI(), APIRouter()
    router.get("/private")(router.options("/private")(handlers.endpoint))
    app.include_router(router)
    return app


def _api_route(handlers: ASGIHandlers) -> Any:
    app = FastAPI()
    app.api_route("/private", methods=["GET", "POST", "OPTIONS"])(handlers.page)
    return app


def _included(handlers: ASGIHandlers) -> Any:
    app, router = FastAPI(), APIRouter(prefix="/private")
    router.api_route("", methods=["GET", "OPTIONS"])(handlers.page)
    app.include_router(router)
    return app


def _dependency(handlers: ASGIHandlers) -> Any:
    app = FastAPI()

    def note() -> None:
        handlers.ran.append("dependency")

    app.add_api_route("/private", handlers.page, methods=["GET", "OPTIONS"], dependencies=[Depends(note)])
    return app


def _shared_options(handlers: ASGIHandlers) -> Any:
    class Page(HTTPEndpoint):
        async def get(self, request: Any) -> Response:
            return await handlers.endpoint(request)

        options = get

    return _starlette(Route("/private", Page))


def _own_dispatch(handlers: ASGIHandlers) -> Any:
    class Page(HTTPEndpoint):
        async def dispatch(self) -> None:
            await handlers.plain(self.scope, self.receive, self.send)

        async def options(self, request: Any) -> Response:
            return Response()

    return _starlette(Route("/private", Page))


def _looks_like_an_endpoint(handlers: ASGIHandlers) -> Any:
    class Page:
        options = {"debug": True}

        def __init__(self, scope: Any, receive: Any, send: Any) -> None:
            self.what = (scope, receive, send)

        def __await__(self) -> Any:
            return handlers.plain(*self.what).__await__()

    return _starlette(Route("/private", Page))


class Served(Starlette):
    """An application with a `__call__` of its own."""

    handlers: ASGIHandlers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handlers.plain(scope, receive, send)


def _served(handlers: ASGIHandlers) -> Any:
    app = Served()
    app.handlers = handlers
    return app


ATTACKED = {
    "a function": lambda handlers: handlers.plain,
    "a closure": _closure,
    "a partial": lambda handlers: functools.partial(handlers.plain),
    "a class": App,
    "a class with an `app` that is none": lambda handlers: App(handlers, {"name": "x"}),
    "a class with an `app` of another kind": lambda handlers: App(handlers, lambda item: item),
    "middleware that is a function": lambda handlers: _starlette(middleware=[Middleware(lambda app: _closure(handlers))]),
    "middleware of its own name": lambda handlers: Opaque(handlers.plain),
    "middleware with a property": lambda handlers: Computed(handlers.plain),
    "middleware that hides it": lambda handlers: Hidden(handlers.plain),
    "middleware that cannot be copied": lambda handlers: CannotBeCopied(App(handlers)),
    "middleware that is its own copy": lambda handlers: IsItsOwnCopy(handlers.plain),
    "Mount": lambda handlers: _starlette(Mount("/private", handlers.plain)),
    "Mount of everything": lambda handlers: _starlette(Mount("/", handlers.plain)),
    "Mount of a class": lambda handlers: _starlette(Mount("/private", App(handlers))),
    "Mount in Mount": lambda handlers: _starlette(Mount("/", routes=[Mount("/", handlers.plain)])),
    "Mount of a Router with a default": lambda handlers: Router(default=handlers.plain),
    "Host": lambda handlers: _starlette(Host("site.example", handlers.plain)),
    "Route without methods": lambda handlers: _starlette(Route("/private", App(handlers))),
    "Route without methods, like middleware": lambda handlers: _starlette(Route("/private", App(handlers, handlers.plain))),
    "Route in middleware, like middleware": lambda handlers: _starlette(
        Route("/private", App(handlers, handlers.plain), middleware=[Middleware(PureAdds)])
    ),
    "Route with OPTIONS": lambda handlers: _starlette(Route("/private", handlers.endpoint, methods=["GET", "OPTIONS"])),
    "@app.api_route": _api_route,
    "@router.api_route": _included,
    "a dependency": _dependency,
    "@app.get over @app.options": _stacked,
    "@router.get over @router.options": _stacked_included,
    "HTTPEndpoint with one method for all": _shared_options,
    "HTTPEndpoint with its own dispatch": _own_dispatch,
    "like HTTPEndpoint": _looks_like_an_endpoint,
    "Starlette with its own __call__": _served,
    "StaticFiles": lambda handlers: StaticFiles(directory="tests"),
    "a loop": Loop,
}  # fmt: skip
WITH_CORS = {"Route in middleware, like middleware", "middleware that hides it"}


@BODIES
@pytest.mark.parametrize("name", ATTACKED)
def test_no_handler_runs(name: str, body: bytes, handlers: ASGIHandlers) -> None:
    """A handler that accepts each method does not run, and the body is not read."""
    app = AuthGuardMiddleware(ATTACKED[name](handlers), guard=guard())
    for path in ("/private", "/private/"):
        answer = preflight_asgi(app, path, body)
        assert (answer.body, answer.read, handlers.ran) == (b"", [], [])
        assert (answer.status, answer.headers) == (204, {}) or name in WITH_CORS


@pytest.mark.parametrize(
    "options", [{"preflight": "pass"}, {"public_paths": ["/private"]}], ids=["passes", "public"]
)
def test_a_weaker_guard_inside_lets_nothing_through(options: Any, handlers: ASGIHandlers) -> None:
    """A preflight that the outer guard has answered does not reach a handler behind a weaker guard."""
    inner = AuthGuardMiddleware(handlers.plain, guard=guard(**options))
    assert preflight_asgi(AuthGuardMiddleware(inner, guard=guard())).status == 204
    assert handlers.ran == []


@pytest.mark.parametrize("name", [name for name in ATTACKED if name != "StaticFiles"])
def test_an_open_path_is_as_before(name: str, handlers: ASGIHandlers) -> None:
    """A preflight of a path that is not protected reaches the handler."""
    app = AuthGuardMiddleware(ATTACKED[name](handlers), guard=guard(public_paths=["/private"]))
    for path in ("/private", "/private/"):
        preflight_asgi(app, path)
    assert handlers.ran
