"""Between HTTP and the use cases: bodies in, answers out, and work off the event loop."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from authguard._core.answer.refusal import Challenges, refuse
from authguard._core.strict_json import JSONError, decode_utf8, parse_object
from authguard._refused import as_response
from authguard.errors import RefusedError, UnexpectedError
from authguard.identity.errors import (
    InvalidFieldsError,
    MethodNotAllowedError,
    NotFoundError,
    OAuthError,
    PayloadTooLargeError,
    UnsupportedMediaError,
)
from authguard.identity.model import Caller
from authguard.identity.web.bodies import AnyBody, validate
from authguard.identity.web.threads import Answer, Answering, Question, Threads, Together
from authguard.identity.web.turns import Turns

P = ParamSpec("P")
Result = TypeVar("Result")

REALM = "identity"
_LARGEST_BODY = 64 * 1024  # bytes; the largest that makes sense has a token and a password
_MOST_FIELDS = 20
# Percent signs of a form: as many as the largest body has where each byte is encoded. Those that begin no
# encoded byte take longest to decode.
_MAX_ENCODED = _LARGEST_BODY // 3
# Of a query: room for the longest `next`, or for a provider's code and state. Decoding more takes long.
_MAX_QUERY = 16 * 1024
_MAX_PARAMETERS = 50
_TOGETHER = 50  # answers that one call gives at most: that is some milliseconds
_MAX_WAITING_FOR_REMOTES = 64
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Workers:
    """Threads for the use cases, apart from those of the application that this is mounted in.

    Each kind of waiting has threads and a queue of its own, so that it never delays another kind:
    guarded requests are answered by threads that read the database and do nothing else.

    Args:
        threads: how many of each kind.
        one_writer: whether short writes would only wait for each other, as they do in SQLite.
    """

    def __init__(self, threads: int, *, one_writer: bool) -> None:
        self._reading = Threads(threads, "authguard-read")
        self._writing = Threads(1 if one_writer else threads, "authguard-write")
        self._counting = Threads(threads, "authguard-count")
        self._hashing = Threads(threads, "authguard-hash")
        self.turns = Turns()
        self._threads = threads
        self._remotes: dict[str, Threads] = {}
        # PostgreSQL: single statements in parallel beat batches, because the network's latency dominates.
        self._most_written = _TOGETHER if one_writer else 1

    async def read(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a use case that reads the database, and waits for nothing else."""
        return await self._reading.run(partial(function, *args, **kwargs))

    async def write(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a use case that writes to the database, and may wait for a lock."""
        return await self._writing.run(partial(function, *args, **kwargs))

    async def count(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a use case that counts, and may wait for the store of limits."""
        return await self._counting.run(partial(function, *args, **kwargs))

    async def hash(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a use case that hashes a password; it may do all of the above, too."""
        return await self._hashing.run(partial(function, *args, **kwargs))

    async def ask_remote(
        self, name: str, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run a use case that asks a remote of this name, such as a provider; each has its own threads."""
        threads = self._remotes.get(name)
        if threads is None:
            new = Threads(self._threads, f"authguard-{name}", max_waiting=_MAX_WAITING_FOR_REMOTES)
            threads = self._remotes.setdefault(name, new)
        return await threads.run(partial(function, *args, **kwargs))

    def reading(self, answer: Answering[Question, Answer]) -> Together[Question, Answer]:
        """Read a row for each request, by one call for all requests of the same time."""
        return Together(self._reading, answer, _TOGETHER)

    def writing(self, answer: Answering[Question, Answer]) -> Together[Question, Answer]:
        """Read and write a row for each request, by one call for all requests of the same time."""
        return Together(self._writing, answer, self._most_written)

    def close(self) -> None:
        """Take no more work; what has begun is finished."""
        own = self._reading, self._writing, self._counting, self._hashing
        for threads in (*own, *self._remotes.values()):
            threads.close()


def caller_of(request: Request) -> Caller:
    """Where a request comes from. Behind a proxy, the server has to be told to believe it."""
    address = request.client.host if request.client else ""
    return Caller(address, request.headers.get("user-agent", ""))


def media_type_of(request: Request) -> str:
    """The media type of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request) -> bytes:
    """The body.

    Raises:
        PayloadTooLargeError: as soon as it is clear that it is too large.
    """
    body = bytearray()  # to add many chunks to bytes would copy all of them again and again
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise PayloadTooLargeError
    return bytes(body)


def is_long_query(query: bytes) -> bool:
    """Return whether a query is longer, or has more parameters, than any that the service reads."""
    return len(query) > _MAX_QUERY or query.count(b"&") >= _MAX_PARAMETERS


def parse_query(query: bytes) -> QueryParams:
    """Return the parameters of a query; none of one that is too long to be read."""
    return QueryParams(b"" if is_long_query(query) else query)


def query_of(request: Request) -> QueryParams:
    """Return the parameters of the query of a request; none of one that is too long to be read."""
    query: bytes = request.scope.get("query_string") or b""
    return QueryParams() if is_long_query(query) else request.query_params


async def read_json(request: Request, kind: type[AnyBody]) -> AnyBody:
    """The body, which is a JSON object with the fields of this kind.

    Raises:
        UnsupportedMediaError: if it does not say that it is JSON.
        InvalidFieldsError: if it is not.
    """
    if media_type_of(request) != "application/json":
        raise UnsupportedMediaError
    body = await read_body(request)
    try:
        data = parse_object(decode_utf8(body))
    except JSONError:
        raise InvalidFieldsError({"body": ["is not a JSON object"]}) from None
    return validate(kind, data)


async def read_fields(request: Request) -> dict[str, str]:
    """The fields of a form; each at most once, and none of them empty.

    Raises:
        UnsupportedMediaError: if it does not say that it is one.
        InvalidFieldsError: if it is none.
    """
    if media_type_of(request) != "application/x-www-form-urlencoded":
        raise UnsupportedMediaError
    try:
        body = await read_body(request)
        if body.count(b"%") > _MAX_ENCODED:
            raise ValueError
        text = body.decode()
        pairs = parse_qsl(text, keep_blank_values=False, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidFieldsError({"body": ["The body is not a form."]}) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidFieldsError({"body": ["A parameter was sent twice."]})
    return fields


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, for OAuth endpoints (RFC 6749 section 3.2).

    Raises:
        OAuthError: if it is not one.
    """
    try:
        return await read_fields(request)
    except UnsupportedMediaError:
        raise OAuthError("invalid_request", "Send application/x-www-form-urlencoded.") from None
    except InvalidFieldsError as error:
        raise OAuthError("invalid_request", error.fields["body"][0]) from None


def answer(document: Any, status: int = 200) -> Response:
    """A JSON response; nothing of this service is to be kept by caches (RFC 6749 section 5.1)."""
    headers = {"cache-control": "no-store", "pragma": "no-cache", "x-content-type-options": "nosniff"}
    body = _encode(document).encode()
    return Response(body, status, headers, "application/json")


def message(text: str, status: int = 200) -> Response:
    """A response for people."""
    return answer({"message": text}, status)


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
