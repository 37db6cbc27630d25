"""Send refusals over ASGI, instead of a response or a handshake."""

from functools import lru_cache

from authguard import _cors
from authguard._asgi.request import ASGIApp, Receive, Scope, Send
from authguard._core.answer.refusal import Headers, Refusal
from authguard._layers import layers_of

#: Key in the scope of a websocket: whether to refuse it in a way that a page in a browser can read.
CLOSE_CODES = "authguard.websocket_close_codes"

_DENIAL = "websocket.http.response"
_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1
_PRIVATE_CODES = 4000  # from here on they are the application's own: RFC 6455 section 7.4.2


class RaisedRefusal(Exception):  # noqa: N818 (it is answered, and no error)
    """Carry a refusal that a decorator raises; the framework answers it, otherwise the guard does.

    Attributes:
        refusal: the answer.
        unanswered: whether no layer between the decorator and the guard answers it.
    """

    refusal: Refusal
    unanswered: bool = False


def answering(app: ASGIApp) -> ASGIApp:
    """Return the application with a layer that answers the refusals that its framework would not answer.

    Such refusals come from a router without an application, and from middleware outside the exception
    handlers. Other refusals cost nothing more.
    """
    for layer in layers_of(app):
        names = {cls.__name__ for cls in type(layer).__mro__}  # by name, so that this needs no framework
        if names & {"Router", "BaseHTTPMiddleware"}:
            return _Answering(app)
        if names & {"Starlette", "ExceptionMiddleware"}:
            break
    return app


class _Answering:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except RaisedRefusal as refused:
            if not refused.unanswered:
                raise
            if scope["type"] == "http":  # a websocket was already refused when the error was raised
                await _cors.inside(self.app)(responder(refused.refusal))(scope, receive, send)


def responder(refusal: Refusal) -> ASGIApp:
    """Return an ASGI application that sends a refusal, and refuses the handshake of a websocket."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _respond(refusal, "http.response", send, with_body=scope["method"] != "HEAD")
        elif (await receive())["type"] == "websocket.connect":
            await refuse_handshake(refusal, scope, send)

    return respond


async def refuse_handshake(refusal: Refusal, scope: Scope, send: Send) -> None:
    """Refuse a websocket whose `websocket.connect` has been received."""
    if scope.get(CLOSE_CODES):
        await _accept_and_close(refusal, scope, send)
    elif _DENIAL in (scope.get("extensions") or {}):
        await _respond(refusal, _DENIAL, send, with_body=True)
    else:
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})


async def _accept_and_close(refusal: Refusal, scope: Scope, send: Send) -> None:
    # If a browser has offered subprotocols, it accepts only a handshake that chooses one of them.
    offered = scope.get("subprotocols") or ()
    chosen = next((name for name in offered if ".bearer." not in name), None)
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
    reason = refusal.error.code if refusal.error else ""
    await send({"type": "websocket.close", "code": _PRIVATE_CODES + refusal.status, "reason": reason})


async def _respond(refusal: Refusal, event: str, send: Send, *, with_body: bool) -> None:
    headers = [*_encoded(refusal.headers), (b"content-length", b"%d" % len(refusal.body))]
    await send({"type": f"{event}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{event}.body", "body": refusal.body if with_body else b""})


@lru_cache(maxsize=256)  # cached, because most refusals are equal
def _encoded(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
