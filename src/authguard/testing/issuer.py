"""Simulate an issuer in tests: sign tokens, publish keys, and answer introspection requests."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from authguard._core.options import (
    Duration,
    check_clock,
    check_flag,
    check_identifiers,
    check_mapping,
    check_seconds,
    check_text,
    check_url,
    named_options,
)
from authguard.errors import ConfigurationError
from authguard.issuing import TokenIssuer
from authguard.testing.pages import Answer, Page, Pages
from authguard.testing.serving import as_asgi, as_wsgi
from authguard.testing.tokens import check_claims, sign
from authguard.verifiers.http import HTTPOptions
from authguard.verifiers.introspection import IntrospectionVerifier
from authguard.verifiers.jwt import JWTVerifier

if TYPE_CHECKING:
    import httpx

MAX_SECONDS = 10 * 365 * 86_400
_TTL = 300
# Options of `issue_token`, which would make claims here: the issuer chooses its keys itself.
_OPTION_OF = {
    "now": "FakeIssuer(clock=…)",
    **dict.fromkeys(
        ("alg", "algorithm", "header", "headers", "key_id", "kid"),
        "issue_token(key, …), which lets a test choose the key and the header",
    ),
}


@named_options
class FakeIssuer:
    """Simulate an issuer with OpenID Connect Discovery, a key set, introspection and revocation.

    Use it as an ASGI application (`issuer.asgi`), as a WSGI application (`issuer.wsgi`), or without a server
    through `issuer.transport()`, a transport for both kinds of httpx clients. A `TokenIssuer` creates the
    tokens.

    Args:
        url: its `iss`; if a server serves it, the URL of that server.
        audience: the `aud` of its tokens, or several.
        clients: secrets by client id, for introspection and revocation; None for one client, `client_id` with
            `client_secret`.
        clock: seconds since the epoch.

    Attributes:
        url: its `iss`.
        audience: the `aud` of its tokens, as it was given.
        client_id: the first client.
        client_secret: its secret.
        is_down: whether it is unreachable; see `outage`.
        requests: the requests it has received, such as `GET /jwks`, the oldest first.

    Raises:
        ConfigurationError: if an option has the wrong type.
    """

    def __init__(
        self,
        url: str = "https://issuer.test",
        *,
        audience: str | Iterable[str] = "https://api.test",
        clients: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = check_url(url, "url")
        self.audience = audience if isinstance(audience, str) else check_identifiers(audience, "audience")
        check_clock(clock)
        self._clock = clock
        self._clients = _checked_clients(clients)
        self.client_id, self.client_secret = next(iter(self._clients.items()))
        self.is_down = False
        self.requests: list[str] = []
        self._issued: dict[str, dict[str, Any]] = {}
        self._pages = Pages(self.url, self._clients, self._key_set, self._introspect, self._forget)
        self._keys: list[tuple[Any, TokenIssuer]] = []
        self.rotate()

    @named_options
    def rotate(self, *, withdraw: bool = False) -> None:
        """Sign with a new key from now on.

        Args:
            withdraw: whether earlier keys leave the key set. A guard that has read them accepts their tokens
                until it reads the key set again, and tokens that it knows for the `ttl` of its verifier:
                `clock.advance(301)`.
        """
        check_flag(withdraw, "withdraw")
        key = ec.generate_private_key(ec.SECP256R1())
        signer = TokenIssuer(key, issuer=self.url, audience=self.audience, ttl=_TTL, clock=self._clock)
        self._keys = [*([] if withdraw else self._keys), (key, signer)]

    def issue(
        self,
        subject: str = "somebody",
        *,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        expires_in: float | Duration = _TTL,
        **claims: Any,
    ) -> str:
        """Return a signed access token.

        Args:
            subject: the `sub`.
            scopes: the `scope`.
            roles: the `roles`.
            expires_in: seconds, or a timedelta, from now; negative for an expired token.
            claims: further claims, or replacements for these, such as `aud`; None removes a claim.
        """
        key, signer = self._keys[-1]
        token = signer.issue(subject, scopes=scopes, roles=roles)
        headers = jwt.get_unverified_header(token)
        body = self._changed(token, expires_in, claims)
        token = sign(body, key, headers["alg"], {"typ": headers["typ"], "kid": headers["kid"]})
        self._issued[token] = body
        return token

    def issue_opaque(
        self,
        subject: str = "somebody",
        *,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        expires_in: float | Duration = _TTL,
        **claims: Any,
    ) -> str:
        """Return an opaque access token; introspection returns the claims that `issue` would have written."""
        signed = self._keys[-1][1].issue(subject, scopes=scopes, roles=roles)
        token = secrets.token_urlsafe(32)
        self._issued[token] = self._changed(signed, expires_in, claims)
        return token

    def revoke(self, token: str) -> None:
        """Mark a token as inactive for introspection."""
        self._issued.pop(check_text(token, "token", secret=True), None)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Fail all requests inside this context.

        The transport cannot connect, and a server answers with 503. After a failed request, a guard waits
        before the next one, at first for a second: `clock.advance(2)`.
        """
        before, self.is_down = self.is_down, True
        try:
            yield
        finally:
            self.is_down = before

    def verifier(self, **options: Any) -> JWTVerifier:
        """Return a verifier of its tokens that discovers the keys through the transport.

        Args:
            options: those of `JWTVerifier.from_issuer`.
        """
        given: dict[str, Any] = {"audience": self.audience, "http": self.http_options(), **options}
        return JWTVerifier.from_issuer(self.url, **given)

    def introspection(self, **options: Any) -> IntrospectionVerifier:
        """Return a verifier that uses the introspection endpoint of this issuer, through the transport.

        Args:
            options: those of `IntrospectionVerifier`.
        """
        given: dict[str, Any] = {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "issuer": self.url,
            "audience": self.audience,
            "http": self.http_options(),
            **options,
        }
        return IntrospectionVerifier(self._pages.introspection_endpoint, **given)

    def http_options(self) -> HTTPOptions:
        """Return the option `http` for a verifier that uses the transport."""
        import httpx

        return HTTPOptions(client=httpx.Client(transport=self.transport()))

    def transport(self) -> "httpx.MockTransport":
        """Return a transport for an httpx `Client` or `AsyncClient`, which connects only to this issuer."""
        import httpx

        def answer(request: httpx.Request) -> httpx.Response:
            if self.is_down or not str(request.url).startswith(self._pages.origin + "/"):
                raise httpx.ConnectError("no issuer is here", request=request)
            page = Page(request.method, request.url.path, dict(request.headers), request.read())
            answer = self._answer(page)
            return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

        return httpx.MockTransport(answer)

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the issuer as an ASGI application."""
        await as_asgi(self._answer, scope, receive, send)

    def wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        """Serve the issuer as a WSGI application."""
        return as_wsgi(self._answer, environ, start_response)

    def _answer(self, page: Page) -> Answer:
        self.requests.append(f"{page.method} {page.path}")
        return Answer(503, {"retry-after": "1"}) if self.is_down else self._pages.answer(page)

    def _changed(self, token: str, expires_in: float | Duration, claims: Mapping[str, Any]) -> dict[str, Any]:
        check_claims(claims, _OPTION_OF)
        body = jwt.decode(token, options={"verify_signature": False})
        seconds = check_seconds(expires_in, "expires_in", MAX_SECONDS, least=-MAX_SECONDS)
        body["exp"] = int(body["iat"] + seconds)
        return {name: value for name, value in {**body, **claims}.items() if value is not None}

    def _key_set(self) -> dict[str, Any]:
        return {"keys": [key for _, signer in self._keys for key in signer.public_keys["keys"]]}

    def _introspect(self, token: str) -> dict[str, Any]:
        claims = self._issued.get(token)
        if claims is None or claims.get("exp", self._clock() + 1) <= self._clock():
            return {"active": False}
        return {**claims, "active": True, "token_type": "Bearer"}

    def _forget(self, token: str) -> dict[str, Any]:
        self.revoke(token)
        return {}

    def __repr__(self) -> str:
        return f"FakeIssuer({self.url!r})"


def _checked_clients(clients: Mapping[str, str] | None) -> dict[str, str]:
    example = 'clients={"api": "a-secret"}'
    given = {"api": secrets.token_urlsafe(32)} if clients is None else clients
    for name, secret in check_mapping(given, "clients", example).items():
        check_text(name, "each name of clients")
        check_text(secret, f"the secret of {name!r} in clients", secret=True)
    if not given:
        raise ConfigurationError(f"clients must have one client at least, got none: write {example}")
    return dict(given)
