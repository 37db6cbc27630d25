"""Answer preflights of Django applications with django-cors-headers, without other parts of Django."""

import io
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from authguard._asgi.request import ASGIApp, Receive, Scope, Send
from authguard._preflight.layers import has_base
from authguard._preflight.sealed import SEARCH

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Django's modules are read from `sys.modules`, because the guard must not depend on Django.


def wsgi(handler: Any) -> "WSGIApplication":
    """Return the CORS middleware of a WSGI handler around a responder.

    Args:
        handler: Django's WSGIHandler.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        layer = _cors_layer()
        if layer is None:
            response = _respond()
        else:
            environ[SEARCH].has_cors_layer = True
            response = layer(_respond)(handler.request_class(environ))
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return []

    return answer


def asgi(handler: Any) -> ASGIApp:
    """Return the CORS middleware of an ASGI handler around a responder.

    Args:
        handler: Django's ASGIHandler.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        layer = _cors_layer()
        if layer is None:
            response = _respond()
        else:
            scope[SEARCH].has_cors_layer = True
            request, response = handler.create_request(scope, io.BytesIO())
            if request is not None and getattr(layer, "async_capable", False):
                response = await layer(_arespond)(request)
            elif request is not None:
                response = await sync_to_async(layer(_respond))(request)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return answer


def _cors_layer() -> Any:
    """Return the class of the CORS middleware in the settings, or None."""
    load = sys.modules["django.utils.module_loading"].import_string
    for path in sys.modules["django.conf"].settings.MIDDLEWARE:
        layer = load(path)
        if isinstance(layer, type) and has_base(layer, "corsheaders.middleware", "CorsMiddleware"):
            return layer
    return None


def _respond(request: Any = None) -> Any:
    return sys.modules["django.http"].HttpResponse(status=204)


async def _arespond(request: Any) -> Any:
    return _respond()
