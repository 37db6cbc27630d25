"""Rotate API keys: create a new secret for the same key, while the previous one stays valid for a while."""

from dataclasses import replace
from typing import get_args

from sqlalchemy import Connection

from authguard._core.model import Principal
from authguard.errors import InsufficientScopeError, RefusedError
from authguard.identity.errors import InvalidFieldsError, KeyNotActiveError
from authguard.identity.keys.generations import begin_generation
from authguard.identity.keys.texts import KeyTexts
from authguard.identity.limits.taken import given_back_on_outage
from authguard.identity.model import ROTATE_SELF, Activation, Caller, NewAPIKey, Operator, StoredAPIKey
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage import queries as store
from authguard.identity.storage.api_key_queries import Secret
from authguard.identity.usecases.api_key_rights import Manager, Rights, find_own_key
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.events import KeyEvents

#: Seconds for which the previous generation may stay valid.
MAX_GRACE = 30 * 86_400


class APIKeyRotation:
    """Give keys new secrets.

    Args:
        base: the common parts of use cases.
        texts: creates the texts of keys.
        rights: decides which callers may do so.
        events: records the events.
    """

    def __init__(self, base: Base, texts: KeyTexts, rights: Rights, events: KeyEvents) -> None:
        self._base = base
        self._events = events
        self._texts = texts
        self._rights = rights

    @given_back_on_outage()
    def rotate(
        self,
        principal: Principal | Operator,
        key_id: str,
        caller: Caller,
        *,
        activate: Activation = "now",
        grace_seconds: int = 0,
    ) -> NewAPIKey:
        """Create a new generation of the secret of a key; its id, usage and limits stay.

        A rotation that waits for its first use is cancelled by a second one. At most two generations of a key
        are valid: when a third one begins, the first one ends.

        Args:
            principal: of a session, or of an API key; a key may rotate itself with `apikeys:rotate:self`.
            key_id: the public id of the key.
            caller: the origin of the request.
            activate: the beginning of the new generation: now, or its first use.
            grace_seconds: seconds for which the previous generation stays valid from then on, never longer
                than the key.

        Raises:
            InvalidFieldsError: for another activation, and a grace that is out of range.
            NotFoundError: if the owner has no such key.
            KeyNotActiveError: if the key cannot be used any more.
            InsufficientScopeError: if the acting key has fewer rights than the key to rotate.
            RateLimitedError: if too many keys were created or rotated recently.
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if the rotation could not be stored; nothing has changed then.
        """
        base, now = self._base, self._base.clock()
        _check_fields(activate, grace_seconds)
        try:
            # Callers without the right must not use up the owner's limit.
            with base.database.read() as connection:
                self._find_rotated(connection, principal, key_id, now)
            base.limiter.hit("api_key", principal.subject)
            with base.database.write() as connection:
                manager, key = self._find_rotated(connection, principal, key_id, now, lock=True)
                made = self._add_generation(connection, key, grace_seconds, now, is_now=activate == "now")
                number = made.key.generation
                self._events.note(connection, "rotated", key, now, number=number, manager=manager)
        except RefusedError as error:
            raise base.failed("api_key_rotate", caller, error, user_id=principal.subject) from None
        base.succeeded(
            "api_key_rotate",
            caller,
            reason=activate,
            user_id=manager.user_id,
            key_id=key.id,
            actor_key_id=manager.key_id,
        )
        return made

    def _find_rotated(
        self,
        connection: Connection,
        principal: Principal | Operator,
        key_id: str,
        now: float,
        *,
        lock: bool = False,
    ) -> tuple[Manager, StoredAPIKey]:
        """Return the manager, and the key to rotate; raise an error if the manager may not rotate it."""
        if lock:
            store.share_account(connection, principal.subject)
        manager = self._rights.find_manager(connection, principal, now)
        key = find_own_key(connection, manager, key_id, lock=lock)
        self._check_rotates(manager, key)
        if not key.is_active(now):
            raise KeyNotActiveError
        return manager, key

    def _check_rotates(self, manager: Manager, key: StoredAPIKey) -> None:
        """Check that the manager may get a new secret of a key, and so all of its rights."""
        if manager.key_id == key.id:
            manager.check_lasts()
            if ROTATE_SELF not in manager.scopes:
                raise InsufficientScopeError("a key that may not rotate itself", scopes=[ROTATE_SELF])
            return
        self._rights.check_by_key(manager)
        manager.check_manages()
        if manager.key is not None:
            manager.check_gives(key.scopes, key.networks, key.tier)

    def _add_generation(
        self, connection: Connection, key: StoredAPIKey, grace: int, now: float, *, is_now: bool
    ) -> NewAPIKey:
        for older in key_store.list_secrets(connection, key.id):
            if older.active_from is None:
                key_store.delete_secret(connection, key.id, older.generation)
        generation = key.generation + 1
        made = self._texts.make(key.prefix, key.readable_id)
        secret = Secret(generation, now, None, grace, None, made.client_digest)
        key_store.insert_secret(connection, key.id, made.digest, secret)
        key_store.update_key(connection, key.id, generation=generation)
        if is_now:
            begin_generation(connection, key, secret, now)
        return NewAPIKey(replace(key, generation=generation), made.text, made.secret)


def _check_fields(activate: object, grace_seconds: object) -> None:
    problems: dict[str, list[str]] = {}
    if activate not in get_args(Activation):
        problems["activate"] = [f"is one of {', '.join(get_args(Activation))}"]
    if type(grace_seconds) is not int or not 0 <= grace_seconds <= MAX_GRACE:
        problems["grace_seconds"] = [f"is a whole number between 0 and {MAX_GRACE}"]
    if problems:
        raise InvalidFieldsError(problems)
