"""Keep revocations in the database, for all processes that share it."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import Protocol

from authguard._core.model import Principal
from authguard._core.options import check_function, check_object
from authguard.errors import VerificationUnavailableError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage.database import Database
from authguard.identity.storage.marks import add_marks, dialect_of, execute_by
from authguard.stores import sql_tables as sql
from authguard.stores.marks import Mark, revokes
from authguard.stores.receipt import Receipt
from authguard.stores.revocations import SharedRevocations
from authguard.stores.revoking import Revoking

_BOUND = 1.0  # of processes that follow the log
_ALIVE_SECONDS = 3 * _BOUND  # without a reading, after which a process counts as gone
_FIRST_PAUSE, _MAX_PAUSE = 0.002, 0.05


class RevocationStore(Protocol):
    """Describe a store of `authguard.stores`.

    Attributes:
        revocations: where logouts are written.
    """

    revocations: SharedRevocations


def shared_revocations_of(store: RevocationStore | None) -> SharedRevocations | None:
    """Return the revocations of the option `store`.

    Raises:
        ConfigurationError: if it is no store of `authguard.stores`.
    """
    if store is None:
        return None
    revocations = getattr(store, "revocations", None)
    check_object(revocations, "store.revocations", SharedRevocations, "store=RedisStore(…)", or_none=False)
    return store.revocations


class SQLRevocations(Revoking):
    """Answer for `Guard(revocations=…)`, with revocations that all processes that use the database share.

    Each request asks the database, so that a logout holds at once, everywhere. If the database
    cannot be asked, the guard answers 503. It is the log that `PostgresStore` and `SQLiteStore` of
    `authguard.stores` follow, which ask it three times a second instead.
    `revoke` always waits for the processes that follow it, and raises `StoreUnavailableError` if the database
    does not answer: nothing is revoked then.

    Args:
        database: the database of the identity service, or its URL.
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database | str, *, clock: Callable[[], float] = time.time) -> None:
        if not isinstance(database, str):
            check_object(database, "database", Database, 'SQLRevocations("postgresql://…")', or_none=False)
        self._database = Database(database) if isinstance(database, str) else database
        if isinstance(database, str):
            self._database.after_marks = Spread(self._database)
        check_function(clock, "clock", "clock=time.time", or_none=False)
        self._clock = clock

    def _keep(self, mark: Mark, *, wait: bool) -> Receipt:
        """Write a mark, and return when all processes that follow the log know, or after a second."""
        now = self._clock()
        if mark.kind in ("subject", "all") and mark.issued_before is None:
            mark = replace(mark, issued_before=now)
        with self._database.write() as connection:
            add_marks(connection, [mark])
            revocation_store.delete_old_marks(connection, now)
        with self._database.read() as connection:
            (sequence,) = execute_by(connection)("SELECT seq FROM authguard_log", ()).fetchone()
        return Receipt(sequence, self._clock() + _BOUND)

    def is_revoked(self, principal: Principal) -> bool:
        """Return whether the principal's token, API key, session or subject has been revoked.

        Raises:
            StoreUnavailableError: if the database cannot be asked.
        """
        now = self._clock()
        with self._database.read() as connection:
            marks = revocation_store.find_marks(connection, principal, now)
        return bool(marks) and revokes(marks, principal, now)


class Spread:
    """Wait until the processes that follow the log of a database know, for a second at most.

    Args:
        database: whose log it is.
        revocations: of another store, where the marks are written, too; None if there is none.
    """

    def __init__(self, database: Database, revocations: SharedRevocations | None = None) -> None:
        self._database = database
        self._revocations = revocations

    def __call__(self, marks: Sequence[Mark], sequence: int) -> None:
        """Write the marks to the other store, and wait until all know of them.

        Raises:
            StoreUnavailableError: if the other store does not answer. What the database has stays; a second
                attempt writes the marks again.
        """
        end, pause = time.monotonic() + _BOUND, _FIRST_PAUSE
        if self._revocations is not None:
            try:
                self._revocations.publish(marks, wait=True)
            except VerificationUnavailableError as error:
                raise StoreUnavailableError(error.reason) from error
        with suppress(StoreUnavailableError):  # it is stored, and holds within the bound
            while not self._is_known(sequence) and (remaining := end - time.monotonic()) > 0:
                Event().wait(min(pause, remaining))
                pause = min(2 * pause, _MAX_PAUSE)

    def _is_known(self, sequence: int) -> bool:
        with self._database.read() as connection:
            statement = dialect_of(connection).spell(sql.LATE_READERS)
            (late,) = execute_by(connection)(statement, (_ALIVE_SECONDS, sequence)).fetchone()
        return bool(late == 0)
