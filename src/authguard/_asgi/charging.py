"""Add quota fields to responses of ASGI applications, and give back the charge of a refused request."""

from collections.abc import Awaitable

from authguard._asgi.request import HANDLED, ASGIApp, HandledFields, Message, Receive, Scope, Send
from authguard._core.answer.charge import Charge
from authguard._core.answer.response_fields import merged
from authguard._core.deciding.quotas import Quotas
from authguard._core.quota_store import NOTHING
from authguard.drivers import asynchronous

_HANDSHAKES = frozenset({"websocket.accept", "websocket.http.response.start"})


class Charging:
    """Add the fields of a decision to the response, and the quota fields also to the answer to a handshake.

    The fields are added when the response begins, because decorators and dependencies may also take from the
    quotas.

    Args:
        app: the application.
        quotas: the quotas of the guard.
    """

    def __init__(self, app: ASGIApp, quotas: Quotas) -> None:
        self.app = app
        self._quotas = quotas

    # Avoids a coroutine for each connection.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one connection."""
        handled: HandledFields | None = scope.get(HANDLED)
        charge = None if handled is None else handled[2].charge
        return self.app(scope, receive, send if charge is None else self._telling(send, charge))

    def _telling(self, send: Send, charge: Charge) -> Send:
        # Avoids a coroutine for each message.
        def send_telling(message: Message) -> Awaitable[None]:
            kind = message["type"]
            if charge.is_refused and (kind == "websocket.close" or message.get("status", 0) >= 300):
                return self._giving_back(send, charge, message)
            if kind == "http.response.start":
                _add_fields(message, charge)
            elif charge.fields and kind in _HANDSHAKES:
                message["headers"] = [*message.get("headers", ()), *charge.fields]
                if not charge.is_refused:  # the websocket is open, so a later refusal gives nothing back
                    charge.taken = NOTHING
            return send(message)

        return send_telling

    async def _giving_back(self, send: Send, charge: Charge, message: Message) -> None:
        await asynchronous.run(self._quotas.give_back(charge))
        if message["type"] == "http.response.start":
            _add_fields(message, charge)
        await send(message)


def _add_fields(message: Message, charge: Charge) -> None:
    message["headers"] = merged(message.get("headers", ()), charge.response_fields + charge.fields)
