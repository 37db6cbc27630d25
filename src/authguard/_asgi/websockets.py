"""Guard websockets: decide about the handshake like a request, and check the open connection again."""

from collections.abc import Awaitable, Callable
from itertools import islice

from authguard._asgi.connection import Connection, EndedError
from authguard._asgi.refusal import CLOSE_CODES, responder
from authguard._asgi.request import HANDLED, ASGIApp, ASGIRequest, Message, Receive, Scope, Send
from authguard._core.answer.decision import Deny
from authguard._core.credential.subprotocol import MAX_OFFERED, Subprotocol
from authguard._core.deciding.outcomes import follow
from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH
from authguard._logs import log_refusal
from authguard.drivers import asynchronous

_OFFER = b"sec-websocket-protocol"


class Websockets:
    """Guard the websockets of an application.

    Args:
        app: the application.
        guard: the rules.
        clock: seconds since the epoch.
        recheck: seconds until the credential of an open websocket is checked again.
        close_codes: whether to refuse handshakes in a way that a page in a browser can read.
    """

    def __init__(
        self, app: ASGIApp, guard: Guard, clock: Callable[[], float], recheck: float, *, close_codes: bool
    ) -> None:
        self._app = app
        self._guard = guard
        self._clock = clock
        self._recheck = recheck
        self._close_codes = close_codes

    def with_guard(self, guard: Guard) -> "Websockets":
        """Return a copy with another guard."""
        return Websockets(self._app, guard, self._clock, self._recheck, close_codes=self._close_codes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        guard, now, outer = self._guard, self._clock(), scope
        scope = {**scope, "headers": list(scope["headers"]), CLOSE_CODES: self._close_codes}
        if guard.subprotocol is not None:
            offered = _take_token(scope, guard.subprotocol)
            send = _choosing(send, guard.subprotocol, offered=guard.subprotocol.name in offered)
        request = ASGIRequest(scope, guard)
        decision = await asynchronous.decide_handshake(guard, request, now)
        follow(request.outer, decision)
        if isinstance(decision, Deny):
            outer["user"], outer["auth"] = ANONYMOUS, ANONYMOUS_AUTH
            log_refusal(request, decision)
            await responder(decision.refusal)(scope, receive, send)
            return
        outer["user"], outer["auth"] = decision.user, decision.auth
        inner = {
            **scope,
            "user": decision.user,
            "auth": decision.auth,
            "state": {**(scope.get("state") or {}), "user": decision.user},
            HANDLED: (guard, scope, decision, now),
        }
        if not decision.auth.principal.is_authenticated:
            await self._app(inner, receive, send)
            return
        connection = Connection(
            scope,
            receive,
            send,
            guard=guard,
            request=request,
            auth=decision.auth,
            clock=self._clock,
            recheck=self._recheck,
            now=now,
        )
        try:
            await self._app(inner, connection.receive, connection.send)
        except EndedError:
            return  # the application has received the error already, and must not handle it again


def _take_token(scope: Scope, subprotocol: Subprotocol) -> list[str]:
    """Move a token from the offered subprotocols to the Authorization field.

    The scope gets an Authorization field, so the token is treated like that of any other request, and a
    second credential is refused as usual. The subprotocol with the token is removed, so that no inner
    application chooses, echoes or logs it. Subprotocols after the first `MAX_OFFERED` are dropped.

    Returns:
        the other offered subprotocols.
    """
    others: list[str] = []
    headers = _without_tokens(scope["headers"], subprotocol)
    for offered in islice(scope.get("subprotocols") or (), MAX_OFFERED):
        if subprotocol.has_token(offered):
            headers.append((b"authorization", subprotocol.authorization(offered)))
        else:
            others.append(offered)
    scope["subprotocols"], scope["headers"] = others, headers
    return others


def _without_tokens(
    headers: list[tuple[bytes, bytes]], subprotocol: Subprotocol
) -> list[tuple[bytes, bytes]]:
    kept = []
    for name, value in headers:
        if name.lower() == _OFFER:
            listed = value.decode("latin-1").split(",", MAX_OFFERED)[:MAX_OFFERED]
            parts = [part.strip(" \t") for part in listed]
            value = ", ".join(part for part in parts if not subprotocol.has_token(part)).encode("latin-1")
            if not value:
                continue
        kept.append((name, value))
    return kept


def _choosing(send: Send, subprotocol: Subprotocol, *, offered: bool) -> Send:
    """Choose the subprotocol for an application that chooses none; never the one with the token.

    A browser closes a connection if it has offered subprotocols and none was chosen.
    """

    def send_choosing(message: Message) -> Awaitable[None]:
        if message["type"] == "websocket.accept":
            chosen = message.get("subprotocol")
            if not chosen or subprotocol.has_token(chosen):
                message = {**message, "subprotocol": subprotocol.name if offered else None}
        return send(message)

    return send_choosing
