"""Find the API keys that expire, and record it, so that their owners are notified.

Several processes may do so at once, and the database decides among them: an event is recorded in the
transaction that sets the time of the key's next event, so each event has one row, and one row for its mail.
"""

from authguard.identity.audit import Event
from authguard.identity.keys.stages import days_left, next_notice_at
from authguard.identity.model import StoredAPIKey
from authguard.identity.storage import key_event_queries as event_store
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.events import KeyEvents

#: The number of keys in one transaction, so that other transactions do not wait for long.
_PAGE = 100


class KeyNotices:
    """Record which keys expire; safe to use from several threads and processes.

    Args:
        base: the common parts of use cases.
        events: records events.

    Attributes:
        noted: the number of recorded expiries.
    """

    def __init__(self, base: Base, events: KeyEvents) -> None:
        self._base = base
        self._events = events
        self.noted = 0

    def step(self) -> None:
        """Record which keys expire, and leave the mails to the queue.

        Raises:
            StoreUnavailableError: if the database does not answer; the next step does the rest.
        """
        while self._note_expiring():
            pass

    def _note_expiring(self) -> bool:
        """Record the expiry of a batch of keys; False if no more are due."""
        base, now = self._base, self._base.clock()
        with base.database.read() as connection:
            if not event_store.has_due_keys(connection, now):
                return False
        with base.database.write() as connection:
            keys = event_store.take_due_keys(connection, now, _PAGE)
            days = {key.id: days for key in keys if (days := _days_to_note(key, now)) is not None}
            new = self._events.note_expiry(connection, keys, days, now)
            moments = {key.id: next_notice_at(key.expires_at, now) for key in keys}
            event_store.set_next_notices(connection, moments)
        for key in keys:
            if key.id in new:
                self._record(key, days[key.id], now)
        self.noted += len(new)
        return len(keys) == _PAGE

    def _record(self, key: StoredAPIKey, days: int, now: float) -> None:
        name = "api_key_expiring" if days else "api_key_expired"
        reason = {0: "", 1: "1_day"}.get(days, f"{days}_days")
        self._base.audit.record(Event(name, True, now, reason, user_id=key.user_id, key_id=key.id))


def _days_to_note(key: StoredAPIKey, now: float) -> int | None:
    """Return the days before the expiry of a key to record; None if no notice is due."""
    return None if key.revoked_at is not None else days_left(key, now)
