"""Create, list and revoke API keys."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from authguard._core.credential.key_format import make_readable_id
from authguard._core.model import Principal
from authguard.errors import RefusedError
from authguard.identity.errors import (
    KeyNotActiveError,
    NotFoundError,
    TierDeniedError,
    TooManyKeysError,
)
from authguard.identity.keys.generations import END_SECONDS, end_keys
from authguard.identity.keys.grants import ADMIN
from authguard.identity.keys.stages import next_notice_at
from authguard.identity.keys.texts import KeyTexts, MadeKey, make_key_id, shown_part
from authguard.identity.keys.verify import SQLAPIKeys
from authguard.identity.limits.taken import given_back_on_outage
from authguard.identity.model import NO_CALLER, APIKeyRequest, Caller, NewAPIKey, Operator, StoredAPIKey
from authguard.identity.person_names import trim_name
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage.api_key_queries import Secret
from authguard.identity.storage.marks import require_elsewhere
from authguard.identity.usecases.api_key_fields import check_fields, check_tier
from authguard.identity.usecases.api_key_rights import Manager, Rights, find_own_key, may_be_id
from authguard.identity.usecases.api_key_rotation import APIKeyRotation
from authguard.identity.usecases.api_key_tokens import APIKeyTokens
from authguard.identity.usecases.api_key_usage import APIKeyUsage
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.events import KeyEvents
from authguard.identity.usecases.key_life.switching import APIKeySwitch

#: The greatest number of usable keys of one owner.
MAX_KEYS = 100
#: The greatest number of expired and revoked keys of one owner; older ones are deleted when a key is created.
MAX_DEAD_KEYS = 100
_DAY = 86_400


class APIKeys:
    """Create, find, list and revoke the API keys of accounts, for their owners or for their keys.

    Args:
        base: the common parts of use cases.
        texts: creates the texts of keys.
        verifier: looks keys up, and counts their uses.
        events: records events of keys.
    """

    def __init__(self, base: Base, texts: KeyTexts, verifier: SQLAPIKeys, events: KeyEvents) -> None:
        self._base = base
        self._texts = texts
        self._events = events
        self._rights = Rights(base.settings)
        rotation = APIKeyRotation(base, texts, self._rights, events)
        self.rotate = rotation.rotate
        self._usage = usage = APIKeyUsage(base, self._rights, verifier.recorder)
        self.usage, self.usage_of = usage.usage, usage.usage_of
        switch = APIKeySwitch(base, self._rights, events, usage)
        self.disable, self.enable = switch.disable, switch.enable
        self.tokens = APIKeyTokens(base, texts, verifier)
        self.issue_token = self.tokens.issue_token

    @given_back_on_outage()
    def create(self, principal: Principal | Operator, request: APIKeyRequest, caller: Caller) -> NewAPIKey:
        """Create a key for the owner of the principal.

        Args:
            principal: of a session, or of an API key.
            request: the properties of the key.
            caller: the origin of the request.

        Raises:
            InvalidFieldsError: for a field that is not accepted.
            InsufficientScopeError: for rights that the owner or the acting key does not have.
            TooManyKeysError: if the owner has too many keys.
            RateLimitedError: if too many keys were created recently.
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if the key could not be stored.
        """
        base, now = self._base, self._base.clock()
        check_fields(request, base.settings)
        try:
            # Callers without the right must not use up the owner's limit.
            with base.database.read() as connection:
                self._rights.find_changer(connection, principal, now)
            base.limiter.hit("api_key", principal.subject)
            with base.database.write() as connection:
                manager = self._rights.find_changer(connection, principal, now, lock=True)
                key = self._new_key(manager, request, now)
                if key_store.count_live_keys(connection, manager.user_id, now) >= MAX_KEYS:
                    raise TooManyKeysError
                key_store.delete_dead_keys(connection, manager.user_id, now, MAX_DEAD_KEYS)
                made = self._insert(connection, key, now)
                self._events.note(connection, "created", key, now, manager=manager)
        except RefusedError as error:
            raise base.failed("api_key_create", caller, error, user_id=principal.subject) from None
        self._record("api_key_create", manager, key.id, caller)
        return made

    def _new_key(self, manager: Manager, request: APIKeyRequest, now: float) -> StoredAPIKey:
        settings, maker = self._base.settings, manager.key
        prefix = f"{request.kind}_"
        tier = request.tier or (settings.api_key_tier if maker is None else maker.tier)
        networks = tuple(request.networks) or (() if maker is None else maker.networks)
        manager.check_gives(request.scopes, networks, tier)
        is_owner = maker is None and not manager.is_operator
        if is_owner and tier != settings.api_key_tier and ADMIN not in manager.scopes:
            raise TierDeniedError("a tier that the caller may not give", scopes=[ADMIN])
        days = request.expires_in_days
        expires_at = now + (settings.api_key_lifetime if days is None else days * _DAY)
        if maker is not None:  # otherwise a person with a leaked key has access for longer than the key
            expires_at = min(expires_at, maker.expires_at)
        readable_id = make_readable_id()
        return StoredAPIKey(
            id=make_key_id(prefix),
            user_id=manager.user_id,
            name=trim_name(request.name),
            prefix=prefix,
            shown=shown_part(f"{prefix}{readable_id}"),
            readable_id=readable_id,
            scopes=frozenset(request.scopes),
            tier=tier,
            metadata=dict(request.metadata),
            networks=networks,
            created_at=now,
            created_by=manager.key_id,
            expires_at=expires_at,
            notice_at=next_notice_at(expires_at, now),
        )

    def _insert(self, connection: Connection, key: StoredAPIKey, now: float) -> NewAPIKey:
        made: MadeKey = self._texts.make(key.prefix, key.readable_id)
        key_store.insert_key(connection, key)
        secret = Secret(key.generation, now, now, 0, None, made.client_digest)
        key_store.insert_secret(connection, key.id, made.digest, secret)
        return NewAPIKey(key, made.text, made.secret)

    def list(self, principal: Principal | Operator) -> Sequence[StoredAPIKey]:
        """List all keys of the principal's owner, the newest first, including expired and revoked ones.

        Raises:
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if the database does not answer.
        """
        with self._base.database.read() as connection:
            manager = self._rights.find_manager(connection, principal, self._base.clock())
            keys = key_store.list_keys(connection, manager.user_id, MAX_KEYS + MAX_DEAD_KEYS)
        return self._usage.add_waiting(keys)

    def find(self, principal: Principal | Operator, key_id: str) -> StoredAPIKey:
        """Return a key of the principal's owner.

        Raises:
            NotFoundError: if the owner has no such key.
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if the database does not answer.
        """
        with self._base.database.read() as connection:
            manager = self._rights.find_manager(connection, principal, self._base.clock())
            key = find_own_key(connection, manager, key_id, lock=False)
        return self._usage.add_waiting([key])[0]

    def find_operator(self, key_id: str) -> Operator:
        """Return the operator that acts for the owner of a key.

        Raises:
            NotFoundError: if the key does not exist.
            StoreUnavailableError: if the database does not answer.
        """
        user_id = None
        if may_be_id(key_id):
            with self._base.database.read() as connection:
                user_id = key_store.find_owner_id(connection, key_id)
        if user_id is None:
            raise NotFoundError
        return Operator(user_id)

    def revoke(self, principal: Principal | Operator, key_id: str, caller: Caller) -> None:
        """Revoke a key of the principal's owner: from now on, the key and its tokens are refused.

        Guards that follow the log know when this returns, or within a second. A key that was revoked before
        does not change, and no event is recorded; for a while, guards are notified again.

        Raises:
            NotFoundError: if the owner has no such key.
            InsufficientScopeError: if the acting key may not manage keys.
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if it could not be stored; the key then stays valid.
            RevocationWaitsError: if it is stored, and another store does not answer.
        """
        base, now = self._base, self._base.clock()
        try:
            with base.database.write() as connection:
                manager = self._rights.find_changer(connection, principal, now)
                key = find_own_key(connection, manager, key_id)
                is_new = key.revoked_at is None
                if is_new:
                    key_store.update_key(connection, key.id, revoked_at=now, notice_at=None)
                    self._events.note(connection, "revoked", key, now, manager=manager)
                if key.revoked_at is None or now < key.revoked_at + END_SECONDS:
                    end_keys(connection, {key.id: key.session}, now)
                if manager.key_id != key.id:  # a key that has revoked itself could not repeat the request
                    require_elsewhere(connection)
        except RefusedError as error:
            raise base.failed("api_key_revoke", caller, error, user_id=principal.subject) from None
        if is_new:
            self._record("api_key_revoke", manager, key.id, caller)

    def set_tier(
        self, operator: Operator, key_id: str, tier: str, caller: Caller = NO_CALLER
    ) -> StoredAPIKey:
        """Give a key another tier, by the operator.

        Guards apply the tier when they look the key up again, after `cache_ttl`. Tokens that were issued for
        the key keep its old tier.

        Args:
            operator: acts for the owner of the key.
            key_id: the public id of the key.
            tier: one of `Settings.api_key_tiers`.
            caller: the origin of the request; empty if no request was sent.

        Returns:
            the key.

        Raises:
            InvalidFieldsError: for an unknown tier.
            NotFoundError: if the owner has no such key.
            KeyNotActiveError: if the key has expired or been revoked.
            StoreUnavailableError: if it could not be stored; the key then keeps its tier.
        """
        base, now = self._base, self._base.clock()
        check_tier(tier, base.settings)
        try:
            with base.database.write() as connection:
                manager = self._rights.find_changer(connection, operator, now)
                key = find_own_key(connection, manager, key_id)
                if key.state(now) in ("expired", "revoked"):
                    raise KeyNotActiveError
                key_store.update_key(connection, key.id, tier=tier)
        except RefusedError as error:
            raise base.failed("api_key_tier", caller, error, user_id=operator.subject) from None
        if tier != key.tier:
            self._record("api_key_tier", manager, key.id, caller)
        return replace(key, tier=tier)

    def _record(self, name: str, manager: Manager, key_id: str, caller: Caller) -> None:
        self._base.succeeded(
            name, caller, user_id=manager.user_id, key_id=key_id, actor_key_id=manager.key_id
        )
