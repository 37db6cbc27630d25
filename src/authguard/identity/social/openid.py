"""Sign in with providers of OpenID Connect, such as LinkedIn."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from authguard._core.flow import FetchFailedError
from authguard._core.options import check_flag, check_function, check_named_url, check_text, got
from authguard.drivers.blocking import run
from authguard.errors import ConfigurationError, VerificationUnavailableError
from authguard.identity.errors import ProviderSetUpError, ProviderUnavailableError, SocialSignInError
from authguard.identity.model import SocialIdentity
from authguard.identity.social.client import read_document
from authguard.identity.social.id_tokens import ALLOW_PRIVATE, IDToken, IDTokenVerifier
from authguard.identity.social.provider import (
    Provider,
    is_verified,
    picture_or_none,
    secure_url,
    text_or_none,
)
from authguard.identity.social_reasons import SocialReason
from authguard.verifiers.key_source import UnusableAnswerError


class OpenIDProvider(Provider):
    """Sign in with a provider of OpenID Connect, discovered from its issuer.

    Args:
        name: the name in paths.
        issuer: the issuer in its metadata and ID tokens.
        client_id: the client id of this service at the provider.
        client_secret: the client secret.
        redirect_uris: the allowed redirect URIs.
        scope: the requested scope; it includes `openid`.
        timeout: seconds, or a timedelta, for one sign-in with all its requests.
        auth_method: how the secret is sent: `client_secret_basic` or `client_secret_post`.
        allow_private: whether the provider's metadata may refer to another host on this machine, or to an
            address in a private network.
        repeats_nonce: whether its ID tokens contain the nonce, as the standard requires. If False, only PKCE
            binds a code to its browser. A wrong nonce is refused in any case.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
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
        secure_url(issuer, f"{name}: issuer")
        if "openid" not in check_text(scope, f"{name}: scope").split(" "):
            raise ConfigurationError(
                f"{name}: scope must name openid, got {got(scope)}: without it there is no ID token; write "
                f'"openid {scope}"'
            )
        super().__init__(
            name,
            client_id,
            client_secret,
            redirect_uris=redirect_uris,
            scope=scope,
            timeout=timeout,
            auth_method=auth_method,
            url=issuer,
            allow_private=check_flag(allow_private, f"{name}: allow_private"),
        )
        self.issuer = self._issuer = issuer
        self._allow_private = allow_private
        self._repeats_nonce = check_flag(repeats_nonce, f"{name}: repeats_nonce")
        check_function(clock, f"{name}: clock", "clock=time.time", or_none=False)
        self._clock = clock
        self._verifier = IDTokenVerifier(issuer, client_id, self._client.http)

    def _endpoint(self, name: str) -> str:
        url = self._discovered().get(name)
        if not isinstance(url, str):
            raise ProviderSetUpError(
                f"the metadata of {self.name} have no {name}", SocialReason.PROVIDER_DOWN
            )
        try:
            return check_named_url(
                url, name, self._issuer, allow_private=self._allow_private, option=ALLOW_PRIVATE
            )
        except ConfigurationError as error:
            raise ProviderSetUpError(
                f"{self.name} names an unusable {name}: {error}", SocialReason.PROVIDER_DOWN
            ) from None

    def names_issuer(self) -> bool:
        """Return whether callbacks name the issuer, according to the metadata."""
        return self._discovered().get("authorization_response_iss_parameter_supported") is True

    def _discovered(self) -> Mapping[str, Any]:
        """Return the metadata (OpenID Connect Discovery section 4)."""
        return self._attempts.run(lambda: self._attempts.share("metadata", self._discover))

    def _discover(self) -> Mapping[str, Any]:
        try:
            return run(self._verifier.metadata(self._clock()))
        except FetchFailedError as error:
            raise self._client.outage(error) from None
        except UnusableAnswerError as error:
            raise ProviderUnavailableError(f"{self.name} is down: {error}") from None

    def _identify(self, token: Mapping[str, Any], nonce: str | None) -> SocialIdentity:
        now = self._clock()
        id_token = self._verify(token.get("id_token"), now)
        id_token.check_client(self.client_id)
        id_token.check_access_token(token["access_token"])
        if nonce is not None:
            id_token.check_nonce(nonce, is_repeated=self._repeats_nonce)
        claims = about = id_token.claims
        if not text_or_none(claims.get("email")) and "userinfo_endpoint" in self._discovered():
            about = self._userinfo(token["access_token"], claims["sub"])
        return SocialIdentity(
            provider=self.name,
            subject=claims["sub"],
            email=text_or_none(about.get("email")),
            email_verified=is_verified(about.get("email_verified")),
            name=text_or_none(about.get("name")) or "",
            picture=picture_or_none(about.get("picture")),
            auth_time=id_token.auth_time(now),
        )

    def _verify(self, text: object, now: float) -> IDToken:
        """Verify an ID token, and return it (OpenID Connect Core section 3.1.3.7)."""
        if not isinstance(text, str):
            raise SocialSignInError("the provider sent no ID token")
        try:
            return run(self._verifier.read(text, now))
        except VerificationUnavailableError as error:
            raise ProviderUnavailableError(
                error.reason, SocialReason.KEYS_DOWN, retry_after=error.retry_after
            ) from None

    def _userinfo(self, access_token: str, subject: str) -> Mapping[str, Any]:
        """Return the provider's UserInfo about the subject of an ID token (section 5.3)."""
        response = self._get(self._endpoint("userinfo_endpoint"), access_token)
        about = read_document(response)
        if response.status != 200 or not isinstance(about, dict):
            raise self._outage(response)
        if about.get("sub") != subject:
            raise SocialSignInError("userinfo is about another subject")
        return about

    def close(self) -> None:
        """Close the connections."""
        super().close()
        for channel in self._verifier.channels():
            for opened in list(channel.opened.values()):
                opened.close()


class LinkedIn(OpenIDProvider):
    """Sign in with LinkedIn, using OpenID Connect ("Sign In with LinkedIn using OpenID Connect").

    Args:
        client_id: of the application.
        client_secret: of the application.
        redirect_uris: the allowed redirect URIs.
        timeout: seconds, or a timedelta, for one sign-in with all its requests.
        issuer: LinkedIn's issuer; another one in tests.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
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
