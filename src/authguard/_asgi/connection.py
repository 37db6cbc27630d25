"""Close an open websocket when its credential is no longer valid."""

from collections.abc import Callable
from contextlib import suppress
from math import inf

from authguard._asgi.refusal import refuse_handshake
from authguard._asgi.request import Message, Receive, Scope, Send
from authguard._core.answer.decision import Deny
from authguard._core.guard import Guard
from authguard._core.model import Auth
from authguard._core.options import Duration, check_seconds
from authguard._core.request import RequestView
from authguard._logs import log_refusal
from authguard.drivers import asynchronous
from authguard.drivers.limits import time_limit
from authguard.errors import (
    RateLimitedError,
    RefusedError,
    UnexpectedError,
    VerificationUnavailableError,
)

# A verifier accepts a token for some seconds after its `exp`. Only the verifier knows this leeway.
_SECONDS_AFTER_EXPIRY = 5.0
_SECONDS_TO_CLOSE = 10.0  # otherwise the application would wait forever for a client that does not read

# The codes of RFC 6455 section 7.4.1; the last one is from the registry of close codes.
_POLICY_VIOLATION, _INTERNAL_ERROR, _TRY_AGAIN_LATER = 1008, 1011, 1013


def check_recheck(seconds: float | Duration) -> float:
    """Check the option `recheck`.

    Raises:
        ConfigurationError: if it is not a number of seconds above 0.
    """
    return check_seconds(seconds, "recheck", inf, exclusive=True)


class EndedError(OSError):
    """Refuse to send over a connection that the guard has closed; ASGI requires an OSError for it."""


class Connection:
    """Wrap `receive` and `send` of an open websocket.

    The credential of the handshake is checked again when it expires and after every `recheck` seconds: before
    a message passes in either direction, and while the application waits for one. After the guard has closed
    the websocket, no message passes.

    If two tasks of the application send or receive at the same time, each makes its own check.

    Args:
        scope: of the handshake.
        receive: the server's.
        send: the server's.
        guard: the rules.
        request: the handshake.
        auth: who opened it.
        clock: seconds since the epoch.
        recheck: seconds between two checks.
        now: when it was opened.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        guard: Guard,
        request: RequestView,
        auth: Auth,
        clock: Callable[[], float],
        recheck: float,
        now: float,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._guard = guard
        self._request = request
        self._auth = auth
        self._clock = clock
        self._recheck = recheck
        self._accepted = False
        self._gone = False  # whether the application or the client has closed it
        self._denied: Deny | None = None  # the reason why the guard has closed it
        self._held: Message | None = None
        self._checked_at(now)

    async def receive(self) -> Message:
        """Return the next message; `websocket.disconnect` after the end."""
        while not self._gone and self._denied is None:
            # The message is stored until it is returned, so it is not lost if the check is cancelled.
            message = self._held = self._held or await self._next()
            if await self._has_ended(message):
                break
            if message is not None:
                self._held = None
                return message
        if self._denied is None:
            return await self._receive()
        error = self._denied.error
        return {"type": "websocket.disconnect", "code": _close_code(error), "reason": error.code}

    async def send(self, message: Message) -> None:
        """Pass a message on to the client.

        Raises:
            EndedError: after the end.
        """
        if self._denied is None and message["type"] not in ("websocket.accept", "websocket.send"):
            self._gone = True  # the application closes or refuses it
        elif await self._has_ended():
            raise EndedError("the credential of this websocket is no longer valid")
        elif message["type"] == "websocket.accept":
            self._accepted = True
        await self._send(message)

    async def _next(self) -> Message | None:
        """Return the next message; None if a check is due before a message comes."""
        if not self._accepted:
            return await self._receive()
        timer = time_limit(min(max(self._due - self._clock(), 0), self._recheck))
        try:
            async with timer:
                return await self._receive()
        except TimeoutError:
            if timer.expired():
                return None
            raise

    async def _has_ended(self, message: Message | None = None) -> bool:
        """Return whether the guard, and not the client, has closed the websocket, now or before."""
        if message is not None and message["type"] == "websocket.disconnect":
            self._gone = True
        now = self._clock()
        # A check is also due if the clock was set back, because the computed waiting time may be wrong then.
        if self._denied is None and not self._gone and not self._checked <= now < self._due:
            denied = await asynchronous.run(self._guard.recheck(self._request, self._auth, now))
            if denied is None:
                self._checked_at(now)
            elif self._denied is None:
                self._denied = denied
                if not self._gone:  # meanwhile
                    log_refusal(self._request, denied)
                    await self._close(denied)
        return self._denied is not None

    def _checked_at(self, now: float) -> None:
        expires_at = self._auth.principal.expires_at
        remaining = inf if expires_at is None else expires_at - now
        self._checked = now
        self._due = now + min(self._recheck, remaining if remaining > 0 else _SECONDS_AFTER_EXPIRY)

    async def _close(self, denied: Deny) -> None:
        # The client may have disconnected just now; each server raises an error of its own for that.
        with suppress(Exception):
            async with time_limit(_SECONDS_TO_CLOSE):
                if self._accepted:
                    code, reason = _close_code(denied.error), denied.error.code
                    await self._send({"type": "websocket.close", "code": code, "reason": reason})
                else:
                    await refuse_handshake(denied.refusal, self._scope, self._send)


def _close_code(error: RefusedError) -> int:
    """Return the close code, which tells the client whether it may connect again."""
    if isinstance(error, (VerificationUnavailableError, RateLimitedError)):
        return _TRY_AGAIN_LATER
    return _INTERNAL_ERROR if isinstance(error, UnexpectedError) else _POLICY_VIOLATION
