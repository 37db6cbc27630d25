"""Read bodies and queries, and make JSON answers and redirects."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from authguard._core.answer.redirect import local_prefix
from authguard._core.strict_json import JSONError, parse_object_bytes
from authguard.identity.errors import (
    InvalidFieldsError,
    OAuthError,
    PayloadTooLargeError,
    UnsupportedMediaError,
)
from authguard.identity.model import Caller
from authguard.identity.web.bodies import AnyBody, fault_of, validate

REALM = "identity"
MAX_BODY_BYTES = 64 * 1024  # bytes; the largest valid body has a token and a password
MAX_FIELDS = 20
# Percent signs of a form: the number in the largest body if each byte is encoded. Percent signs without an
# encoded byte take the longest to decode.
MAX_PERCENT_SIGNS = MAX_BODY_BYTES // 3
# Bytes of a query: enough for the longest `next`, or for a provider's code and state. Decoding a longer query
# would take long.
MAX_QUERY_BYTES = 16 * 1024
MAX_PARAMETERS = 50
_JSON = "application/json"
_encode = json.JSONEncoder(separators=(",", ":")).encode


def caller_of(request: Request) -> Caller:
    """Return the origin of a request. Behind a proxy, the server must be configured to trust it."""
    address = request.client.host if request.client else ""
    return Caller(address, request.headers.get("user-agent", ""))


def media_type_of(request: Request) -> str:
    """Return the media type of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request) -> bytes:
    """Read the body.

    Raises:
        PayloadTooLargeError: as soon as it is clear that it is too large.
    """
    body = bytearray()  # a list, because adding many chunks to bytes would copy all of them repeatedly
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLargeError
    return bytes(body)


def is_long_query(query: bytes) -> bool:
    """Return whether a query is longer, or has more parameters, than any query that the service reads."""
    return len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_PARAMETERS


def parse_query(query: bytes) -> QueryParams:
    """Return the parameters of a query; empty if it is too long."""
    return QueryParams(b"" if is_long_query(query) else query)


def query_of(request: Request) -> QueryParams:
    """Return the parameters of the query of a request; empty if it is too long."""
    query: bytes = request.scope.get("query_string") or b""
    return QueryParams() if is_long_query(query) else request.query_params


async def read_json(request: Request, kind: type[AnyBody]) -> AnyBody:
    """Read a JSON object with the fields of a kind of body.

    Raises:
        UnsupportedMediaError: if its media type is not JSON.
        InvalidFieldsError: if it is not JSON.
    """
    if media_type_of(request) != _JSON:
        raise UnsupportedMediaError
    return validate(kind, _parse(await read_body(request)))


async def read_optional_object(request: Request) -> dict[str, Any] | None:
    """Read a JSON object that may be missing; None for an empty body, with any media type or none.

    Raises:
        UnsupportedMediaError: if the body is not empty, and its media type is not JSON.
        InvalidFieldsError: if it is not JSON.
    """
    if media_type_of(request) == _JSON:
        body = await read_body(request)
        return _parse(body) if body else None
    async for chunk in request.stream():
        if chunk:
            raise UnsupportedMediaError
    return None


async def read_optional_json(request: Request, kind: type[AnyBody]) -> AnyBody:
    """Read a JSON object with the fields of a kind of body; an empty body counts as an object without fields.

    Raises:
        UnsupportedMediaError: if the body is not empty, and its media type is not JSON.
        InvalidFieldsError: if it is not JSON, or a field is missing or invalid.
    """
    return validate(kind, await read_optional_object(request) or {})


def _parse(body: bytes) -> dict[str, Any]:
    try:
        return parse_object_bytes(body)
    except JSONError as error:
        raise InvalidFieldsError({"body": [fault_of(body, error)]}) from None


async def read_fields(request: Request) -> dict[str, str]:
    """Read the fields of a form; each at most once, and none of them empty.

    Raises:
        UnsupportedMediaError: if its media type is not that of a form.
        InvalidFieldsError: if it is not a form.
    """
    if media_type_of(request) != "application/x-www-form-urlencoded":
        raise UnsupportedMediaError
    try:
        body = await read_body(request)
        if body.count(b"%") > MAX_PERCENT_SIGNS:
            raise ValueError
        pairs = _pairs_of(body)
    except ValueError:
        raise InvalidFieldsError({"body": ["The body is not a form."]}) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidFieldsError({"body": ["A parameter was sent twice."]})
    return fields


async def read_optional_fields(request: Request) -> dict[str, str]:
    """Read the fields of a form; none without a media type, which programs do not send with an empty form.

    Raises:
        UnsupportedMediaError: if its media type is not that of a form.
        InvalidFieldsError: if it is not a form.
    """
    return await read_fields(request) if media_type_of(request) else {}


def _pairs_of(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form that have a value.

    `parse_qsl` takes five times as long for text with encoded and other characters in turn.

    Raises:
        ValueError: if it has too many fields, or a name or value is not UTF-8.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise ValueError
    pairs = (part.partition(b"=") for part in body.replace(b"+", b" ").split(b"&"))
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs if value]


def _decoded(text: bytes) -> str:
    return unquote_to_bytes(text).decode()


async def read_form(request: Request) -> dict[str, str]:
    """Read the fields of a form, for OAuth endpoints (RFC 6749 section 3.2).

    Raises:
        OAuthError: if it is not a form.
    """
    try:
        return await read_fields(request)
    except UnsupportedMediaError:
        raise OAuthError("invalid_request", "Send application/x-www-form-urlencoded.") from None
    except InvalidFieldsError as error:
        raise OAuthError("invalid_request", error.fields["body"][0]) from None


def json_response(document: Any, status: int = 200) -> Response:
    """Make a JSON response that caches must not store (RFC 6749 section 5.1)."""
    headers = {"cache-control": "no-store", "pragma": "no-cache", "x-content-type-options": "nosniff"}
    body = _encode(document).encode()
    return Response(body, status, headers, "application/json")


def message_response(text: str, status: int = 200) -> Response:
    """Make a response with a text for people."""
    return json_response({"message": text}, status)


def page_path(request: Request, pages_path: str, path: str) -> str:
    """Return the path of a page, including the mount point of the application.

    Args:
        request: the request.
        pages_path: `Settings.pages_path`.
        path: of the page, below both.
    """
    root: str = request.scope.get("root_path") or ""
    return (local_prefix(root) or "") + quote(pages_path) + path


def see_other(location: str, headers: Mapping[str, str] | None = None) -> Response:
    """Redirect a browser, with GET. Neither caches nor the Referer field store the previous URL.

    Args:
        location: the target.
        headers: more fields of the response.
    """
    fields = {"cache-control": "no-store", **(headers or {}), "referrer-policy": "no-referrer"}
    return RedirectResponse(location, 303, fields)
