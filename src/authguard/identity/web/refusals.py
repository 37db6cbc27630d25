"""Answer refusals and unexpected errors: the exception handlers of the JSON API."""

import json
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
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


async def handle_refusal(request: Request, error: Exception) -> Response:
    """Answer a refusal by a problem document (RFC 9457), with the fields if there are any."""
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
    """Leave a line of the log for an outage, once in a while, and for a body that cannot be used."""
    if isinstance(error, VerificationUnavailableError):
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
    """Answer for a router without such a path or method."""
    if not isinstance(error, HTTPException):
        raise error
    response = await handle_refusal(
        request, MethodNotAllowedError() if error.status_code == 405 else NotFoundError()
    )
    response.headers.update(fields_of(request, error))
    return response


def fields_of(request: Request, error: HTTPException) -> dict[str, str]:
    """Return the fields of the answer for a router that has no such path or method.

    The router reports only the methods of the first route of the path, and there may be several.
    """
    if error.status_code != 405:
        return dict(error.headers or {})
    methods: set[str] = set()
    for route in request.scope["router"].routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    return {"allow": ", ".join(sorted(methods))}


async def handle_unexpected_error(request: Request, error: Exception) -> Response:
    """Answer an unexpected error; the server logs it."""
    return await handle_refusal(request, UnexpectedError())


#: For Starlette's `exception_handlers`.
HANDLERS: Any = {
    RefusedError: handle_refusal,
    OAuthError: handle_oauth_error,
    HTTPException: handle_http_exception,
    Exception: handle_unexpected_error,
}
