"""`requires` on whatever is called on the way to an answer: it lets pass, or raises."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import flask
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError, Guard, JWTVerifier, Refusal
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token
from support import SECRET

READER = issue_token(SECRET, scopes=["read"])
ADMIN = issue_token(SECRET, scopes=["read", "admin"])
FACES = pytest.mark.parametrize(
    "requires", [authguard.starlette.requires, authguard.fastapi.requires], ids=["starlette", "fastapi"]
)


def field(token: str) -> tuple[str, bytes]:
    return "Authorization", f"Bearer {token}".encode()


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def open_guard(**options: Any) -> Guard:
    """A guard that leaves everything to routes."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return Guard(jwt, public_paths=["/**"], **options)


def guarded(app: Any, **options: Any) -> Any:
    app.add_middleware(AuthGuardMiddleware, guard=open_guard(**options))
    return app


def statuses(app: Any, path: str = "/secret") -> list[int]:
    """What nobody, a reader and an admin are answered; the secret is for the admin alone."""
    answers = [ask_asgi(app, "GET", path, fields) for fields in ([], [field(READER)], [field(ADMIN)])]
    for answer in answers:
        assert (b"secret" in answer.body) == (answer.status == 200)
    return [answer.status for answer in answers]


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
@pytest.mark.parametrize("make", DEPENDENCIES, ids=lambda one: one.__name__)
def test_a_dependency_refuses(requires: Any, make: Callable[[Any], Any]) -> None:
    """It raises, so that its refusal is no value for the route."""
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
    """Wherever FastAPI takes a dependency."""
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
    """The code after `yield` runs, and learns of the exception of the route; not entered, nothing runs."""
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
    """A function that an endpoint calls by itself ends the request."""

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
    """Where the application calls it, and not FastAPI, the argument tells."""

    @authguard.fastapi.requires("admin")
    async def helper(request) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return "secret"

    app = FastAPI()

    @app.get("/secret")
    async def _secret(request: Request) -> str:
        return await helper(request)  # type: ignore[no-any-return]

    assert statuses(guarded(app)) == [401, 403, 200]


def test_a_refusal_can_wait_for_on_error() -> None:
    """An `on_error` that is a coroutine function is awaited for plain helpers and generators, too."""

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
    """Whole, by method, decorated twice, and derived from a decorated one that dispatches by itself."""

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
    """In a router without an application, and in middleware outside of the handlers."""

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
    """Where the guard stands outside of the whole application, which has answered 500."""

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
    """Classes without a dispatch to guard, and what is not called at all."""

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
    """It takes no request; a rule guards it."""

    async def raw(scope: Any, receive: Any, send: Any) -> None: ...

    for thing in (raw, FastAPI(), APIRouter(), Route("/", lambda request: None)):
        with pytest.raises(ConfigurationError, match="cannot guard|neither request"):
            requires("admin")(thing)


# The connection among the arguments


class ChatRequest(BaseModel):
    """A body that is called like a connection."""

    text: str


def test_fastapi_takes_the_connection_by_its_annotation() -> None:
    """A body, a query parameter and a dependency may be called request or websocket."""
    requires = authguard.fastapi.requires
    app = FastAPI()

    @app.post("/body")
    @requires("read")
    async def _body(request: ChatRequest) -> str:
        return request.text

    @app.get("/query")
    @requires("read")
    def _query(request: str, websocket: Annotated[int, Query()] = 1) -> str:
        return f"{request}{websocket}"

    @app.get("/unannotated")
    @requires("read")
    async def _unannotated(request) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return str(request)

    @app.get("/dependency")
    @requires("read")
    async def _dependency(request: Annotated[Request, Depends(lambda: "fake")]) -> str:
        return str(request)

    client = TestClient(guarded(app))
    for method, path, options in (
        ("POST", "/body", {"json": {"text": "hi"}}),
        ("GET", "/query?request=a&websocket=2", {}),
        ("GET", "/unannotated?request=b", {}),
        ("GET", "/dependency", {}),
    ):
        assert client.request(method, path, **options).status_code == 401, path  # type: ignore[arg-type]
        answer = client.request(method, path, headers=headers(READER), **options)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()) == (200, {"/body": "hi", "/query?request=a&websocket=2": "a2",
            "/unannotated?request=b": "b", "/dependency": "fake"}[path])  # fmt: skip
    assert client.get("/query", headers=headers(READER)).status_code == 422


def test_fastapi_takes_any_name_and_kind_of_the_connection() -> None:
    """By annotation, as text too, in `Annotated`, after a star, and as the base of both."""
    requires = authguard.fastapi.requires

    async def other_name(req: Request) -> bool:
        return isinstance(req, Request)

    async def annotated(req: Annotated[Request, "meta"]) -> bool:
        return isinstance(req, Request)

    async def text(req: "Request") -> bool:
        return isinstance(req, Request)

    async def base(conn: HTTPConnection, *, number: int = 1) -> bool:
        return isinstance(conn, Request)

    async def keyword(*, req: Request) -> bool:
        return isinstance(req, Request)

    async def with_default(number: int = 1, req: Request = None) -> bool:  # type: ignore[assignment]
        return isinstance(req, Request)

    async def several(request: Request, again: HTTPConnection) -> bool:
        return request is again

    app = FastAPI()
    functions: list[Any] = [other_name, annotated, text, base, keyword, with_default, several]
    for function in functions:
        app.add_api_route(f"/{function.__name__}", requires("read")(function))
    guarded(app)
    for function in functions:
        path = f"/{function.__name__}"
        assert ask_asgi(app, "GET", path).status == 401, path
        assert ask_asgi(app, "GET", path, [field(READER)]).body == b"true", path


def test_starlette_takes_any_name_and_kind_of_the_connection() -> None:
    """By annotation; without one by its name; else it is looked for in what a wrapper is given."""
    requires = authguard.starlette.requires

    async def other_name(req: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def text(req: "Request") -> PlainTextResponse:
        return PlainTextResponse("in")

    async def unknown(request: "Elsewhere") -> PlainTextResponse:  # type: ignore[name-defined]  # noqa: F821
        return PlainTextResponse("in")

    async def union(req: Request | None = None) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def positional(req: HTTPConnection, /) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def anything(*args: Any, **kwargs: Any) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def elsewhere(conn: "elsewhere.Request") -> PlainTextResponse:  # type: ignore[name-defined]  # noqa: F821
        return PlainTextResponse("in")

    async def untyped(request) -> PlainTextResponse:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return PlainTextResponse("in")

    functions: list[Any] = [
        other_name, text, unknown, union, positional, anything, elsewhere, untyped
    ]  # fmt: skip
    app = guarded(Starlette(routes=[Route(f"/{one.__name__}", requires("read")(one)) for one in functions]))
    for function in functions:
        path = f"/{function.__name__}"
        assert ask_asgi(app, "GET", path).status == 401, path
        assert ask_asgi(app, "GET", path, [field(READER)]).status == 200, path


def test_a_parameter_of_another_type_is_no_connection_of_starlette() -> None:
    """Its name does not count, since its annotation says something else."""
    with pytest.raises(ConfigurationError, match="neither request nor websocket"):

        @authguard.starlette.requires("read")
        async def _chat(request: ChatRequest) -> None: ...


@FACES
def test_a_function_that_is_called_without_its_connection_does_not_run(requires: Any) -> None:
    """Whatever else it is given."""

    @requires("read")
    def helper(request: Request, extra: Any = None) -> str:
        return "secret"

    for args in ((), ("text",), (object(), 1)):
        with pytest.raises(TypeError, match="without its request or websocket"):
            helper(*args)


def test_the_signature_that_fastapi_sees_keeps_what_cannot_be_evaluated() -> None:
    """An annotation from under `if TYPE_CHECKING` is no reason to fail at import."""

    @authguard.fastapi.requires("read")
    async def page(number: int) -> "Elsewhere": ...  # type: ignore[name-defined]  # noqa: F821

    assert list(inspect.signature(page).parameters) == ["number", "authguard_connection"]


# Streams


def streaming() -> FastAPI:
    """Endpoints that are generators, of every kind."""
    requires = authguard.fastapi.requires
    EventSourceResponse = pytest.importorskip("fastapi.sse").EventSourceResponse
    app = FastAPI()

    @app.get("/events", response_class=EventSourceResponse)
    @requires("admin")
    async def _events(request: Request) -> AsyncIterator[dict[str, str]]:
        yield {"a": "secret"}
        yield {"b": "secret"}

    @app.get("/lines")
    @requires("admin")
    async def _lines(count: int = 2) -> AsyncIterator[dict[str, str]]:
        for number in range(count):
            yield {f"n{number}": "secret"}

    @app.get("/plain-lines")
    @requires("admin")
    def _plain_lines(request: str = "") -> Iterator[dict[str, str]]:
        yield {"a": "secret"}

    @app.get("/plain-events", response_class=EventSourceResponse)
    @requires("admin")
    def _plain_events() -> Iterator[dict[str, str]]:
        yield {"a": "secret"}

    @app.get("/raw", response_class=StreamingResponse)
    @requires("admin")
    async def _raw() -> AsyncIterator[str]:
        yield "secret"

    return app


@pytest.mark.parametrize("path", ["/events", "/lines", "/plain-lines", "/plain-events", "/raw"])
def test_a_stream_is_refused_before_it_starts(path: str) -> None:
    """A generator as an endpoint streams as it does without the decorator, or does not begin."""
    client = TestClient(guarded(streaming()))
    assert client.get(path).status_code == 401
    refused = client.get(path, headers=headers(READER))
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    allowed = client.get(path, headers=headers(ADMIN))
    assert allowed.status_code == 200
    assert "secret" in allowed.text


def test_a_stream_has_the_format_and_the_items_of_its_generator() -> None:
    """JSON lines stay JSON lines, and events stay events."""
    client = TestClient(guarded(streaming()))
    lines = client.get("/lines?count=3", headers=headers(ADMIN))
    assert (lines.headers["content-type"], lines.text.count("\n")) == ("application/jsonl", 3)
    events = client.get("/events", headers=headers(ADMIN))
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.text.count("data:") == 2


# Websockets


def refused_with(client: TestClient, path: str, token: str | None = None) -> int:
    given = headers(token) if token else {}
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(path, headers=given) as socket,
    ):
        socket.receive_text()
    assert denied.value.headers["www-authenticate"].startswith("Bearer")
    return denied.value.status_code


def heard(client: TestClient, path: str, token: str) -> str:
    with client.websocket_connect(path, headers=headers(token)) as socket:
        return socket.receive_text()


@FACES
def test_websockets_are_refused_before_they_are_accepted(requires: Any) -> None:
    """By a decorator of the endpoint, of its class, of a method, and of a helper."""

    @requires("admin")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("secret")
        await websocket.close()

    @requires("admin")
    def check(conn: HTTPConnection) -> None: ...

    async def helped(websocket: WebSocket) -> None:
        check(websocket)
        await websocket.accept()
        await websocket.send_text("secret")
        await websocket.close()

    @requires("admin")
    class Whole(WebSocketEndpoint):
        async def on_connect(self, websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text("secret")

    class Part(WebSocketEndpoint):
        @requires("admin")
        async def on_connect(self, websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text("secret")

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None: ...

    endpoints = {"/talk": talk, "/helped": helped, "/whole": Whole, "/part": Part}
    routes = [WebSocketRoute(path, endpoint) for path, endpoint in endpoints.items()]
    app = guarded(Starlette(routes=[*routes, Mount("/in", routes=routes)]))
    client = TestClient(app)
    for prefix in ("", "/in"):
        for path in endpoints:
            assert refused_with(client, prefix + path) == 401, path
            assert refused_with(client, prefix + path, READER) == 403, path
            assert heard(client, prefix + path, ADMIN) == "secret"


@pytest.mark.parametrize("make", [asynchronous, synchronous, generator, asynchronous_generator],
                         ids=lambda one: one.__name__)  # fmt: skip
def test_a_dependency_of_a_websocket_refuses(make: Any) -> None:
    """The handshake has the guard's answer, whatever handlers the application has for requests."""
    dependency = make(authguard.fastapi.requires)
    dependency.__signature__ = inspect.Signature(
        [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)]
    )
    app = FastAPI()

    @app.exception_handler(401)
    async def _mine(request: Request, error: Any) -> PlainTextResponse:
        return PlainTextResponse(f"mine {request.method}", 401)

    @app.websocket("/ws")
    async def _ws(websocket: WebSocket, value: Annotated[str, Depends(dependency)]) -> None:
        await websocket.accept()
        await websocket.send_text(value)
        await websocket.close()

    client = TestClient(guarded(app))
    assert refused_with(client, "/ws") == 401
    assert refused_with(client, "/ws", READER) == 403
    assert heard(client, "/ws", ADMIN) == "secret"


def test_an_accepted_websocket_is_closed() -> None:
    """A helper that is called after `accept` ends the connection, and does not wait for a message."""

    @authguard.starlette.requires("admin")
    async def check(websocket: WebSocket) -> None: ...

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await check(websocket)
        await websocket.send_text("secret")

    client = TestClient(guarded(Starlette(routes=[WebSocketRoute("/", talk)])))
    with (
        client.websocket_connect("/", headers=headers(READER)) as socket,
        pytest.raises(WebSocketDisconnect) as end,
    ):
        socket.receive_text()
    assert (end.value.code, end.value.reason) == (1008, "insufficient_scope")


def test_a_websocket_is_refused_in_whichever_state_it_is() -> None:
    """After its `connect` was received, and when the client has gone; nothing is waited for."""
    refusals: list[Exception] = []

    @authguard.starlette.requires("admin")
    async def check(websocket: WebSocket) -> None: ...

    async def connecting(websocket: WebSocket) -> None:
        await websocket.receive()
        await check(websocket)

    async def gone(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()
        try:
            await check(websocket)
        except authguard.starlette.RefusedHTTPException as error:
            refusals.append(error)

    client = TestClient(guarded(Starlette(routes=[WebSocketRoute("/connecting", connecting)])))
    assert refused_with(client, "/connecting", READER) == 403

    coming: list[Any] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}]
    sent: list[str] = []

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    given = [(b"authorization", b"Bearer " + READER.encode())]
    scope = {"type": "websocket", "path": "/gone", "headers": given, "query_string": b""}
    app = guarded(Starlette(routes=[WebSocketRoute("/gone", gone)]))
    asyncio.run(app(scope, receive, send))
    assert (len(refusals), sent) == (1, ["websocket.accept"])


# Flask


def test_flask_helpers_methods_and_generators_refuse() -> None:
    """Functions that a view calls, `async` or not, methods, and views that stream."""
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
