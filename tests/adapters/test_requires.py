"""`requires` on dependencies, helpers, endpoints and classes: each admits the caller or raises."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import flask
import pytest
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.callers import (
    ADMIN,
    FACES,
    READER,
    field,
    guarded,
    heard,
    open_guard,
    refused_with,
    statuses,
)
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError, Refusal
from authguard.asgi import AuthGuardMiddleware

# Dependencies of FastAPI


def asynchronous(requires: Any) -> Any:
    @requires("admin")
    async def admin_only(request: Request) -> str:
        return "secret"

    return admin_only


def synchronous(requires: Any) -> Any:
    @requires("admin")
    def admin_only(request: Request) -> str:
        return "secret"

    return admin_only


def asynchronous_generator(requires: Any) -> Any:
    @requires("admin")
    async def admin_only(request: Request) -> AsyncIterator[str]:
        yield "secret"

    return admin_only


def generator(requires: Any) -> Any:
    @requires("admin")
    def admin_only(request: Request) -> Iterator[str]:
        yield "secret"

    return admin_only


def with_call(requires: Any) -> Any:
    class AdminOnly:
        @requires("admin")
        async def __call__(self, request: Request) -> str:
            return "secret"

    return AdminOnly()


def instance(requires: Any) -> Any:
    class AdminOnly:
        async def __call__(self, request: Request) -> str:
            return "secret"

    return requires("admin")(AdminOnly())


def partial(requires: Any) -> Any:
    async def admin_only(word: str, request: Request) -> str:
        return word

    return requires("admin")(functools.partial(admin_only, "secret"))


def partial_of_decorated(requires: Any) -> Any:
    @requires("admin")
    async def admin_only(word: str, request: Request) -> str:
        return word

    return functools.partial(admin_only, "secret")


def bound_method(requires: Any) -> Any:
    class Service:
        async def admin_only(self, request: Request) -> str:
            return "secret"

    return requires("admin")(Service().admin_only)


def decorated_method(requires: Any) -> Any:
    class Service:
        @requires("admin")
        def admin_only(self, request: Request) -> str:
            return "secret"

    return Service().admin_only


def static_method(requires: Any) -> Any:
    class Service:
        @requires("admin")
        @staticmethod
        async def admin_only(request: Request) -> str:
            return "secret"

    return Service.admin_only


def class_method(requires: Any) -> Any:
    class Service:
        @requires("admin")
        @classmethod
        async def admin_only(cls, request: Request) -> str:
            return "secret"

    return Service.admin_only


def constructor(requires: Any) -> Any:
    class Commons:
        @requires("admin")
        def __init__(self, request: Request) -> None:
            self.word = "secret"

    return Commons


def twice(requires: Any) -> Any:
    @requires("admin")
    @requires("read")
    async def admin_only(request: Request) -> str:
        return "secret"

    return admin_only


DEPENDENCIES = [
    asynchronous, synchronous, asynchronous_generator, generator, with_call, instance, partial,
    partial_of_decorated, bound_method, decorated_method, static_method, class_method, constructor, twice,
]  # fmt: skip


@FACES
@pytest.mark.parametrize("make", DEPENDENCIES, ids=lambda item: item.__name__)
def test_a_dependency_refuses(requires: Any, make: Callable[[Any], Any]) -> None:
    """A refusal of a dependency is raised, and is not the value of the parameter."""
    app = FastAPI()
    dependency = make(requires)

    @app.get("/secret")
    async def _secret(value: Annotated[Any, Depends(dependency)]) -> str:
        return str(getattr(value, "word", value))

    @app.get("/listed", dependencies=[Depends(dependency)])
    async def _listed() -> str:
        return "secret"

    guarded(app)
    assert statuses(app) == statuses(app, "/listed") == [401, 403, 200]


@FACES
def test_a_dependency_of_router_application_and_dependency_refuses(requires: Any) -> None:
    """A dependency of a router, an application or another dependency refuses."""
    admin_only = Depends(asynchronous(requires))

    async def above(value: Annotated[str, admin_only]) -> str:
        return value

    router = APIRouter(dependencies=[admin_only])
    router.add_api_route("/router", lambda: "secret")
    plain = APIRouter()
    plain.add_api_route("/included", lambda: "secret")

    app = FastAPI()
    app.include_router(router)
    app.include_router(plain, dependencies=[admin_only])
    app.add_api_route("/sub", lambda: "secret", dependencies=[Depends(above)])
    mounted = FastAPI(dependencies=[admin_only])
    mounted.add_api_route("/application", lambda: "secret")
    app.mount("/mounted", mounted)
    guarded(app)
    for path in ("/router", "/included", "/sub", "/mounted/application"):
        assert statuses(app, path) == [401, 403, 200], path


@FACES
@pytest.mark.parametrize("sync", [False, True])
def test_a_generator_dependency_is_left_as_it_is_entered(requires: Any, sync: bool) -> None:
    """The code after `yield` runs with the exception of the route, and does not run after a refusal."""
    seen: list[str] = []

    @requires("admin")
    async def waiting(request: Request) -> AsyncIterator[str]:
        try:
            yield "in"
        except ValueError:
            seen.append("failed")
            raise
        finally:
            seen.append("left")

    @requires("admin")
    def plain(request: Request) -> Iterator[str]:
        try:
            yield "in"
        except ValueError:
            seen.append("failed")
            raise
        finally:
            seen.append("left")

    app = FastAPI()

    @app.get("/")
    async def _page(value: Annotated[str, Depends(plain if sync else waiting)]) -> str:
        raise ValueError("of the route")

    guarded(app)
    assert ask_asgi(app, "GET", "/", [field(READER)]).status == 403
    assert seen == []
    with pytest.raises(ValueError, match="of the route"):
        ask_asgi(app, "GET", "/", [field(ADMIN)])
    assert seen == ["failed", "left"]


# Helpers, endpoints and classes


@FACES
@pytest.mark.parametrize("sync", [False, True])
def test_a_helper_refuses(requires: Any, sync: bool) -> None:
    """A decorated function that an endpoint calls ends the request."""

    @requires("admin")
    async def waiting(request: Request) -> str:
        return "secret"

    @requires("admin")
    def plain(request: Request) -> str:
        return "secret"

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse(plain(request) if sync else await waiting(request))

    app = guarded(Starlette(routes=[Route("/secret", page), Mount("/in", routes=[Route("/secret", page)])]))
    assert statuses(app) == statuses(app, "/in/secret") == [401, 403, 200]


def test_a_helper_of_fastapi_takes_the_request_without_an_annotation() -> None:
    """A helper without an annotation, which the application calls, gets the request from its argument."""

    @authguard.fastapi.requires("admin")
    async def helper(request) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return "secret"

    app = FastAPI()

    @app.get("/secret")
    async def _secret(request: Request) -> str:
        return await helper(request)  # type: ignore[no-any-return]

    assert statuses(guarded(app)) == [401, 403, 200]


def test_a_refusal_can_wait_for_on_error() -> None:
    """An async `on_error` is awaited for plain helpers and generators."""

    async def on_error(request: Any, refusal: Refusal) -> Refusal:
        return refusal.with_json({"mine": refusal.status})

    app = FastAPI()
    app.add_api_route("/", lambda: "in", dependencies=[Depends(generator(authguard.fastapi.requires))])
    guarded(app, on_error=on_error)
    answer = ask_asgi(app, "GET", "/", [field(READER)])
    assert (answer.status, answer.body) == (403, b'{"mine": 403}')


@FACES
@pytest.mark.parametrize("router", [False, True], ids=["starlette", "router"])
def test_endpoint_classes_refuse(requires: Any, router: bool) -> None:
    """A decorated class refuses, also if it is decorated twice, or if a derived class has a `dispatch`."""

    class Page(HTTPEndpoint):
        async def get(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse("secret")

    class Derived(requires("admin")(Page)):  # type: ignore[misc]
        async def dispatch(self) -> None:
            await PlainTextResponse("secret")(self.scope, self.receive, self.send)

    classes = {
        "/whole": requires("admin")(Page),
        "/twice": requires("admin")(requires("read")(Page)),
        "/derived": Derived,
    }
    routes = [Route(path, page) for path, page in classes.items()]
    app: Any = AuthGuardMiddleware(Router(routes), guard=open_guard())
    if not router:
        app = guarded(Starlette(routes=routes))
    for path in classes:
        assert statuses(app, path) == [401, 403, 200], path


@FACES
def test_a_refusal_is_answered_where_no_handler_is_around(requires: Any) -> None:
    """A refusal is answered in a router without an application, and in middleware outside of the handlers."""

    @requires("admin")
    async def waiting(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    @requires("admin")
    def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    @requires("admin")
    async def middleware(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    @requires("admin")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("secret")
        await websocket.close()

    routes = [Route("/waiting", waiting), Route("/plain", plain), WebSocketRoute("/ws", talk)]
    router = AuthGuardMiddleware(Router(routes), guard=open_guard())
    assert statuses(router, "/waiting") == statuses(router, "/plain") == [401, 403, 200]
    assert refused_with(TestClient(router), "/ws") == 401
    assert heard(TestClient(router), "/ws", ADMIN) == "secret"

    inner = [Route("/secret", lambda request: PlainTextResponse("secret"))]
    app = Starlette(routes=inner, middleware=[Middleware(BaseHTTPMiddleware, dispatch=middleware)])
    assert statuses(guarded(app)) == [401, 403, 200]


def test_a_refusal_in_middleware_below_a_server_error_handler_is_not_answered_twice() -> None:
    """A refusal is raised if the application inside of the guard has already answered by 500."""

    @authguard.starlette.requires("admin")
    async def middleware(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    inner = Starlette(middleware=[Middleware(BaseHTTPMiddleware, dispatch=middleware)])
    sent: list[Any] = []

    class Layer(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            return await call_next(request)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    app = AuthGuardMiddleware(Layer(inner), guard=open_guard())

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(authguard.starlette.RefusedHTTPException):
        asyncio.run(app(scope, receive, send))
    assert [message["status"] for message in sent if "status" in message] == [500]


@pytest.mark.parametrize(
    "requires",
    [authguard.starlette.requires, authguard.fastapi.requires, authguard.flask.requires],
    ids=["starlette", "fastapi", "flask"],
)
def test_what_cannot_be_guarded_is_refused_at_once(requires: Any) -> None:
    """A class without a dispatch method, and an object that is not callable, are errors."""

    class Plain:
        pass

    class Callable_:
        async def __call__(self, request: Request) -> str:
            return "secret"

    class Model(BaseModel):
        name: str

    for thing in (Plain, Callable_, Model, "a string", None, property(lambda self: None), 7):
        with pytest.raises(ConfigurationError, match="guard|decorate"):
            requires("admin")(thing)


@FACES
def test_an_asgi_application_is_refused_at_once(requires: Any) -> None:
    """An ASGI application gets no request, so that decorating it is an error."""

    async def raw(scope: Any, receive: Any, send: Any) -> None: ...

    for thing in (raw, FastAPI(), APIRouter(), Route("/", lambda request: None)):
        with pytest.raises(ConfigurationError, match="must decorate|must take a request"):
            requires("admin")(thing)


# Flask


def test_flask_helpers_methods_and_generators_refuse() -> None:
    """Functions that a Flask view calls, methods, and views that stream refuse."""
    pytest.importorskip("asgiref")
    requires = authguard.flask.requires
    app = flask.Flask("site")

    @requires("admin")
    def helper() -> str:
        return "secret"

    @requires("admin")
    async def waiting() -> str:
        return "secret"

    class Service:
        @requires("admin")
        @staticmethod
        def static() -> str:
            return "secret"

        @requires("admin")
        def method(self) -> str:
            return "secret"

    @app.get("/helper")
    def _helper() -> str:
        return helper()

    @app.get("/waiting")
    async def _waiting() -> str:
        return await waiting()

    @app.get("/stream")
    @requires("admin")
    def _stream() -> Iterator[str]:
        yield "secret"

    app.add_url_rule("/static-method", "static-method", Service.static)
    app.add_url_rule("/method", "method", Service().method)
    authguard.flask.init_app(app, open_guard())
    for path in ("/helper", "/waiting", "/stream", "/static-method", "/method"):
        answers = [ask_wsgi(app, "GET", path, fields) for fields in ([], [field(READER)], [field(ADMIN)])]
        assert [answer.status for answer in answers] == [401, 403, 200], path
        assert [b"secret" in answer.body for answer in answers] == [False, False, True]
