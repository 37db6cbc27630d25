"""Answer refusals and unexpected errors: the exception handlers of the JSON API."""

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from authguard._core.answer.refusal import Challenges, refuse
from authguard._refused import as_response
from authguard.errors import RefusedError, UnexpectedError
from authguard.identity.errors import (
    InvalidFieldsError,
    MethodNotAllowedError,
    NotFoundError,
    OAuthError,
)
from authguard.identity.web.messages import REALM, answer


async def refused(request: Request, error: Exception) -> Response:
    """The answer to a refusal: a problem document (RFC 9457), with the fields if there are any."""
    if not isinstance(error, RefusedError):
        raise error
    refusal = refuse(error, Challenges(REALM))
    if isinstance(error, InvalidFieldsError):
        errors = [
            {"field": field, "message": text} for field, texts in error.fields.items() for text in texts
        ]
        problem = json.loads(refusal.body) | {"errors": errors}
        refusal = refusal.with_body(json.dumps(problem), "application/problem+json")
    return as_response(refusal)


async def oauth_refused(request: Request, error: Exception) -> Response:
    """The answer of an OAuth endpoint (RFC 6749 section 5.2)."""
    if not isinstance(error, OAuthError):
        raise error
    response = answer({"error": error.error, "error_description": error.description}, error.status_code)
    if error.status_code == 401:
        response.headers["www-authenticate"] = f'Basic realm="{REALM}"'
    return response


async def not_routed(request: Request, error: Exception) -> Response:
    """The answer of a router that knows no such path or method."""
    if not isinstance(error, HTTPException):
        raise error
    response = await refused(
        request, MethodNotAllowedError() if error.status_code == 405 else NotFoundError()
    )
    response.headers.update(error.headers or {})
    return response


async def unexpected(request: Request, error: Exception) -> Response:
    """The answer to an error of ours; the server logs it."""
    return await refused(request, UnexpectedError())


#: For Starlette's `exception_handlers`.
HANDLERS: Any = {
    RefusedError: refused,
    OAuthError: oauth_refused,
    HTTPException: not_routed,
    Exception: unexpected,
}
