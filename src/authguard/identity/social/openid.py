"""Sign in with providers of OpenID Connect, of which LinkedIn is one; joserfc verifies their ID tokens."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from hmac import compare_digest
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from authguard._core.options import check_flag, check_function, check_named_url, is_numeric_date
from authguard.errors import ConfigurationError, VerificationUnavailableError
from authguard.identity.errors import SocialSignInError
from authguard.identity.model import SocialIdentity
from authguard.identity.social.provider import Provider, picture_or_none, secure_url, text_or_none

logger = logging.getLogger("authguard")

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_METADATA_SECONDS = 3_600.0
_KEYS_SECONDS = 300.0
_KEYS_AGAIN_SECONDS = 30.0  # how soon to look for a new key
_LEEWAY = 30  # seconds
_ALLOW_PRIVATE = "allow_private=True of OpenIDProvider, or the setting oidc_allow_private"


class OpenIDProvider(Provider):
    """Sign in with a provider of OpenID Connect, found by discovery from its issuer.

    Args:
        name: what it is called in paths.
        issuer: what its metadata and its ID tokens say it is.
        client_id: who this service is, to the provider.
        client_secret: the proof of it.
        redirect_uris: where browsers may come back to.
        scope: what is asked for.
        timeout: seconds, or a timedelta, for one sign-in, however many requests it takes.
        auth_method: how the proof is sent: `client_secret_basic` or `client_secret_post`.
        allow_private: whether the provider's metadata may lead to another host on this machine, or to an
            address in a private network.
        repeats_nonce: whether its ID tokens repeat the nonce, as the standard has it; if False,
            PKCE alone binds a code to its browser. A wrong nonce is refused in any case.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: for an option of another type or out of range.
    """

    _is_openid = True

    def __init__(
        self,
        name: str,
        issuer: str,
        client_id: str,
        client_secret: str,
        *,
        redirect_uris: Iterable[str],
        scope: str = "openid profile email",
        timeout: float | timedelta = 5.0,
        auth_method: str = "client_secret_basic",
        allow_private: bool = False,
        repeats_nonce: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            name,
            client_id,
            client_secret,
            redirect_uris=redirect_uris,
            scope=scope,
            timeout=timeout,
            auth_method=auth_method,
        )
        self.issuer = secure_url(issuer, f"{name}: issuer")
        self._allow_private = check_flag(allow_private, f"{name}: allow_private")
        self._repeats_nonce = check_flag(repeats_nonce, f"{name}: repeats_nonce")
        check_function(clock, f"{name}: clock", "clock=time.time", or_none=False)
        self._clock = clock
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def _endpoint(self, name: str) -> str:
        url = self._discovered().get(name)
        if not isinstance(url, str):
            raise VerificationUnavailableError(f"{self.name} says no {name}")
        try:
            return check_named_url(
                url, name, self.issuer, allow_private=self._allow_private, option=_ALLOW_PRIVATE
            )
        except ConfigurationError as error:
            reason = f"{self.name} names an unusable {name}: {error}"
            logger.warning("%s", reason)  # only an operator can mend it
            raise VerificationUnavailableError(reason) from None

    def _discovered(self) -> dict[str, Any]:
        """Return the metadata (OpenID Connect Discovery section 4), an hour old at most."""
        cached = self._metadata
        if cached is not None and 0 <= self._clock() - cached[0] < _METADATA_SECONDS:
            return cached[1]
        return self._attempts.run(lambda: self._attempts.share("metadata", self._discover))

    def _discover(self) -> dict[str, Any]:
        now = self._clock()
        try:
            metadata = self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise self._outage(error) from None
        if not isinstance(metadata, dict) or metadata.get("issuer") != self.issuer:
            raise VerificationUnavailableError(f"{self.name} says it is another issuer")
        self._metadata = (now, metadata)
        return metadata

    def _identify(self, token: Mapping[str, Any], nonce: str | None) -> SocialIdentity:
        claims = self._verify(token.get("id_token"), nonce)
        about: dict[str, Any] = claims
        if not text_or_none(claims.get("email")) and "userinfo_endpoint" in self._discovered():
            about = self._get(self._endpoint("userinfo_endpoint"), token["access_token"])
            if not isinstance(about, dict) or about.get("sub") != claims["sub"]:
                raise SocialSignInError("userinfo is about somebody else")
        return SocialIdentity(
            provider=self.name,
            subject=claims["sub"],
            email=text_or_none(about.get("email")),
            email_verified=about.get("email_verified") is True,
            name=text_or_none(about.get("name")) or "",
            picture=picture_or_none(about.get("picture")),
            auth_time=float(claims.get("auth_time", 0)),
        )

    def _verify(self, id_token: Any, nonce: str | None) -> dict[str, Any]:
        """Return the claims of an ID token that is valid (OpenID Connect Core section 3.1.3.7)."""
        if not isinstance(id_token, str):
            raise SocialSignInError("the provider sent no ID token")
        claims = self._read(id_token)
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self.issuer or self._client_id not in audiences:
            raise SocialSignInError("an ID token of another issuer, or for somebody else")
        if claims.get("azp", None if len(audiences) > 1 else self._client_id) != self._client_id:
            raise SocialSignInError("an ID token for another party")
        now, expires, issued = self._clock(), claims.get("exp"), claims.get("iat")
        if not is_numeric_date(expires) or not is_numeric_date(issued) or now >= expires + _LEEWAY:
            raise SocialSignInError("an ID token that has expired")
        if issued > now + _LEEWAY:
            raise SocialSignInError("an ID token from the future")
        signed_in = claims.get("auth_time", 0)
        if not is_numeric_date(signed_in) or not 0 <= signed_in <= now + _LEEWAY:
            raise SocialSignInError("an ID token with a time of sign-in that cannot be")
        if not text_or_none(claims.get("sub")):
            raise SocialSignInError("an ID token about nobody")
        repeated = claims.get("nonce", nonce if not self._repeats_nonce else None)
        if nonce is not None and not compare_digest(str(repeated).encode(), nonce.encode()):
            raise SocialSignInError("an ID token for another sign-in")
        return claims

    def _read(self, id_token: str) -> dict[str, Any]:
        """Return the claims of an ID token that a key of the provider has signed, perhaps a new one."""
        for max_age in (_KEYS_SECONDS, _KEYS_AGAIN_SECONDS):
            try:
                keys = self._key_set(max_age)
                return dict(jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims)
            except (JoseError, ValueError):
                continue
        raise SocialSignInError("an ID token that is not signed by its provider")

    def _key_set(self, max_age: float) -> KeySet:
        """Return the keys of the provider, fetched again if they are older than `max_age` seconds."""
        cached = self._keys
        if cached is not None and 0 <= self._clock() - cached[0] < max_age:
            return cached[1]
        return self._attempts.share("keys", self._fetch_keys)

    def _fetch_keys(self) -> KeySet:
        url, now = self._endpoint("jwks_uri"), self._clock()
        try:
            keys = KeySet.import_key_set(self._get(url))
        except (httpx2.HTTPError, httpx2.InvalidURL, JoseError, LookupError, TypeError, ValueError) as error:
            raise self._outage(error) from None
        self._keys = (now, keys)
        return keys


class LinkedIn(OpenIDProvider):
    """Sign in with LinkedIn, by OpenID Connect ("Sign In with LinkedIn using OpenID Connect").

    Args:
        client_id: of the application.
        client_secret: of the application.
        redirect_uris: where browsers may come back to.
        timeout: seconds, or a timedelta, for one sign-in, however many requests it takes.
        issuer: LinkedIn's, unless in tests.

    Raises:
        ConfigurationError: for an option of another type or out of range.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        redirect_uris: Iterable[str],
        timeout: float | timedelta = 5.0,
        issuer: str = "https://www.linkedin.com/oauth",
    ) -> None:
        super().__init__(
            "linkedin",
            issuer,
            client_id,
            client_secret,
            redirect_uris=redirect_uris,
            timeout=timeout,
            auth_method="client_secret_post",
            repeats_nonce=False,
        )
