"""Count quotas in a file of SQLite, for several processes on one machine."""

import os
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from authguard._core.options import Duration, named_options
from authguard.stores.counting import blocks
from authguard.stores.counting.backend import ALIVE_SECONDS, Answer, Ask, Rest
from authguard.stores.counting.blocks import MICROSECONDS, Counter
from authguard.stores.counting.leases import LeasedQuotas
from authguard.stores.counting.outage import QuotasDown
from authguard.stores.late_lock import LateLock
from authguard.stores.log import StoreDownError
from authguard.stores.sql.reasons import driver_reason
from authguard.stores.sql.sqlite_connections import execute_when_free, open_file
from authguard.stores.sqlite import check_path

_MAX_PURGED = 500  # counters in one transaction, because other writers wait for it
_MAX_PURGES = 40
_TABLES = (
    """CREATE TABLE IF NOT EXISTS authguard_quotas (
        key TEXT PRIMARY KEY, epoch INTEGER NOT NULL, log BLOB NOT NULL, until INTEGER NOT NULL
        ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS ix_authguard_quotas_until ON authguard_quotas (until)",
    """CREATE TABLE IF NOT EXISTS authguard_quota_processes (
        process TEXT PRIMARY KEY, seen INTEGER NOT NULL)""",
)
_NOW = "SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
_FIND = "SELECT epoch, log FROM authguard_quotas WHERE key = ?"
_PUT = """INSERT INTO authguard_quotas (key, epoch, log, until) VALUES (?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, log = excluded.log, until = excluded.until"""
_PURGE = """DELETE FROM authguard_quotas WHERE key IN (
    SELECT key FROM authguard_quotas WHERE until < ? LIMIT ?)"""
_BEAT = """INSERT INTO authguard_quota_processes (process, seen) VALUES (?, ?)
    ON CONFLICT (process) DO UPDATE SET seen = excluded.seen"""
_DELETE_PROCESSES = "DELETE FROM authguard_quota_processes WHERE seen NOT BETWEEN ? AND ?"
_COUNT_PROCESSES = "SELECT count(*) FROM authguard_quota_processes"


@named_options
class SQLiteQuotas(LeasedQuotas):
    """Count quotas exactly for several processes on one machine, in a SQLite file.

    Each process borrows a small part of a quota in advance, so that most requests do not access the file. It
    gives the unspent amount back after a second. A power cut may lose the last counts.

    Args:
        path: of the file, on a disk of this machine; a new one is readable only by its owner. It may be that
            of a `SQLiteStore`.
        quotas_down: the behaviour while the file cannot be used: `"deny"` answers with 503; `"local"` counts
            in each process, which gets its share of each quota.
        processes: the number of processes, for `"local"`.
        timeout: seconds that a request may wait for the file, 0.05 to 30.
        max_counters: the greatest number of counters (callers times quotas) for which each process borrows at
            once.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        quotas_down: QuotasDown = "deny",
        processes: int | None = None,
        timeout: float | Duration = 1.0,
        max_counters: int = 100_000,
    ) -> None:
        file = check_path(path, "quotas.db")
        super().__init__(
            partial(SQLiteCounters, file),
            str(file),
            quotas_down=quotas_down,
            processes=processes,
            timeout=timeout,
            max_counters=max_counters,
        )


class SQLiteCounters:
    """Store counters in a table of SQLite, through one connection that one thread uses at a time.

    Args:
        path: of the file.
        timeout: seconds to wait for other writers.
        now: microseconds since the epoch; None for the clock of SQLite.
    """

    def __init__(self, path: Path, timeout: float, *, now: Callable[[], int] | None = None) -> None:
        self._path = path
        self._timeout = timeout
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._of_parent: list[sqlite3.Connection | None] = []
        self._failures, self._reason = 0, ""
        self.forget()

    def forget(self) -> None:
        """Drop the connection of the parent process, without using or closing it."""
        self._lock = LateLock()
        self._of_parent.append(self._connection)
        self._connection = None

    def take(self, owner: str, asks: Sequence[Ask], live: int) -> tuple[bool, Sequence[Answer]]:
        """Take from all quotas in one step; see `Backend`."""
        with self._transaction() as (connection, now):
            counters = [_find(connection, ask.key) or Counter(now) for ask in asks]
            epochs = [counter.epoch for counter in counters]
            admitted, answers = blocks.take(counters, asks, now, live)
            for counter, epoch, ask in zip(counters, epochs, asks, strict=True):
                if blocks.is_to_be_kept(counter, epoch, ask, admitted=admitted):
                    _put(connection, counter, ask)
        return admitted, answers

    def give_back(self, rests: Sequence[Rest]) -> None:
        """Give back rests; see `Backend`."""
        with self._transaction() as (connection, now):
            for rest in rests:
                counter = _find(connection, rest.key)
                if counter is not None:
                    blocks.give_back(counter, rest, now)
                    _put(connection, counter, rest)

    def beat(self, process: str) -> int:
        """Note that a process is alive, and forget old counters; see `Backend`."""
        for _ in range(_MAX_PURGES):
            with self._transaction() as (connection, now):
                if connection.execute(_PURGE, (now, _MAX_PURGED)).rowcount < _MAX_PURGED:
                    break
        with self._transaction() as (connection, now):
            alive = ALIVE_SECONDS * MICROSECONDS
            connection.execute(_BEAT, (process, now))
            connection.execute(_DELETE_PROCESSES, (now - alive, now + alive))
            (live,) = connection.execute(_COUNT_PROCESSES).fetchone()
        return int(live)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """Begin a transaction that writes, and commit it at the end."""
        failures = self._failures
        with self._lock:
            if failures != self._failures:
                raise StoreDownError(self._reason)  # a waiting call has timed out meanwhile
            try:
                connection = self._connection = self._connection or self._open()
                execute_when_free(connection, "BEGIN IMMEDIATE", self._timeout)
                try:
                    # The time is read under the write lock, so that each step is later than the previous one.
                    now = connection.execute(_NOW).fetchone()[0] if self._now is None else self._now()
                    yield connection, now
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as error:
                self._failures += 1
                if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_BUSY:
                    self._disconnect()
                self._reason = f"SQLite: {driver_reason(error)}"
                raise StoreDownError(self._reason) from error

    def _open(self) -> sqlite3.Connection:
        connection = open_file(self._path, self._timeout)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")  # commits do not wait for the disk
            connection.execute("PRAGMA busy_timeout = 0")
            execute_when_free(connection, "BEGIN IMMEDIATE", self._timeout)
            for table in _TABLES:
                connection.execute(table)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection


def _find(connection: sqlite3.Connection, key: str) -> Counter | None:
    row = connection.execute(_FIND, (key,)).fetchone()
    if row is None:
        return None
    numbers = array("q", row[1])  # the slots, and then their amounts
    half = len(numbers) // 2
    return Counter(row[0], numbers[:half], numbers[half:])


def _put(connection: sqlite3.Connection, counter: Counter, of: Ask | Rest) -> None:
    log = array("q", counter.slots + counter.amounts).tobytes()
    until = counter.until(of.window, is_daily=of.is_daily)
    connection.execute(_PUT, (of.key, counter.epoch, log, until))
