"""Tell callers of ASGI applications what remains of their quotas, and give back what a refusal took."""

from collections.abc import Awaitable

from authguard._asgi.request import HANDLED, ASGIApp, HandledFields, Message, Receive, Scope, Send
from authguard._core.answer.charge import Charge
from authguard._core.quotas import Quotas
from authguard.drivers import asynchronous

_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_REFUSALS = frozenset({"websocket.close"})


class Charging:
    """Add the RateLimit fields of a request to its response, or to the answer to its handshake.

    They are added when the response begins, since decorators and dependencies may take from the quotas, too.

    Args:
        app: the application.
        quotas: those of the guard.
    """

    def __init__(self, app: ASGIApp, quotas: Quotas) -> None:
        self.app = app
        self._quotas = quotas

    # No coroutine of its own for each connection.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one connection."""
        handled: HandledFields | None = scope.get(HANDLED)
        charge = None if handled is None else handled[2].charge
        return self.app(scope, receive, send if charge is None else self._telling(send, charge))

    def _telling(self, send: Send, charge: Charge) -> Send:
        # No coroutine of its own for each message.
        def send_telling(message: Message) -> Awaitable[None]:
            kind = message["type"]
            if charge.is_refused and (kind in _REFUSALS or message.get("status", 0) >= 300):
                return self._giving_back(send, charge, message)
            if charge.fields and kind in _STARTS:
                message["headers"] = [*message.get("headers", ()), *charge.fields]
            return send(message)

        return send_telling

    async def _giving_back(self, send: Send, charge: Charge, message: Message) -> None:
        await asynchronous.run(self._quotas.give_back(charge))
        await send(message)
