"""Write each mark of the log to another store, also after an outage of the store or the end of a process."""

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from weakref import WeakMethod

from authguard._core.encoding import sha256_hex
from authguard.errors import VerificationUnavailableError
from authguard.identity.errors import RevocationWaitsError, StoreUnavailableError
from authguard.identity.storage.database import Database
from authguard.identity.storage.elsewhere import queries
from authguard.stores.marks import Mark
from authguard.stores.revocations import SharedRevocations

#: A separate logger, so that commands, which report the reason themselves, can switch it off.
logger = logging.getLogger("authguard.outages")

#: Seconds between two searches of a running service for marks that the store lacks.
POLL_SECONDS = 1.0
#: Seconds after which no further batch is begun, and for which a request waits for another thread.
_WORK_SECONDS = 1.0
_WARNING_SECONDS = 60.0


class MarksElsewhere:
    """Write the marks of a database's log to another store; safe to use from several threads and processes.

    The database has the number up to which the store has all marks. A mark that is written twice does no
    harm.

    Args:
        database: the database with the log.
        revocations: the revocations of the other store.
    """

    def __init__(self, database: Database, revocations: SharedRevocations) -> None:
        self._database = database
        self._revocations = revocations
        #: The address of the store, without a password.
        self.name = revocations.health().name
        self._store = sha256_hex(self.name)
        self._warned_at: float | None = None
        self._begin_process()
        reset = WeakMethod(self._begin_process)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _begin_process(self) -> None:
        """Create the lock: a thread that held it did not survive a fork."""
        self._lock = Lock()  # for one batch at a time in a process, because all would write the same marks

    def write(self, marks: Sequence[Mark], sequence: int) -> None:
        """Write the marks of a committed transaction, and wait until all followers of the store have them.

        Earlier marks that the store lacks are written, too, at most one batch; the background thread writes
        the others.

        Args:
            marks: the marks.
            sequence: the number of the last one.

        Raises:
            RevocationWaitsError: if the store does not answer. The marks stay in the log, and are written
                later.
        """
        try:
            self._publish(marks, wait=True)
        except RevocationWaitsError as error:
            self._warn(error.reason)
            raise
        with suppress(StoreUnavailableError):  # these marks are written
            with self._database.swap() as connection:
                has_all = queries.advance(connection, self._store, sequence - len(marks), sequence)
            if not has_all and self._lock.acquire(blocking=False):
                try:
                    self._write_due(time.monotonic(), wait=False)
                finally:
                    self._lock.release()

    def write_due(self) -> None:
        """Write all marks that the store lacks, and wait until all followers of the store have them.

        Raises:
            RevocationWaitsError: if the store does not answer, or so many marks are due that another request
                must wait for them.
            StoreUnavailableError: if the database does not answer.
        """
        if not self._is_due():
            return
        if not self._lock.acquire(timeout=_WORK_SECONDS):
            raise self._not_yet()
        try:
            if not self._write_due(time.monotonic() + _WORK_SECONDS, wait=True):
                raise self._not_yet()
        finally:
            self._lock.release()

    def step(self) -> None:
        """Write marks that the store lacks, for about a second; a warning is logged once a minute."""
        try:
            is_due = self._is_due()
        except StoreUnavailableError:  # the database has logged the reason
            return
        if not is_due:
            return
        try:
            with self._lock:
                self._write_due(time.monotonic() + _WORK_SECONDS, wait=False)
        except StoreUnavailableError as error:
            self._warn(error.reason)
        else:
            if self._warned_at is not None:
                self._warned_at = None
                logger.info("revocations are written to %s again", self.name)

    def _warn(self, reason: str) -> None:
        """Log once a minute that marks wait in the database."""
        now = time.monotonic()
        if self._warned_at is None or now - self._warned_at >= _WARNING_SECONDS:
            self._warned_at = now
            logger.warning("revocations wait to be written to the other store: %s", reason)

    def _is_due(self) -> bool:
        with self._database.read() as connection:
            state = queries.read_state(connection, self._store)
        return state.reached != state.last

    def _write_due(self, end: float, *, wait: bool) -> bool:
        """Write batches until the store has all marks, or until a time; return whether it has all.

        Args:
            end: the time, by the monotonic clock, after which no further batch is begun.
            wait: whether to wait until all followers of the store have read the last batch.
        """
        with self._database.read() as connection:
            state = queries.read_state(connection, self._store)
        reached = state.reached
        if reached > state.last:  # the log was restored alone, and gives these numbers to other marks
            with self._database.swap() as connection:
                queries.forget_store(connection, self._store)
            reached = 0
        if reached < state.last and self._epoch() == state.epoch:
            # The other store is this log by another address. Each mark that is written gets a new number.
            self._note(state.last)
            return True
        while reached < state.last:
            with self._database.read() as connection:
                batch = queries.read_batch(connection, reached)
            if batch.marks:
                self._publish(batch.marks, wait=wait and batch.is_last)
            # A number has no mark if the mark was deleted, or was written again and has another number.
            reached = max(batch.last, state.last) if batch.is_last else batch.last
            self._note(reached)
            if time.monotonic() >= end:
                break
        return reached >= state.last

    def _note(self, reached: int) -> None:
        with self._database.swap() as connection:
            queries.note_reached(connection, self._store, reached)

    def _epoch(self) -> str:
        try:
            return self._revocations.epoch()
        except VerificationUnavailableError as error:
            raise RevocationWaitsError(f"{error.reason} (revocations_url)", retry_after=1) from error

    def _publish(self, marks: Sequence[Mark], *, wait: bool) -> None:
        try:
            self._revocations.publish(marks, wait=wait)
        except VerificationUnavailableError as error:
            raise RevocationWaitsError(f"{error.reason} (revocations_url)") from error

    def _not_yet(self) -> RevocationWaitsError:
        return RevocationWaitsError(f"{self.name}: earlier revocations are being written", retry_after=1)
