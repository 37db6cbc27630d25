"""Simulate one connection of a websocket behind the guard, without a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from adapters.answering import SECRET
from authguard import Guard, JWTVerifier, Principal
from authguard.asgi import AuthGuardMiddleware

NOW = 1_800_000_000.0
SECONDS = 5  # seconds after which a test that still waits has failed

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
TEXT = {"type": "websocket.receive", "text": "hello"}
GONE = {"type": "websocket.disconnect", "code": 1001}
EXPIRED = {"type": "websocket.close", "code": 1008, "reason": "invalid_token"}
Message = dict[str, Any]


def say(text: str) -> Message:
    return {"type": "websocket.send", "text": text}


def end(code: int = 1008, reason: str = "invalid_token") -> Message:
    """Return the message that the application receives after the end."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


class Clock:
    """Return a time that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Verdicts:
    """Verify credentials with the outcome that the test sets."""

    def __init__(self, expires_at: float | None = None) -> None:
        self.expires_at = expires_at
        self.error: Exception | None = None
        self.calls = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def verify(self, credential: Any) -> Principal:
        self.calls += 1
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.error is not None:
            raise self.error
        return Principal("ann", expires_at=self.expires_at)


class Server:
    """Represent one connection, like a server: the test adds received messages, and reads the sent ones."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.incoming.put_nowait(CONNECT)
        self.sent: list[Message] = []
        self.reads = 0
        self.writable = asyncio.Event()
        self.writable.set()
        self.error: Exception | None = None

    async def receive(self) -> Message:
        self.reads += 1
        return await self.incoming.get()

    async def send(self, message: Message) -> None:
        await self.writable.wait()
        if self.error is not None:
            raise self.error
        self.sent.append(message)

    @property
    def kinds(self) -> list[str]:
        return [message["type"].removeprefix("websocket.") for message in self.sent]


def run(
    app: Any,
    server: Server,
    *,
    guard: Guard,
    clock: Callable[[], float],
    recheck: float = 30,
    token: str = "opaque",
    **scope: Any,
) -> None:
    """Run one connection of an application behind the guard."""
    options = {key: scope.pop(key) for key in ("websocket_close_codes",) if key in scope}
    middleware = AuthGuardMiddleware(app, guard=guard, clock=clock, recheck=recheck, **options)
    headers = [(b"authorization", f"Bearer {token}".encode())]
    handshake = {"type": "websocket", "path": "/ws", "headers": headers} | scope

    async def within() -> None:
        async with asyncio.timeout(SECONDS):
            send: Any = server.send
            await middleware(handshake, server.receive, send)

    asyncio.run(within())


async def open_(receive: Any, send: Any) -> None:
    assert await receive() == CONNECT
    await send(ACCEPT)


def jwt(**options: Any) -> Guard:
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None, leeway=0), **options)
