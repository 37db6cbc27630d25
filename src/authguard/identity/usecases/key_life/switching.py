"""Disable API keys, and enable them again."""

from dataclasses import replace

from sqlalchemy import Connection

from authguard._core.model import Principal
from authguard.errors import RefusedError
from authguard.identity.errors import KeyLockedError, KeyNotActiveError
from authguard.identity.keys.generations import switch_off
from authguard.identity.limits.taken import given_back_on_outage
from authguard.identity.model import Caller, Operator, StoredAPIKey
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage.marks import require_elsewhere
from authguard.identity.usecases.api_key_rights import Manager, Rights, find_own_key
from authguard.identity.usecases.api_key_usage import APIKeyUsage
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.events import KeyEvents

#: The rank of each actor: an actor can enable keys that actors of the same or a lower rank have disabled. So
#: a key does not undo the decision of its owner, and an owner does not undo that of an operator.
_RANKS = ("key", "owner", "operator")


class APIKeySwitch:
    """Disable and enable keys.

    Args:
        base: the common parts of use cases.
        rights: decides which callers may do so.
        events: records the events.
        usage: adds the requests that are not written yet.
    """

    def __init__(self, base: Base, rights: Rights, events: KeyEvents, usage: APIKeyUsage) -> None:
        self._base = base
        self._rights = rights
        self._events = events
        self._usage = usage

    def disable(self, principal: Principal | Operator, key_id: str, caller: Caller) -> StoredAPIKey:
        """Disable a key: until it is enabled again, the key and its tokens are refused.

        Guards that follow the log know when this returns, or within a second. Tokens that were issued before
        stay refused. A disabled key stays disabled; if an operator disables it again, its owner can no longer
        enable it.

        Args:
            principal: of a session, or of an API key; or the operator.
            key_id: the public id of the key.
            caller: the origin of the request.

        Returns:
            the key.

        Raises:
            NotFoundError: if the owner has no such key.
            KeyNotActiveError: if the key has expired or been revoked.
            InsufficientScopeError: if the acting key may not manage keys.
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if it could not be stored; the key then stays valid.
            RevocationWaitsError: if it is stored, and another store does not answer.
        """
        base, now = self._base, self._base.clock()
        try:
            with base.database.write() as connection:
                manager, key = self._find(connection, principal, key_id, now)
                disabled = self._disable(connection, manager, key, now)
                if manager.key_id != key.id:  # a key that has disabled itself could not repeat the request
                    require_elsewhere(connection)
        except RefusedError as error:
            raise base.failed("api_key_disable", caller, error, user_id=principal.subject) from None
        if disabled != key:
            self._record("api_key_disable", manager, key, caller)
        return self._usage.add_waiting([disabled])[0]

    def _disable(
        self, connection: Connection, manager: Manager, key: StoredAPIKey, now: float
    ) -> StoredAPIKey:
        if key.disabled_at is not None:
            if _rank(manager.actor) <= _rank(key.disabled_by):
                return key
            key_store.update_key(connection, key.id, disabled_by=manager.actor)
            return replace(key, disabled_by=manager.actor)
        switch_off(connection, key, now)
        revocation_store.delete_old_marks(connection, now)
        values = {"disabled_at": now, "disabled_by": manager.actor, "switches": key.switches + 1}
        key_store.update_key(connection, key.id, **values)
        disabled = replace(key, disabled_at=now, disabled_by=manager.actor, switches=key.switches + 1)
        self._events.note(connection, "disabled", key, now, number=disabled.switches, manager=manager)
        return disabled

    @given_back_on_outage()
    def enable(self, principal: Principal | Operator, key_id: str, caller: Caller) -> StoredAPIKey:
        """Enable a key again: it is valid at once. An enabled key stays enabled.

        Args:
            principal: as for `disable`.
            key_id: the public id of the key.
            caller: the origin of the request.

        Returns:
            the key.

        Raises:
            NotFoundError: if the owner has no such key.
            KeyNotActiveError: if the key has expired or been revoked.
            KeyLockedError: if an operator has disabled the key, or if the acting caller is a key, but a
                person has disabled it.
            InsufficientScopeError: if the acting key has fewer rights than the key to enable.
            RateLimitedError: if keys were enabled too often recently.
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if it could not be stored; the key then stays disabled.
        """
        base, now = self._base, self._base.clock()
        try:
            # Callers without the right must not use up the owner's limit.
            with base.database.read() as connection:
                self._find(connection, principal, key_id, now)
            base.limiter.hit("api_key", principal.subject)
            with base.database.write() as connection:
                manager, key = self._find(connection, principal, key_id, now)
                enabled = self._enable(connection, manager, key, now)
        except RefusedError as error:
            raise base.failed("api_key_enable", caller, error, user_id=principal.subject) from None
        if enabled != key:
            self._record("api_key_enable", manager, key, caller)
        return self._usage.add_waiting([enabled])[0]

    def _enable(
        self, connection: Connection, manager: Manager, key: StoredAPIKey, now: float
    ) -> StoredAPIKey:
        if key.disabled_at is None:
            return key
        if _rank(manager.actor) < _rank(key.disabled_by):
            raise KeyLockedError
        if manager.key is not None:
            manager.check_gives(key.scopes, key.networks, key.tier)
        key_store.update_key(connection, key.id, disabled_at=None, disabled_by=None)
        self._events.note(connection, "enabled", key, now, number=key.switches, manager=manager)
        return replace(key, disabled_at=None, disabled_by=None)

    def _find(
        self, connection: Connection, principal: Principal | Operator, key_id: str, now: float
    ) -> tuple[Manager, StoredAPIKey]:
        """Return the manager and the locked key; raise an error if the manager may not change it."""
        manager = self._rights.find_changer(connection, principal, now)
        key = find_own_key(connection, manager, key_id)
        if key.state(now) in ("expired", "revoked"):
            raise KeyNotActiveError
        return manager, key

    def _record(self, name: str, manager: Manager, key: StoredAPIKey, caller: Caller) -> None:
        self._base.succeeded(
            name,
            caller,
            reason=manager.actor,
            user_id=manager.user_id,
            key_id=key.id,
            actor_key_id=manager.key_id,
        )


def _rank(actor: str | None) -> int:
    """Return the rank of the actor that disabled a key; without one, it was an operator who used SQL."""
    return _RANKS.index(actor or "operator")
