"""`requires` on streams, which are refused before they start, and on websockets before they are accepted."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

import authguard.fastapi
import authguard.starlette
from adapters.callers import (
    ADMIN,
    FACES,
    READER,
    guarded,
    headers,
    heard,
    refused_with,
)
from adapters.test_requires import asynchronous, asynchronous_generator, generator, synchronous

# Streams


def streaming() -> FastAPI:
    """Return an application with generators of each kind as endpoints."""
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
    """A generator as an endpoint streams as without the decorator, or is refused before it starts."""
    client = TestClient(guarded(streaming()))
    assert client.get(path).status_code == 401
    refused = client.get(path, headers=headers(READER))
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    allowed = client.get(path, headers=headers(ADMIN))
    assert allowed.status_code == 200
    assert "secret" in allowed.text


def test_a_stream_has_the_format_and_the_items_of_its_generator() -> None:
    """JSON lines and events keep their format behind a decorator."""
    client = TestClient(guarded(streaming()))
    lines = client.get("/lines?count=3", headers=headers(ADMIN))
    assert (lines.headers["content-type"], lines.text.count("\n")) == ("application/jsonl", 3)
    events = client.get("/events", headers=headers(ADMIN))
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.text.count("data:") == 2


# Websockets


@FACES
def test_websockets_are_refused_before_they_are_accepted(requires: Any) -> None:
    """A handshake is refused by a decorator of the endpoint, its class, a method and a helper."""

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
                         ids=lambda item: item.__name__)  # fmt: skip
def test_a_dependency_of_a_websocket_refuses(make: Any) -> None:
    """A refused websocket has the guard's answer, and not that of an exception handler for requests."""
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
    """A helper that refuses after `accept` closes the websocket, and does not wait for a message."""

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
    """A websocket is refused after its `connect` was received, and a client that has gone gets no message."""
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


@pytest.mark.parametrize("sync", [False, True])
def test_a_message_to_an_endpoint_class_is_refused_once(sync: bool) -> None:
    """A refusal in `on_receive` closes the accepted websocket of the class once."""

    @authguard.starlette.requires("admin")
    def check(websocket: WebSocket) -> None: ...

    class Later(WebSocketEndpoint):
        encoding = "text"

        @authguard.starlette.requires("admin")
        async def on_receive(self, websocket: WebSocket, data: Any) -> None: ...

    class LaterInHelper(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            check(websocket)

    app = guarded(Starlette(routes=[WebSocketRoute("/", LaterInHelper if sync else Later)]))
    with TestClient(app).websocket_connect("/", headers={"authorization": f"Bearer {READER}"}) as websocket:
        websocket.send_text("")
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_text()
    assert closed.value.code == 1008
