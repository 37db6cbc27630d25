"""Verify Bearer JWTs with local or fetched keys: RFC 7519, RFC 8725, RFC 9068."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any, Self

from authguard._core.flow import Channel, Flow
from authguard._core.jose.claim_paths import ClaimName
from authguard._core.jose.claims import read_claims, verify_claims
from authguard._core.jose.compact import Token, read_compact
from authguard._core.jose.conditions import Values, check_header, header_conditions
from authguard._core.jose.issuers import TENANT, IssuerCheck, Issuers, check_key_issuer, issuers_of
from authguard._core.jose.jwk import ASYMMETRIC, SYMMETRIC, VerificationKey
from authguard._core.jose.keyset import KeySet, check_algorithms
from authguard._core.model import Credential
from authguard._core.options import (
    Duration,
    check_flag,
    check_mapping,
    check_no_metadata_url,
    got,
    named_options,
    unwrapped,
)
from authguard._core.remote.http import RemoteHealth
from authguard._core.verifier import Verified, Verifier, check_key_field
from authguard.errors import ConfigurationError, MalformedTokenError
from authguard.verifiers.by_issuer import VerifierByIssuer, issuer_names
from authguard.verifiers.discovery import IssuerKeySet, metadata_urls
from authguard.verifiers.expectations import expectations, unusable_claims, warn_of_no_expiry
from authguard.verifiers.http import HTTPOptions
from authguard.verifiers.issuer_check import IssuerChecker
from authguard.verifiers.key_files import KeyFiles
from authguard.verifiers.key_source import KeySource
from authguard.verifiers.open_keys import open_keys

# the expiry of tokens without `exp`, which are accepted only if an option allows it
MAX_MEMORY_SECONDS = 3600.0


@named_options
class JWTVerifier(Verifier):
    """Verify signed JWTs of one issuer, with local keys or keys fetched by URL.

    Use several of them for several issuers: the token's `iss` selects one, and no key of one issuer verifies
    a token of another (RFC 8725 section 3.8).

    Args:
        keys: an HMAC secret, PEM text (public keys or certificates), a JWK or JWK set (mapping or JSON text),
            PEM by `kid`, a `Path` of a file with one of these, or a list of them; HMAC secrets by `kid`; or a
            `RemoteKeySet`. Files are read again when they change. See also `from_issuer`. Text that ends like
            a key file name, such as `keys.pem` or `keys.json`, is read as one; any other path must be a
            `Path`. If keys have no `kid`, up to four keys of the token's algorithm are tried.
        algorithms: the algorithms of the issuer; never taken from the token. HMAC and asymmetric algorithms
            cannot be combined.
        issuer: the exact `iss`; None accepts any, or none. With `{tenantid}` in it, and `tenants`, the
            issuers of these tenants. A function, `async` or not, is called with the `iss` of a token whose
            signature is valid, and returns True or False; its answer is cached for 30 seconds.
        audience: the accepted `aud`, or several; None accepts only tokens without `aud`, or with an empty
            list.
        header: the field of the tokens, without a scheme, such as `X-Goog-IAP-JWT-Assertion`; tokens
            elsewhere are ignored. None for Authorization, and the guard's cookie.
        tenants: the allowed values of `{tenantid}` in `issuer`, compared exactly.
        client_ids: the clients whose tokens are accepted, by `client_id` and `azp`, else by `cid` or `appid`;
            None for any.
        claims: required values of other claims: for each name a value, or a list of alternatives. Types are
            compared, so that True is not 1.
        header_claims: the same for parameters of the token's header.
        subject_claims: the claims of the subject, in the form of `role_claims`: the first claim that is
            present and not empty is used; None for `sub`. A claim that names the client gives a subject such
            as `client:billing`.
        leeway: seconds, or a timedelta, by which clocks may differ, 0 to 300.
        required_claims: claims that a token must have, instead of the default. Without `exp` in the list, a
            token without `exp` is valid for ever.
            Without `sub` in it, a token without a subject gets `client:` and its `client_id` or `azp`; a
            token with neither is refused. With `subject_claims`, `sub` means one of these.
        token_types: accepted `typ` of the header; None means that it is absent. `["at+jwt"]` is the profile
            of RFC 9068.
        id_tokens: whether ID tokens are accepted as well. They are issued to the client that signs in, so its
            id must be the `audience`.
        scope_claims: the claims of scopes: names, dotted paths such as `realm_access.roles`, or tuples of
            names as paths. Text is split at spaces; a list is used unchanged.
        role_claims: the claims of roles, in the same form. Text is one role; the member names of an object
            are roles if their values are true or objects.
        tier_claim: the claim of the tier, which selects the quotas: a name or a path; None for no tier.
        padding: whether the parts of tokens may end in `=`, as those of AWS load balancers do, contrary to
            RFC 7515 section 2.

    Raises:
        ConfigurationError: if keys are weak, mixed, private or ambiguous, or options contradict each other or
            are out of range.
    """

    def __init__(
        self,
        keys: object,
        *,
        algorithms: Iterable[str],
        issuer: str | IssuerCheck | None,
        audience: str | Iterable[str] | None,
        header: str | None = None,
        tenants: Iterable[str] | None = None,
        client_ids: str | Iterable[str] | None = None,
        claims: Values | None = None,
        header_claims: Values | None = None,
        subject_claims: Iterable[ClaimName] | None = None,
        leeway: float | Duration = 30,
        required_claims: Iterable[str] = ("exp", "sub"),
        token_types: Iterable[str | None] = (None, "JWT", "at+jwt"),
        id_tokens: bool = False,
        scope_claims: Iterable[ClaimName] = ("scope",),
        role_claims: Iterable[ClaimName] = ("roles",),
        tier_claim: ClaimName | None = None,
        padding: bool = False,
    ) -> None:
        self.algorithms = check_algorithms(algorithms)
        self.token_header = None if header is None else check_key_field(header, "tokens")
        self.padding = check_flag(padding, "padding")
        check_no_metadata_url(issuer)
        self.issuers = issuers_of(issuer, tenants)
        self.issuer = self.issuers.pattern if isinstance(self.issuers, Issuers) else self.issuers
        self.jwts = frozenset(
            (name, algorithm) for name in issuer_names(self.issuers) for algorithm in self.algorithms
        )
        # Any, because `verify` reads only the source: reading the type would cost each new token more.
        self._keys: Any = open_keys(keys, self.algorithms)
        self._source: KeyFiles | KeySource | None = None if isinstance(self._keys, KeySet) else self._keys
        self._expected = expectations(
            issuer=self.issuers,
            audience=audience,
            leeway=leeway,
            required_claims=required_claims,
            token_types=token_types,
            scope_claims=scope_claims,
            role_claims=role_claims,
            tier_claim=tier_claim,
            subject_claims=subject_claims,
            client_ids=client_ids,
            claims=claims,
            id_tokens=id_tokens,
        )
        warn_of_no_expiry(self._expected.required)
        self.audiences, self.gives_tiers = self._expected.audience, tier_claim is not None
        if self._expected.subject_claims is not None:
            self.own_subjects_of = issuer_names(self.issuers)
        self._header_conditions = () if header_claims is None else header_conditions(header_claims)
        self._issuer_check = IssuerChecker(issuer) if callable(issuer) else None
        #: Whether a token is verified by keys and claims only, and the keys are local.
        self._is_plain = (
            isinstance(self._keys, KeySet)
            and not self._keys.has_issuers
            and self._issuer_check is None
            and header_claims is None
        )
        self.has_public_keys = not self.algorithms & SYMMETRIC

    @property
    def expectations(self) -> Any:
        """Return the expectations of a token's claims: `Expectations` of the core."""
        return self._expected

    def accepts(self, credential: Credential) -> bool:
        """Return whether a credential looks like a compact JWS, in a field or in the cookie."""
        return credential.method != "api_key" and credential.value.count(".") == 2

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a token: signature first, then claims. With local keys, this yields no question."""
        return self.verify(read_compact(credential.value, padding=self.padding), credential, now)

    def verify(self, token: Token, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a parsed token."""
        if self._is_plain:
            if token.header.key_set_url is not None:
                raise MalformedTokenError("the header names a key set (jku), and the keys are local")
            return self._verified(token, credential, now, self._keys.verify(token), inf)
        return self._verify_further(token, credential, now)

    def _verify_further(self, token: Token, credential: Credential, now: float) -> Flow[Verified]:
        """Verify a token by a fetched key, by its header, or by the function for issuers."""
        if self._source is None:
            key, known_until, key_set_url = self._keys.verify(token), inf, None
        else:
            key, known_until = yield from self._source.verify(token, now)
            key_set_url = self._source.key_set_url
        if token.header.key_set_url not in (None, key_set_url):
            raise MalformedTokenError("the header names another key set (jku) than the one that is used")
        if self._header_conditions:
            check_header(token, self._header_conditions)
        verified = self._verified(token, credential, now, key, known_until)
        if key.issuer is not None:
            check_key_issuer(key.issuer, verified.principal.issuer)
        if self._issuer_check is not None:
            until = yield from self._issuer_check.check(verified.principal.issuer or "", now)
            verified.until = min(verified.until, until)
        return verified

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
    @named_options
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
        """Build a verifier that discovers the issuer's keys when the first token arrives.

        It fetches the issuer's metadata (OpenID Connect Discovery, then RFC 8414), which must name exactly
        this issuer, and the key set of the metadata.

        Args:
            issuer: the issuer's identifier, exactly as in `iss`.
            audience: see `JWTVerifier`.
            algorithms: the algorithms that the issuer may use; None for those of its keys, which never
                include HMAC. Set it if its RSA keys have no `alg`.
            ttl: see `RemoteKeySet`.
            max_stale: see `RemoteKeySet`.
            http: see `RemoteKeySet`.
            options: the other options of `JWTVerifier`.

        Raises:
            ConfigurationError: if an option has the wrong type or is out of range.
        """
        if not isinstance(issuer, str) or TENANT in issuer:
            write = ": for several tenants or a function, write JWTVerifier(RemoteKeySet(url), issuer=…, …)"
            raise ConfigurationError(
                f"issuer must be one issuer, whose metadata name its keys, got {got(issuer)}"
                f"{unwrapped(issuer) or write}"
            )
        keys = IssuerKeySet(issuer, ttl=ttl, max_stale=max_stale, http=http)
        allowed = ASYMMETRIC if algorithms is None else algorithms
        verifier = cls(keys, algorithms=allowed, issuer=issuer, audience=audience, **options)
        verifier.openid_configuration = metadata_urls(issuer)[0]
        return verifier

    def unusable_claims(self, claims: Mapping[str, Any]) -> list[str]:
        """Return, in words, which claims should grant scopes or roles but cannot be used for that.

        Args:
            claims: those of a token, such as `Principal.claims`.

        Raises:
            ConfigurationError: if they are not a mapping.
        """
        check_mapping(claims, "claims", "user.claims")
        return unusable_claims(self._expected, claims)

    def channels(self) -> Sequence[Channel]:
        """Return its channels to the issuer."""
        return () if self._source is None else self._source.channels()

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return the state of the issuer."""
        return () if self._source is None else (self._source.health(now),)

    @classmethod
    def together(cls, verifiers: Sequence[Any]) -> Sequence[Verifier]:
        """Combine several verifiers into one that chooses by issuer."""
        return verifiers if len(verifiers) == 1 else [VerifierByIssuer(verifiers)]

    def __repr__(self) -> str:
        return f"JWTVerifier(issuer={self.issuer!r}, algorithms={sorted(self.algorithms)})"
