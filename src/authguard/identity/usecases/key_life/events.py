"""Note what happens to an API key, in the transaction in which it happens."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from authguard.identity.model import StoredAPIKey
from authguard.identity.storage.key_event_queries import KeyEvent, insert_event, insert_events
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
        manager: Manager,
        number: int = 0,
    ) -> bool:
        """Note what has been done to a key; False if it has been noted before.

        Args:
            connection: the transaction.
            name: one of `KEY_EVENTS`.
            key: the key.
            now: seconds since the epoch.
            manager: who has done it.
            number: tells it from others of the same name; see `KeyEvent`.
        """
        event = KeyEvent(key.id, name, number, now, manager.actor, manager.key_id)
        return insert_event(connection, event, self._mail_at(name, now))

    def note_expiry(self, connection: Connection, days_left: Mapping[str, int], now: float) -> frozenset[str]:
        """Note that keys expire, or have expired; return the ids of those of which that is new.

        Args:
            connection: the transaction.
            days_left: the days before the expiry, by the ids of the keys; 0 for one that has expired.
            now: seconds since the epoch.
        """
        noted: frozenset[str] = frozenset()
        for name in ("expiring", "expired"):
            events = [
                KeyEvent(key_id, name, days, now, "service")
                for key_id, days in days_left.items()
                if bool(days) is (name == "expiring")
            ]
            noted |= insert_events(connection, events, self._mail_at(name, now))
        return noted

    def _mail_at(self, name: str, now: float) -> float | None:
        """Return from when on the mail of an event may be sent; None for no mail."""
        return now if name in self._mailed else None


def _do_nothing() -> None:
    """Wake nobody: commands leave mails to the service."""
