"""Sign in at another service: the common part of all providers.

A provider builds the URL to redirect a browser to, and exchanges the code of the callback for a
`SocialIdentity`. All methods block.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from authguard._core.flow import Response
from authguard._core.options import check_choice, check_seconds, check_text, check_url
from authguard.identity.errors import (
    InvalidFieldsError,
    ProviderSetUpError,
    ProviderUnavailableError,
    SocialSignInError,
)
from authguard.identity.model import SocialIdentity
from authguard.identity.setting_checks import check_redirect_uris
from authguard.identity.social.attempts import Attempts
from authguard.identity.social.client import ProviderClient, read_document
from authguard.identity.social_reasons import CLIENT_ERRORS, OUTAGES, SocialReason, clean_code
from authguard.verifiers.client_auth import ClientAuth, ClientProof
from authguard.verifiers.secret_text import check_secret_text

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_MAX_TIMEOUT = 60.0
_MAX_AGE = 365 * 86_400  # seconds
_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
_FORM = {"content-type": "application/x-www-form-urlencoded"}


class Provider:
    """Define a provider for signing in.

    Args:
        name: the name in paths, such as `github`.
        client_id: the client id of this service at the provider.
        client_secret: the client secret.
        redirect_uris: the allowed redirect URIs, compared exactly (RFC 9700 section 2.1).
        scope: the requested scope.
        timeout: seconds, or a timedelta, for one sign-in with all its requests.
        auth_method: how the secret is sent: `client_secret_basic`, `client_secret_post`, or `none` for a
            client that does not send it.
        url: the URL of the provider, to which this service authenticates as a client.
        allow_private: whether its metadata may refer to private networks.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
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
        url: str = "https://provider.invalid",
        allow_private: bool = False,
    ) -> None:
        check_text(name, "name", pattern=_NAME, must="be lower-case letters, digits and hyphens")
        check_text(client_id, f"{name}: client_id")
        check_text(client_secret, f"{name}: client_secret", secret=True)
        check_secret_text(client_secret, f"{name}: client_secret", chosen_here=False)
        uris = check_redirect_uris(redirect_uris, f"{name}: redirect_uris")
        seconds = check_seconds(timeout, f"{name}: timeout", _MAX_TIMEOUT, exclusive=True)
        check_text(scope, f"{name}: scope")
        check_choice(auth_method, f"{name}: auth_method", _AUTH_METHODS)
        self.name = name
        self.redirect_uris = frozenset(uris)
        self.client_id = client_id
        self._scope = scope
        self._attempts = Attempts(name, seconds)
        self._client = ProviderClient(name, url, seconds, allow_private=allow_private)
        self._auth = _client_auth(auth_method, client_id, client_secret)

    def authorize_url(
        self,
        *,
        state: str,
        redirect_uri: str,
        nonce: str | None = None,
        code_challenge: str | None = None,
        max_age: int | None = None,
    ) -> str:
        """Return the URL to redirect a browser to.

        Args:
            state: bound to the browser; returned with the code.
            redirect_uri: the redirect URI; one of the configured ones.
            nonce: returned in the ID token.
            code_challenge: the code challenge of PKCE, by S256 (RFC 7636 section 4.2).
            max_age: the greatest age of the sign-in in seconds; None for any age.

        Raises:
            InvalidFieldsError: if the `redirect_uri` is not configured.
            ProviderUnavailableError: if the provider must be asked and is down.
        """
        self._check_redirect_uri(redirect_uri)
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scope,
            "state": state,
        }
        if nonce is not None and self._is_openid:
            parameters["nonce"] = nonce
        if self._is_openid:
            parameters |= _recency(max_age)
        if code_challenge is not None:
            parameters |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
        return _with_query(self._endpoint("authorization_endpoint"), parameters)

    def names_issuer(self) -> bool:
        """Return whether callbacks must name the issuer (RFC 9207).

        Raises:
            ProviderUnavailableError: if the provider must be asked and is down.
        """
        return False

    def exchange(
        self, code: str, redirect_uri: str, *, code_verifier: str | None = None, nonce: str | None = None
    ) -> SocialIdentity:
        """Exchange a code for an identity; this blocks while the provider is asked.

        Args:
            code: the code of the callback.
            redirect_uri: the redirect URI of the callback.
            code_verifier: the code verifier of PKCE, if a challenge was sent.
            nonce: the nonce that the ID token must contain; None if the application that redirected the
                browser checks it.

        Raises:
            InvalidFieldsError: if the `redirect_uri` is not configured.
            SocialSignInError: if the provider refuses, or an ID token is invalid.
            ProviderUnavailableError: if the provider is down, or refuses this service.
        """
        self._check_redirect_uri(redirect_uri)
        parameters = {"code_verifier": code_verifier} if code_verifier is not None else {}
        return self._attempts.run(lambda: self._exchange(code, redirect_uri, nonce, parameters))

    def _exchange(
        self, code: str, redirect_uri: str, nonce: str | None, parameters: Mapping[str, str]
    ) -> SocialIdentity:
        url = self._endpoint("token_endpoint")
        headers, form = self._auth
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        body = urlencode([*(fields | dict(parameters)).items(), *form]).encode()
        token = self._token_of(self._client.send("POST", url, _FORM | headers, body))
        return self._identify(token, nonce)

    def _token_of(self, response: Response) -> Mapping[str, Any]:
        """Return the answer of the token endpoint (RFC 6749 section 5). GitHub sends errors with 200."""
        token = read_document(response)
        code = clean_code(token.get("error")) if isinstance(token, dict) else ""
        if code and response.status < 500 and response.status != 429:
            self._refuse_code(code)
        if response.status == 401:
            self._refuse_client("the token endpoint answers with status 401", code)
        if response.status != 200 or not isinstance(token, dict):
            raise self._outage(response, code)
        if not isinstance(token.get("access_token"), str):
            raise ProviderUnavailableError(f"{self.name} sent no access token")
        return token

    def _refuse_code(self, code: str) -> NoReturn:
        if code in CLIENT_ERRORS:
            self._refuse_client(code, code)
        if code in OUTAGES:
            raise ProviderUnavailableError(f"{self.name} is down: {code}", provider_error=code)
        raise SocialSignInError(
            "the provider refused the code", SocialReason.CODE_REFUSED, provider_error=code
        )

    def _refuse_client(self, why: str, code: str) -> NoReturn:
        raise ProviderSetUpError(
            f"{self.name} refuses this service as its client: {why}",
            SocialReason.CLIENT_REFUSED,
            provider_error=code,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    _is_openid = False
    #: Of a provider of OpenID Connect; None for others.
    issuer: str | None = None

    def _endpoint(self, name: str) -> str:
        raise NotImplementedError

    def _identify(self, token: Mapping[str, Any], nonce: str | None) -> SocialIdentity:
        raise NotImplementedError

    def _check_redirect_uri(self, redirect_uri: str) -> None:
        if redirect_uri not in self.redirect_uris:
            raise InvalidFieldsError({"redirect_uri": ["is not one that this service is configured with"]})

    def _get(self, url: str, access_token: str) -> Response:
        """Fetch a document with an access token."""
        return self._client.send("GET", url, {"authorization": f"Bearer {access_token}"})

    def _outage(self, response: Response, code: str = "") -> ProviderUnavailableError:
        """Return the error for an unusable answer."""
        reason = f"{self.name} is down: it answers with status {response.status}"
        if response.status == 200:
            reason = f"{self.name} is down: its answer cannot be read"
        return ProviderUnavailableError(reason, provider_error=code)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def _recency(max_age: int | None) -> dict[str, str]:
    """Return the parameters for a recent sign-in, and its time (OpenID Connect Core section 3.1.2.1)."""
    if max_age is not None:
        return {"prompt": "login", "max_age": str(max_age)}
    # This value requires no new sign-in, but with any `max_age` the provider adds `auth_time`.
    return {"max_age": str(_MAX_AGE)}


def _client_auth(method: str, client_id: str, client_secret: str) -> ClientProof:
    """Return the client authentication for a request."""
    if method == "none":
        return ClientProof({}, [("client_id", client_id)])
    make = ClientAuth.basic if method == "client_secret_basic" else ClientAuth.post
    return make(client_id, client_secret).proof("", 0)


def _with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Add parameters to the query of a URL, which may have some already (RFC 6749 section 3.1)."""
    parts = urlsplit(url)
    own = parse_qsl(parts.query, keep_blank_values=True)
    return urlunsplit(parts._replace(query=urlencode([*own, *parameters.items()])))


def secure_url(url: object, option: str) -> str:
    """Check a URL of a provider: https, or http on loopback, without user and fragment.

    Raises:
        ConfigurationError: if it is not.
    """
    return check_url(url, option, reason="codes and tokens are sent there")


def text_or_none(value: object) -> str | None:
    """Return a value if it is text and not empty; otherwise None."""
    return value if isinstance(value, str) and value else None


def is_verified(value: object) -> bool:
    """Return whether a provider has verified an address; Apple and Cognito send a text instead of a bool."""
    return value is True or value == "true"


def picture_or_none(value: object) -> str | None:
    """Return the URL of a picture that a page may show: https only, because it is an external URL."""
    text = text_or_none(value)
    is_shown = text is not None and text.startswith("https://") and len(text) <= 2048 and text.isprintable()
    return text if is_shown else None
