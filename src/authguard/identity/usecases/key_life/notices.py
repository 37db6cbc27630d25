"""Find the API keys that expire, and send the mails about what has happened to keys.

Several processes do so at once, and the database decides which of them does what. An event is noted in the
transaction that moves the key on to its next one, so there is one row of each. A mail is taken for an hour
before it is sent, and that is noted afterwards. If the process is killed in between, another one sends the
mail when the hour is over; if the mail server had it already, it comes twice, which is better than never.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from threading import Lock

from authguard.errors import VerificationUnavailableError
from authguard.identity.audit import Event
from authguard.identity.keys.stages import days_left, next_notice_at
from authguard.identity.mail.outbox import Outcome
from authguard.identity.model import StoredAPIKey
from authguard.identity.storage import key_event_queries as event_store
from authguard.identity.storage.key_event_queries import DueMail, KeyEvent
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.events import KeyEvents
from authguard.identity.usecases.key_life.mail_texts import key_mail

#: Keys of one transaction, so that others do not wait for long.
_PAGE = 100
#: Events whose mails wait in the outbox of this process at most: there has to be room for other mails.
_MAX_SENDING = 50
#: Seconds for which a mail is one process's; longer than the outbox takes for all of them with all tries.
TAKEN_SECONDS = 3_600
#: Seconds after which a mail is tried again that the server did not take, or that was one too many.
RETRY_SECONDS = 3_600
#: Seconds after which a mail is not worth sending any more.
MAX_AGE = 3 * 86_400
_FLUSH_SECONDS = 120.0
_SECURITY, _EXPIRY = "api_key", "api_key_expiry"  # kinds of mails: floods of one do not hold up the other


class KeyNotices:
    """Note which keys expire, and send mails; safe to use from several threads and processes.

    Args:
        base: the parts that use cases share.
        events: notes events.

    Attributes:
        noted: how many keys have been noted to expire, or to have expired.
        sent: how many events have been told by mail.
        failed: how many the mail server did not take for the moment; those are tried again.
    """

    def __init__(self, base: Base, events: KeyEvents) -> None:
        self._base = base
        self._events = events
        self._lock = Lock()
        self._sending: set[KeyEvent] = set()
        # From when on each may be sent; None for what is done.
        self._ended: list[tuple[KeyEvent, float | None]] = []
        self.noted = self.sent = self.failed = 0

    def run(self) -> bool:
        """Do all that is due, and wait for the mails; False if some of them are to be tried again.

        Raises:
            StoreUnavailableError: if the database cannot be asked.
        """
        failed = self.failed
        self.step()
        while self._sending:
            if not self._base.outbox.flush(_FLUSH_SECONDS):
                return False
            self.step()
        return self.failed == failed

    def step(self) -> None:
        """Do what is due, and leave mails to the outbox.

        Raises:
            StoreUnavailableError: if the database cannot be asked; what is left is done by the next step.
        """
        self.settle()
        while self._note_expiring():
            pass
        while self._send_mails():
            pass
        self.settle()

    def _note_expiring(self) -> bool:
        """Note a page of keys that expire; False if there are no more."""
        base, now = self._base, self._base.clock()
        with base.database.read() as connection:
            if not event_store.has_due_keys(connection, now):
                return False
        with base.database.write() as connection:
            keys = event_store.take_due_keys(connection, now, _PAGE)
            days = {key.id: days for key in keys if (days := _days_to_note(key, now)) is not None}
            new = self._events.note_expiry(connection, days, now)
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

    def _send_mails(self) -> bool:
        """Send some of the mails that are due; False if there are no more, or there is no room for more."""
        base, now = self._base, self._base.clock()
        room = _MAX_SENDING - len(self._sending)
        if room <= 0:
            return False
        with base.database.read() as connection:
            if not event_store.has_due_mails(connection, now):
                return False
        with base.database.write(flush=False) as connection:
            due = event_store.take_due_mails(connection, now, room, now + TAKEN_SECONDS)
        mails = sorted(due, key=_addressee)
        for _, of_one in groupby(mails, key=_addressee):
            self._send(list(of_one), now)
        return len(due) == room

    def _send(self, mails: Sequence[DueMail], now: float) -> None:
        """Send one mail about all events of one name of one account, unless there is nothing to tell."""
        told = [mail for mail in mails if self._is_told(mail, now)]
        self._end((mail.event for mail in mails if mail not in told), None)
        if not told:
            return
        events = [mail.event for mail in told]
        user, name = told[0].user, events[0].name
        if not self._may_send(_EXPIRY if name in ("expiring", "expired") else _SECURITY, user.email):
            self._end(events, now + RETRY_SECONDS)
            return
        with self._lock:
            self._sending.update(events)
        make = partial(key_mail, told, self._base.settings)
        self._base.outbox.submit(make, partial(self._report, events))

    def _is_told(self, mail: DueMail, now: float) -> bool:
        """Return whether the owner is to be told of an event still."""
        event, key = mail.event, mail.key
        if now - event.at > MAX_AGE:
            self._base.audit.record(Event("mail", False, now, "too_late", user_id=key.user_id, key_id=key.id))
            return False
        if mail.user.disabled:
            return False
        # A later mail tells more.
        return event.name != "expiring" or (key.revoked_at is None and days_left(key, now) == event.number)

    def _may_send(self, kind: str, email: str) -> bool:
        try:
            return self._base.limiter.may_send(kind, email)
        except VerificationUnavailableError:
            return True  # as for other notices: those who cause them are counted elsewhere

    def _report(self, events: Sequence[KeyEvent], outcome: Outcome, reason: str) -> None:
        """Take the outcome of a mail, in the thread of the outbox."""
        retry = self._base.clock() + RETRY_SECONDS if outcome == "unsent" else None
        with self._lock:
            if outcome == "sent":
                self.sent += len(events)
            elif retry is not None:
                self.failed += len(events)
            self._sending.difference_update(events)
            self._ended += [(event, retry) for event in events]
        self._events.wake()

    def _end(self, events: Iterable[KeyEvent], mail_at: float | None) -> None:
        with self._lock:
            self._ended += [(event, mail_at) for event in events]

    def settle(self) -> None:
        """Note what has been sent, and put off what has not.

        Raises:
            StoreUnavailableError: if that could not be stored; it is kept for the next time.
        """
        with self._lock:
            ended, self._ended = self._ended, []
        if not ended:
            return
        try:
            with self._base.database.write(flush=False) as connection:
                for moment in {moment for _, moment in ended}:
                    events = [event for event, mail_at in ended if mail_at == moment]
                    event_store.set_mails(connection, events, moment)
        except BaseException:
            with self._lock:
                self._ended += ended
            raise


def _days_to_note(key: StoredAPIKey, now: float) -> int | None:
    """Return the days before the expiry of a key that are to be noted; None if none are."""
    return None if key.revoked_at is not None else days_left(key, now)


def _addressee(mail: DueMail) -> tuple[str, str]:
    return mail.user.id, mail.event.name
