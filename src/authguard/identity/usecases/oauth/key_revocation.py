"""Revoke an API key for the client that authenticates with it, and refuse to revoke other API keys."""

import hmac

from authguard._core.encoding import sha256_hex
from authguard._core.model import Principal
from authguard.errors import InsufficientScopeError, InvalidTokenError
from authguard.identity.errors import OAuthError
from authguard.identity.keys.texts import CLIENT_SECRET_PREFIX
from authguard.identity.model import Caller, Client, KeyClient
from authguard.identity.settings import Settings
from authguard.identity.usecases.api_keys import APIKeys

_ELSEWHERE = "Here an API key is revoked only with its own client secret: use DELETE api-keys/{id} instead."
_NO_RIGHT = "This API key may not revoke itself: sign in, and use DELETE api-keys/{id} instead."


class KeyRevocation:
    """Handle texts of API keys at the revocation endpoint (RFC 7009).

    Args:
        settings: the prefixes of keys.
        api_keys: revokes keys.
    """

    def __init__(self, settings: Settings, api_keys: APIKeys) -> None:
        self._prefixes = (*settings.key_prefixes, CLIENT_SECRET_PREFIX)
        self._api_keys = api_keys

    def is_key(self, text: str) -> bool:
        """Return whether a text is intended as an API key or a client secret; the text is not looked up."""
        return text.startswith(self._prefixes)

    def revoke(self, text: str, client: Client | None, caller: Caller) -> bool:
        """Revoke the key of a client, with the rights for `DELETE api-keys/{id}`; False if it has ended.

        Raises:
            OAuthError: `unsupported_token_type` for all texts except the client's own key, valid or not, so
                that the answer does not tell which keys exist; `unauthorized_client` for a key without the
                right, and one with a list of networks, because the caller's address is not compared here.
            StoreUnavailableError: if it could not be stored.
        """
        if not isinstance(client, KeyClient) or not hmac.compare_digest(sha256_hex(text), client.digest):
            raise OAuthError("unsupported_token_type", _ELSEWHERE)
        if client.key.networks:
            raise OAuthError("unauthorized_client", _NO_RIGHT)
        principal = Principal(
            subject=client.key.user_id, key_id=client.id, token_id=client.generation, method="api_key"
        )
        try:
            self._api_keys.revoke(principal, client.id, caller)
        except InsufficientScopeError:
            raise OAuthError("unauthorized_client", _NO_RIGHT) from None
        except InvalidTokenError:  # another request has revoked it after the client was authenticated
            return False
        return True
