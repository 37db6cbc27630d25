"""Raise refusals in Starlette and FastAPI, and answer them."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from authguard._asgi.refusal import RaisedRefusal, refuse_handshake, responder
from authguard._asgi.request import handled_by_guard
from authguard._core.answer.refusal import BODY_FIELDS, Refusal
from authguard._core.callbacks import is_async

#: Keys of the scope: the handlers of the innermost application, by class and by status.
EXCEPTION_HANDLERS = "starlette.exception_handlers"

# These are the handlers of the frameworks; any other handler for HTTPException is the application's.
_FRAMEWORKS = ("starlette.middleware.exceptions", "fastapi.exception_handlers")
_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1
_PRIVATE_CODES = 4000


class RefusedHTTPException(HTTPException, RaisedRefusal):
    """Report that the caller does not meet a requirement of an endpoint or a dependency.

    Register an exception handler for it, for HTTPException or for its status, to answer in your own way;
    `headers` has the challenge. Without a handler, the guard's answer is sent. As with any HTTPException, a
    handler for Exception is not called. Only a handler of this class receives a redirect to the login page.
    The guard itself refuses a websocket, without handlers.

    Args:
        refusal: the answer of the guard.
    """

    def __init__(self, refusal: Refusal) -> None:
        detail = refusal.error.detail if refusal.error else None
        # Without fields about the body, because a handler's response has its own body.
        fields = {name: value for name, value in refusal.headers if name not in BODY_FIELDS}
        super().__init__(refusal.status, detail, Headers(fields))
        self.refusal = refusal
        #: The refused websocket. An endpoint class creates its own websocket object, whose state is relevant.
        self.websocket: WebSocket | None = None


class RefusedHandshake(RefusedHTTPException):
    """Report the same for a websocket, which is refused by messages of its own and not by a response."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        # Handlers for 401 or 403 return responses, which a websocket cannot send.
        self.status_code = _PRIVATE_CODES + refusal.status


async def refuse(
    connection: HTTPConnection, refusal: Refusal, kind: type[RefusedHTTPException]
) -> RefusedHTTPException:
    """Return the exception to raise. A websocket is refused at once, because no layer around it may do so."""
    error = refused(connection, refusal, kind)
    if isinstance(connection, WebSocket):
        await _refuse_websocket(connection, refusal)
        error.unanswered = _is_unanswered(connection)
    return error


def refused(
    connection: HTTPConnection, refusal: Refusal, kind: type[RefusedHTTPException]
) -> RefusedHTTPException:
    """Return the exception to raise, and ensure that it is answered.

    Args:
        connection: the request or websocket.
        refusal: the answer of the guard.
        kind: the exception class for requests.
    """
    kind = RefusedHandshake if connection.scope["type"] == "websocket" else kind
    # The handler is set on the innermost application, so that it also works for mounted applications, and
    # users need not add one.
    handlers = connection.scope.get(EXCEPTION_HANDLERS)
    if handlers is not None and kind not in handlers[0]:
        handlers[0][kind] = _handler(handlers[0], kind)
    error = kind(refusal)
    error.websocket = connection if isinstance(connection, WebSocket) else None
    error.unanswered = kind is not RefusedHandshake and _is_unanswered(connection)
    return error


def _is_unanswered(connection: HTTPConnection) -> bool:
    # Without a handler, an application between the guard and the endpoint would answer with 500.
    scope = connection.scope
    return EXCEPTION_HANDLERS not in scope and handled_by_guard(scope).scope.get("app") is scope.get("app")


def _handler(handlers: dict[Any, Any], kind: type[RefusedHTTPException]) -> Any:
    """Return the application's own handler, or else the guard's."""
    if kind is RefusedHandshake:
        return answer
    for base in kind.__mro__:
        handler = handlers.get(base)
        if handler is None or handler is answer or getattr(handler, "__module__", "") in _FRAMEWORKS:
            continue
        return handler if issubclass(base, RefusedHTTPException) else _for_errors(handler)
    return answer


def _for_errors(handler: Any) -> Any:
    """Return a handler that does not receive redirects to the login page, which are not errors."""

    async def handle(connection: HTTPConnection, error: Exception) -> Any:
        if isinstance(error, RefusedHTTPException) and error.refusal.error is None:
            return as_response(error.refusal)
        if is_async(handler):
            return await handler(connection, error)
        return await run_in_threadpool(handler, connection, error)

    return handle


async def answer(connection: HTTPConnection, error: Exception) -> Response | None:
    """Answer a refusal like the guard; this is the handler if the application has none."""
    if not isinstance(error, RefusedHTTPException):
        return None
    if isinstance(connection, WebSocket):
        await _refuse_websocket(error.websocket or connection, error.refusal)
        return None
    return as_response(error.refusal)


def as_response(refusal: Refusal) -> Response:
    """Return a refusal as a Starlette response."""
    response = Response(refusal.body, refusal.status)
    for name, value in refusal.headers:
        response.headers.append(name, value)
    return response


async def _refuse_websocket(websocket: WebSocket, refusal: Refusal) -> None:
    """Refuse the handshake, or close an accepted websocket; do nothing if it has ended."""
    if websocket.client_state is WebSocketState.DISCONNECTED:
        return
    if websocket.application_state is WebSocketState.CONNECTED:
        try:
            await websocket.close(_POLICY_VIOLATION, refusal.error.code if refusal.error else None)
        except WebSocketDisconnect:
            return  # the client has disconnected
    elif websocket.application_state is not WebSocketState.CONNECTING:
        return
    elif websocket.client_state is WebSocketState.CONNECTING:
        await responder(refusal)(websocket.scope, websocket.receive, websocket.send)
    else:
        await refuse_handshake(refusal, websocket.scope, websocket.send)
