"""Authenticate OAuth clients, and issue, introspect and revoke tokens for them."""

import hmac
import secrets
from typing import Any, NamedTuple

from authguard._core.encoding import sha256_hex
from authguard._core.model import Credential, Principal
from authguard._core.options import MAX_LEEWAY
from authguard._core.verifier import as_flow
from authguard.drivers import run
from authguard.errors import InvalidTokenError, RefusedError
from authguard.identity.errors import OAuthError
from authguard.identity.model import NO_CALLER, Caller, Client, KeyClient
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage import queries as store
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage import session_queries as session_store
from authguard.identity.storage.revocations import SQLRevocations
from authguard.identity.tokens.issue import right_claims
from authguard.identity.tokens.verify import OwnTokens
from authguard.identity.usecases.api_keys import APIKeys
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.oauth.key_revocation import KeyRevocation
from authguard.identity.usecases.oauth.registry import ClientRegistry
from authguard.identity.usecases.session_claims import is_of_key, issued_at_of, session_id_or_empty
from authguard.identity.usecases.sessions import Sessions

_DUMMY_DIGEST = sha256_hex(secrets.token_hex(32))


class TokenVerifiers(NamedTuple):
    """Hold the verifiers of access tokens.

    Attributes:
        valid: refuses tokens that are not valid now.
        to_end: also accepts tokens that have expired, or that a machine whose clock is ahead has issued.
    """

    valid: OwnTokens
    to_end: OwnTokens


class Clients(ClientRegistry):
    """Answer OAuth clients, which ask for tokens and about tokens.

    Args:
        base: the common parts of use cases.
        sessions: the sessions of users' tokens.
        revocations: the store of revoked tokens of clients.
        verifiers: verify access tokens.
        api_keys: issues the tokens of API keys, and revokes keys.
    """

    def __init__(
        self,
        base: Base,
        sessions: Sessions,
        revocations: SQLRevocations,
        verifiers: TokenVerifiers,
        api_keys: APIKeys,
    ) -> None:
        super().__init__(base)
        self._sessions = sessions
        self._revocations = revocations
        self._verifiers = verifiers
        self._key_tokens = api_keys.tokens
        self._key_revocation = KeyRevocation(base.settings, api_keys)

    @records("client")
    def authenticate(self, client_id: str, secret: str, caller: Caller) -> Client:
        """Return the client that an id and a secret belong to.

        Raises:
            OAuthError: `invalid_client`, for an unknown or disabled client and a wrong secret alike.
            RateLimitedError: if the caller has sent too many wrong ones.
        """
        if self._key_tokens.is_key(client_id):
            return self._key_tokens.authenticate(client_id, secret, caller)
        client, digest, _ = self._find(client_id) or (None, _DUMMY_DIGEST, 0)
        is_right = hmac.compare_digest(sha256_hex(secret), digest)
        if client is None or not is_right or client.disabled:
            raise self._refused(caller, "The client id or secret is wrong.")
        return client

    @records("client")
    def identify(self, client_id: str, caller: Caller) -> Client:
        """Return the public client of an id; it has no secret, and proves nothing (RFC 6749 section 2.1).

        Raises:
            OAuthError: `invalid_client`, for an unknown or disabled client, and one that has a secret.
            RateLimitedError: if the caller has sent too many wrong ones.
        """
        row = None if self._key_tokens.is_key(client_id) else self._find(client_id)
        if row is None or row.client.disabled or not row.client.is_public:
            raise self._refused(caller, "The client has to prove who it is.")
        return row.client

    def record_refusal(self, flow: str, caller: Caller, error: RefusedError | OAuthError) -> None:
        """Record a request that was refused before its use case, unless an event was recorded for it.

        Args:
            flow: the name of the event.
            caller: the origin of the request.
            error: the error for the caller.
        """
        self._base.failed_once(flow, caller, error)

    def _find(self, client_id: str) -> store.ClientRow | None:
        if not client_id.isascii() or not client_id.isprintable():
            return None  # the id is not one of this service
        with self._base.database.read() as connection:
            return store.find_client(connection, client_id)

    def _refused(self, caller: Caller, text: str) -> OAuthError:
        error = self._base.failed("client", caller, OAuthError("invalid_client", text))
        self._base.wrong_secret("client", caller)
        return error

    @records("client_credentials")
    def issue_token(self, client: Client, scope: str | None, caller: Caller) -> dict[str, Any]:
        """Return a token response for a client that acts for itself (RFC 6749 section 4.4).

        Raises:
            OAuthError: `invalid_scope`, for a scope that the client was not given.
        """
        if isinstance(client, KeyClient):
            return self._key_tokens.issue(client, scope, caller)
        scopes = client.scopes if scope is None else frozenset(scope.split())
        if not scopes <= client.scopes:
            raise OAuthError("invalid_scope", "The client may not request this scope.")
        token = self._base.access_tokens.issue_for_client(client.id, scopes, self._base.clock())
        self._base.succeeded("client_credentials", caller, user_id=client.id)
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._base.settings.access_lifetime,
            "scope": " ".join(sorted(scopes)),
        }

    @records("introspect")
    def introspect(self, token: str, client: Client, caller: Caller = NO_CALLER) -> dict[str, Any]:
        """Return the state of a token (RFC 7662 section 2.2); of an inactive token, only that it is inactive.

        A refresh token is described only to the client that it was issued to (RFC 7662 section 4); to other
        clients it is inactive.

        Args:
            token: an access token or a refresh token.
            client: the client that asks.
            caller: the origin of the request.

        Raises:
            OAuthError: `unauthorized_client` for an API key, because every account may have one.
            StoreUnavailableError: if the database does not answer.
        """
        if isinstance(client, KeyClient):
            raise OAuthError("unauthorized_client", "Introspection is for registered clients.")
        described = self._describe_refresh_token(token, client)
        if described is None:
            described = self._describe_access_token(token)
        reason = "" if described is not None else "inactive"
        self._base.succeeded("introspect", caller, reason=reason, user_id=client.id)
        return {"active": False} if described is None else {"active": True, **described}

    def _describe_refresh_token(self, text: str, client: Client) -> dict[str, Any] | None:
        token = self._base.refresh_tokens.parse(text)
        if token is None:
            return None
        with self._base.database.read() as connection:
            row = session_store.find_session(connection, token.session_id)
        if row is None:
            return None
        session, user = row
        alive = session.ended_at is None and self._base.clock() < session.expires_at and not user.disabled
        if not alive or token.generation != session.generation or session.client_id != client.id:
            return None
        described: dict[str, Any] = {
            "sub": user.id,
            "username": user.email,
            "iss": self._base.settings.issuer,
            "iat": int(session.refreshed_at),
            "exp": int(session.expires_at),
            "sid": session.id,
            # The type is not `Bearer`, so that a refresh token is not mistaken for an access token.
            "token_type": "refresh_token",
            "client_id": client.id,
        }
        return described

    def _describe_access_token(self, token: str) -> dict[str, Any] | None:
        principal = self._verify(token, self._verifiers.valid)
        if principal is None:
            return None
        if is_of_key(principal):
            if self._revocations.is_revoked(principal) or not self._is_good_key(principal):
                return None
            described = dict(principal.claims)
        elif "sid" in principal.claims:
            user = self._sessions.authenticate(principal)
            if user is None:
                return None
            described = {**principal.claims, "username": user.email, **right_claims(user)}
            described |= {"email": user.email, "email_verified": user.email_verified}
        elif self._is_revoked(principal) or not self._is_enabled(principal.subject):
            return None
        else:
            described = dict(principal.claims)
        return described | {"token_type": "Bearer"}

    def _is_good_key(self, principal: Principal) -> bool:
        with self._base.database.read() as connection:
            key = key_store.find_key(connection, principal.client_id or "", principal.subject)
            owner = key_store.find_owner(connection, principal.subject)
        is_enabled = owner is not None and not owner.disabled
        return is_enabled and key is not None and key.is_active(self._base.clock())

    def _is_revoked(self, principal: Principal) -> bool:
        with self._base.database.read() as connection:
            return revocation_store.is_revoked(connection, principal, self._base.clock())

    def _is_enabled(self, client_id: str) -> bool:
        with self._base.database.read() as connection:
            row = store.find_client(connection, client_id)
        return row is not None and not row.client.disabled

    def _verify(self, token: str, verifier: OwnTokens) -> Principal | None:
        credential = Credential(token, "bearer")
        if not verifier.accepts(credential):
            return None
        try:
            return run(as_flow(verifier.flow(credential, self._base.clock()))).principal
        except InvalidTokenError:
            return None

    @records("revoke")
    def revoke(self, token: str, client: Client | None, caller: Caller) -> None:
        """Revoke a token, and all others of its session (RFC 7009); an inactive token is no error.

        Raises:
            OAuthError: `unauthorized_client`, if it was issued to another client; for an API key see
                `KeyRevocation.revoke`.
            StoreUnavailableError: if it could not be stored.
        """
        refresh_token = self._base.refresh_tokens.parse(token)
        if refresh_token is not None:  # keys may have a prefix with which refresh tokens begin
            is_revoked = self._revoke_session(refresh_token.session_id, client)
        elif self._key_revocation.is_key(token):
            is_revoked = self._key_revocation.revoke(token, client, caller)
        else:
            is_revoked = self._revoke_access_token(token, client)
        self._base.succeeded("revoke", caller, reason="" if is_revoked else "inactive")

    def _revoke_access_token(self, token: str, client: Client | None) -> bool:
        """Revoke the session of an access token, or the token if it has none; False if it is inactive."""
        principal = self._verify(token, self._verifiers.to_end)
        if principal is None:
            return False
        session_id = session_id_or_empty(principal)
        if session_id and not is_of_key(principal):
            return self._revoke_session(session_id, client, issued_at_of(principal))
        if not principal.token_id:
            return False
        _check_owner(principal.client_id, client)
        now = self._base.clock()
        until = (principal.expires_at or now) + MAX_LEEWAY
        if until <= now:
            return False
        self._revocations.revoke(token_id=principal.token_id, until=until)
        return True

    def _revoke_session(self, session_id: str, client: Client | None, issued_at: float = 0) -> bool:
        """End a session, and so revoke all of its tokens; False if it does not exist."""
        with self._base.database.read() as connection:
            row = session_store.find_session(connection, session_id)
        if row is None:
            return False
        _check_owner(row.session.client_id, client)
        self._sessions.end_now([session_id], issued_at)
        return True


def _check_owner(client_id: str | None, client: Client | None) -> None:
    if client_id is not None and (client is None or client.id != client_id):
        raise OAuthError("unauthorized_client", "The token was issued to another client.")
