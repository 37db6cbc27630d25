"""Send each mail that was asked for at least once, by a table that all processes share.

A use case adds a mail in its own transaction, so that an acknowledged mail survives the process. The outbox
takes one at a time, for some minutes, creates it, sends it, and deletes its row. A mail that could not be
created or sent is retried for a day, at growing intervals. If a process is killed in between, another one
takes the mail when the time is over; if the mail server already had it, it is sent twice, which is better
than never.

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
from authguard.identity.mail.mailer import Mail
from authguard.identity.mail.outbox import Outbox, Outcome
from authguard.identity.model import User
from authguard.identity.storage import queries as store
from authguard.identity.storage.database import Database
from authguard.identity.storage.mails import queries as mail_store
from authguard.identity.storage.mails.queries import WaitingMail

logger = logging.getLogger("authguard")

#: Seconds between two looks for mails that are due, and before the second try of one.
POLL_SECONDS = 15.0
#: Seconds for which a mail is one process's; longer than a mail server may take for it.
TAKEN_SECONDS = 600.0
#: Seconds between two tries at most.
MAX_PAUSE = 3_600.0
#: Seconds after which a mail that could not be sent is given up.
MAX_AGE = 86_400.0
#: Jobs of one process that wait in the outbox.
_MAX_JOBS = 20
#: Seconds for which a mail may be late before the queue counts as stuck.
_LATE_SECONDS = 300.0

#: Makes a mail to an account; None if there is none to send any more.
Maker: TypeAlias = Callable[[WaitingMail, User], Mail | None]
#: The same, of all that is due of a kind and an account.
MakerOfSeveral: TypeAlias = Callable[[Sequence[WaitingMail], User], Mail | None]
#: Why a mail waits whose mailbox has had enough of its kind.
LIMITED = "the mailbox has had enough of these for now"
_FLUSH_SECONDS = 120.0


class FullMailboxError(Exception):
    """Put mails off for an hour: the mailbox has had enough of their kind for now."""


class MailQueueState(NamedTuple):
    """Tell how the mails of all processes stand.

    Attributes:
        waiting: how many are to be sent.
        late: how many of them should have been tried five minutes ago, or earlier.
        try_at: when the first of them is tried, in seconds since the epoch; None if none waits.
    """

    waiting: int
    late: int
    try_at: float | None


class MailQueue:
    """Keep mails that are to be made in the database, and send them; safe to use from several threads.

    Args:
        database: where they are kept.
        outbox: makes and sends them, after the answer.
        audit: takes an event for each that was sent or given up.
        clock: seconds since the epoch.

    Attributes:
        sent: how many mails this process has sent.
        unsent: how often one was not sent, and is tried again.
    """

    def __init__(self, database: Database, outbox: Outbox, audit: Audit, clock: Callable[[], float]) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit
        self._clock = clock
        self._makers: dict[str, MakerOfSeveral] = {}
        self._together: set[str] = set()
        self.sent = self.unsent = 0  # changed by the worker of the outbox alone
        database.after_mails = self.wake

    def register(self, kind: str, maker: Maker) -> None:
        """Say how the mails of a kind are made."""
        self._makers[kind] = lambda mails, user: maker(mails[0], user)

    def register_together(self, kind: str, maker: MakerOfSeveral) -> None:
        """Say how one mail is made of all that is due of a kind and an account.

        Args:
            kind: what they tell.
            maker: raises `FullMailboxError` for mails that are to wait.
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
        """Add a mail in the transaction of a use case; False if too many wait whose account is not known yet.

        Args:
            connection: the transaction.
            kind: what it tells; one that has a maker.
            user_id: the account, if it is known.
            address: else the address that was typed, whose account is looked up after the answer. With an
                account, an address that it had before, where the mail goes.
            details: what the maker needs besides; nothing secret.
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
        """Add mails to accounts that are known, in the transaction of a use case.

        Args:
            connection: the transaction.
            kind: what they tell; one that has a maker.
            told: the account and the details of each; there may be none.
        """
        self._check_kind(kind)
        mail_store.add_mails(connection, kind, self._clock(), told)

    def _check_kind(self, kind: str) -> None:
        if kind not in self._makers:
            raise ConfigurationError(f"kind must be one of {', '.join(self._makers)}, got {kind!r}")

    def wake(self) -> None:
        """Send one mail soon; called after a transaction that has added one."""
        if self._outbox.stats().waiting < _MAX_JOBS:
            self._submit()

    def step(self, running: int = 0) -> None:
        """Send what is due.

        Args:
            running: how many jobs of the outbox are about to end.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._database.read() as connection:
            due = mail_store.count_due(connection, self._clock(), _MAX_JOBS)
        for _ in range(due - (self._outbox.stats().waiting - running)):
            self._submit()

    def run(self) -> bool:
        """Send all that is due, and wait for it; False if some of it is to be tried again.

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
        """Return how the mails stand.

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
        """Let mails be tried at once, and for a day from now on; return how many.

        Args:
            mail_id: the name of one, or the beginning of it; None for all.
        """
        with self._database.write() as connection:
            return mail_store.try_now(connection, self._clock(), mail_id)

    def take(self) -> Sequence[WaitingMail]:
        """Take the mail that has waited longest, with those that it is combined with.

        An empty list if none is due.
        """
        now = self._clock()
        with self._database.read() as connection:
            if not mail_store.count_due(connection, now, 1):
                return []
        with self._database.write(flush=False) as connection:
            return mail_store.take_mails(connection, now, now + TAKEN_SECONDS, self._together)

    def find_account(self, taken: Sequence[WaitingMail]) -> tuple[Sequence[WaitingMail], User | None]:
        """Return mails that were taken, by the name of their account, and that; None if there is none."""
        first = taken[0]
        with self._database.read() as connection:
            user = _addressee(connection, first)
        if user is not None and first.user_id is None:
            with self._database.write(flush=False) as connection:
                taken = [mail_store.set_account(connection, first, user.id), *taken[1:]]
        return taken, user

    def make(self, taken: Sequence[WaitingMail], user: User | None) -> Mail | None:
        """Make a mail of what was taken; None if there is none to send any more."""
        made = None if user is None else self._makers[taken[0].kind](taken, user)
        if made is None:
            with self._database.write(flush=False) as connection:
                mail_store.delete_mails(connection, taken)
            if user is None:
                self._record(False, "unknown", None)
        return made

    def let_wait(self, taken: Sequence[WaitingMail]) -> None:
        """Put off mails whose mailbox has had enough of them, without a limit of time."""
        with suppress(StoreUnavailableError), self._database.write(flush=False) as connection:
            mail_store.put_off(connection, taken, self._clock() + MAX_PAUSE, LIMITED)

    def end(self, taken: Sequence[WaitingMail], user_id: str | None, outcome: Outcome, reason: str) -> None:
        """Note the outcome of a mail, and go on with the next."""
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
        """Send what is due besides the job that is about to end."""
        if self._outbox.is_open:
            with suppress(StoreUnavailableError):  # the next look finds it
                self.step(running=1)

    def _record(self, succeeded: bool, reason: str, user_id: str | None) -> None:
        self._audit.record(Event("mail", succeeded, self._clock(), reason, user_id=user_id))


class _Job:
    """Take one mail, make it, and note what became of it: what the outbox does with it.

    Args:
        queue: where mails are taken from.
    """

    def __init__(self, queue: MailQueue) -> None:
        self._queue = queue
        self._taken: Sequence[WaitingMail] = ()
        self._user_id: str | None = None

    def make(self) -> Mail | None:
        """Return the next mail; None if there is none, or it could not be made and is tried again."""
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
            reason = f"it could not be made: {type(error).__name__}"  # the text may hold an address
            logger.error("a mail was not made: %s", type(error).__name__)
        else:
            return mail
        self.done("unsent", reason)
        return None

    def done(self, outcome: Outcome, reason: str) -> None:
        """Note the outcome."""
        taken, self._taken = self._taken, ()
        if taken:
            self._queue.end(taken, self._user_id, outcome, reason)


def _do_nothing() -> None:
    """Do nothing."""


def _addressee(connection: Connection, mail: WaitingMail) -> User | None:
    """Return the account to write to; None if there is none."""
    if mail.user_id is not None:
        return store.find_user(connection, mail.user_id)
    row = store.find_user_by_address(connection, mail.address or "")
    return None if row is None else row.user
