"""Verify Bearer JWTs with keys that are at hand or fetched: RFC 7519, RFC 8725, RFC 9068."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, Self

from authguard._core.flow import Channel, Flow
from authguard._core.jose.claims import Expectations, read_claims, verify_claims
from authguard._core.jose.compact import Token, media_type, read_compact
from authguard._core.jose.jwk import ALIASES, ASYMMETRIC, VerificationKey
from authguard._core.jose.keyset import check_algorithms
from authguard._core.model import Credential
from authguard._core.options import (
    MAX_LEEWAY,
    Duration,
    check_list,
    check_seconds,
    check_text,
    check_text_list,
    check_text_or_list,
)
from authguard._core.remote.http import RemoteHealth
from authguard._core.verifier import Verified, Verifier
from authguard.errors import ConfigurationError, InvalidIssuerError, MalformedTokenError
from authguard.verifiers.discovery import IssuerKeySet
from authguard.verifiers.http import HTTPOptions
from authguard.verifiers.local_keys import load_keys
from authguard.verifiers.remote import KeySource, RemoteKeySet

MAX_MEMORY_SECONDS = 3600.0  # for tokens without exp, which exist only where they were allowed


class JWTVerifier(Verifier):
    """Verify signed JWTs of one issuer, with keys that are at hand or fetched by URL.

    Several may stand side by side, one for each issuer; the token's `iss` chooses, and no key
    of one issuer verifies a token of another (RFC 8725 section 3.8).

    Args:
        keys: an HMAC secret, PEM text (a public key or a certificate), a JWK or JWK set (mapping
            or JSON text), a `Path` of a file with one of these, or a list of them; or a
            `RemoteKeySet`. See `from_issuer`, too. Text that ends like the name of a key file, such as
            `keys.pem` or `keys.json`, is read as one; no other path is taken as text.
        algorithms: the algorithms that the issuer signs with; never taken from the token. HMAC
            and signature algorithms do not go together.
        issuer: the exact `iss`; None accepts any, or none.
        audience: the `aud` that names us, or several; None accepts only tokens without `aud`.
        leeway: seconds, or a timedelta, by which clocks may differ, 0 to 300.
        required_claims: claims that a token must have. Without `exp` in it tokens may be valid
            for ever. Without `sub` the subject of a token that has none is `client:` and its
            `client_id` or `azp`, and one with neither is refused.
        token_types: accepted `typ` of the header, None meaning that it is absent;
            `["at+jwt"]` is the profile of RFC 9068.
        scope_claims: where scopes are: names, or dotted paths such as `realm_access.roles`; text
            is split at spaces, a list is taken as it is.
        role_claims: where roles are; text is one role.
        tier_claim: where the tier is, which says what quotas hold: a name or a dotted path; None for none.

    Raises:
        ConfigurationError: for weak, mixed, private or ambiguous keys, and what else cannot be
            meant.
    """

    def __init__(
        self,
        keys: object,
        *,
        algorithms: Iterable[str],
        issuer: str | None,
        audience: str | Iterable[str] | None,
        leeway: float | Duration = 30,
        required_claims: Iterable[str] = ("exp", "sub"),
        token_types: Iterable[str | None] = (None, "JWT", "at+jwt"),
        scope_claims: Iterable[str] = ("scope",),
        role_claims: Iterable[str] = ("roles",),
        tier_claim: str | None = None,
    ) -> None:
        self.algorithms = check_algorithms(algorithms)
        self.issuer = None if issuer is None else check_text(issuer, "issuer")
        self.jwts = frozenset((self.issuer, algorithm) for algorithm in self.algorithms)
        self._source = keys.open(self.algorithms) if isinstance(keys, RemoteKeySet) else None
        # Any, since `verify` asks for the source alone: to ask for the type costs each first-seen token more.
        self._keys: Any = self._source or load_keys(keys, self.algorithms)
        audiences = () if audience is None else check_text_or_list(audience, "audience")
        types = frozenset(
            None
            if kind is None
            else media_type(check_text(kind, "each of token_types", must="be text, or None"))
            for kind in check_list(token_types, "token_types", '"at+jwt"')
        )
        if not types:
            raise ConfigurationError('token_types must name one, such as "at+jwt", got an empty list')
        self._expected = Expectations(
            issuer=self.issuer,
            audience=frozenset(audiences),
            leeway=check_seconds(leeway, "leeway", MAX_LEEWAY),
            required=check_text_list(required_claims, "required_claims", '"exp"'),
            types=types,
            scope_claims=check_text_list(scope_claims, "scope_claims", '"scope"'),
            role_claims=check_text_list(role_claims, "role_claims", '"roles"'),
            tier_claim=None if tier_claim is None else check_text(tier_claim, "tier_claim"),
        )

    @property
    def expectations(self) -> Any:
        """Return what is asked of the claims of a token: `Expectations` of the core."""
        return self._expected

    def accepts(self, credential: Credential) -> bool:
        """Return whether it looks like a compact JWS, be it in the header or in the cookie."""
        return credential.method != "api_key" and credential.value.count(".") == 2

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a token: signature first, then claims. With local keys nothing is asked."""
        return self.verify(read_compact(credential.value), credential, now)

    def verify(self, token: Token, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a token that has been taken apart."""
        if self._source is None:
            if token.header.key_set_url is not None:
                raise MalformedTokenError("the header names a key set (jku), and the keys are local")
            return self._verified(token, credential, now, self._keys.verify(token), inf)
        return self._verify_remotely(self._source, token, credential, now)

    def _verify_remotely(
        self, keys: KeySource, token: Token, credential: Credential, now: float
    ) -> Flow[Verified]:
        key, known_until = yield from keys.verify(token, now)
        if token.header.key_set_url not in (None, keys.key_set_url):
            raise MalformedTokenError("the header names another key set (jku) than the one that is used")
        return self._verified(token, credential, now, key, known_until)

    def _verified(
        self, token: Token, credential: Credential, now: float, key: VerificationKey, known_until: float
    ) -> Verified:
        """Check the claims of a token whose signature has been verified, and build the principal."""
        text, claims = read_claims(token)
        principal = verify_claims(
            text,
            claims,
            self._expected,
            now,
            kind=token.header.type,
            key_id=key.key_id or token.header.key_id,
            method=credential.method,
        )
        if principal.expires_at is None:
            return Verified(principal, min(now + MAX_MEMORY_SECONDS, known_until))
        return Verified(principal, min(principal.expires_at + self._expected.leeway, known_until))

    @classmethod
    def from_issuer(
        cls,
        issuer: str,
        *,
        audience: str | Iterable[str] | None,
        algorithms: Iterable[str] | None = None,
        ttl: float | Duration = 300,
        max_stale: float | Duration = 86400,
        http: HTTPOptions | None = None,
        **options: Any,
    ) -> Self:
        """Build a verifier that finds the issuer's keys by itself, when the first token comes.

        It asks for the issuer's metadata (OpenID Connect Discovery, then RFC 8414), which must name
        exactly this issuer, and for the key set that the metadata names.

        Args:
            issuer: the issuer's identifier, character by character as it writes it in `iss`.
            audience: see `JWTVerifier`.
            algorithms: what the issuer may sign with; None for what its keys are for, which is
                never HMAC. Name one if its RSA keys do not say.
            ttl: see `RemoteKeySet`.
            max_stale: see `RemoteKeySet`.
            http: see `RemoteKeySet`.
            options: the other options of `JWTVerifier`.

        Raises:
            ConfigurationError: for an option of another type or out of range.
        """
        keys = IssuerKeySet(issuer, ttl=ttl, max_stale=max_stale, http=http)
        allowed = ASYMMETRIC if algorithms is None else algorithms
        return cls(keys, algorithms=allowed, issuer=issuer, audience=audience, **options)

    def channels(self) -> Sequence[Channel]:
        """Return what it reaches the issuer through."""
        return () if self._source is None else (self._source.remote.channel,)

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return how the issuer is doing."""
        return () if self._source is None else (self._source.health(now),)

    @classmethod
    def together(cls, verifiers: Sequence[Any]) -> Sequence[Verifier]:
        """Combine several into one, which picks by issuer."""
        return verifiers if len(verifiers) == 1 else [_ByIssuer(verifiers)]

    def __repr__(self) -> str:
        return f"JWTVerifier(issuer={self.issuer!r}, algorithms={sorted(self.algorithms)})"


class _ByIssuer(Verifier):
    """Choose among several JWT verifiers: by the exact `iss`, and the algorithm."""

    def __init__(self, verifiers: Sequence[JWTVerifier]) -> None:
        self._verifiers: dict[tuple[str, str], JWTVerifier] = {}
        self._all = verifiers
        for verifier in verifiers:
            if verifier.issuer is None:
                raise ConfigurationError(
                    "issuer must be given where there are several JWTVerifiers, to choose by, got None"
                )
            for algorithm in verifier.algorithms:
                if (verifier.issuer, algorithm) in self._verifiers:
                    raise ConfigurationError(
                        f"each JWTVerifier must be for an issuer and algorithm of its own, got two for "
                        f"{algorithm} of {verifier.issuer!r}: give one of them all the keys, as in "
                        "JWTVerifier([new, old], …)"
                    )
                self._verifiers[verifier.issuer, algorithm] = verifier

    def accepts(self, credential: Credential) -> bool:
        return self._all[0].accepts(credential)

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        token = read_compact(credential.value)
        # Read before it is verified, only to choose who verifies it (RFC 8725 section 3.3).
        _, claims = read_claims(token)
        issuer: Any = claims.get("iss")
        algorithm = ALIASES.get(token.header.algorithm, token.header.algorithm)
        verifier = self._verifiers.get((issuer, algorithm)) if isinstance(issuer, str) else None
        if verifier is None:
            raise InvalidIssuerError("no verifier for this issuer and algorithm")
        return verifier.verify(token, credential, now)

    def channels(self) -> Sequence[Channel]:
        return [channel for verifier in self._all for channel in verifier.channels()]

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        return [health for verifier in self._all for health in verifier.health(now)]

    def __repr__(self) -> str:
        return ", ".join(map(repr, self._all))
