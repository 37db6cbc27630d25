"""Preflights of protected paths on ASGI: each CORS set-up works as it did, and no handler runs."""

import asyncio
import functools
import logging
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import Response as FastAPIResponse
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from adapters.preflights import SECRET_TEXT, SPA, guard, preflight_asgi, scope_of
from authguard import Rule
from authguard.asgi import AuthGuardMiddleware

CORS: dict[str, Any] = {"allow_origins": [SPA], "allow_headers": ["authorization"]}
BODIES = pytest.mark.parametrize("body", [b"", b'{"a": 1}'], ids=["no body", "a body"])


class Handlers:
    """Handlers that note that they ran, which none may for a preflight."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def plain(self, scope: Any, receive: Any, send: Any) -> None:
        """An ASGI application that does not look at the method."""
        self.ran.append(scope["path"])
        await receive()
        await PlainTextResponse(SECRET_TEXT, headers={"access-control-max-age": "5"})(scope, receive, send)

    async def endpoint(self, request: Request) -> Response:
        """An endpoint that does not look at the method."""
        return self.page(request)

    def page(self, request: Request) -> Response:
        """The same without `async`."""
        self.ran.append(request.url.path)
        return PlainTextResponse(SECRET_TEXT)


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


class AddsFields(BaseHTTPMiddleware):
    """Hand-written: adds fields to what comes from inside."""

    async def dispatch(self, request: Any, call_next: Any) -> Response:
        response = await call_next(request)
        response.headers["Access-Control-Allow-Origin"] = SPA
        response.headers["Set-Cookie"] = "tracker=1"
        return response


class AnswersItself(BaseHTTPMiddleware):
    """Hand-written: answers preflights, and lets all else pass."""

    async def dispatch(self, request: Any, call_next: Any) -> Response:
        if request.method == "OPTIONS":
            await request.body()
            return Response("OK", headers={"Access-Control-Allow-Origin": SPA})
        return await call_next(request)


class PureAdds:
    """Hand-written, without a framework: adds fields."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def adding(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"Access-Control-Allow-Origin", SPA.encode()),
                ]
            await send(message)

        await self.app(scope, receive, adding if scope["type"] == "http" else send)


class PureAnswers(PureAdds):
    """Hand-written, without a framework: answers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"Access-Control-Allow-Origin": SPA})(
                scope, receive, send
            )
        else:
            await self.app(scope, receive, send)


class Slotted(PureAdds):
    """Keeps what it wraps in a slot, and has another one that is empty."""

    __slots__ = ("app", "later")


@dataclass(frozen=True)
class Frozen:
    """Cannot be changed."""

    app: Any

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PureAdds(self.app)(scope, receive, send)


class KeepsItself:
    """Has kept a method of its own when it was built, as some monitoring does."""

    __slots__ = ("__call__", "app")

    def __init__(self, app: Any) -> None:
        self.app = app
        self.__call__ = self.run

    async def run(self, scope: Any, receive: Any, send: Any) -> None:
        await PureAdds(self.app)(scope, receive, send)


LAYERS: dict[str, Any] = {
    "CORSMiddleware": Middleware(CORSMiddleware, **CORS),
    "BaseHTTPMiddleware that adds": Middleware(AddsFields),
    "BaseHTTPMiddleware that answers": Middleware(AnswersItself),
    "a class that adds": Middleware(PureAdds),
    "a class that answers": Middleware(PureAnswers),
    "a class with slots": Middleware(Slotted),
    "a frozen class": Middleware(Frozen),
    "a class that keeps its methods": Middleware(KeepsItself),
}


@BODIES
@pytest.mark.parametrize("guard_first", [True, False], ids=["guard outside", "guard inside"])
@pytest.mark.parametrize("make", [Starlette, FastAPI], ids=["starlette", "fastapi"])
@pytest.mark.parametrize("name", LAYERS)
def test_cors_layers_answer(name: str, make: Any, guard_first: bool, body: bytes, handlers: Handlers) -> None:
    """In both orders, and though a handler would take the method."""
    of_guard = Middleware(AuthGuardMiddleware, guard=guard())
    app = make(middleware=[of_guard, LAYERS[name]] if guard_first else [LAYERS[name], of_guard])
    app.router.routes.append(Route("/private", handlers.endpoint, methods=["GET", "OPTIONS"]))
    answer = preflight_asgi(app, body=body)
    assert answer.allows, answer
    assert (handlers.ran, SECRET_TEXT.encode() in answer.body) == ([], False)


@BODIES
@pytest.mark.parametrize("name", LAYERS)
def test_cors_layers_answer_inside_a_guard_around_the_whole(
    name: str, body: bytes, handlers: Handlers
) -> None:
    """The application's middleware is not built yet when the guard is put around it."""
    app = Starlette(routes=[Route("/private", handlers.page)], middleware=[LAYERS[name]])
    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard()), body=body)
    assert (answer.allows, answer.body, handlers.ran) == (True, b"", [])
    assert "set-cookie" not in answer.headers


@BODIES
@pytest.mark.parametrize("name", LAYERS)
def test_cors_layers_answer_around_a_plain_application(name: str, body: bytes, handlers: Handlers) -> None:
    """Middleware of Starlette around an application of no framework."""
    layer = LAYERS[name]
    app = layer.cls(handlers.plain, *layer.args, **layer.kwargs)
    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard()), body=body)
    assert (answer.allows, answer.body, handlers.ran) == (True, b"", [])


def _function(app: FastAPI, handlers: Handlers) -> None:
    @app.middleware("http")
    async def cors(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["Access-Control-Allow-Origin"] = SPA
        return response

    app.add_api_route("/private/x", handlers.page, methods=["GET"])


def _mounted(app: FastAPI, handlers: Handlers) -> None:
    inner = Starlette(routes=[Mount("/", handlers.plain)], middleware=[Middleware(CORSMiddleware, **CORS)])
    app.mount("/private", inner)


def _mounted_fastapi(app: FastAPI, handlers: Handlers) -> None:
    inner = FastAPI()
    inner.add_middleware(CORSMiddleware, **CORS)
    inner.add_api_route("/x", handlers.page, methods=["GET", "OPTIONS"])
    app.mount("/private", inner)


def _mounted_below(app: FastAPI, handlers: Handlers) -> None:
    inner = FastAPI()
    _mounted_fastapi(inner, handlers)
    app.mount("/", inner)


def _mount_middleware(app: FastAPI, handlers: Handlers) -> None:
    layers = [Middleware(CORSMiddleware, **CORS)]
    app.router.routes.append(Mount("/private", handlers.plain, middleware=layers))


def _mount_routes_middleware(app: FastAPI, handlers: Handlers) -> None:
    layers = [Middleware(CORSMiddleware, **CORS)]
    app.router.routes.append(Mount("/private", routes=[Route("/x", handlers.page)], middleware=layers))


def _router_middleware(app: FastAPI, handlers: Handlers) -> None:
    inner = Router([Route("/x", handlers.page)], middleware=[Middleware(CORSMiddleware, **CORS)])
    app.mount("/private", inner)


def _mount_in_included(app: FastAPI, handlers: Handlers) -> None:
    router = APIRouter()
    router.routes.append(Mount("/private", handlers.plain, middleware=[Middleware(CORSMiddleware, **CORS)]))
    app.include_router(router)


def _route_middleware(app: FastAPI, handlers: Handlers) -> None:
    layers = [Middleware(CORSMiddleware, **CORS)]
    app.router.routes.append(
        Route("/private/x", handlers.page, methods=["GET", "OPTIONS"], middleware=layers)
    )


def _host(app: FastAPI, handlers: Handlers) -> None:
    inner = Starlette(routes=[Mount("/", handlers.plain)], middleware=[Middleware(CORSMiddleware, **CORS)])
    app.router.routes.append(Host("site.example", inner))


def _options(app: Any, handlers: Handlers) -> None:
    app.add_api_route("/private/x", handlers.page, methods=["GET"])

    @app.options("/private/x")
    async def answer() -> FastAPIResponse:
        return FastAPIResponse(
            SECRET_TEXT, headers={"Access-Control-Allow-Origin": SPA, "X-Secret": SECRET_TEXT}
        )


def _options_of_any_path(app: FastAPI, handlers: Handlers) -> None:
    @app.options("/{rest:path}")
    def answer(rest: str, response: FastAPIResponse) -> str:
        response.headers["Access-Control-Allow-Origin"] = SPA
        return rest

    app.add_api_route("/private/x", handlers.page, methods=["GET"])


def _options_included(app: FastAPI, handlers: Handlers) -> None:
    inner, outer = APIRouter(), APIRouter()
    _options(inner, handlers)
    outer.include_router(inner)
    app.include_router(outer)


def _options_of_starlette(app: FastAPI, handlers: Handlers) -> None:
    async def answer(request: Any) -> Response:
        assert await request.body() == b""
        assert not request.user.is_authenticated
        return Response(headers={"Access-Control-Allow-Origin": SPA})

    app.router.routes.append(Route("/private/x", handlers.page))
    app.router.routes.append(Route("/private/x", answer, methods=["OPTIONS"]))


def _options_of_a_class(app: FastAPI, handlers: Handlers) -> None:
    class Page(HTTPEndpoint):
        async def get(self, request: Any) -> Response:
            return await handlers.endpoint(request)

        async def options(self, request: Any) -> Response:
            return Response(headers={"Access-Control-Allow-Origin": SPA})

    app.router.routes.append(Route("/private/x", Page))


def _inner_guard(app: FastAPI, handlers: Handlers) -> None:
    inner = FastAPI()
    inner.add_middleware(CORSMiddleware, **CORS)
    inner.add_middleware(AuthGuardMiddleware, guard=guard())
    inner.add_api_route("/x", handlers.page, methods=["GET", "OPTIONS"])
    app.mount("/private", inner)


SET_UPS = {
    "@app.middleware": _function,
    "a mounted application": _mounted,
    "a mounted FastAPI application": _mounted_fastapi,
    "a mount in a mount": _mounted_below,
    "Mount(middleware=)": _mount_middleware,
    "Mount(routes=, middleware=)": _mount_routes_middleware,
    "Router(middleware=)": _router_middleware,
    "Mount(middleware=) in an included router": _mount_in_included,
    "Route(middleware=)": _route_middleware,
    "Host": _host,
    "@app.options": _options,
    "@app.options of any path": _options_of_any_path,
    "@router.options": _options_included,
    "Route(methods=OPTIONS)": _options_of_starlette,
    "HTTPEndpoint.options": _options_of_a_class,
    "another guard inside": _inner_guard,
}


@BODIES
@pytest.mark.parametrize("around", [True, False], ids=["guard around", "guard added"])
@pytest.mark.parametrize("name", SET_UPS)
def test_set_ups_work(
    name: str, around: bool, body: bytes, handlers: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the CORS layer lies deeper in the application; there is nothing to warn of."""
    app = FastAPI()
    SET_UPS[name](app, handlers)
    guarded: Any = AuthGuardMiddleware(app, guard=guard())
    if not around:
        app.add_middleware(AuthGuardMiddleware, guard=guard())
        guarded = app
    answer = preflight_asgi(guarded, "/private/x", body)
    assert answer.allows, answer
    assert (answer.body, handlers.ran, caplog.records) == (b"", [], [])
    assert SECRET_TEXT not in str(answer.headers)


def test_a_cors_layer_outside_never_asks_the_guard(handlers: Handlers) -> None:
    """It answers before the guard sees the request."""
    app = CORSMiddleware(AuthGuardMiddleware(handlers.plain, guard=guard()), **CORS)
    assert preflight_asgi(app).allows
    assert handlers.ran == []


def test_an_origin_that_is_refused_stays_refused(
    handlers: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    """That is the answer of the CORS layer, and nothing to warn of."""
    app = FastAPI()
    app.add_middleware(CORSMiddleware, **CORS)
    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard()), Origin="https://evil.example")
    assert (answer.status, answer.allows) == (400, False)
    assert "access-control-allow-origin" not in answer.headers
    assert (answer.body, caplog.records) == (b"", [])


class App:
    """A class of an ASGI application."""

    def __init__(self, handlers: Handlers, app: Any = None) -> None:
        self.handlers = handlers
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handlers.plain(scope, receive, send)


class Opaque:
    """Middleware that keeps what it wraps under a name of its own."""

    def __init__(self, app: Any) -> None:
        self.wrapped = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.wrapped(scope, receive, send)


class Computed:
    """Something that only looks like middleware."""

    def __init__(self, app: Any) -> None:
        self._inner = (app,)

    @property
    def app(self) -> Any:
        return self._inner[0]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Hidden(PureAdds):
    """Middleware that has kept what it wraps in another place, too."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.next = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.next(scope, receive, send)


class CannotBeCopied(Frozen):
    def __copy__(self) -> Any:
        raise TypeError("there is one of it")


class IsItsOwnCopy(Frozen):
    def __copy__(self) -> Any:
        return self


class Loop:
    """Middleware that wraps itself."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers
        self.app = self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handlers.plain(scope, receive, send)


def _closure(handlers: Handlers) -> Any:
    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        await handlers.plain(scope, receive, send)

    return middleware


def _starlette(*routes: Any, **options: Any) -> Any:
    return Starlette(routes=list(routes), **options)


def _stacked(handlers: Handlers) -> Any:
    app = FastAPI()
    app.get("/private")(app.options("/private")(handlers.page))
    return app


def _stacked_included(handlers: Handlers) -> Any:
    app, router = FastAPI(), APIRouter()
    router.get("/private")(router.options("/private")(handlers.endpoint))
    app.include_router(router)
    return app


def _api_route(handlers: Handlers) -> Any:
    app = FastAPI()
    app.api_route("/private", methods=["GET", "POST", "OPTIONS"])(handlers.page)
    return app


def _included(handlers: Handlers) -> Any:
    app, router = FastAPI(), APIRouter(prefix="/private")
    router.api_route("", methods=["GET", "OPTIONS"])(handlers.page)
    app.include_router(router)
    return app


def _dependency(handlers: Handlers) -> Any:
    app = FastAPI()

    def note() -> None:
        handlers.ran.append("dependency")

    app.add_api_route("/private", handlers.page, methods=["GET", "OPTIONS"], dependencies=[Depends(note)])
    return app


def _shared_options(handlers: Handlers) -> Any:
    class Page(HTTPEndpoint):
        async def get(self, request: Any) -> Response:
            return await handlers.endpoint(request)

        options = get

    return _starlette(Route("/private", Page))


def _own_dispatch(handlers: Handlers) -> Any:
    class Page(HTTPEndpoint):
        async def dispatch(self) -> None:
            await handlers.plain(self.scope, self.receive, self.send)

        async def options(self, request: Any) -> Response:
            return Response()

    return _starlette(Route("/private", Page))


def _looks_like_an_endpoint(handlers: Handlers) -> Any:
    class Page:
        options = {"debug": True}

        def __init__(self, scope: Any, receive: Any, send: Any) -> None:
            self.what = (scope, receive, send)

        def __await__(self) -> Any:
            return handlers.plain(*self.what).__await__()

    return _starlette(Route("/private", Page))


class Served(Starlette):
    """An application with a way of its own to be called."""

    handlers: Handlers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handlers.plain(scope, receive, send)


def _served(handlers: Handlers) -> Any:
    app = Served()
    app.handlers = handlers
    return app


ATTACKED = {
    "a function": lambda handlers: handlers.plain,
    "a closure": _closure,
    "a partial": lambda handlers: functools.partial(handlers.plain),
    "a class": App,
    "a class with an `app` that is none": lambda handlers: App(handlers, {"name": "x"}),
    "a class with an `app` of another kind": lambda handlers: App(handlers, lambda one: one),
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
def test_no_handler_runs(name: str, body: bytes, handlers: Handlers) -> None:
    """Whatever does not look at the method is not reached, and the body is not read."""
    app = AuthGuardMiddleware(ATTACKED[name](handlers), guard=guard())
    for path in ("/private", "/private/"):
        answer = preflight_asgi(app, path, body)
        assert (answer.body, answer.read, handlers.ran) == (b"", [], [])
        assert (answer.status, answer.headers) == (204, {}) or name in WITH_CORS


@pytest.mark.parametrize("name", [name for name in ATTACKED if name != "StaticFiles"])
def test_an_open_path_is_as_before(name: str, handlers: Handlers) -> None:
    """On a path that is not protected the request passes on as any other."""
    app = AuthGuardMiddleware(ATTACKED[name](handlers), guard=guard(public_paths=["/private"]))
    for path in ("/private", "/private/"):
        preflight_asgi(app, path)
    assert handlers.ran


@BODIES
def test_passed_on_sealed(body: bytes, handlers: Handlers) -> None:
    """Nothing but status and CORS fields come out, and no body goes in."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        names = {name for name, _ in scope["headers"]}
        seen.extend([message, scope["user"].is_authenticated, scope["state"]["user"].is_authenticated])
        seen.append(bool(names & {b"content-length", b"transfer-encoding"}))
        seen.append(sorted(scope["extensions"]))
        headers = [
            (b"Access-Control-Allow-Origin", b"*"), (b"ACCESS-CONTROL-MAX-AGE", b"1"), (b"Allow", b"GET"),
            (b"Vary", b"Origin"), (b"Set-Cookie", b"a=1"), (b"Location", b"/x"), (b"Content-Length", b"23"),
            (b"X-Secret", SECRET_TEXT.encode()), (b"WWW-Authenticate", b"Basic"), (b"ETag", b'"1"'),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": 209, "headers": headers, "trailers": True})
        await send({"type": "http.response.body", "body": SECRET_TEXT.encode(), "more_body": True})
        await send({"type": "http.response.pathsend", "path": "/etc/passwd"})
        await send({"type": "http.response.body", "body": SECRET_TEXT.encode()})
        await send({"type": "http.response.trailers", "headers": [(b"x-secret", b"1")]})
        seen.append((await receive())["type"])

    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard(preflight="pass")), body=body)
    empty = {"type": "http.request", "body": b"", "more_body": False}
    assert seen == [empty, False, False, False, [], "http.disconnect"]
    assert (answer.status, answer.body) == (209, b"")
    assert answer.headers == {
        "access-control-allow-origin": "*", "access-control-max-age": "1", "allow": "GET", "vary": "Origin",
        "content-length": "0",
    }  # fmt: skip


@BODIES
def test_passed_on_to_an_application_that_waits_for_the_client_to_go(body: bytes) -> None:
    """The client is there until the server says that it has gone."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        gone = asyncio.ensure_future(receive())
        await asyncio.wait([gone], timeout=0.01)
        await Response("x", 409 if gone.done() else 200)(scope, receive, send)
        gone.cancel()

    assert preflight_asgi(AuthGuardMiddleware(app, guard=guard(preflight="pass")), body=body).status == 200


def test_a_client_that_goes_is_told_of() -> None:
    """After what is left of the body, of which the application sees nothing."""
    messages = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
        {"type": "http.disconnect"},
    ]
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive(), await receive()])

    async def receive() -> Any:
        return messages.pop(0)

    asyncio.run(AuthGuardMiddleware(app, guard=guard(preflight="pass"))(scope_of("/a", b"ab"), receive, None))
    empty = {"type": "http.request", "body": b"", "more_body": False}
    assert (seen, messages) == ([empty, {"type": "http.disconnect"}], [])


def test_a_receive_that_never_waits_ends() -> None:
    """As some test clients have it."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([(await receive())["type"], (await receive())["type"]])

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(AuthGuardMiddleware(app, guard=guard(preflight="pass"))(scope_of("/a", b""), receive, None))
    assert seen == ["http.request", "http.disconnect"]


@pytest.mark.parametrize("status", [200, 204, 302, 304, 401, 404, 405, 500])
def test_a_status_passes_as_it_is(status: int) -> None:
    """It is for the application to say; a length goes with a status that may have a body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Response("x", status, {"location": "/x"})(scope, receive, send)

    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard(preflight="pass")))
    assert (answer.status, answer.body) == (status, b"")
    assert answer.headers == ({} if status in (204, 304) else {"content-length": "0"})


def test_a_rule_passes_on_its_paths_alone(handlers: Handlers) -> None:
    """All others are answered."""
    app = AuthGuardMiddleware(
        handlers.plain, guard=guard(protected_paths=["/", Rule("/api", preflight="pass")])
    )
    assert preflight_asgi(app, "/api/x").headers == {"access-control-max-age": "5", "content-length": "0"}
    assert preflight_asgi(app, "/private").headers == {}
    assert handlers.ran == ["/api/x"]


def test_the_server_s_state_is_not_written(handlers: Handlers) -> None:
    """It may be shared by requests."""
    states = []
    for mode in ("answer", "pass"):
        scope = scope_of("/private", b"")
        inner = AuthGuardMiddleware(handlers.plain, guard=guard(preflight=mode))

        async def app(_: Any, receive: Any, send: Any, inner: Any = inner, scope: Any = scope) -> None:
            await inner(scope, receive, send)

        preflight_asgi(app)
        states.append((scope["state"], "user" in scope, "authguard.preflight" in scope))
    assert states == [({}, False, False)] * 2


def test_one_warning_names_the_cures(handlers: Handlers, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each middleware, since each preflight would bring it otherwise."""
    app = AuthGuardMiddleware(handlers.plain, guard=guard())
    for path in ("/a", "/b", "/c\n"):
        preflight_asgi(app, path)
    assert len(caplog.records) == 1
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("authguard", logging.WARNING)
    for cure in (
        "OPTIONS '/a'",
        "outside the guard",
        'Rule(…, preflight="pass")',
        'Guard(…, preflight="pass")',
    ):
        assert cure in record.getMessage()
    preflight_asgi(AuthGuardMiddleware(handlers.plain, guard=guard()))
    assert len(caplog.records) == 2


def test_passing_on_warns_of_nothing(handlers: Handlers, caplog: pytest.LogCaptureFixture) -> None:
    """That was decided by whoever configured it."""
    preflight_asgi(AuthGuardMiddleware(handlers.plain, guard=guard(preflight="pass")))
    assert (len(handlers.ran), caplog.records) == (1, [])


def test_an_application_that_has_served_before_keeps_its_layers(handlers: Handlers) -> None:
    """They are not built for a second time."""
    app = Starlette(routes=[Route("/private", handlers.page)], middleware=[LAYERS["CORSMiddleware"]])
    assert preflight_asgi(app).allows
    built = app.middleware_stack
    assert preflight_asgi(AuthGuardMiddleware(app, guard=guard())).allows
    assert app.middleware_stack is built


def test_layers_are_found_again_when_an_application_grows(handlers: Handlers) -> None:
    """Routes may be added after the first preflight."""
    app = Starlette()
    guarded = AuthGuardMiddleware(app, guard=guard())
    assert not preflight_asgi(guarded).allows
    app.router.routes.append(
        Mount("/private", handlers.plain, middleware=[Middleware(CORSMiddleware, **CORS)])
    )
    assert preflight_asgi(guarded, "/private/").allows
    assert handlers.ran == []


def test_the_application_is_in_the_scope_of_its_middleware() -> None:
    """`request.app` is the application itself, and FastAPI's `root_path` is set."""
    seen: list[Any] = []

    class Notes(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Response:
            seen.append((request.app, request.scope["root_path"]))
            return await call_next(request)

    app = FastAPI()
    app.root_path = "/api"
    app.add_middleware(Notes)
    preflight_asgi(AuthGuardMiddleware(app, guard=guard()))
    assert seen == [(app, "/api")]
