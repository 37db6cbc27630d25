"""Note what happens to an API key, in the transaction in which it happens."""

from collections.abc import Callable

from sqlalchemy import Connection

from authguard.identity.model import StoredAPIKey
from authguard.identity.storage.key_event_queries import KeyEvent, insert_event
from authguard.identity.usecases.api_key_rights import Manager
from authguard.identity.usecases.context import Base


class KeyEvents:
    """Note events of keys, and which of them their owners are told by mail.

    Args:
        base: the parts that use cases share.

    Attributes:
        wake: called after a transaction with an event, so that its mail is sent soon.
    """

    def __init__(self, base: Base) -> None:
        self._mailed = frozenset(base.settings.api_key_mails)
        self.wake: Callable[[], None] = _do_nothing

    def note(
        self,
        connection: Connection,
        name: str,
        key: StoredAPIKey,
        now: float,
        *,
        number: int = 0,
        manager: Manager | None = None,
    ) -> bool:
        """Note an event; False if it has been noted before.

        Args:
            connection: the transaction.
            name: one of `KEY_EVENTS`.
            key: the key.
            now: seconds since the epoch.
            number: tells it from others of the same name; see `KeyEvent`.
            manager: who has done it; None for the service itself.
        """
        actor, actor_key_id = ("service", None) if manager is None else (manager.actor, manager.key_id)
        event = KeyEvent(key.id, name, number, now, actor, actor_key_id)
        return insert_event(connection, event, now if name in self._mailed else None)


def _do_nothing() -> None:
    """Wake nobody: commands leave mails to the service."""
