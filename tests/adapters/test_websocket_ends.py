"""A websocket ends with its credential, at the next message that is due for a check."""

import asyncio
import logging
import time
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from adapters.answering import SECRET
from adapters.connections import (
    ACCEPT,
    CONNECT,
    EXPIRED,
    GONE,
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
    say,
)
from authguard import (
    Guard,
    InvalidTokenError,
    JWTVerifier,
    MemoryRevocations,
    Principal,
    VerificationUnavailableError,
)
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import RateLimitedError
from authguard.fastapi import install
from authguard.testing import issue_token, override

# A message that is due for a check


@pytest.mark.parametrize(("after", "passes"), [(29.9, True), (30, False), (1e6, False)])
def test_a_message_that_falls_due_is_sent_only_after_a_check(after: float, passes: bool) -> None:
    """A message that is due is sent only if the credential is still valid."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        clock.now += after
        await send(say("secret"))

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent[1:] == ([say("secret")] if passes else [EXPIRED])


@pytest.mark.parametrize(("after", "passes"), [(29.9, True), (30, False)])
def test_a_message_that_falls_due_is_received_only_after_a_check(after: float, passes: bool) -> None:
    """A message that is due is received only if the credential is still valid."""
    clock, server, verdicts = Clock(), Server(), Verdicts()
    got = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        clock.now += after
        server.incoming.put_nowait(TEXT)
        got.append(await receive())

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert got == ([TEXT] if passes else [end()])
    assert server.sent[1:] == ([] if passes else [EXPIRED])


def test_a_good_credential_goes_on() -> None:
    """A valid credential is checked once in each period, and messages pass in both directions."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        for number in range(10):
            clock.now += 10
            await send(say(str(number)))
            server.incoming.put_nowait(TEXT)
            assert await receive() == TEXT

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.kinds == ["accept", *["send"] * 10]
    assert verdicts.calls == 1 + 3


def test_a_period_of_one_s_own() -> None:
    """The option `recheck` sets the period of the checks."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        for _ in range(4):
            clock.now += 0.5
            await send(say("x"))

    run(app, server, guard=Guard(verdicts), clock=clock, recheck=1)
    assert verdicts.calls == 1 + 2


def test_it_ends_when_the_token_expires() -> None:
    """The websocket ends when the token expires, and not at the end of the period."""
    clock, server = Clock(), Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        clock.now += 9.9
        await send(say("early"))
        clock.now += 0.1
        await send(say("late"))

    token = issue_token(SECRET, now=NOW, expires_in=10)
    run(app, server, guard=jwt(), clock=clock, token=token)
    assert server.sent[1:] == [say("early"), EXPIRED]


def test_leeway_is_for_connections_too() -> None:
    """An expired token is accepted within the leeway of the verifier, and checked each five seconds."""
    clock, server = Clock(), Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        for _ in range(16):
            clock.now += 2
            await send(say(str(clock.now - NOW)))

    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None, leeway=15)
    token = issue_token(SECRET, now=NOW, expires_in=10)
    run(app, server, guard=Guard(verifier), clock=clock, recheck=600, token=token)
    assert server.sent[-2:] == [say("26.0"), EXPIRED]  # the checks are at 10, 16, 22 and 28


def test_an_expiry_far_away_is_no_trouble() -> None:
    """A websocket whose token expires in the far future is checked in each period."""
    clock, server, verdicts = Clock(), Server(), Verdicts(expires_at=1e300)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        server.incoming.put_nowait(TEXT)
        assert await receive() == TEXT
        verdicts.error = InvalidTokenError("inactive")
        clock.now += 30
        assert await receive() == end()

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.kinds == ["accept", "close"]


def test_a_clock_that_is_set_back_is_a_reason_to_check() -> None:
    """A clock that is set back causes a check."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        clock.now -= 3600
        await send(say("x"))

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent[1:] == [EXPIRED]


def test_a_logout_ends_it() -> None:
    """A logout ends the websocket at the next check."""
    clock, server = Clock(), Server()
    store = MemoryRevocations(clock=clock)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        store.revoke(subject="somebody", until=NOW + 600)
        clock.now += 30
        await send(say("x"))

    run(app, server, guard=jwt(revocations=store), clock=clock, token=issue_token(SECRET, now=NOW))
    assert server.sent[1:] == [EXPIRED]


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (InvalidTokenError("inactive"), 1008, "invalid_token"),
        (VerificationUnavailableError("down"), 1013, "unavailable"),
        (RateLimitedError("quota", quota=1, window=1, retry_after=1), 1013, "rate_limited"),
        (ValueError("a bug"), 1011, "internal_error"),
    ],
    ids=["inactive", "outage", "quota", "bug"],
)
def test_whose_fault_it_is(error: Exception, code: int, reason: str, caplog: Any) -> None:
    """The code of the close depends on the error, and an outage or a bug is logged."""
    clock, server, verdicts = Clock(), Server(), Verdicts()
    got = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = error
        clock.now += 30
        server.incoming.put_nowait(TEXT)
        got.append(await receive())

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert got == [end(code, reason)]
    assert server.sent[1:] == [{"type": "websocket.close", "code": code, "reason": reason}]
    assert bool(caplog.records) is (code in (1011, 1013) and reason != "rate_limited")


# After the end


def test_nothing_passes_after_the_end() -> None:
    """After the end no message passes in either direction, and the websocket is closed once."""
    clock, server, verdicts = Clock(), Server(), Verdicts()
    got, raised = [], []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        clock.now += 30
        server.incoming.put_nowait(TEXT)
        for message in (say("x"), {"type": "websocket.close"}, ACCEPT, say("y")):
            with suppress(OSError):
                await send(message)
                raised.append(message)
            got.append(await receive())
        verdicts.error = None  # the credential is valid again, and the websocket stays closed

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert (raised, got) == ([], [end()] * 4)
    assert server.sent == [ACCEPT, EXPIRED]
    assert verdicts.calls == 2


@pytest.mark.parametrize("own", [False, True])
def test_an_application_need_not_catch_what_sending_raises(own: bool) -> None:
    """The error of `send` is not raised to the server, and an error of the application is."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        clock.now += 30
        try:
            await send(say("x"))
        finally:
            if own:
                raise ConnectionError("of the application")

    with pytest.raises(ConnectionError) if own else nullcontext():
        run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent[1:] == [EXPIRED]


def test_a_close_that_the_server_does_not_take_is_let_be() -> None:
    """An error of the server for the close is ignored, since the client may have gone."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error, server.error = InvalidTokenError("inactive"), RuntimeError("already closed")
        clock.now += 30
        server.incoming.put_nowait(GONE)
        with pytest.raises(OSError, match="no longer valid"):
            await send(say("x"))
        assert await receive() == end()

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent == [ACCEPT]


def test_a_client_that_does_not_read_cannot_keep_it_open(monkeypatch: Any) -> None:
    """A close that cannot be sent in time is abandoned, and the application gets the disconnect."""
    monkeypatch.setattr("authguard._asgi.connection._SECONDS_TO_CLOSE", 0.01)
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        server.writable.clear()
        clock.now += 30
        server.incoming.put_nowait(TEXT)
        assert await receive() == end()

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent == [ACCEPT]


# Before it is accepted, and after it is closed


@pytest.mark.parametrize(
    ("scope", "answer"),
    [
        ({"extensions": {"websocket.http.response": {}}}, ["http.response.start", "http.response.body"]),
        ({}, ["close"]),
        ({"websocket_close_codes": True}, ["accept", "close"]),
    ],
    ids=["denial", "close", "close codes"],
)
def test_it_may_end_before_it_is_accepted(scope: Any, answer: list[str]) -> None:
    """A websocket whose credential ends before it is accepted is refused like a handshake."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == CONNECT
        verdicts.error = VerificationUnavailableError("down")
        clock.now += 30
        with pytest.raises(OSError, match="no longer valid"):
            await send(ACCEPT)
        assert await receive() == end(1013, "unavailable")

    run(app, server, guard=Guard(verdicts), clock=clock, **scope)
    assert server.kinds == answer
    assert server.sent[0].get("status", 503) == 503
    assert server.sent[-1].get("code") in (None, 1008, 4503)


def test_it_may_end_before_the_application_has_received_anything() -> None:
    """The guard receives `websocket.connect` before it closes the websocket."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        verdicts.error = InvalidTokenError("inactive")
        clock.now += 30
        assert await receive() == end()

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]
    assert server.incoming.empty()


@pytest.mark.parametrize(
    "closing",
    [{"type": "websocket.close"}, {"type": "websocket.http.response.start", "status": 418}],
    ids=["close", "denial"],
)
def test_what_the_application_has_closed_is_not_checked(closing: Message) -> None:
    """A websocket that the application has closed is not checked, and errors of the server are raised."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        verdicts.error = InvalidTokenError("inactive")
        clock.now += 30
        await send(closing)
        server.incoming.put_nowait(GONE)
        assert await receive() == GONE
        server.error = RuntimeError("the server's")
        with pytest.raises(RuntimeError, match="server's"):
            await send(say("x"))

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent == [closing]
    assert verdicts.calls == 1


def test_what_follows_the_end_is_waited_for_without_a_limit() -> None:
    """A closed websocket is not checked while the application waits for the disconnect."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def go_later() -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        server.incoming.put_nowait(GONE)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        await send({"type": "websocket.close"})
        clock.now += 30
        going = asyncio.create_task(go_later())
        assert await receive() == GONE
        await going

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.reads == 2  # the other one is of the handshake


def test_a_client_that_has_gone_is_not_checked() -> None:
    """A disconnect that is due is passed to the application without a check."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        clock.now += 30
        server.incoming.put_nowait(GONE)
        assert await receive() == GONE

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent == [ACCEPT]
    assert verdicts.calls == 1


@pytest.mark.parametrize("who", ["application", "client"])
def test_it_may_be_closed_while_the_check_is_made(who: str) -> None:
    """A message is not sent if the websocket is closed during the check, and no second close is."""
    clock, server, verdicts = Clock(), Server(), Verdicts()
    closing = {"type": "websocket.close", "code": 1000}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        clock.now += 30

        async def meanwhile() -> None:
            verdicts.meanwhile = None
            if who == "application":
                await send(closing)
            else:
                server.incoming.put_nowait(GONE)
                assert await receive() == GONE

        verdicts.meanwhile = meanwhile
        server.incoming.put_nowait(GONE)
        with pytest.raises(OSError, match="no longer valid"):
            await send(say("x"))

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent == ([ACCEPT, closing] if who == "application" else [ACCEPT])


def test_both_directions_may_come_to_a_check_at_once() -> None:
    """Two checks at once, for sending and for receiving, close the websocket once."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive")
        both = asyncio.Event()

        async def meanwhile() -> None:
            if verdicts.calls == 3:
                both.set()
            await both.wait()

        verdicts.meanwhile = meanwhile
        clock.now += 30
        server.incoming.put_nowait(TEXT)
        told = await asyncio.gather(receive(), send(say("x")), return_exceptions=True)
        assert told[0] == end()
        assert isinstance(told[1], OSError)

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent == [ACCEPT, EXPIRED]


def test_what_waits_for_a_message_is_told_when_the_other_side_ends_it() -> None:
    """A task that waits for a message gets the end, and a later message is not delivered."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        waiting = asyncio.create_task(receive())
        await asyncio.sleep(0)
        verdicts.error = InvalidTokenError("inactive")
        clock.now += 30
        with pytest.raises(OSError, match="no longer valid"):
            await send(say("x"))
        server.incoming.put_nowait(TEXT)
        assert await waiting == end()

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent == [ACCEPT, EXPIRED]


def test_a_message_is_not_lost_when_the_check_is_cancelled() -> None:
    """A message whose check is cancelled is delivered by the next `receive`."""
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        clock.now += 30
        server.incoming.put_nowait(TEXT)
        verdicts.meanwhile = asyncio.Event().wait  # type: ignore[assignment]
        task = asyncio.create_task(receive())
        while verdicts.calls < 2:
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        verdicts.meanwhile = None
        assert await receive() == TEXT

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert (server.sent, verdicts.calls) == ([ACCEPT], 3)


# A caller that is not checked


def test_who_came_anonymously_is_not_checked() -> None:
    """The websocket of an anonymous caller is not checked."""
    clock, server, verdicts = Clock(), Server(), Verdicts()
    verdicts.error = InvalidTokenError("bad")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        clock.now += 1e6
        await send(say("x"))
        server.incoming.put_nowait(TEXT)
        assert await receive() == TEXT

    run(app, server, guard=Guard(verdicts, public_paths=["/ws"]), clock=clock)
    assert server.sent == [ACCEPT, say("x")]
    assert verdicts.calls == 1


# In frameworks


@pytest.mark.slow
def test_starlette_is_told_by_its_own_exception() -> None:
    """Starlette raises its own exception for a disconnect."""
    told = []

    async def talk(websocket: Any) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as error:
            told.append((error.code, error.reason))

    app = Starlette(routes=[WebSocketRoute("/ws", talk)])
    app.add_middleware(AuthGuardMiddleware, guard=jwt())
    headers = {"Authorization": f"Bearer {issue_token(SECRET, exp=time.time() + 1)}"}
    connecting = TestClient(app).websocket_connect("/ws", headers=headers)
    with connecting as websocket, pytest.raises(WebSocketDisconnect) as closed:
        websocket.receive_text()
    assert told == [(1008, "invalid_token")]
    assert (closed.value.code, closed.value.reason) == (1008, "invalid_token")


def test_the_period_is_given_to_install() -> None:
    """`install` sets the period, and `override` applies to the checks."""
    app, guard, loaded = FastAPI(), Guard(Verdicts()), []

    @app.websocket("/ws")
    async def _talk(websocket: WebSocket) -> None:
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                await websocket.send_text(await websocket.receive_text())

    install(app, guard, recheck=0.02)
    with override(guard, Principal("ada")), TestClient(app).websocket_connect("/ws") as websocket:
        for _ in range(3):
            websocket.send_text("x")
            assert websocket.receive_text() == "x"
        started = time.monotonic()
        gone = override(guard, None, principal=Principal("ada"))
        with gone, pytest.raises(WebSocketDisconnect) as closed:
            loaded.append(websocket.receive_text())
    assert (closed.value.code, loaded) == (1008, [])
    assert time.monotonic() - started < 10  # the default would be 30 seconds


def test_the_end_is_logged_as_refusals_are(caplog: Any) -> None:
    """The end for an invalid credential is logged at level DEBUG, without the credential."""
    caplog.set_level(logging.DEBUG, "authguard")
    clock, server, verdicts = Clock(), Server(), Verdicts()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = InvalidTokenError("inactive: MARKED-t0ken-of-22-chars")
        clock.now += 30
        await send(say("x"))

    run(app, server, guard=Guard(verdicts), clock=clock, token="MARKED-t0ken-of-22-chars")
    assert [record.getMessage() for record in caplog.records] == [
        "WEBSOCKET '/ws': invalid_token (inactive: [redacted])"
    ]
