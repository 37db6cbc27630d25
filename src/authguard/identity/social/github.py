"""Sign in with GitHub, which uses OAuth 2 and a REST API instead of ID tokens."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from authguard._core.flow import Response
from authguard.identity.errors import ProviderSetUpError, ProviderUnavailableError
from authguard.identity.model import SocialIdentity
from authguard.identity.social.client import read_document
from authguard.identity.social.provider import Provider, picture_or_none, secure_url, text_or_none
from authguard.identity.social_reasons import SocialReason

_NO_PERMISSION = (
    "github does not show the e-mail addresses of the user: give the GitHub App the account permission "
    '"Email addresses" (read-only), or the OAuth app the scope user:email'
)


class GitHub(Provider):
    """Sign in with GitHub, or a GitHub Enterprise Server.

    The address is the primary one of `/user/emails`, and counts as verified if GitHub has verified it.

    Args:
        client_id: of the OAuth app.
        client_secret: of the OAuth app.
        redirect_uris: the allowed redirect URIs.
        timeout: seconds, or a timedelta, for one sign-in with all its requests.
        url: the URL at which browsers sign in.
        api_url: the URL of the REST API.

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
        url: str = "https://github.com",
        api_url: str = "https://api.github.com",
    ) -> None:
        base = secure_url(url, "github: url").rstrip("/") + "/login/oauth"
        super().__init__(
            "github",
            client_id,
            client_secret,
            redirect_uris=redirect_uris,
            scope="read:user user:email",
            timeout=timeout,
            auth_method="client_secret_post",
            url=url,
        )
        self._endpoints = {
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/access_token",
        }
        self._api = secure_url(api_url, "github: api_url").rstrip("/")

    def _endpoint(self, name: str) -> str:
        return self._endpoints[name]

    def _identify(self, token: Mapping[str, Any], nonce: str | None) -> SocialIdentity:
        access_token = token["access_token"]
        user = self._read(self._get(f"{self._api}/user", access_token))
        answer = self._get(f"{self._api}/user/emails", access_token)
        if _lacks_permission(answer):
            raise ProviderSetUpError(_NO_PERMISSION, SocialReason.PERMISSION_MISSING)
        emails = self._read(answer)
        if not isinstance(user, dict) or not isinstance(user.get("id"), int) or not isinstance(emails, list):
            raise ProviderUnavailableError("github does not answer like GitHub's API")
        primary: dict[str, Any] = next(
            (email for email in emails if isinstance(email, dict) and email.get("primary") is True), {}
        )
        return SocialIdentity(
            provider=self.name,
            subject=str(user["id"]),
            email=text_or_none(primary.get("email")),
            email_verified=primary.get("verified") is True,
            name=text_or_none(user.get("name")) or text_or_none(user.get("login")) or "",
            picture=picture_or_none(user.get("avatar_url")),
            # GitHub does not report the time of the sign-in, and does not ask users to sign in again
            auth_time=0,
        )

    def _read(self, response: Response) -> Any:
        if response.status != 200:
            raise self._outage(response)
        return read_document(response)


def _lacks_permission(response: Response) -> bool:
    """Return whether a permission is missing (403 or 404), as opposed to a rate limit (403 or 429)."""
    if response.status not in (403, 404):
        return False
    document = read_document(response)
    message = str(document.get("message", "")) if isinstance(document, dict) else ""
    is_limit = "limit" in message.lower() or response.headers.get("x-ratelimit-remaining") == "0"
    return not is_limit
