"""Answer refusals and unexpected errors: the exception handlers of the JSON API."""

import json
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from authguard._core.answer.refusal import Challenges, refuse
from authguard._refused import as_response
from authguard.errors import RefusedError, UnexpectedError, VerificationUnavailableError
from authguard.identity.errors import (
    InvalidFieldsError,
    MethodNotAllowedError,
    NotFoundError,
    OAuthError,
)
from authguard.identity.storage.connecting.reasons import OutageLog
from authguard.identity.web.messages import REALM, json_response

logger = logging.getLogger("authguard")

_outages = OutageLog()
_CLIENT_HAS_LEFT = 499  # not a registered status, but a common one in access logs; it is not sent


async def handle_refusal(request: Request, error: Exception) -> Response:
    """Answer a refusal with a problem document (RFC 9457), with the wrong fields, if any."""
    if not isinstance(error, RefusedError):
        raise error
    _tell_operator(request, error)
    refusal = refuse(error, Challenges(REALM))
    if isinstance(error, InvalidFieldsError):
        errors = [
            {"field": field, "message": text} for field, texts in error.fields.items() for text in texts
        ]
        problem = json.loads(refusal.body) | {"errors": errors}
        refusal = refusal.with_body(json.dumps(problem), "application/problem+json")
    return as_response(refusal)


def _tell_operator(request: Request, error: RefusedError) -> None:
    """Log a line for an outage, once in a while, and for an unusable body."""
    if isinstance(error, VerificationUnavailableError):
        if not error.is_logged:
            _outages.warn(error.reason)
    elif isinstance(error, InvalidFieldsError):
        fields = ", ".join(sorted(error.fields))
        logger.info("a request to %r was answered with 422: %s", request.url.path, fields)


async def handle_oauth_error(request: Request, error: Exception) -> Response:
    """Answer an error of an OAuth endpoint (RFC 6749 section 5.2)."""
    if not isinstance(error, OAuthError):
        raise error
    response = json_response(
        {"error": error.error, "error_description": error.description}, error.status_code
    )
    if error.status_code == 401:
        response.headers["www-authenticate"] = f'Basic realm="{REALM}"'
    return response


async def handle_http_exception(request: Request, error: Exception) -> Response:
    """Answer a request whose path or method the router does not have."""
    if not isinstance(error, HTTPException):
        raise error
    response = await handle_refusal(
        request, MethodNotAllowedError() if error.status_code == 405 else NotFoundError()
    )
    response.headers.update(fields_of(request, error))
    return response


def fields_of(request: Request, error: HTTPException) -> dict[str, str]:
    """Return the fields of the answer to a request whose path or method the router does not have.

    The router reports only the methods of the first route of the path, which may have several routes.
    """
    if error.status_code != 405:
        return dict(error.headers or {})
    methods: set[str] = set()
    for route in request.scope["router"].routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    return {"allow": ", ".join(sorted(methods))}


async def handle_disconnect(request: Request, error: Exception) -> Response:
    """End a request whose client has left before its body was complete, so that no traceback is logged."""
    return Response(status_code=_CLIENT_HAS_LEFT)


async def handle_unexpected_error(request: Request, error: Exception) -> Response:
    """Answer an unexpected error; the server logs it."""
    return await handle_refusal(request, UnexpectedError())


#: For Starlette's `exception_handlers`.
HANDLERS: Any = {
    RefusedError: handle_refusal,
    OAuthError: handle_oauth_error,
    HTTPException: handle_http_exception,
    ClientDisconnect: handle_disconnect,
    Exception: handle_unexpected_error,
}
