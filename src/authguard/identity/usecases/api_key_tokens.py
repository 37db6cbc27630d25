"""Issue tokens for API keys that have a client secret (RFC 6749 section 4.4)."""

import hmac
import secrets
from dataclasses import replace
from typing import Any

from authguard._core.encoding import sha256_hex
from authguard.errors import InvalidAPIKeyError
from authguard.identity.errors import OAuthError
from authguard.identity.keys.checks import end_of, refusal_of
from authguard.identity.keys.generations import MAX_TOKEN_SECONDS, generation_name
from authguard.identity.keys.grants import granted_roles
from authguard.identity.keys.texts import PAIR_PREFIX, KeyTexts
from authguard.identity.keys.verify import SQLAPIKeys
from authguard.identity.model import Caller, KeyClient
from authguard.identity.storage.api_key_queries import KeyRow
from authguard.identity.usecases.context import Base

_DUMMY_DIGEST = sha256_hex(secrets.token_hex(32))


class APIKeyTokens:
    """Issue tokens for keys, with the key as the client id.

    Args:
        base: the common parts of use cases.
        texts: recognises texts that are not keys.
        verifier: looks keys up.
    """

    def __init__(self, base: Base, texts: KeyTexts, verifier: SQLAPIKeys) -> None:
        self._base = base
        self._texts = texts
        self._verifier = verifier

    def is_key(self, client_id: str) -> bool:
        """Return whether a client id is intended as the text of a key."""
        return client_id.startswith(PAIR_PREFIX)

    def authenticate(self, key_text: str, secret: str, caller: Caller) -> KeyClient:
        """Return the client for a key and a client secret.

        Args:
            key_text: the key, as its user presents it.
            secret: the client secret of the same generation.
            caller: the origin of the request.

        Raises:
            OAuthError: `invalid_client`, for an invalid key and a wrong secret alike.
            RateLimitedError: if the caller has sent too many of them.
            StoreUnavailableError: if the database does not answer.
        """
        now = self._base.clock()
        row = self._find(key_text, secret)
        digest = _DUMMY_DIGEST if row is None else row.secret.client_digest or _DUMMY_DIGEST
        is_right = hmac.compare_digest(sha256_hex(secret), digest)
        if row is None or not is_right or not self._is_good(row, now):
            error = OAuthError("invalid_client", "The client id or secret is wrong.")
            self._base.failed("api_key_token", caller, error)
            self._base.wrong_secret("api_key_token", caller)
            raise error
        return self._client(row, key_text)

    def _is_good(self, row: KeyRow, now: float) -> bool:
        """Return whether a key is valid; this counts as the first use of a generation."""
        if refusal_of(row, now) is not None:
            return False
        try:
            # A key with a list of networks gets no token, and requesting one does not count as its use.
            if row.secret.active_from is None and not row.key.networks:
                self._verifier.begin(row, now)
        except InvalidAPIKeyError:
            return False
        return True

    def _find(self, key_text: str, secret: str) -> KeyRow | None:
        """Return the key with this text; None, without a query, if the texts are not those of a key pair."""
        texts = self._texts
        is_pair = texts.keys.is_well_formed(key_text) and texts.client_secrets.is_well_formed(secret)
        if not (is_pair and self._base.settings.api_keys):
            return None
        return self._verifier.find(sha256_hex(key_text))

    def _client(self, row: KeyRow, key_text: str) -> KeyClient:
        scopes = self._verifier.granted(row)
        return KeyClient(
            id=row.key.id,
            name=row.key.name,
            scopes=scopes,
            disabled=False,
            key=row.key,
            ends_at=end_of(row),
            roles=granted_roles(row.roles, scopes, self._base.settings.admin_roles),
            generation=generation_name(row.key, row.secret),
            digest=sha256_hex(key_text),
        )

    def issue(self, client: KeyClient, scope: str | None, caller: Caller) -> dict[str, Any]:
        """Return a token response for a key.

        The token is valid for at most 15 minutes, and ends with the key: its session is the key, so revoking
        the key revokes the token.

        Raises:
            OAuthError: `invalid_scope`, for a scope that the key does not grant; `unauthorized_client` for a
                key with a list of networks, whose tokens would be valid from all addresses.
        """
        scopes = client.scopes if scope is None else frozenset(scope.split())
        if not scopes <= client.scopes:
            raise OAuthError("invalid_scope", "The client may not request this scope.")
        if client.key.networks:
            raise OAuthError("unauthorized_client", "There are no tokens for a key with a list of networks.")
        base, now = self._base, self._base.clock()
        granted = granted_roles(client.roles, scopes, base.settings.admin_roles)
        client = replace(client, roles=granted)
        seconds = min(MAX_TOKEN_SECONDS, base.settings.access_lifetime, int(client.ends_at - now))
        token = base.access_tokens.issue_for_key(client, scopes, seconds, now)
        base.succeeded("api_key_token", caller, user_id=client.key.user_id, key_id=client.id)
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": seconds,
            "scope": " ".join(sorted(scopes)),
        }

    def issue_token(self, key_text: str, secret: str, scope: str | None, caller: Caller) -> dict[str, Any]:
        """Return a token response for a key and its client secret; see `authenticate` and `issue`."""
        return self.issue(self.authenticate(key_text, secret, caller), scope, caller)
