"""Serve OpenID Connect Back-Channel Logout 1.0: an issuer reports that a user has signed out.

Write `Guard(…, backchannel_logout=BackChannelLogout.from_issuer(…))`, and register the URL at the issuer as
`backchannel_logout_uri`.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self
from urllib.parse import parse_qsl

from authguard._core.answer.denials import as_refused
from authguard._core.callbacks import Callback
from authguard._core.endpoint import Endpoint
from authguard._core.flow import Call, Flow
from authguard._core.jose.jwk import ASYMMETRIC
from authguard._core.jose.logout_claims import Logout
from authguard._core.options import (
    check_clock,
    check_function,
    check_method,
    check_seconds,
    named_options,
    yes_or_no,
)
from authguard._core.remotes import Remotes
from authguard._core.verifier import Verifier
from authguard.drivers import asynchronous, blocking
from authguard.errors import (
    InvalidRequestError,
    RefusedError,
    VerificationUnavailableError,
)
from authguard.stores.revocations import SharedRevocations
from authguard.verifiers.discovery import IssuerKeySet
from authguard.verifiers.http import HTTPOptions
from authguard.verifiers.logout import LogoutTokenVerifier

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

MAX_BODY = 32_768
_MAX_FIELDS = 20
_log = logging.getLogger("authguard")
_MAX_LIFETIME = 90 * 86_400
_FORM = "application/x-www-form-urlencoded"


class EndpointAnswer(NamedTuple):
    """Hold a response of the endpoint."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Revoker(Protocol):
    """Describe a store of revocations, such as `store.revocations` or `MemoryRevocations()`."""

    def revoke(self, **named: Any) -> Any:
        """Refuse a session, or the tokens of a subject."""


@named_options
class BackChannelLogout(Endpoint):
    """Receive logout tokens of one issuer, and write the logouts to a store of revocations.

    A token with a session (`sid`) ends that session. A token with only a subject (`sub`) ends all sessions of
    that subject that started before. The answer is 200; 400 for an invalid token; and 503 if a store or a key
    source does not answer.

    Args:
        keys: the keys of the issuer, as for `JWTVerifier`.
        algorithms: as for `JWTVerifier`.
        issuer: the exact `iss`, the same as in access tokens.
        audience: the `client_id` of the application at the issuer, or several.
        revocations: the store to write logouts to, such as `store.revocations`.
        replays: records used logout tokens, such as `store.replays`: a function of a digest and seconds that
            returns False if the digest was recorded before; `async` or not.
        token_lifetime: the longest lifetime of this issuer's access tokens, in seconds.
        leeway: seconds by which clocks may differ, 0 to 300.
        token_types: accepted `typ` of the header; add None if the issuer sends none.
        path: the path of the endpoint, which is public: exactly this path, below the mount point.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: if options contradict each other, have the wrong type or are out of range.
    """

    purpose = "back-channel logout"
    revocations: Revoker

    def __init__(
        self,
        keys: object,
        *,
        algorithms: Iterable[str],
        issuer: str,
        audience: str | Iterable[str],
        revocations: Revoker,
        replays: Callable[[str, int], bool | Awaitable[bool]],
        token_lifetime: float = 86_400,
        leeway: float = 30,
        token_types: Iterable[str | None] = ("logout+jwt",),
        path: str = "/backchannel-logout",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(path)
        self._verifier = LogoutTokenVerifier(
            keys,
            algorithms=algorithms,
            issuer=issuer,
            audience=audience,
            leeway=leeway,
            token_types=token_types,
        )
        check_method(revocations, "revocations", "revoke", "revocations=store.revocations", or_none=False)
        check_function(replays, "replays", "replays=store.replays", or_none=False, takes="digest, seconds")
        check_clock(clock)
        self.revocations = revocations
        self._replays: Callback[bool] = Callback(replays, "replays")
        self._lifetime = check_seconds(token_lifetime, "token_lifetime", _MAX_LIFETIME, least=1)
        self._leeway = leeway
        self._clock = clock
        self._remotes = Remotes([self._verifier])

    @classmethod
    @named_options
    def from_issuer(
        cls,
        issuer: str,
        *,
        audience: str | Iterable[str],
        revocations: Revoker,
        replays: Callable[[str, int], bool | Awaitable[bool]],
        algorithms: Iterable[str] | None = None,
        http: HTTPOptions | None = None,
        **options: Any,
    ) -> Self:
        """Build an endpoint that discovers the issuer's keys when the first token arrives.

        Args:
            issuer: the issuer's identifier, exactly as in `iss`.
            audience: see `BackChannelLogout`.
            revocations: see `BackChannelLogout`.
            replays: see `BackChannelLogout`.
            algorithms: see `JWTVerifier.from_issuer`.
            http: see `RemoteKeySet`.
            options: the other options of `BackChannelLogout`.

        Raises:
            ConfigurationError: if an option has the wrong type or is out of range.
        """
        return cls(
            IssuerKeySet(issuer, http=http),
            algorithms=ASYMMETRIC if algorithms is None else algorithms,
            issuer=issuer,
            audience=audience,
            revocations=revocations,
            replays=replays,
            **options,
        )

    @property
    def verifiers(self) -> Sequence[Verifier]:
        """Return the verifiers of logout tokens."""
        return (self._verifier,)

    async def asgi(self, scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        """Answer one request, as an ASGI application."""
        if scope["type"] != "http":
            raise TypeError(f"back-channel logout is for HTTP, got {scope['type']}")
        fields = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
        kind = fields[0].decode("latin-1") if len(fields) == 1 else ""
        body, more = b"", scope["method"] == "POST"
        while more and len(body) <= MAX_BODY:
            message: Any = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        answer = await asynchronous.run(self._answer(scope["method"], kind, body))
        headers = [(name.encode(), value.encode()) for name, value in answer.fields]
        start: Any = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        end: Any = {"type": "http.response.body", "body": answer.body}
        await send(end)

    def wsgi(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        method, length = environ["REQUEST_METHOD"], environ.get("CONTENT_LENGTH") or ""
        size = min(int(length), MAX_BODY + 1) if length.isascii() and length.isdigit() else 0
        body = environ["wsgi.input"].read(size) if method == "POST" and size else b""
        answer = blocking.run(self._answer(method, environ.get("CONTENT_TYPE", ""), body))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(answer.fields))
        return [answer.body]

    def _answer(self, method: str, kind: str, body: bytes) -> Flow[EndpointAnswer]:
        try:
            if method != "POST":
                return _response(405, {"error": "invalid_request"}, ("allow", "POST"))
            token = _token(kind, body)
            now = self._clock()
            logout = yield from self._verifier.read(token, now)
            yield from self._log_out(logout, now)
        except VerificationUnavailableError as error:
            _log.warning("%s: %s", self.purpose, error.reason)
            fields = ("retry-after", str(error.retry_after))
            return _response(503, {"error": "temporarily_unavailable"}, fields)
        except RefusedError as error:
            _log.debug("%s: %s", self.purpose, error.reason)
            return _response(400, {"error": "invalid_request", "error_description": error.reason})
        return _response(200, None)

    def _log_out(self, logout: Logout, now: float) -> Flow[None]:
        named: dict[str, Any] = {"issuer": logout.issuer, "until": now + self._lifetime + self._leeway}
        if logout.session is not None:
            named["session"] = logout.session
        else:
            named |= {"subject": logout.subject, "issued_before": logout.issued_at}
        if isinstance(self.revocations, SharedRevocations):
            named["wait"] = True
        digest = sha256(f"logout\n{logout.issuer}\n{logout.token_id}".encode()).hexdigest()
        seconds = ceil(logout.expires_at + self._leeway - now) + 1
        try:
            # The revocation comes first, although it may happen twice: if the token were recorded before an
            # outage, its issuer could not send it again.
            revoke: Callback[Any] = Callback(partial(self.revocations.revoke, **named), "revocations")
            yield from Call(revoke)
            is_new = yield from Call(self._replays, digest, seconds)
        except Exception as error:
            refused = as_refused(error)
            if not isinstance(refused, VerificationUnavailableError):
                raise
            raise VerificationUnavailableError(refused.reason, retry_after=1) from error
        # Redis answers None to `SET … NX` if the digest exists.
        if is_new is None or not yes_or_no("replays", is_new):
            raise InvalidRequestError("the logout token has been used before")

    def close(self) -> None:
        """Close connections to the issuer, outside an event loop; the store stays open.

        The guard that serves the endpoint calls this.
        """
        self._remotes.close()

    async def aclose(self) -> None:
        """Close connections to the issuer, inside an event loop; the store stays open."""
        await self._remotes.aclose()


def _token(kind: str, body: bytes) -> str:
    """Return the logout token of a form.

    Raises:
        InvalidRequestError: if the body is not a form with exactly one logout token.
    """
    if kind.partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequestError(f"the body must be {_FORM}")
    if len(body) > MAX_BODY:
        raise InvalidRequestError(f"the body must have at most {MAX_BODY} bytes")
    try:
        pairs = parse_qsl(body.decode("ascii"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidRequestError("the body is not a form") from None
    tokens = [value for name, value in pairs if name == "logout_token"]
    if len(tokens) != 1:
        raise InvalidRequestError("the form must have exactly one logout_token")
    return tokens[0]


def _response(status: int, document: dict[str, str] | None, *more: tuple[str, str]) -> EndpointAnswer:
    body = b"" if document is None else json.dumps(document).encode()
    fields = [("cache-control", "no-store"), ("content-length", str(len(body))), *more]
    if body:
        fields.append(("content-type", "application/json"))
    return EndpointAnswer(status, tuple(fields), body)
