"""Answer preflights of protected paths under ASGI by the application's layers, or pass them on sealed."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from authguard._asgi.request import ASGIApp, ASGIRequest, Message, Receive, Scope, Send
from authguard._core.policy.rules import Preflight
from authguard._layers import MAX_LAYERS, takes
from authguard._preflight import django_cors, starlette_routes
from authguard._preflight import wsgi as wsgi_layers
from authguard._preflight.layers import around, is_a, is_guard
from authguard._preflight.sealed import SEARCH, Seal, Search

_BODY_FIELDS = (b"content-length", b"transfer-encoding")


class ASGIPreflights:
    """Answer preflights of protected paths.

    Args:
        app: the application that the guard wraps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._seal = Seal()

    async def __call__(
        self, mode: Preflight, scope: Scope, receive: Receive, send: Send, request: ASGIRequest
    ) -> None:
        """Answer one preflight.

        Args:
            mode: `"answer"` to run only the application's layers, `"pass"` to run the application.
            scope: the scope for the application, with an anonymous caller.
            receive: the server's function.
            send: the server's function.
            request: the preflight.
        """
        search = Search()
        scope = {**scope, **_without_body(scope), SEARCH: search}

        def seal(status: int, fields: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
            return self._seal.fields(request, mode, search, status, fields)

        exchange = _Exchange(receive, send, seal)
        app = self._app if mode == "pass" else self._layers
        await app(scope, exchange.receive, exchange.send)

    @cached_property  # at the first preflight, when the application is complete
    def _layers(self) -> ASGIApp:
        return without_handlers(self._app)


class _Exchange:
    """Replace the bodies of request and response with empty bodies."""

    def __init__(self, receive: Receive, send: Send, seal: Callable[..., Any]) -> None:
        self._receive = receive
        self._send = send
        self._seal = seal
        self._is_asked = False
        self._is_drained = False
        self._is_answered = False

    async def receive(self) -> Message:
        """Return an empty body, and then wait for the client to disconnect."""
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while not self._is_answered:
            message = await self._receive()
            # After the end of the body, only the disconnect can be received.
            if message["type"] != "http.request" or self._is_drained:
                break
            self._is_drained = not message.get("more_body", False)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send the permitted fields at the start of the response, and nothing after it."""
        if message["type"] != "http.response.start" or self._is_answered:
            return
        self._is_answered = True
        pairs = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
        status, kept = self._seal(message["status"], fields)
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in kept]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b""})


def _without_body(scope: Scope) -> dict[str, Any]:
    """Return a scope without the entries about a body, or about other ways to send a response."""
    extensions = scope.get("extensions") or {}
    return {
        "headers": [pair for pair in scope["headers"] if pair[0].lower() not in _BODY_FIELDS],
        "extensions": {name: of for name, of in extensions.items() if not name.startswith("http.response.")},
    }


async def respond(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer instead of an application's handlers."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def without_handlers(app: Any, handler: Any = None, depth: int = MAX_LAYERS) -> ASGIApp:
    """Return the middleware of an application around a responder, without its handlers.

    Objects that are not known to be middleware are treated as handlers.

    Args:
        app: an ASGI application.
        handler: an application inside it that is a handler, even if it looks like middleware.
        depth: the number of layers to examine.
    """
    if depth == 0 or app is handler:
        return respond
    for recognise in (_starlette, _django, _layer):
        made = recognise(app, handler, depth - 1)
        if made is not None:
            return made
    return respond


def _starlette(app: Any, handler: Any, depth: int) -> ASGIApp | None:
    """Recognise applications and routers of Starlette and FastAPI."""
    if is_a(app, "starlette.applications", "Starlette"):
        layers = without_handlers(starlette_routes.stack(app), handler, depth)
        return starlette_routes.application(app, layers)
    if is_a(app, "starlette.routing", "Router"):
        return without_handlers(app.middleware_stack, handler, depth)
    router = starlette_routes.router_of(app)
    return None if router is None else starlette_routes.routing(router, without_handlers, respond)


def _django(app: Any, handler: Any, depth: int) -> ASGIApp | None:
    """Recognise Django's handler."""
    return django_cors.asgi(app) if is_a(app, "django.core.handlers.asgi", "ASGIHandler") else None


def _layer(app: Any, handler: Any, depth: int) -> ASGIApp | None:
    """Recognise middleware by its attribute `app`."""
    inner = getattr(app, "app", None)
    if inner is None:
        return None
    if is_guard(app):
        return without_handlers(inner, handler, depth)
    made: ASGIApp | None = None
    if takes(inner, 3):
        made = around(app, inner, without_handlers(inner, handler, depth))
    elif takes(inner, 2):  # a WSGI application inside an ASGI application
        made = around(app, inner, wsgi_layers.without_handlers(inner, depth))
    return made
