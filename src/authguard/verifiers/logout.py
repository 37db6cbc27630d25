"""Verify logout tokens: signature, algorithms and keys as for access tokens, claims as in OpenID Connect."""

from collections.abc import Iterable

from authguard._core.flow import Flow
from authguard._core.jose.claims import read_claims
from authguard._core.jose.compact import Token
from authguard._core.jose.jwk import VerificationKey
from authguard._core.jose.logout_claims import Logout, read_logout
from authguard._core.model import Credential, Principal
from authguard._core.options import got
from authguard._core.verifier import Verified, as_flow
from authguard.errors import ConfigurationError
from authguard.verifiers.jwt import JWTVerifier


class LogoutTokenVerifier(JWTVerifier):
    """Verify logout tokens of one issuer.

    Args:
        keys: as for `JWTVerifier`.
        algorithms: as for `JWTVerifier`.
        issuer: the exact `iss`.
        audience: the `client_id` of the application at the issuer, or several.
        leeway: seconds by which clocks may differ.
        token_types: accepted `typ` of the header.
    """

    def __init__(
        self,
        keys: object,
        *,
        algorithms: Iterable[str],
        issuer: str,
        audience: str | Iterable[str],
        leeway: float = 30,
        token_types: Iterable[str | None] = ("logout+jwt",),
    ) -> None:
        if not issuer or not audience:
            raise ConfigurationError(
                f"issuer and audience must be given, got {got(issuer)} and {got(audience)}: name the issuer, "
                "and our client_id"
            )
        super().__init__(
            keys,
            algorithms=algorithms,
            issuer=issuer,
            audience=audience,
            leeway=leeway,
            token_types=token_types,
        )

    def read(self, text: str, now: float) -> Flow[Logout]:
        """Return the contents of a logout token; raise `InvalidTokenError` if it is invalid."""
        verified = yield from as_flow(self.flow(Credential(text, "bearer"), now))
        assert isinstance(verified, _VerifiedLogout)  # noqa: S101 (of `_verified`, below)
        return verified.logout

    def _verified(
        self, token: Token, credential: Credential, now: float, key: VerificationKey, known_until: float
    ) -> Verified:
        _, claims = read_claims(token)
        return _VerifiedLogout(read_logout(claims, self._expected, now, kind=token.header.type), now)


class _VerifiedLogout(Verified):
    """Hold a logout instead of a principal."""

    def __init__(self, logout: Logout, until: float) -> None:
        super().__init__(Principal(logout.subject or "logout", issuer=logout.issuer), until)
        self.logout = logout
