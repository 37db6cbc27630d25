"""Send each requested mail at least once, using a table that all processes share.

A use case adds a mail in its own transaction, so that an acknowledged mail survives the process. The outbox
takes one at a time, for some minutes, creates it, sends it, and deletes its row. A mail that could not be
created or sent is retried for a day, at growing intervals. If a process is killed meanwhile, another one
takes the mail after those minutes; if the mail server had accepted it already, it is sent twice, which is
better than losing it.

For some kinds, one mail reports all due events of an account. They wait for an hour while the mailbox has
reached its limit.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from sqlalchemy import Connection

from authguard.errors import ConfigurationError
from authguard.identity.audit import Audit, Event
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.limits.taken import keep
from authguard.identity.mail.addresses import is_same_address
from authguard.identity.mail.mailer import Mail
from authguard.identity.mail.outbox import Outbox, Outcome
from authguard.identity.model import User
from authguard.identity.storage import queries as store
from authguard.identity.storage.database import Database
from authguard.identity.storage.mails import queries as mail_store
from authguard.identity.storage.mails.queries import WaitingMail

logger = logging.getLogger("authguard")

#: Seconds between two searches for due mails, and before the second attempt to send a mail.
POLL_SECONDS = 15.0
#: Seconds for which one process holds a mail; longer than a mail server may take for it.
TAKEN_SECONDS = 600.0
#: The longest time in seconds between two attempts.
MAX_PAUSE = 3_600.0
#: Seconds after which a mail that could not be sent is given up.
MAX_AGE = 86_400.0
#: Jobs of one process that wait in the outbox.
_MAX_JOBS = 20
#: Seconds for which a mail may be late before the queue counts as stuck.
_LATE_SECONDS = 300.0

#: Creates a mail to an account; None if the mail is obsolete.
Maker: TypeAlias = Callable[[WaitingMail, User], Mail | None]
#: The same, for all due mails of one kind to one account.
MakerOfSeveral: TypeAlias = Callable[[Sequence[WaitingMail], User], Mail | None]
#: The reason of a mail that waits because its mailbox has reached the limit of its kind.
LIMITED = "the mailbox has had enough of these for now"
_FLUSH_SECONDS = 120.0


class FullMailboxError(Exception):
    """Delay mails for an hour, because their mailbox has reached the limit of their kind."""


class MailQueueState(NamedTuple):
    """Describe the state of the mails of all processes.

    Attributes:
        waiting: the number of waiting mails.
        late: the number of them that have been due for five minutes or longer.
        try_at: the time of the next attempt, in seconds since the epoch; None if no mail waits.
    """

    waiting: int
    late: int
    try_at: float | None


class MailQueue:
    """Store waiting mails in the database, and send them; thread-safe.

    Args:
        database: stores the mails.
        outbox: creates and sends them, after the answer.
        audit: records an event for each mail that was sent or given up.
        clock: seconds since the epoch.

    Attributes:
        sent: the number of mails that this process has sent.
        unsent: the number of failed attempts that are repeated.
    """

    def __init__(self, database: Database, outbox: Outbox, audit: Audit, clock: Callable[[], float]) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit
        self._clock = clock
        self._makers: dict[str, MakerOfSeveral] = {}
        self._together: set[str] = set()
        self._alike: set[str] = set()
        self.sent = self.unsent = 0  # only the worker of the outbox changes these
        database.after_mails = self.wake

    def register(self, kind: str, maker: Maker, *, alike: bool = False) -> None:
        """Register the function that creates the mails of a kind.

        Args:
            kind: the kind of the mails.
            maker: creates one.
            alike: whether it also gets mails whose typed address only looks like that of an account, with
                this account; the address of such a mail is the typed one.
        """
        self._makers[kind] = lambda mails, user: maker(mails[0], user)
        if alike:
            self._alike.add(kind)

    def register_together(self, kind: str, maker: MakerOfSeveral) -> None:
        """Register the function that creates one mail for all due rows of a kind and an account.

        Args:
            kind: the kind of the mails.
            maker: raises `FullMailboxError` for mails that must wait.
        """
        self._makers[kind] = maker
        self._together.add(kind)

    def leave_to_others(self) -> None:
        """Send nothing in this process: a command leaves its mails to the service."""
        self._database.after_mails = _do_nothing

    def add(
        self,
        connection: Connection,
        kind: str,
        *,
        user_id: str | None = None,
        address: str | None = None,
        details: str = "",
    ) -> bool:
        """Add a mail in the transaction of a use case; False if too many mails without a known account wait.

        Args:
            connection: the transaction.
            kind: the kind of the mail, which must have a maker.
            user_id: the account, if it is known.
            address: the typed address, if the account is not known; it is looked up after the answer.
                Otherwise an earlier address of the account, to which the mail is sent.
            details: further data for the maker, without secrets.
        """
        self._check_kind(kind)
        now = self._clock()
        is_added = mail_store.add_mail(
            connection, kind, now, user_id=user_id, address=address, details=details
        )
        if not is_added:
            logger.error("too many mails wait: one was not taken")
            self._audit.record(Event("mail", False, now, "queue_full"))
        return is_added

    def add_all(self, connection: Connection, kind: str, told: Iterable[tuple[str, str]]) -> None:
        """Add mails to known accounts, in the transaction of a use case.

        Args:
            connection: the transaction.
            kind: the kind of the mails, which must have a maker.
            told: the account and the details of each mail; may be empty.
        """
        self._check_kind(kind)
        mail_store.add_mails(connection, kind, self._clock(), told)

    def _check_kind(self, kind: str) -> None:
        if kind not in self._makers:
            raise ConfigurationError(f"kind must be one of {', '.join(self._makers)}, got {kind!r}")

    def wake(self) -> None:
        """Send one mail soon; called after a transaction that has added one."""
        keep()
        if self._outbox.stats().waiting < _MAX_JOBS:
            self._submit()

    def step(self, running: int = 0) -> None:
        """Send due mails.

        Args:
            running: the number of jobs of the outbox that are about to end.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._database.read() as connection:
            due = mail_store.count_due(connection, self._clock(), _MAX_JOBS)
        for _ in range(due - (self._outbox.stats().waiting - running)):
            self._submit()

    def run(self) -> bool:
        """Send all due mails, and wait for it; False if some must be tried again.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        unsent = self.unsent
        while True:
            self.step()
            if not self._outbox.flush(_FLUSH_SECONDS):
                return False
            with self._database.read() as connection:
                if not mail_store.count_due(connection, self._clock(), 1):
                    return self.unsent == unsent

    def _submit(self) -> None:
        job = _Job(self)
        self._outbox.submit(job.make, job.done)

    def state(self) -> MailQueueState:
        """Return the state of the mails.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._database.read() as connection:
            return MailQueueState(*mail_store.count_mails(connection, self._clock() - _LATE_SECONDS))

    def list(self, limit: int = 100) -> Sequence[WaitingMail]:
        """List the waiting mails, the next attempt first."""
        with self._database.read() as connection:
            return mail_store.list_mails(connection, limit)

    def retry(self, mail_id: str | None = None) -> int:
        """Make mails due at once, and retry them for a day from now on; return their number.

        Args:
            mail_id: the name of a mail, or the beginning of it; None for all mails.
        """
        with self._database.write() as connection:
            return mail_store.try_now(connection, self._clock(), mail_id)

    def take(self) -> Sequence[WaitingMail]:
        """Take the mail that has waited longest, with the mails that are combined with it.

        The list is empty if none is due.
        """
        now = self._clock()
        with self._database.read() as connection:
            if not mail_store.count_due(connection, now, 1):
                return []
        with self._database.write(flush=False) as connection:
            return mail_store.take_mails(connection, now, now + TAKEN_SECONDS, self._together)

    def find_account(self, taken: Sequence[WaitingMail]) -> tuple[Sequence[WaitingMail], User | None]:
        """Return taken mails under the name of their account, and the account; None if it does not exist."""
        first = taken[0]
        with self._database.read() as connection:
            user = _addressee(connection, first, alike=first.kind in self._alike)
        if user is not None and first.user_id is None:
            typed = first.address or ""
            address = None if is_same_address(user.email, typed) else typed
            with self._database.write(flush=False) as connection:
                taken = [mail_store.set_account(connection, first, user.id, address), *taken[1:]]
        return taken, user

    def make(self, taken: Sequence[WaitingMail], user: User | None) -> Mail | None:
        """Create the mail for the taken rows; None if it is obsolete."""
        made = None if user is None else self._makers[taken[0].kind](taken, user)
        if made is None:
            with self._database.write(flush=False) as connection:
                mail_store.delete_mails(connection, taken)
            if user is None:
                self._record(False, "unknown", None)
        return made

    def let_wait(self, taken: Sequence[WaitingMail]) -> None:
        """Delay mails whose mailbox has reached its limit; they are not given up."""
        with suppress(StoreUnavailableError), self._database.write(flush=False) as connection:
            mail_store.put_off(connection, taken, self._clock() + MAX_PAUSE, LIMITED)

    def end(self, taken: Sequence[WaitingMail], user_id: str | None, outcome: Outcome, reason: str) -> None:
        """Record the outcome of a mail, and start with the next."""
        kind, now = taken[0].kind, self._clock()
        kept = [mail for mail in taken if outcome == "unsent" and now - mail.asked_at < MAX_AGE]
        if outcome == "sent":
            self.sent += 1
            self._record(True, "", user_id)
        elif len(kept) < len(taken):
            logger.error("a mail of the kind %s is given up: %s", kind, reason)
            self._record(False, "refused" if outcome == "refused" else "given_up", user_id)
        if kept:
            self.unsent += 1
            logger.warning("a mail of the kind %s was not sent, and will be tried again: %s", kind, reason)
        try:
            with self._database.write(flush=False) as connection:
                pause = min(MAX_PAUSE, POLL_SECONDS * 2 ** min(max(mail.tries for mail in taken) - 1, 10))
                mail_store.put_off(connection, kept, now + pause, reason)
                mail_store.delete_mails(connection, [mail for mail in taken if mail not in kept])
        except StoreUnavailableError:
            logger.warning("the outcome of a mail could not be stored: it will be tried again")
        self.go_on()

    def go_on(self) -> None:
        """Send due mails while the current job is about to end."""
        if self._outbox.is_open:
            with suppress(StoreUnavailableError):  # the next search finds the mail
                self.step(running=1)

    def _record(self, succeeded: bool, reason: str, user_id: str | None) -> None:
        self._audit.record(Event("mail", succeeded, self._clock(), reason, user_id=user_id))


class _Job:
    """Take one mail, create it, and record its outcome: a job for the outbox.

    Args:
        queue: the queue of mails.
    """

    def __init__(self, queue: MailQueue) -> None:
        self._queue = queue
        self._taken: Sequence[WaitingMail] = ()
        self._user_id: str | None = None

    def make(self) -> Mail | None:
        """Return the next mail; None if none is due, or it could not be created and is tried again."""
        try:
            self._taken = self._queue.take()
            if not self._taken:
                return None
            self._taken, user = self._queue.find_account(self._taken)
            self._user_id = None if user is None else user.id
            mail = self._queue.make(self._taken, user)
            if mail is None:
                self._queue.step(running=1)
        except FullMailboxError:
            self._queue.let_wait(self._taken)
            self._queue.go_on()
            return None
        except StoreUnavailableError as error:
            reason = error.reason
        except Exception as error:
            reason = f"it could not be made: {type(error).__name__}"  # the text may contain an address
            logger.error("a mail was not made: %s", type(error).__name__)
        else:
            return mail
        self.done("unsent", reason)
        return None

    def done(self, outcome: Outcome, reason: str) -> None:
        """Record the outcome."""
        taken, self._taken = self._taken, ()
        if taken:
            self._queue.end(taken, self._user_id, outcome, reason)


def _do_nothing() -> None:
    """Do nothing."""


def _addressee(connection: Connection, mail: WaitingMail, *, alike: bool) -> User | None:
    """Return the account of the recipient, or the one whose address is similar; None if it does not exist."""
    if mail.user_id is not None:
        return store.find_user(connection, mail.user_id)
    if alike:
        return store.find_user_alike(connection, mail.address or "")
    row = store.find_user_by_address(connection, mail.address or "")
    return None if row is None else row.user
