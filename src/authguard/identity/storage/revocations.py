"""Store revocations in the database, for all processes that share it."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import Protocol

from authguard._core.options import Duration, check_clock, check_object, named_options
from authguard._extras import MissingExtraError
from authguard.errors import ConfigurationError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage.database import Database, check_database
from authguard.identity.storage.elsewhere.writer import MarksElsewhere
from authguard.identity.storage.log import log_name, open_log
from authguard.identity.storage.marks import add_marks, dialect_of, execute_by, require_elsewhere
from authguard.stores import PostgresStore, RedisStore
from authguard.stores.downtime import Down, check_bound, check_revocations_down
from authguard.stores.follower import Follower
from authguard.stores.log import StoreDownError
from authguard.stores.marks import Mark
from authguard.stores.places import shown_url
from authguard.stores.receipt import Receipt
from authguard.stores.revocations import SharedRevocations
from authguard.stores.sql import sql_tables as sql

_BOUND = 1.0  # seconds between two reads of a process that follows the log
_ALIVE_SECONDS = 3 * _BOUND  # seconds without a read after which a process counts as ended
_FIRST_PAUSE, _MAX_PAUSE = 0.002, 0.05


class RevocationStore(Protocol):
    """Describe a store of `authguard.stores`.

    Attributes:
        revocations: the store of logouts.
    """

    revocations: SharedRevocations


def open_store(url: str | None) -> RedisStore | PostgresStore | None:
    """Open the store at `Settings.revocations_url`.

    Raises:
        ConfigurationError: for the URL of another kind of store, or if its library is missing.
    """
    if url is None:
        return None
    try:
        if url.startswith(("redis:", "rediss:", "unix:")):
            return RedisStore(url)
        if url.startswith("postgres"):
            return PostgresStore(url)
    except MissingExtraError:
        raise
    except ConfigurationError as error:  # the error's text would name the option of the class
        raise ConfigurationError(f"revocations_url: {error}") from None
    shown = shown_url(url, '"redis://localhost:6379/0"')
    raise ConfigurationError(
        f"revocations_url must begin with redis://, rediss://, unix:// or postgresql://, got {shown}"
    )


def shared_revocations_of(store: RevocationStore | None) -> SharedRevocations | None:
    """Return the revocations of the option `store`.

    Raises:
        ConfigurationError: if it is not a store of `authguard.stores`.
    """
    if store is None:
        return None
    revocations = getattr(store, "revocations", None)
    check_object(revocations, "store.revocations", SharedRevocations, "store=RedisStore(…)", or_none=False)
    return store.revocations


@named_options
class SQLRevocations(SharedRevocations):
    """Store revocations for `Guard(revocations=…)`, shared by all processes that use the database.

    Each process follows the log in the database, like those with a store of `authguard.stores`: a request is
    answered from memory, as long as the log was read within the bound. `revoke` always waits for all
    followers of the log, and raises `StoreUnavailableError` if the database does not answer; then nothing is
    revoked.

    Args:
        database: the database of the identity service, or its URL.
        bound: seconds after which a revocation applies in every process, 0.1 to 60.
        revocations_down: the behaviour when the database has not answered for the bound: `"deny"` answers
            with 503; `("stale", seconds)` uses the known revocations for that many more seconds.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range.
    """

    def __init__(
        self,
        database: Database | str,
        *,
        bound: float | Duration = 1.0,
        revocations_down: Down = "deny",
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_database(database, 'SQLRevocations("postgresql://…")')
        seconds, stale = check_bound(bound), check_revocations_down(revocations_down)
        check_clock(clock)
        self._is_own = isinstance(database, str)
        self._database = Database(database, may_create=False) if isinstance(database, str) else database
        if self._is_own:
            self._database.after_marks = Spread(self._database)
        log = open_log(self._database, seconds)
        follower = Follower(log, log_name(self._database), bound=seconds, stale=stale, wall=clock)
        super().__init__(log, follower, clock=clock)

    def _keep(self, mark: Mark, *, wait: bool) -> Receipt:
        """Store a mark, and return when all followers of the log have read it, or after a second."""
        now = self._clock()
        if mark.kind in ("subject", "all") and mark.issued_before is None:
            mark = replace(mark, issued_before=now)
        with self._database.write() as connection:
            add_marks(connection, [mark])
            require_elsewhere(connection)
            revocation_store.delete_old_marks(connection, now)
        with self._database.read() as connection:
            (sequence,) = execute_by(connection)("SELECT seq FROM authguard_log", ()).fetchone()
        return Receipt(sequence, self._clock() + self._follower.bound)

    def check(self) -> None:
        """Query the database, and log its name once, by which operators see which processes share its log.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._database.read() as connection:
            (epoch,) = execute_by(connection)(sql.READ_EPOCH, ()).fetchone()
        self._follower.tell_epoch(epoch)

    def _unavailable(self, error: StoreDownError) -> StoreUnavailableError:
        return StoreUnavailableError(f"{self._follower.name}: {error}", retry_after=1)

    def close(self) -> None:
        """End the thread and close the connections; a later request opens new ones."""
        super().close()
        if self._is_own:
            self._database.close()


class Spread:
    """Wait until the followers of a database's log have read it, for at most a second.

    Args:
        database: the database with the log.
        elsewhere: writes the marks to another store; None for no other store.
    """

    def __init__(self, database: Database, elsewhere: MarksElsewhere | None = None) -> None:
        self._database = database
        self._elsewhere = elsewhere

    def __call__(self, marks: Sequence[Mark], sequence: int) -> None:
        """Write the marks to the other store, and wait until all followers have read them.

        Raises:
            RevocationWaitsError: if the other store does not answer. The marks stay in the database, and are
                written to the store when it answers again.
        """
        end, pause = time.monotonic() + _BOUND, _FIRST_PAUSE
        if self._elsewhere is not None:
            self._elsewhere.write(marks, sequence)
        with suppress(StoreUnavailableError):  # the mark is stored, and applies within the bound
            while not self._is_known(sequence) and (remaining := end - time.monotonic()) > 0:
                Event().wait(min(pause, remaining))
                pause = min(2 * pause, _MAX_PAUSE)

    def _is_known(self, sequence: int) -> bool:
        with self._database.read() as connection:
            statement = dialect_of(connection).spell(sql.LATE_READERS)
            (late,) = execute_by(connection)(statement, (_ALIVE_SECONDS, sequence)).fetchone()
        return bool(late == 0)
