"""Verify the service's own tokens with its own keys."""

from collections.abc import Iterator
from functools import partial

from authguard._core.encoding import encode_base64url
from authguard._core.flow import Call, Flow
from authguard._core.jose.claims import read_claims
from authguard._core.jose.compact import Token, read_compact
from authguard._core.model import Credential
from authguard._core.options import is_numeric_date
from authguard._core.verifier import Verified, Verifier, as_flow
from authguard.errors import Cause, ExpiredTokenError, InvalidSignatureError
from authguard.identity.settings import Settings
from authguard.identity.tokens.signing import SigningKey, SigningKeys
from authguard.verifiers.jwt import JWTVerifier

#: Seconds by which the clocks of the machines of a service may differ.
MAX_AHEAD = 30


class OwnTokens(Verifier):
    """Verify the tokens of this service with its own keys, regardless of the process that issued them.

    Args:
        settings: issuer and audience.
        keys: the keys.
        at_any_time: True also accepts tokens that have expired, or that a machine whose clock is ahead has
            issued, for ending them.
    """

    #: A guard chooses by issuer between these tokens and those of a `JWTVerifier`.
    together = JWTVerifier.together
    padding = False

    def __init__(self, settings: Settings, keys: SigningKeys, *, at_any_time: bool = False) -> None:
        self.issuers = settings.issuer
        self.algorithms = frozenset({settings.algorithm})
        self.jwts = frozenset({(settings.issuer, settings.algorithm)})
        self._keys = keys
        self._at_any_time = at_any_time
        self._make = partial(
            JWTVerifier,
            algorithms=[settings.algorithm],
            issuer=settings.issuer,
            audience=settings.token_audience,
            leeway=0,
            required_claims=("exp", "sub", "iat", "jti"),
            # older tokens, from before accounts could have several roles, have only `role`
            role_claims=("roles", "role"),
            tier_claim="tier",
        )
        secrets = settings.secrets if keys.is_shared_secret else ()
        # As JWKs, because the settings accept a previous secret that has, say, a comment.
        self._by_secret = [
            self._make({"kty": "oct", "k": encode_base64url(secret.encode())}) for secret in secrets
        ]
        self._built: tuple[tuple[SigningKey, ...], JWTVerifier | None] = ((), None)

    def accepts(self, credential: Credential) -> bool:
        """Return whether a credential looks like a JWT."""
        return credential.method != "api_key" and credential.value.count(".") == 2

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a token with the service's keys."""
        return self.verify(read_compact(credential.value), credential, now)

    def verify(self, token: Token, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify with the secrets, or with the loaded key set, reading it again if the key is not in it."""
        if self._by_secret:
            return self._verify_by_secret(token, credential, now)
        if self._keys.knows(token.header.key_id):
            return _verified(self._verifier(), token, credential, self._moment(token, now))
        return self._verify_after_reload(token, credential, now)

    def _verify_by_secret(
        self, token: Token, credential: Credential, now: float
    ) -> Flow[Verified] | Verified:
        """Try the secrets, the newest first, because a token does not name the secret that signed it."""
        now = self._moment(token, now)
        *newer, last = self._by_secret
        for verifier in newer:
            try:
                return _verified(verifier, token, credential, now)
            except InvalidSignatureError:
                continue
        return _verified(last, token, credential, now)

    def _verify_after_reload(self, token: Token, credential: Credential, now: float) -> Flow[Verified]:
        yield from Call(self._keys.reload, now)
        moment = self._moment(token, now)
        return (yield from as_flow(_verified(self._verifier(), token, credential, moment)))

    def _moment(self, token: Token, now: float) -> float:
        """Return the time at which a token must be valid: now, or when it began to be."""
        if not self._at_any_time:
            return now
        _, claims = read_claims(token)  # read before the token is verified
        begins = [claims[name] for name in ("iat", "nbf") if is_numeric_date(claims.get(name))]
        return max(begins, default=now)

    def _verifier(self) -> JWTVerifier:
        keys, verifier = self._built
        if verifier is None or keys is not self._keys.source():
            keys = self._keys.source()
            if not keys:
                raise InvalidSignatureError("nothing has been signed yet", cause=Cause.UNKNOWN_KEY)
            verifier = self._make({"keys": [key.public_jwk for key in keys]})
            self._built = (keys, verifier)
        return verifier

    def __repr__(self) -> str:
        return f"OwnTokens(issuer={self.issuers!r}, algorithms={sorted(self.algorithms)})"


class TokensForGuards(OwnTokens):
    """Verify the tokens of this service for the guard of an application in the same process.

    The guards of the service itself use `OwnTokens`, because they check sessions, which include logouts.

    Args:
        settings: issuer, audience and cookie.
        keys: the keys.
    """

    def __init__(self, settings: Settings, keys: SigningKeys) -> None:
        super().__init__(settings, keys)
        self._cookie = settings.access_cookie.name
        self._has_pages = settings.pages
        self.sentences_on = self._sentences_on
        #: The same for guards that check sessions themselves.
        self.alone = OwnTokens(settings, keys)

    def _sentences_on(
        self, login_path: str | None, cookie: str | None, has_revocations: bool
    ) -> Iterator[str]:
        """Yield a sentence if logouts have no effect, and if browsers would sign in without an end."""
        if not has_revocations:
            yield (
                f"revocations must be given with {self!r}, got None, so that tokens are accepted after a "
                "logout until they expire: write revocations=service.revocations"
            )
        is_other = cookie is None or (self._has_pages and cookie != self._cookie)
        if login_path is not None and is_other:
            yield (
                f"cookie must be that of the service, {self._cookie!r}, with login_path={login_path!r}, got "
                f"{cookie!r}, so that browsers are redirected to the login page again and again: write "
                "cookie=service.settings.access_cookie"
            )


def _verified(
    verifier: JWTVerifier, token: Token, credential: Credential, now: float
) -> Flow[Verified] | Verified:
    """Verify a token that a machine whose clock is ahead may have issued a moment ago.

    A leeway would accept expired tokens for longer, too.
    """
    try:
        return verifier.verify(token, credential, now)
    except ExpiredTokenError as error:
        if error.cause is not Cause.ISSUED_IN_FUTURE:
            raise
    return verifier.verify(token, credential, now + MAX_AHEAD)
