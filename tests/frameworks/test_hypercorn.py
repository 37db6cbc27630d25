"""Two requests of two callers on one HTTP/2 connection each have their own caller until their end."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from frameworks.support import need

need("hypercorn", "h2")

pytestmark = pytest.mark.frameworks

import hypercorn.asyncio
import hypercorn.config
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token

SECRET = "k3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIoXz"


@contextlib.contextmanager
def serving(app: Any) -> Iterator[int]:
    """Serve the application in a thread; yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = config.errorlog = None
    loop, stop, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def main() -> None:
        loop.call_later(0, started.set)
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    started.wait()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def connect(port: int) -> socket.socket:
    """Connect as soon as the server listens."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=10)


def ask_together(port: int, *requests: tuple[str, str]) -> list[str]:
    """Send requests on one connection before any is answered; return the bodies of the answers."""
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    bodies: dict[int, bytes] = {}
    for path, subject in requests:
        stream = connection.get_next_available_stream_id()
        bodies[stream] = b""
        token = issue_token(SECRET, subject=subject)
        connection.send_headers(
            stream,
            [(":method", "GET"), (":scheme", "http"), (":authority", "app"), (":path", path),
             ("authorization", f"Bearer {token}")],
            end_stream=True,
        )  # fmt: skip
    ended: set[int] = set()
    with connect(port) as link:
        while ended != bodies.keys():
            link.sendall(connection.data_to_send())
            data = link.recv(65536)
            assert data, "the server has closed the connection"
            for event in connection.receive_data(data):
                if isinstance(event, DataReceived):
                    bodies[event.stream_id] += event.data
                elif isinstance(event, StreamEnded):
                    ended.add(event.stream_id)
    return [body.decode() for body in bodies.values()]


@pytest.fixture
def told() -> list[str]:
    """Return the list of callers that background tasks have read."""
    return []


@pytest.fixture
def app(told: list[str]) -> Any:
    """Return an application whose first request ends after the second one has begun."""
    second_is_in = asyncio.Event()

    async def note(request: Request) -> None:
        told.append(request.state.user.subject)

    async def first(request: Request) -> PlainTextResponse:
        await second_is_in.wait()
        return PlainTextResponse(request.state.user.subject, background=BackgroundTask(note, request))

    async def second(request: Request) -> PlainTextResponse:
        second_is_in.set()
        return PlainTextResponse(request.state.user.subject)

    app = Starlette(routes=[Route("/first", first), Route("/second", second)])
    guard = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None))
    return AuthGuardMiddleware(app, guard=guard)


def test_requests_of_one_connection_have_a_caller_each(app: Any, told: list[str]) -> None:
    """The first request and its background task do not have the caller of the second one."""
    with serving(app) as port:
        assert ask_together(port, ("/first", "ann"), ("/second", "bob")) == ["ann", "bob"]
    assert told == ["ann"]
