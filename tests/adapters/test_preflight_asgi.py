"""Preflights of protected paths on ASGI: each CORS set-up works as without the guard."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import Response as FastAPIResponse
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router

from adapters.preflight_layers import (
    BODIES,
    AddsFields,
    AnswersItself,
    ASGIHandlers,
    Frozen,
    KeepsItself,
    PureAdds,
    PureAnswers,
    Slotted,
)
from adapters.preflights import SECRET_TEXT, SPA, guard, preflight_asgi
from authguard.asgi import AuthGuardMiddleware

CORS: dict[str, Any] = {"allow_origins": [SPA], "allow_headers": ["authorization"]}


@pytest.fixture
def handlers() -> ASGIHandlers:
    return ASGIHandlers()


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
def test_cors_layers_answer(
    name: str, make: Any, guard_first: bool, body: bytes, handlers: ASGIHandlers
) -> None:
    """A CORS layer answers in both orders, also if a handler accepts OPTIONS, and no handler runs."""
    of_guard = Middleware(AuthGuardMiddleware, guard=guard())
    app = make(middleware=[of_guard, LAYERS[name]] if guard_first else [LAYERS[name], of_guard])
    app.router.routes.append(Route("/private", handlers.endpoint, methods=["GET", "OPTIONS"]))
    answer = preflight_asgi(app, body=body)
    assert answer.allows, answer
    assert (handlers.ran, SECRET_TEXT.encode() in answer.body) == ([], False)


@BODIES
@pytest.mark.parametrize("name", LAYERS)
def test_cors_layers_answer_inside_a_guard_around_the_whole(
    name: str, body: bytes, handlers: ASGIHandlers
) -> None:
    """A layer of the application answers, though it is not built when the guard is put around it."""
    app = Starlette(routes=[Route("/private", handlers.page)], middleware=[LAYERS[name]])
    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard()), body=body)
    assert (answer.allows, answer.body, handlers.ran) == (True, b"", [])
    assert "set-cookie" not in answer.headers


@BODIES
@pytest.mark.parametrize("name", LAYERS)
def test_cors_layers_answer_around_a_plain_application(
    name: str, body: bytes, handlers: ASGIHandlers
) -> None:
    """A layer of Starlette around an application without a framework answers."""
    layer = LAYERS[name]
    app = layer.cls(handlers.plain, *layer.args, **layer.kwargs)
    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard()), body=body)
    assert (answer.allows, answer.body, handlers.ran) == (True, b"", [])


def _function(app: FastAPI, handlers: ASGIHandlers) -> None:
    @app.middleware("http")
    async def cors(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["Access-Control-Allow-Origin"] = SPA
        return response

    app.add_api_route("/private/x", handlers.page, methods=["GET"])


def _mounted(app: FastAPI, handlers: ASGIHandlers) -> None:
    inner = Starlette(routes=[Mount("/", handlers.plain)], middleware=[Middleware(CORSMiddleware, **CORS)])
    app.mount("/private", inner)


def _mounted_fastapi(app: FastAPI, handlers: ASGIHandlers) -> None:
    inner = FastAPI()
    inner.add_middleware(CORSMiddleware, **CORS)
    inner.add_api_route("/x", handlers.page, methods=["GET", "OPTIONS"])
    app.mount("/private", inner)


def _mounted_below(app: FastAPI, handlers: ASGIHandlers) -> None:
    inner = FastAPI()
    _mounted_fastapi(inner, handlers)
    app.mount("/", inner)


def _mount_middleware(app: FastAPI, handlers: ASGIHandlers) -> None:
    layers = [Middleware(CORSMiddleware, **CORS)]
    app.router.routes.append(Mount("/private", handlers.plain, middleware=layers))


def _mount_routes_middleware(app: FastAPI, handlers: ASGIHandlers) -> None:
    layers = [Middleware(CORSMiddleware, **CORS)]
    app.router.routes.append(Mount("/private", routes=[Route("/x", handlers.page)], middleware=layers))


def _router_middleware(app: FastAPI, handlers: ASGIHandlers) -> None:
    inner = Router([Route("/x", handlers.page)], middleware=[Middleware(CORSMiddleware, **CORS)])
    app.mount("/private", inner)


def _mount_in_included(app: FastAPI, handlers: ASGIHandlers) -> None:
    router = APIRouter()
    router.routes.append(Mount("/private", handlers.plain, middleware=[Middleware(CORSMiddleware, **CORS)]))
    app.include_router(router)


def _route_middleware(app: FastAPI, handlers: ASGIHandlers) -> None:
    layers = [Middleware(CORSMiddleware, **CORS)]
    app.router.routes.append(
        Route("/private/x", handlers.page, methods=["GET", "OPTIONS"], middleware=layers)
    )


def _host(app: FastAPI, handlers: ASGIHandlers) -> None:
    inner = Starlette(routes=[Mount("/", handlers.plain)], middleware=[Middleware(CORSMiddleware, **CORS)])
    app.router.routes.append(Host("site.example", inner))


def _options(app: Any, handlers: ASGIHandlers) -> None:
    app.add_api_route("/private/x", handlers.page, methods=["GET"])

    @app.options("/private/x")
    async def answer() -> FastAPIResponse:
        return FastAPIResponse(
            SECRET_TEXT, headers={"Access-Control-Allow-Origin": SPA, "X-Secret": SECRET_TEXT}
        )


def _options_of_any_path(app: FastAPI, handlers: ASGIHandlers) -> None:
    @app.options("/{rest:path}")
    def answer(rest: str, response: FastAPIResponse) -> str:
        response.headers["Access-Control-Allow-Origin"] = SPA
        return rest

    app.add_api_route("/private/x", handlers.page, methods=["GET"])


def _options_included(app: FastAPI, handlers: ASGIHandlers) -> None:
    inner, outer = APIRouter(), APIRouter()
    _options(inner, handlers)
    outer.include_router(inner)
    app.include_router(outer)


def _options_of_starlette(app: FastAPI, handlers: ASGIHandlers) -> None:
    async def answer(request: Any) -> Response:
        assert await request.body() == b""
        assert not request.user.is_authenticated
        return Response(headers={"Access-Control-Allow-Origin": SPA})

    app.router.routes.append(Route("/private/x", handlers.page))
    app.router.routes.append(Route("/private/x", answer, methods=["OPTIONS"]))


def _options_of_a_class(app: FastAPI, handlers: ASGIHandlers) -> None:
    class Page(HTTPEndpoint):
        async def get(self, request: Any) -> Response:
            return await handlers.endpoint(request)

        async def options(self, request: Any) -> Response:
            return Response(headers={"Access-Control-Allow-Origin": SPA})

    app.router.routes.append(Route("/private/x", Page))


def _inner_guard(app: FastAPI, handlers: ASGIHandlers) -> None:
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
    name: str, around: bool, body: bytes, handlers: ASGIHandlers, caplog: pytest.LogCaptureFixture
) -> None:
    """A CORS layer deeper in the application answers, and no warning is logged."""
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


def test_a_cors_layer_outside_never_asks_the_guard(handlers: ASGIHandlers) -> None:
    """A layer outside of the guard answers before the guard gets the request."""
    app = CORSMiddleware(AuthGuardMiddleware(handlers.plain, guard=guard()), **CORS)
    assert preflight_asgi(app).allows
    assert handlers.ran == []


def test_an_origin_that_is_refused_stays_refused(
    handlers: ASGIHandlers, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal of the origin by the CORS layer is the answer, and no warning is logged."""
    app = FastAPI()
    app.add_middleware(CORSMiddleware, **CORS)
    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard()), Origin="https://evil.example")
    assert (answer.status, answer.allows) == (400, False)
    assert "access-control-allow-origin" not in answer.headers
    assert (answer.body, caplog.records) == (b"", [])


def test_a_layer_that_has_looked_at_the_origin_is_not_warned_of(
    handlers: ASGIHandlers, caplog: pytest.LogCaptureFixture
) -> None:
    """No warning is logged for a layer that varies by the origin and does not allow this one."""

    class Varies(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Response:
            response = await call_next(request)
            response.headers["Vary"] = "Accept, Origin"
            return response

    answer = preflight_asgi(AuthGuardMiddleware(Varies(handlers.plain), guard=guard()))
    assert (answer.status, answer.headers) == (204, {"vary": "Accept, Origin"})
    assert (handlers.ran, caplog.records) == ([], [])


def test_an_application_that_has_served_before_keeps_its_layers(handlers: ASGIHandlers) -> None:
    """The layers of an application that has served requests are not built a second time."""
    app = Starlette(routes=[Route("/private", handlers.page)], middleware=[LAYERS["CORSMiddleware"]])
    assert preflight_asgi(app).allows
    built = app.middleware_stack
    assert preflight_asgi(AuthGuardMiddleware(app, guard=guard())).allows
    assert app.middleware_stack is built


def test_layers_are_found_again_when_an_application_grows(handlers: ASGIHandlers) -> None:
    """A layer of a route that is added after the first preflight is found."""
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
