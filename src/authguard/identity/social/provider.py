"""Sign in at another service: what all providers have in common.

A provider makes the URL that a browser is sent to, and exchanges the code that comes back for a
`SocialIdentity`. Authlib speaks OAuth. Everything here blocks.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, cast

import httpx2
from authlib.integrations.httpx_client import OAuthError

from authguard._cookiejar import NoCookies
from authguard._core.options import check_choice, check_list, check_seconds, check_text, check_url
from authguard.errors import VerificationUnavailableError
from authguard.identity.errors import InvalidFieldsError, SocialSignInError
from authguard.identity.model import SocialIdentity
from authguard.identity.social.attempts import Attempts, NoAnswerError, ProviderClient
from authguard.verifiers.secret_text import check_secret_text

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_MAX_TIMEOUT = 60.0
_MAX_AGE = 365 * 86_400  # seconds
_OUR_FAULT = ("invalid_client", "unauthorized_client", "incorrect_client_credentials")
_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")


class Provider:
    """Define a provider to sign in with.

    Args:
        name: what it is called in paths, such as `github`.
        client_id: who this service is, to the provider.
        client_secret: the proof of it.
        redirect_uris: where browsers may come back to, compared exactly (RFC 9700 section 2.1).
        scope: what is asked for.
        timeout: seconds, or a timedelta, for one sign-in, however many requests it takes.
        auth_method: how the secret is sent: `client_secret_basic`, `client_secret_post`, or `none` for a
            client without one.

    Raises:
        ConfigurationError: for an option of another type or out of range.
    """

    def __init__(
        self,
        name: str,
        client_id: str,
        client_secret: str,
        *,
        redirect_uris: Iterable[str],
        scope: str,
        timeout: float | timedelta = 5.0,
        auth_method: str = "client_secret_basic",
    ) -> None:
        check_text(name, "name", pattern=_NAME, must="be lower-case letters, digits and hyphens")
        check_text(client_id, f"{name}: client_id")
        check_text(client_secret, f"{name}: client_secret", secret=True)
        check_secret_text(client_secret, f"{name}: client_secret", chosen_here=False)
        uris = check_list(redirect_uris, f"{name}: redirect_uris", '"https://app.example.com/callback"')
        seconds = check_seconds(timeout, f"{name}: timeout", _MAX_TIMEOUT, exclusive=True)
        check_text(scope, f"{name}: scope")
        check_choice(
            auth_method, f"{name}: auth_method", ("client_secret_basic", "client_secret_post", "none")
        )
        self.name = name
        self.redirect_uris = frozenset(secure_url(uri, f"each of {name}: redirect_uris") for uri in uris)
        self._client_id = client_id
        self._attempts = Attempts(name, seconds)
        self._oauth = ProviderClient(
            client_id,
            client_secret,
            scope=scope,
            token_endpoint_auth_method=auth_method,
            timeout=seconds,
            follow_redirects=False,
            cookies=NoCookies(),
            # Not compressed: nothing that a small answer could be inflated from.
            headers={"User-Agent": "authguard", "Accept": "application/json", "Accept-Encoding": "identity"},
        )
        self._oauth.seconds = seconds

    def authorize_url(
        self,
        *,
        state: str,
        redirect_uri: str,
        nonce: str | None = None,
        code_challenge: str | None = None,
        max_age: int | None = None,
    ) -> str:
        """Return the URL to send a browser to.

        Args:
            state: bound to the browser; comes back with the code.
            redirect_uri: where to come back to; one of those that were configured.
            nonce: comes back in the ID token.
            code_challenge: of PKCE, by S256 (RFC 7636 section 4.2).
            max_age: seconds, for a sign-in that must not be silent; None where it may be.

        Raises:
            InvalidFieldsError: for another `redirect_uri`.
            VerificationUnavailableError: if the provider has to be asked, and is down.
        """
        self._check_redirect_uri(redirect_uri)
        parameters: dict[str, str] = {"redirect_uri": redirect_uri}
        if nonce is not None and self._is_openid:
            parameters["nonce"] = nonce
        if self._is_openid:
            parameters |= _recency(max_age)
        if code_challenge is not None:
            parameters |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
        url, _ = self._oauth.create_authorization_url(
            self._endpoint("authorization_endpoint"), state, **parameters
        )
        return cast("str", url)

    def exchange(
        self, code: str, redirect_uri: str, *, code_verifier: str | None = None, nonce: str | None = None
    ) -> SocialIdentity:
        """Exchange a code for the identity that it stands for; blocks while the provider is asked.

        Args:
            code: what the browser came back with.
            redirect_uri: where it came back to.
            code_verifier: of PKCE, if there was a challenge.
            nonce: what the ID token has to repeat; None if whoever sent the browser there keeps it.

        Raises:
            InvalidFieldsError: for a `redirect_uri` that was not configured.
            SocialSignInError: if the provider says no, or an ID token does not hold.
            VerificationUnavailableError: if the provider is down, or does not know this service.
        """
        self._check_redirect_uri(redirect_uri)
        parameters = {"code_verifier": code_verifier} if code_verifier is not None else {}
        return self._attempts.run(lambda: self._exchange(code, redirect_uri, nonce, parameters))

    def _exchange(
        self, code: str, redirect_uri: str, nonce: str | None, parameters: Mapping[str, str]
    ) -> SocialIdentity:
        try:
            token = self._oauth.fetch_token(
                self._endpoint("token_endpoint"),
                grant_type="authorization_code",
                code=code,
                redirect_uri=redirect_uri,
                **parameters,
            )
            if not isinstance(token.get("access_token"), str):
                raise VerificationUnavailableError(f"{self.name} gives no access token")
            return self._identify(token, nonce)
        except OAuthError as error:
            if error.error in _OUR_FAULT:
                raise VerificationUnavailableError(f"{self.name} refuses our client: {error.error}") from None
            raise SocialSignInError("the provider refused the code") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise self._outage(error) from None

    def close(self) -> None:
        """Close the connections."""
        self._oauth.close()  # pyright: ignore[reportAttributeAccessIssue]  # httpx's own, which the stubs leave out

    _is_openid = False

    def _endpoint(self, name: str) -> str:
        raise NotImplementedError

    def _identify(self, token: Mapping[str, Any], nonce: str | None) -> SocialIdentity:
        raise NotImplementedError

    def _check_redirect_uri(self, redirect_uri: str) -> None:
        if redirect_uri not in self.redirect_uris:
            raise InvalidFieldsError({"redirect_uri": ["is not one that this service is configured with"]})

    def _get(self, url: str, access_token: str | None = None) -> Any:
        """Fetch the JSON at a URL."""
        headers = {} if access_token is None else {"Authorization": f"Bearer {access_token}"}
        response = self._oauth.request("GET", url, headers=headers, withhold_token=True)
        response.raise_for_status()
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        return response.json()

    def _outage(self, error: Exception) -> VerificationUnavailableError:
        # The text of the error may hold the URL with what was sent.
        reason = f"{self.name} is down: {type(error).__name__}"
        is_late = isinstance(error, httpx2.TimeoutException)
        return NoAnswerError(reason) if is_late else VerificationUnavailableError(reason)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def _recency(max_age: int | None) -> dict[str, str]:
    """Return the parameters for a sign-in and the time of it (OpenID Connect Core section 3.1.2.1)."""
    if max_age is not None:
        return {"prompt": "login", "max_age": str(max_age)}
    # It asks for no sign-in, but with any `max_age` an ID token has an `auth_time`.
    return {"max_age": str(_MAX_AGE)}


def secure_url(url: object, option: str) -> str:
    """Check a URL of a provider: https, or http on loopback, without user and fragment.

    Raises:
        ConfigurationError: if it is not.
    """
    return check_url(url, option, reason="codes and tokens are sent there")


def text_or_none(value: object) -> str | None:
    """Return a value that is text and not empty; None for others."""
    return value if isinstance(value, str) and value else None


def picture_or_none(value: object) -> str | None:
    """Return the address of a picture that a page may show: https only, as it comes from outside."""
    text = text_or_none(value)
    return text if text is not None and text.startswith("https://") and len(text) <= 2048 else None
