"""Describe the bodies and response fields of refusals."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from authguard.errors import QuotaUnavailableError, RateLimitedError, RefusedError
from authguard.identity.openapi.operations import Operation


class FieldError(TypedDict):
    """Describe how to correct one field of a body."""

    field: Annotated[str, Field(examples=["password"])]
    message: Annotated[str, Field(examples=["is required"])]


class Problem(TypedDict):
    """Describe why a request was refused (RFC 9457)."""

    type: NotRequired[str]
    title: Annotated[str, Field(examples=["Unauthorized"])]
    status: Annotated[int, Field(ge=400, le=599)]
    detail: NotRequired[str]
    code: Annotated[str, Field(description="The name of the reason, for programs.")]
    errors: NotRequired[list[FieldError]]


class OAuthProblem(TypedDict):
    """Describe to an OAuth client why a request was refused (RFC 6749 section 5.2)."""

    error: Annotated[str, Field(examples=["invalid_grant"])]
    error_description: str


#: The types of all bodies of refusals.
PROBLEMS = (Problem, OAuthProblem)
_WHOLE = {"type": "string", "pattern": "^[0-9]+$"}
_TEXT = {"type": "string"}
CHALLENGE = {
    "WWW-Authenticate": {
        "description": "The challenge, which names the methods of authentication.",
        "required": True,
        "schema": _TEXT,
    }
}
WAIT = {
    "Retry-After": {"description": "Seconds after which to try again.", "required": True, "schema": _WHOLE}
}
LIMITS = {
    "RateLimit": {"description": "The rest of each limit.", "schema": _TEXT},
    "RateLimit-Policy": {"description": "The limits.", "schema": _TEXT},
}
_FIELDS: Mapping[int, Mapping[str, Any]] = {401: CHALLENGE, 429: {**WAIT, **LIMITS}, 503: WAIT}


def refusals_of(operation: Operation) -> dict[int, dict[str, Any]]:
    """Return the responses of an operation that are refusals, by status."""
    by_status: dict[int, list[type[RefusedError]]] = defaultdict(list)
    for kind in operation.refusals:
        by_status[kind.status_code].append(kind)
    problems = {status: _problem(status, kinds, operation.pages) for status, kinds in by_status.items()}
    return problems | {status: _oauth_problem(status) for status in operation.oauth}


def _problem(status: int, kinds: Iterable[type[RefusedError]], pages: bool) -> dict[str, Any]:
    kinds = [kind for kind in kinds if kind is not QuotaUnavailableError] or list(kinds)
    codes = list(dict.fromkeys(kind.code for kind in kinds))
    lines = [
        f"`{kind.code}`: {kind.detail}" for kind in {kind.code: kind for kind in reversed(kinds)}.values()
    ]
    schema = {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": codes}}}
    content: dict[str, Any] = {"application/problem+json": {"schema": schema}}
    if pages:
        content["text/html"] = {"schema": _TEXT}
    return _with_fields(status, {"description": "\n".join(reversed(lines)), "content": content})


def _oauth_problem(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/OAuthProblem"}}}
    text = "The error of RFC 6749 section 5.2."
    answer = _with_fields(status, {"description": text, "content": content})
    if status == RateLimitedError.status_code:
        answer["headers"] = WAIT
    return answer


def _with_fields(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    return answer | ({"headers": dict(_FIELDS[status])} if status in _FIELDS else {})
