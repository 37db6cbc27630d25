"""Answer a `RefusedError` that a view of Starlette or FastAPI raises, such as one of `Guard.verify`.

Their handlers for exceptions know whether the response has begun, so no request costs more.
"""

import inspect
from typing import Any

from authguard._asgi.refusal import responder
from authguard._asgi.request import HANDLED, ASGIApp, handled_by_guard
from authguard._core.answer.refusal import Refusal
from authguard._layers import layers_of
from authguard._logs import log_raised
from authguard.drivers import asynchronous
from authguard.errors import AuthGuardError, RefusedError

_OWN = (RefusedError, AuthGuardError)  # an application's handler for one of these stays
# RFC 6455 section 7.4.1, and the registry of close codes for the last one.
_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013


def answer_raised(app: Any, seen: set[int] | None = None) -> None:
    """Add a handler for `RefusedError` to an application and to the applications that are mounted in it.

    Args:
        app: an application, or a layer of middleware around it; other frameworks are ignored.
        seen: the ids of the layers that have the handler.
    """
    seen = set() if seen is None else seen
    for layer in layers_of(app):
        if id(layer) in seen:
            return
        seen.add(id(layer))
        names = {cls.__name__ for cls in type(layer).__mro__}  # by name, so that this needs no framework
        if "Starlette" in names:
            _add(layer.exception_handlers, layer.exception_handlers)
        elif "ExceptionMiddleware" in names:
            _add(layer, getattr(layer, "_exception_handlers", {}))
        routes = getattr(layer, "routes", None)
        for route in routes if isinstance(routes, list) else ():
            if not hasattr(route, "endpoint"):
                answer_raised(getattr(route, "app", None), seen)


def _add(target: Any, handlers: Any) -> None:
    if any(kind in handlers for kind in _OWN):
        return
    if target is handlers:
        handlers[RefusedError] = _answer
    else:
        target.add_exception_handler(RefusedError, _answer)


async def _answer(connection: Any, error: RefusedError) -> ASGIApp | None:
    """Return the application that sends the guard's answer; a websocket is refused or closed at once."""
    scope = connection.scope
    if HANDLED not in scope or error.status_code == 500:
        raise error  # the framework logs a bug like any other error
    handled = handled_by_guard(scope)
    auth = handled.decision.auth
    denied = await asynchronous.run(handled.guard.refuse(handled.request, error, auth, handled.at))
    log_raised(handled.request, denied)
    if scope["type"] == "http":
        return responder(denied.refusal)
    await _end(connection, denied.refusal)
    return None


async def _end(websocket: Any, refusal: Refusal) -> None:
    """Refuse the handshake of a websocket, or close an open one; do nothing if it has ended."""
    client, application = websocket.client_state.name, websocket.application_state.name
    if "DISCONNECTED" in (client, application):
        return
    # An endpoint class creates a websocket object of its own, so the state of this object is not current.
    is_known = not inspect.isclass(websocket.scope.get("endpoint"))
    if is_known and application == "CONNECTING" and client == "CONNECTING":
        await responder(refusal)(websocket.scope, websocket.receive, websocket.send)
        return
    code = _TRY_AGAIN_LATER if refusal.status in (429, 503) else _POLICY_VIOLATION
    reason = refusal.error.code if refusal.error else ""
    await websocket.send({"type": "websocket.close", "code": code, "reason": reason})
