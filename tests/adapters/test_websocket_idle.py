"""An idle websocket is closed when its credential is no longer valid, in real time."""

import asyncio
import time
from typing import Any

import pytest
import trio

from adapters.answering import SECRET
from adapters.connections import (
    ACCEPT,
    CONNECT,
    EXPIRED,
    NOW,
    TEXT,
    Clock,
    Message,
    Server,
    Verdicts,
    end,
    jwt,
    open_,
    run,
)
from authguard import Guard, InvalidTokenError
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token


@pytest.mark.slow
def test_an_idle_connection_ends_when_its_token_expires() -> None:
    """An idle websocket is closed when its token expires."""
    server, got = Server(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        got.append(await receive())

    token = issue_token(SECRET, exp=time.time() + 0.5)
    started = time.monotonic()
    run(app, server, guard=jwt(), clock=time.time, token=token)
    assert got == [end()]
    assert server.sent == [ACCEPT, EXPIRED]
    assert 0.02 < time.monotonic() - started < 20


def test_an_idle_connection_is_checked_in_each_period() -> None:
    """An idle websocket is checked in each period, and receives messages while its credential is valid."""
    server, verdicts, got = Server(), Verdicts(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)

        async def meanwhile() -> None:
            if verdicts.calls == 3:
                server.incoming.put_nowait(TEXT)
            if verdicts.calls == 5:
                verdicts.error = InvalidTokenError("inactive")

        verdicts.meanwhile = meanwhile
        got.extend([await receive(), await receive()])

    run(app, server, guard=Guard(verdicts), clock=time.time, recheck=0.02)
    assert got == [TEXT, end()]
    assert server.sent == [ACCEPT, EXPIRED]
    assert verdicts.calls == 5


def test_a_clock_that_is_set_back_does_not_keep_it_open() -> None:
    """A websocket whose clock is set back is checked after a period of the event loop's clock."""
    clock, server, verdicts, got = Clock(), Server(), Verdicts(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        clock.now -= 3600
        got.append(await receive())

    run(app, server, guard=Guard(verdicts), clock=clock, recheck=0.02)
    assert got == [end()]


def test_nothing_is_cut_short_before_the_handshake_is_there() -> None:
    """`websocket.connect` is received before the handshake is refused, also if it comes after a period."""
    verdicts, got = Verdicts(), []

    class Late(Server):
        async def receive(self) -> Message:
            await asyncio.sleep(0.05)
            return await super().receive()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        verdicts.error = InvalidTokenError("inactive")
        got.append(await receive())

    server = Late()
    run(app, server, guard=Guard(verdicts), clock=time.time, recheck=0.01)
    assert got == [end()]
    assert (server.kinds, server.incoming.empty()) == (["close"], True)


def test_a_time_limit_of_the_application_is_its_own() -> None:
    """A timeout of the application's own is raised, and a later message is received."""
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.01)
        server.incoming.put_nowait(TEXT)
        assert await receive() == TEXT

    run(app, server, guard=Guard(Verdicts()), clock=time.time)
    assert server.sent == [ACCEPT]


def test_a_timeout_of_the_server_is_passed_on() -> None:
    """A `TimeoutError` of the server is raised, and causes no check."""
    server = Server()

    class Raising(Server):
        async def receive(self) -> Message:
            if self.incoming.empty():
                raise TimeoutError("the server's")
            return await super().receive()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        await receive()

    server = Raising()
    with pytest.raises(TimeoutError, match="server's"):
        run(app, server, guard=Guard(Verdicts()), clock=time.time)


def test_an_application_that_is_cancelled_is_cancelled() -> None:
    """The cancellation of a waiting application leaves no task of the guard."""
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        await receive()

    async def cancelled() -> None:
        middleware = AuthGuardMiddleware(app, guard=Guard(Verdicts()))
        scope = {"type": "websocket", "path": "/ws", "headers": [(b"authorization", b"Bearer x")]}
        task = asyncio.create_task(middleware(scope, server.receive, server.send))
        while not server.sent:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(cancelled())
    assert server.sent == [ACCEPT]


def test_under_trio_messages_are_checked() -> None:
    """Under trio a message that is due is checked as under asyncio."""
    clock, got = Clock(), []
    incoming = iter([CONNECT, TEXT, TEXT])

    async def receive() -> Message:
        await trio.lowlevel.checkpoint()
        return next(incoming)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        got.append(await receive())
        clock.now += 10
        got.append(await receive())

    assert on_trio(app, receive, clock=clock, now=NOW, expires_in=10) == [ACCEPT, EXPIRED]
    assert got == [TEXT, end()]


@pytest.mark.slow
def test_under_trio_an_idle_connection_ends_when_its_token_expires() -> None:
    """Under trio an idle websocket is closed when its token expires."""
    got = []
    incoming = iter([CONNECT])

    async def receive() -> Message:
        for message in incoming:
            return message
        await trio.sleep_forever()
        raise AssertionError

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        got.append(await receive())

    started = time.monotonic()
    assert on_trio(app, receive, clock=time.time, now=time.time(), expires_in=0.5) == [ACCEPT, EXPIRED]
    assert got == [end()]
    assert time.monotonic() - started < 20


def on_trio(app: Any, receive: Any, *, clock: Any, now: float, expires_in: float) -> list[Message]:
    """Run a guarded websocket under trio, and return the messages that it sends."""
    sent = []

    async def send(message: Message) -> None:
        sent.append(message)

    text = issue_token(SECRET, now=now, exp=now + expires_in)
    scope = {"type": "websocket", "path": "/ws", "headers": [(b"authorization", f"Bearer {text}".encode())]}
    trio.run(AuthGuardMiddleware(app, guard=jwt(), clock=clock), scope, receive, send)
    return sent
