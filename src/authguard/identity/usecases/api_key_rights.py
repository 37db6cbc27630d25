"""Decide which callers manage API keys, and which rights they may give."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from authguard._core.model import Principal, api_key_id
from authguard._core.networks import Network, covers, parse_network
from authguard.errors import InsufficientScopeError, InvalidTokenError
from authguard.identity.errors import NotFoundError, TierDeniedError
from authguard.identity.keys.generations import find_presented
from authguard.identity.keys.grants import ADMIN, owner_scopes
from authguard.identity.model import KeyActor, Operator, StoredAPIKey
from authguard.identity.settings import Settings
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage import queries as store
from authguard.identity.storage import session_queries as session_store
from authguard.identity.usecases.session_claims import is_alive, session_id_or_empty


@dataclass(frozen=True, slots=True)
class Manager:
    """Describe the manager of keys: the owner of an account, or one of its keys.

    Attributes:
        user_id: the account.
        scopes: the scopes that it may give a key.
        key: the acting key; None for the owner.
        is_ending: whether the presented secret ends before its key.
        is_operator: whether the manager is the operator of the service.
    """

    user_id: str
    scopes: frozenset[str]
    key: StoredAPIKey | None
    is_ending: bool = False
    is_operator: bool = False

    @property
    def actor(self) -> KeyActor:
        """Return the kind of this manager, for the record of events."""
        if self.is_operator:
            return "operator"
        return "owner" if self.key is None else "key"

    @property
    def key_id(self) -> str | None:
        """Return the id of the acting key, for the record of events."""
        return None if self.key is None else self.key.id

    def check_gives(self, scopes: Collection[str], networks: Collection[str], tier: str) -> None:
        """Check that a key is given no rights that the manager lacks.

        Raises:
            InsufficientScopeError: if the manager may not give a scope, a network or a tier.
        """
        missing = frozenset(scopes) - self.scopes
        if missing:
            raise InsufficientScopeError("a scope that the caller may not give", scopes=missing)
        if self.key is None:
            return
        if self.key.networks and not (networks and _covers(self.key.networks, networks)):
            raise InsufficientScopeError("a network from which the caller must not be used")
        if tier != self.key.tier and ADMIN not in self.scopes:
            raise TierDeniedError("a tier that the caller may not give", scopes=[ADMIN])

    def check_lasts(self) -> None:
        """Check that the presented secret was not replaced by a newer one.

        The secret may have been rotated because other people know it; they could keep using keys that they
        create with it.

        Raises:
            InsufficientScopeError: if the secret was replaced.
        """
        if self.is_ending:
            raise InsufficientScopeError("a secret that has been rotated")

    def check_manages(self) -> None:
        """Check that the manager may change keys.

        Raises:
            InsufficientScopeError: for a key without the scope `write`, and as `check_lasts`.
        """
        self.check_lasts()
        if self.key is not None and "write" not in self.scopes:
            raise InsufficientScopeError("a key that may not write", scopes=["write"])


def _covers(outer: Collection[str], inner: Collection[str]) -> bool:
    return covers(_networks(outer), _networks(inner))


def _networks(texts: Collection[str]) -> list[Network]:
    return [network for text in texts if (network := parse_network(text)) is not None]


class Rights:
    """Determine the rights of a principal in the management of keys.

    Args:
        settings: the rights that accounts may give their keys.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def find_manager(
        self, connection: Connection, principal: Principal | Operator, now: float, *, lock: bool = False
    ) -> Manager:
        """Return the manager of keys in its current state, which may have changed since the verification.

        Args:
            connection: the transaction.
            principal: of a session, or of an API key; or the operator, for whom the account may be disabled.
            now: seconds since the epoch.
            lock: whether other transactions that create keys for the same account must wait.

        Raises:
            InvalidTokenError: if the account is deleted or disabled, the key is no longer valid, or the token
                belongs to no session.
            NotFoundError: if API keys are switched off.
        """
        settings = self._settings
        if not settings.api_keys:
            raise NotFoundError
        owner = key_store.find_owner(connection, principal.subject, lock=lock)
        if owner is None or (owner.disabled and not isinstance(principal, Operator)):
            raise InvalidTokenError("the account is gone or disabled")
        scopes = owner_scopes(owner.roles, settings.admin_roles, settings.api_key_scopes)
        if isinstance(principal, Operator):
            return Manager(principal.subject, scopes, None, is_operator=True)
        key_id = api_key_id(principal)
        if key_id is None:
            row = session_store.find_session(connection, session_id_or_empty(principal))
            if row is None or not is_alive(row, principal):
                raise InvalidTokenError("a token of no session")
            return Manager(principal.subject, scopes, None)
        key = key_store.find_key(connection, key_id, principal.subject)
        # It may have been rotated while the client was still sending the body.
        secret = None if key is None else find_presented(connection, key, principal, now)
        if key is None or secret is None or not key.is_active(now):
            raise InvalidTokenError("the key is no longer valid")
        is_ending = secret.expires_at is not None
        return Manager(principal.subject, scopes & key.scopes, key, is_ending=is_ending)

    def find_changer(
        self, connection: Connection, principal: Principal | Operator, now: float, *, lock: bool = False
    ) -> Manager:
        """Return the manager of keys, for a change; see `find_manager`.

        Until the end of the transaction, others that lock the account wait. So the account stays as it is
        while this transaction waits for a key.

        Raises:
            InsufficientScopeError: for a key that may not manage keys.
        """
        if not lock:
            store.share_account(connection, principal.subject)
        manager = self.find_manager(connection, principal, now, lock=lock)
        self.check_by_key(manager)
        manager.check_manages()
        return manager

    def check_by_key(self, manager: Manager) -> None:
        """Check that keys may manage keys, if the manager is a key.

        Raises:
            InsufficientScopeError: if they may not.
        """
        if manager.key is not None and not self._settings.api_keys_manage_keys:
            raise InsufficientScopeError("keys do not manage keys here")


def may_be_id(text: str) -> bool:
    """Return whether a text can be in a query as the id of a key; databases refuse some texts."""
    return text.isascii() and text.isprintable()


def find_own_key(connection: Connection, manager: Manager, key_id: str, *, lock: bool = True) -> StoredAPIKey:
    """Return a key of the manager's owner.

    Args:
        connection: the transaction. To lock the key, it has shared the owner before, as all transactions
            that lock both, because a mail about the key also locks its owner.
        manager: the manager of keys.
        key_id: the public id of the key.
        lock: whether other transactions that change the key must wait.

    Raises:
        NotFoundError: if the owner has no key with this id.
    """
    key = None
    if may_be_id(key_id):
        key = key_store.find_key(connection, key_id, manager.user_id, lock=lock)
    if key is None:
        raise NotFoundError
    return key
