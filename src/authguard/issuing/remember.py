"""Issue tokens by which a browser is remembered. No guard accepts them as access tokens."""

import secrets
from collections.abc import Callable

from authguard._core.options import Duration, check_whole_seconds
from authguard.issuing.signing_key import SigningKey
from authguard.verifiers.jwt import JWTVerifier

#: The longest time for which a browser is remembered, because browsers keep no cookie longer (RFC 6265bis
#: section 5.5).
MAX_LIFETIME = 400 * 86_400
_TYPE = "remember+jwt"


class RememberTokens:
    """Issue tokens that record which user signed in in a browser, and when. They give no access.

    Args:
        key: the signing key.
        key_id: its `kid`; None for no `kid`.
        issuer: the `iss`. The type and audience differ from those of access tokens, so that no verifier of
            access tokens accepts them.
        lifetime: seconds, or a timedelta, for which a browser is remembered.
        clock: seconds since the epoch.

    Attributes:
        lifetime: in seconds.
    """

    def __init__(
        self,
        key: SigningKey,
        key_id: str | None,
        issuer: str,
        lifetime: float | Duration,
        clock: Callable[[], float],
    ) -> None:
        self.lifetime = check_whole_seconds(lifetime, "lifetime", MAX_LIFETIME, least=1)
        self._key = key
        self._key_id = key_id
        self._issuer = issuer
        self._clock = clock

    @property
    def _audience(self) -> str:
        return f"{self._issuer}#remember"

    def now(self) -> int:
        """Return whole seconds since the epoch."""
        return int(self._clock())

    def issue(self, subject: str, session: str, *, auth_time: int | None = None) -> str:
        """Return a token for a browser in which a user has just signed in.

        Args:
            subject: the user's subject.
            session: the `sid` of the new session.
            auth_time: the time of the sign-in, in seconds since the epoch; None for now.
        """
        now = self.now()
        body = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "sid": session,
            "iat": now,
            "auth_time": now if auth_time is None else auth_time,
            "exp": now + self.lifetime,
            "jti": secrets.token_urlsafe(16),
        }
        return self._key.sign(body, _TYPE, self._key_id)

    def verifier(self) -> JWTVerifier:
        """Return a verifier that accepts only these tokens."""
        key: object = self._key.key
        if not self._key.is_secret:
            key = {"keys": [{**self._key.public_jwk(), "kid": self._key_id}]}
        return JWTVerifier(
            key,
            algorithms=[self._key.algorithm],
            issuer=self._issuer,
            audience=self._audience,
            token_types=[_TYPE],
            required_claims=["exp", "sub", "sid", "auth_time"],
        )
