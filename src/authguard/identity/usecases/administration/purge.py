"""Delete expired rows: sessions, mailed links, mails, marks."""

from collections.abc import Callable
from logging import getLogger
from typing import NamedTuple

from sqlalchemy import Connection

from authguard.identity.model import NO_CALLER
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage.old_rows import queries as purge_store
from authguard.identity.storage.old_rows.lifetimes import delete_old_lifetimes, find_longest_lifetime
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.mails.queue import MAX_AGE

logger = getLogger("authguard")

#: The longest pause in seconds after which a process checks whether the purge is due.
PURGE_POLL_SECONDS = 300
#: Seconds after its last attempt was due at which a mail is deleted, because no process sends mails.
_MAIL_SECONDS = 2 * MAX_AGE
_TASK = "purge"


class Purged(NamedTuple):
    """Hold the numbers of deleted rows.

    Attributes:
        sessions: expired sessions whose access tokens have expired, too.
        one_time_tokens: expired tokens of mailed links, and changes of addresses that waited for one.
        mails: waiting mails that should have been given up a day ago or earlier.
    """

    sessions: int
    one_time_tokens: int
    mails: int


class Purge:
    """Delete old rows, a few at a time, so that no request waits long for it.

    Args:
        base: the common parts of use cases.
    """

    def __init__(self, base: Base) -> None:
        self._base = base

    def step(self) -> None:
        """Delete old rows, if it is due and no other process does so.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        now = self._base.clock()
        with self._base.database.write(flush=False) as connection:
            is_ours = purge_store.take_task(connection, _TASK, now, now + self._base.settings.purge_interval)
        if is_ours:
            self.run()

    @records("purge")
    def run(self) -> Purged:
        """Delete old rows now.

        Raises:
            StoreUnavailableError: if the database does not answer; rows that were deleted before stay
                deleted.
        """
        now = self._base.clock()
        # The row of a session decides whether its access tokens are valid, until these have expired.
        with self._base.database.read() as connection:
            lifetime = find_longest_lifetime(connection, self._base.settings.access_lifetime, now)
        done = Purged(
            self._delete(purge_store.delete_sessions, now - lifetime),
            self._delete(purge_store.delete_one_time_tokens, now)
            + self._delete(purge_store.delete_address_changes, now),
            self._delete(purge_store.delete_mails, now - _MAIL_SECONDS),
        )
        with self._base.database.write(flush=False) as connection:
            revocation_store.delete_old_marks(connection, now)
            delete_old_lifetimes(connection, now)
        if done.mails:
            logger.warning("mails that no process has sent for two days were given up: %d", done.mails)
        self._base.succeeded("purge", NO_CALLER)
        return done

    def _delete(self, delete: Callable[[Connection, str, float], purge_store.Deleted], before: float) -> int:
        """Delete old rows of a table in the order of its keys; each batch is a transaction."""
        total, last = 0, ""
        while True:
            with self._base.database.swap() as connection:
                number, end = delete(connection, last, before)
            total += number
            if end is None:
                return total
            last = end
