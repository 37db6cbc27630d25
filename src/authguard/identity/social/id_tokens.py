"""Verify ID tokens: signature, keys and discovery as for access tokens, claims as in OpenID Connect."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import new as new_hash
from hmac import compare_digest
from types import MappingProxyType
from typing import Any

from authguard._core.flow import Flow
from authguard._core.jose.claims import is_date, read_claims, report_no_mismatch
from authguard._core.jose.compact import Token
from authguard._core.jose.jwk import ASYMMETRIC, VerificationKey
from authguard._core.model import Credential
from authguard._core.verifier import Verified, as_flow
from authguard.errors import Cause, InvalidTokenError
from authguard.identity.errors import SocialSignInError
from authguard.identity.social_reasons import SocialReason
from authguard.verifiers.discovery import IssuerKeySet, IssuerKeySource
from authguard.verifiers.http import HTTPOptions, Remote
from authguard.verifiers.jwt import JWTVerifier
from authguard.verifiers.key_source import KeySource, Location, Place

#: Seconds by which clocks may differ.
LEEWAY = 30
#: The option that allows private networks in a provider's metadata, for errors.
ALLOW_PRIVATE = "allow_private=True of OpenIDProvider, or the setting oidc_allow_private"
_CLOCKS = frozenset({Cause.EXPIRED, Cause.NOT_YET_VALID, Cause.ISSUED_IN_FUTURE})
_OTHER_RSA = frozenset({"RS384", "RS512", "PS256", "PS384", "PS512"})
_BITS = {"EdDSA": "512"}  # Ed25519 uses SHA-512; the names of other algorithms end in their hash


@dataclass(frozen=True, slots=True)
class IDToken:
    """Hold the claims of an ID token that is signed by its provider, for this client, and valid now.

    Attributes:
        claims: its claims.
        algorithm: the `alg` of its header.
    """

    claims: Mapping[str, Any]
    algorithm: str

    def check_client(self, client_id: str) -> None:
        """Check the authorized party (OpenID Connect Core section 3.1.3.7, steps 4 and 5)."""
        audience = self.claims.get("aud")
        many = isinstance(audience, list) and len(audience) > 1
        if self.claims.get("azp", None if many else client_id) != client_id:
            raise SocialSignInError("an ID token for another party")

    def check_nonce(self, nonce: str, *, is_repeated: bool) -> None:
        """Check that the token belongs to this attempt.

        Args:
            nonce: the nonce of the attempt.
            is_repeated: whether the token must contain it; a wrong nonce is refused in any case.
        """
        repeated = self.claims.get("nonce", None if is_repeated else nonce)
        if not isinstance(repeated, str) or not compare_digest(repeated.encode(), nonce.encode()):
            raise SocialSignInError("an ID token for another sign-in", SocialReason.NONCE_MISMATCH)

    def check_access_token(self, access_token: str) -> None:
        """Check that an access token was issued with this token, if it has an `at_hash` (section 3.1.3.8)."""
        expected = self.claims.get("at_hash")
        if expected is None:
            return
        digest = new_hash(
            f"sha{_BITS.get(self.algorithm, self.algorithm[-3:])}", access_token.encode()
        ).digest()
        computed = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
        if not isinstance(expected, str) or not compare_digest(expected.encode(), computed.encode()):
            raise SocialSignInError("an ID token for another access token")

    def auth_time(self, now: float) -> float:
        """Return the time of the sign-in at the provider; 0 if it is unknown."""
        signed_in = self.claims.get("auth_time", 0)
        if not is_date(signed_in) or signed_in > now + LEEWAY:
            raise SocialSignInError("an ID token with a time of sign-in that cannot be")
        return float(signed_in)


class IDTokenVerifier(JWTVerifier):
    """Verify the ID tokens of one provider, whose keys are found by discovery.

    Args:
        issuer: the issuer of the provider.
        client_id: the client id of this service; the audience.
        http: the connection to the provider.
    """

    def __init__(self, issuer: str, client_id: str, http: HTTPOptions) -> None:
        super().__init__(
            _ProviderKeySet(issuer, http=http),
            algorithms=ASYMMETRIC,
            issuer=issuer,
            audience=client_id,
            leeway=LEEWAY,
            required_claims=("exp", "iat", "sub"),
            token_types=(None, "JWT"),
            id_tokens=True,
        )
        # A sign-in that fails leaves an event with the reason.
        self._expected = replace(self._expected, report_mismatch=report_no_mismatch)

    def metadata(self, now: float) -> Flow[Mapping[str, Any]]:
        """Return the metadata of the provider (OpenID Connect Discovery section 4).

        Raises:
            UnusableAnswerError: if the metadata is invalid.
            FetchFailedError: if no answer comes.
        """
        source = self._source
        assert isinstance(source, _ProviderKeySource)  # noqa: S101 (of `_ProviderKeySet`, above)
        return source.metadata(now)

    def read(self, text: str, now: float) -> Flow[IDToken]:
        """Verify an ID token, and return it.

        Raises:
            SocialSignInError: if it is invalid.
            VerificationUnavailableError: if the keys of the provider cannot be fetched.
        """
        try:
            verified = yield from as_flow(self.flow(Credential(text, "bearer"), now))
        except InvalidTokenError as error:
            raise SocialSignInError(f"an ID token that does not hold: {error.reason}") from None
        assert isinstance(verified, _VerifiedIDToken)  # noqa: S101 (of `_verified`, below)
        return verified.token

    def _verified(
        self, token: Token, credential: Credential, now: float, key: VerificationKey, known_until: float
    ) -> Verified:
        _, claims = read_claims(token)
        try:
            verified = super()._verified(token, credential, now, key, known_until)
        except InvalidTokenError as error:
            if error.cause not in _CLOCKS:
                raise
            raise _clocks_differ(claims, now) from None
        return _VerifiedIDToken(verified, IDToken(claims, token.header.algorithm))


class _VerifiedIDToken(Verified):
    """Hold an ID token beside its principal."""

    def __init__(self, verified: Verified, token: IDToken) -> None:
        super().__init__(verified.principal, verified.until)
        self.token = token


class _ProviderKeySet(IssuerKeySet):
    """Describe the keys of a provider, whose metadata is needed for more than the keys."""

    def source(self, place: Place, remote: Remote, algorithms: frozenset[str]) -> KeySource:
        """Return the key source."""
        remote.private_option = ALLOW_PRIVATE
        return _ProviderKeySource(place, remote, algorithms)


class _ProviderKeySource(IssuerKeySource):
    """Fetch the keys of a provider, and cache its metadata."""

    _document: Mapping[str, Any] = MappingProxyType({})

    def metadata(self, now: float) -> Flow[Mapping[str, Any]]:
        """Return the metadata, cached as long as its answer allows, or in an outage the last valid one."""
        yield from self.locate(self._state, now)
        return self._document

    def _read(self, document: dict[str, object]) -> Location:
        location = super()._read(document)
        self._document = document
        names = location.algorithms or frozenset({"RS256"})
        # An RSA key without an alg is for the default algorithm of clients (OpenID Connect Dynamic Client
        # Registration section 2).
        return location._replace(algorithms=names - _OTHER_RSA if "RS256" in names else names)


def _clocks_differ(claims: Mapping[str, Any], now: float) -> SocialSignInError:
    """Return the refusal of a token with an impossible time, which names the difference of the clocks."""
    issued = claims.get("iat")
    ahead = int(issued - now) if is_date(issued) else 0
    told = f"{abs(ahead)} seconds {'after' if ahead > 0 else 'before'} now"
    return SocialSignInError(
        f"an ID token that was issued {told} by the clock of this machine", SocialReason.CLOCK_SKEW
    )
