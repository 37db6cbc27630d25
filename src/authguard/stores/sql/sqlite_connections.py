"""Connect to SQLite, using the standard library: several processes on one machine."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import cast

from authguard.stores.late_lock import LateLock
from authguard.stores.log import StoreDownError
from authguard.stores.sql import sql_tables as sql
from authguard.stores.sql.reasons import NO_TABLES, driver_reason
from authguard.stores.sql.sql_log import Dialect, Execute, Row, create_tables

DIALECT = Dialect("?", "(julianday('now') - 2440587.5) * 86400.0", "max")
_LOOK_SECONDS = 0.02  # seconds between two checks of the file, because SQLite has no notifications
_HURRY = 0.1  # the share of the timeout
_BUSY_SECONDS = 0.001  # seconds between two attempts
_BEAT, _READ = DIALECT.spell(sql.PUT_READER), DIALECT.spell(sql.READ_LOG)
_HAS_TABLES = "SELECT count(*) FROM sqlite_schema WHERE name = 'authguard_replays'"
_SEQUENCE = "SELECT seq FROM authguard_log"


class SQLiteConnections:
    """Lend one connection to one thread at a time.

    Args:
        path: of the file.
        timeout: seconds to wait for other writers.
        creates_tables: whether missing tables are created. Otherwise they are an outage, because a new log
            under a mistyped name would have none of the revocations.
    """

    dialect = DIALECT

    def __init__(self, path: Path, timeout: float, *, creates_tables: bool = True) -> None:
        self._path = path
        self._timeout = timeout
        self._creates_tables = creates_tables
        self._connection: sqlite3.Connection | None = None
        self._of_parent: list[sqlite3.Connection | None] = []
        self.forget()

    def forget(self) -> None:
        """Drop the connection of the parent process, without using or closing it."""
        self._lock = LateLock()
        self._of_parent.append(self._connection)
        self._connection = None

    @contextmanager
    def write(self) -> Iterator[Execute]:
        """Begin a transaction that writes, and commit it at the end."""
        with self._transaction("BEGIN IMMEDIATE") as execute:
            yield execute

    @contextmanager
    def statements(self) -> Iterator[Execute]:
        """Run queries in one transaction; they do not wait for writers."""
        with self._transaction("BEGIN") as execute:
            yield execute

    def look(self, process: str, sequence: int, *, is_noted: bool) -> Row:
        """Note that a process has read up to a number, and return the state of the log.

        A process that writes all the time would block others, so a process that is already noted is noted
        next time.
        """
        may_fail = suppress(StoreDownError) if is_noted else nullcontext()
        with may_fail, self._transaction("BEGIN IMMEDIATE", hurried=is_noted) as execute:
            execute(_BEAT, (process, sequence))
        with self._transaction("BEGIN") as execute:
            return cast("Row", execute(_READ, (sequence,)).fetchone())

    def announce(self, execute: Execute) -> None:
        """Do nothing: other processes poll."""

    def wait(self, seconds: float, sequence: int) -> None:
        """Return when a later number has been written, or when the time has passed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._transaction("BEGIN") as execute:
                if execute(_SEQUENCE, ()).fetchone() != (sequence,):
                    return
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self, begin: str, *, hurried: bool = False) -> Iterator[Execute]:
        with self._lock:
            try:
                connection = self._connection = self._connection or self._open()
                milliseconds = round(1000 * self._timeout * (_HURRY if hurried else 1))
                connection.execute(f"PRAGMA busy_timeout = {milliseconds}")
                # A beat that a power cut loses is written again; a revocation would be lost.
                connection.execute(f"PRAGMA synchronous = {'NORMAL' if hurried else 'FULL'}")
                connection.execute(begin)
                try:
                    yield cast("Execute", connection.execute)
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as error:
                is_busy = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
                if self._connection is not None and not is_busy:
                    self._connection.close()
                    self._connection = None
                raise StoreDownError(f"SQLite: {driver_reason(error)}") from error

    def _open(self) -> sqlite3.Connection:
        if not self._creates_tables and not self._path.exists():
            raise StoreDownError(NO_TABLES)
        connection = open_file(self._path, self._timeout)
        try:
            if connection.execute(_HAS_TABLES).fetchone() == (0,):
                if not self._creates_tables:
                    raise StoreDownError(NO_TABLES)
                connection.execute("BEGIN IMMEDIATE")
                create_tables(cast("Execute", connection.execute), self.dialect.spell)
                connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection


def open_file(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a database for one thread at a time; a new file is readable only by its owner.

    Args:
        path: of the file.
        timeout: seconds to wait for other writers.
    """
    # Created here, so that other users can never read it; `-wal` and `-shm` get its mode.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        # SQLite does not wait for other processes.
        execute_when_free(connection, "PRAGMA journal_mode = WAL", timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def execute_when_free(connection: sqlite3.Connection, statement: str, timeout: float) -> None:
    """Run a statement, and repeat it while another connection has locked the file.

    SQLite itself waits for up to 100 milliseconds between two attempts, so that other processes come first;
    for some statements it does not wait at all.

    Args:
        connection: to the file.
        statement: the statement.
        timeout: seconds after which to give up.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # Python raises some errors without a code
            if code != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
            time.sleep(_BUSY_SECONDS)
        else:
            return
