"""Record an event of an API key, and add the mail about it, in the transaction of the change."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from authguard.identity.model import StoredAPIKey
from authguard.identity.storage.key_event_queries import KeyEvent, insert_event, insert_events
from authguard.identity.usecases.api_key_rights import Manager
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.mails import details_of, kind_of


class KeyEvents:
    """Record events of keys, and add the mails about them to owners.

    Args:
        base: the common parts of use cases.
    """

    def __init__(self, base: Base) -> None:
        self._mailed = frozenset(base.settings.api_key_mails)
        self._mails = base.mails

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
        """Record an event of a key; False if it has been recorded before.

        Args:
            connection: the transaction.
            name: one of `KEY_EVENTS`.
            key: the key.
            now: seconds since the epoch.
            manager: the author of the change.
            number: distinguishes it from events of the same name; see `KeyEvent`.
        """
        event = KeyEvent(key.id, name, number, now, manager.actor, manager.key_id)
        is_new = insert_event(connection, event)
        if is_new:
            self._tell(connection, [event], {key.id: key.user_id})
        return is_new

    def note_expiry(
        self, connection: Connection, keys: Sequence[StoredAPIKey], days_left: Mapping[str, int], now: float
    ) -> frozenset[str]:
        """Record that keys expire, or have expired; return the ids of the keys for which this is new.

        Args:
            connection: the transaction.
            keys: the keys.
            days_left: the days before the expiry, by the ids of the keys; 0 for an expired key.
            now: seconds since the epoch.
        """
        owners = {key.id: key.user_id for key in keys}
        noted: frozenset[str] = frozenset()
        for name in ("expiring", "expired"):
            events = [
                KeyEvent(key_id, name, days, now, "service")
                for key_id, days in days_left.items()
                if bool(days) is (name == "expiring")
            ]
            new = insert_events(connection, events)
            self._tell(connection, [event for event in events if event.key_id in new], owners)
            noted |= new
        return noted

    def _tell(self, connection: Connection, events: Sequence[KeyEvent], owners: Mapping[str, str]) -> None:
        """Add the mails about events of one name, if owners are notified of these."""
        if events and (name := events[0].name) in self._mailed:
            told = [(owners[event.key_id], details_of(event)) for event in events]
            self._mails.add_all(connection, kind_of(name), told)
