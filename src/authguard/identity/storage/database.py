"""Connect to SQLite or PostgreSQL: connections, transactions, and the errors of outages."""

import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from authguard._core.options import check_whole, got, unwrapped
from authguard._extras import MissingExtraError
from authguard.errors import ConfigurationError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage import marks
from authguard.identity.storage.connecting import writes
from authguard.identity.storage.connecting.pool import ConnectionPool
from authguard.identity.storage.connecting.reasons import OutageLog, reason_of
from authguard.stores.marks import Mark
from authguard.stores.places import check_password_escaped, split_url, wrong_database_url
from authguard.stores.sql.timed_connections import set_up_session, timed_connection
from authguard.stores.url_checks import check_database_url, check_url_text

logger = logging.getLogger("authguard")

#: The key in `Connection.info` that tells whether the transaction has added mails.
MAILS_ADDED = "authguard mails"
_LOGGING_NAME = "authguard"
# At DEBUG, SQLAlchemy logs each row that it reads, including password hashes and encrypted keys.
logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").addFilter(
    lambda record: record.levelno > logging.DEBUG
)

_BUSY_SECONDS = 5  # seconds to wait for another transaction, or for a connection
# Seconds to wait for each answer of a server. The server's own limits are shorter, and their errors are
# clearer.
_PATIENCE_SECONDS = _BUSY_SECONDS + 1.0
_OUTAGES = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.InternalError)
#: Causes of a ProgrammingError that the operator can correct: missing or old tables, rights, a pooler.
_OF_OPERATORS = frozenset({"42P01", "42703", "42501", "26000", "42P05"})
#: Codes of SQLite for a file that the operator must replace, which the driver reports by a general class.
_DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
#: A row was deleted after it was looked up.
_GONE, _GONE_SQLITE = "23503", "SQLITE_CONSTRAINT_FOREIGNKEY"


class Database:
    """Connect to one database; safe to use from several threads.

    Args:
        url: of SQLite or PostgreSQL.
        connections: the greatest number of open connections.
        may_create: whether a missing file of SQLite is created. For a program that only reads, a missing file
            is an outage: its name may be mistyped.

    Raises:
        ConfigurationError: if the URL is for no database that is supported, or its driver is missing.
    """

    def __init__(self, url: str, *, connections: int = 8, may_create: bool = True) -> None:
        check_whole(connections, "connections")
        parsed = _parse_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        #: The file of SQLite; None for PostgreSQL.
        self.file = _file(parsed) if self.is_sqlite else None
        self.engine = _create_engine(parsed, is_sqlite=self.is_sqlite, may_create=may_create)
        if self.is_sqlite:
            self._readers = ConnectionPool(self.engine, connections)
            self._writers = ConnectionPool(self.engine, connections, "PRAGMA synchronous = FULL")
            self._unflushed = ConnectionPool(self.engine, 1, "PRAGMA synchronous = NORMAL")
        else:
            reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._readers = ConnectionPool(reading, connections)
            self._writers = self._unflushed = ConnectionPool(self.engine, connections)
        self._log = OutageLog()
        self._is_refusing = False  # whether the last write was refused by a database that answers reads
        # SQLite has one writer. Waiting on a lock in the process is faster than polling for it.
        self._writer = Lock() if self.is_sqlite else None
        #: Called after a transaction that has written marks, with the marks and the number of the last one.
        self.after_marks: Callable[[Sequence[Mark], int], None] = _do_nothing
        #: Called after a request that may repeat an earlier one: writes the marks that another store lacks.
        self.after_repeat: Callable[[], None] = _do_nothing
        #: The error of the last `after_marks` that was no error for its caller; None without one.
        self.unspread: StoreUnavailableError | None = None
        #: Called after a transaction that has added mails.
        self.after_mails: Callable[[], None] = _do_nothing

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Borrow a connection for reading; each statement sees all earlier commits.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._outages(), self._readers.use() as connection:
            yield connection

    @contextmanager
    def write(self, *, flush: bool = True) -> Iterator[Connection]:
        """Begin a transaction, which is committed and stored at the end of the block.

        Args:
            flush: whether it must survive a power cut. It survives a crash of any process in either case; in
                SQLite a transaction is much faster without flushing.

        Raises:
            StoreUnavailableError: if it was not stored.
            RevocationWaitsError: if it was stored, and another store lacks its marks: see
                `marks.require_elsewhere`.
        """
        pool = self._writers if flush else self._unflushed
        with self._outages(), self._one_writer(), pool.use() as connection:
            if self.is_sqlite:
                # Beginning as a reader and becoming a writer later may fail at once (SQLITE_BUSY).
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            marks.begin(connection)
            connection.info.pop(MAILS_ADDED, None)
            yield connection
            written, sequence = marks.write_added(connection)
            connection.commit()
            has_mails = connection.info.pop(MAILS_ADDED, False)
            is_required = marks.is_required_elsewhere(connection)
        self._is_refusing = False
        if has_mails:
            self.after_mails()
        if written:
            self._spread(written, sequence, is_required=is_required)
        elif is_required:
            self.after_repeat()

    def _spread(self, written: Sequence[Mark], sequence: int, *, is_required: bool) -> None:
        try:
            self.after_marks(written, sequence)
        except StoreUnavailableError as error:
            if is_required:
                raise
            self.unspread = error

    def swap(self) -> AbstractContextManager[Connection]:
        """Borrow a connection to read rows and change them by compare and swap.

        In SQLite, this is `write` without flushing. In PostgreSQL, each statement is a transaction by itself,
        so that no row is locked while others are read. If an error is raised, a part of the changes may have
        been stored.

        Raises:
            StoreUnavailableError: if not all changes were stored.
        """
        return self.write(flush=False) if self.is_sqlite else self.read()

    def check_writes(self) -> None:
        """Check that the database accepts writes, which it may refuse while it answers reads.

        This writes nothing and waits for no lock, unless the last write was refused: then a write is tried.

        Raises:
            StoreUnavailableError: if it refuses them, or does not answer.
        """
        if not self.is_sqlite:
            with self.read() as connection:
                fault = writes.postgres_fault(connection)
            if fault is not None:
                # A session keeps its `default_transaction_read_only`: the next check opens another.
                self._readers.close()
                self._writers.close()
                raise StoreUnavailableError(fault)
        if self._is_refusing:
            with self.write(flush=False) as connection:
                writes.try_write(connection)

    @contextmanager
    def _outages(self) -> Iterator[None]:
        """Turn errors that show an outage into `StoreUnavailableError`, and log the reason."""
        try:
            yield
        except _OUTAGES as error:
            self._is_refusing = self._is_refusing or writes.is_refused_write(error)
            raise self._unavailable(reason_of(error)) from None
        except exc.DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            sqlite_code = str(getattr(error.orig, "sqlite_errorname", None))
            if state == _GONE or sqlite_code == _GONE_SQLITE:
                # The next attempt finds no account, and is answered accordingly.
                raise StoreUnavailableError("an account was deleted meanwhile", retry_after=1) from None
            is_of_operators = state in _OF_OPERATORS or sqlite_code.startswith(_DAMAGED)
            if not is_of_operators and not error.connection_invalidated:
                raise
            raise self._unavailable(reason_of(error)) from None
        except StoreUnavailableError as error:
            self._log.warn(error.reason)
            error.is_logged = True
            raise

    def _unavailable(self, reason: str) -> StoreUnavailableError:
        error = StoreUnavailableError(f"database: {reason}")
        self._log.warn(error.reason)
        error.is_logged = True  # for each request there would be a second line
        return error

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        lock = self._writer
        if lock is None:
            yield
            return
        if not lock.acquire(timeout=_BUSY_SECONDS):
            raise StoreUnavailableError("other writers are too slow")
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        """Close all connections."""
        self._readers.close()
        self._writers.close()
        self._unflushed.close()
        self.engine.dispose()


def _do_nothing(*written: object) -> None:
    """Do nothing."""


def check_database(value: object, write: str) -> None:
    """Check an option that takes a database or its URL.

    Raises:
        ConfigurationError: if it is neither, such as None from a variable that is not set.
    """
    if not isinstance(value, (str, Database)):
        raise ConfigurationError(
            f"database must be a URL, got {got(value, secret=True)}{unwrapped(value) or ': write ' + write}"
        )


def _parse_url(url: object) -> URL:
    if not isinstance(url, str):
        raise wrong_database_url(url)
    check_url_text(url, "database")
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):  # the text of the error contains the URL
        raise wrong_database_url(url) from None
    # the driver of such a URL depends on the release of SQLAlchemy
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "database must name a file, such as sqlite:///authguard.db, got SQLite in memory"
        )
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise wrong_database_url(url)
    if (parsed.database or "").startswith("file:") and split_url(parsed.database) is None:
        raise wrong_database_url(url)
    if parsed.get_backend_name() == "sqlite" and _is_directory(path := _file(parsed)):
        raise ConfigurationError(
            f"database must name a file, such as sqlite:///authguard.db, got the directory {path}"
        )
    if parsed.drivername == "postgresql+psycopg":
        check_password_escaped(parsed.host, parsed.database, "database")
    check_database_url(url, "database")
    return parsed


def _create_engine(url: URL, *, is_sqlite: bool, may_create: bool) -> Engine:
    if is_sqlite:
        connect_args: dict[str, Any] = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
    else:
        connect_args = {
            "connect_timeout": _BUSY_SECONDS,
            "tcp_user_timeout": 1000 * _BUSY_SECONDS,
            "keepalives_idle": _BUSY_SECONDS,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        }
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            logging_name=_LOGGING_NAME,
            poolclass=NullPool,  # `ConnectionPool` keeps connections
            connect_args=connect_args,
        )
    except ImportError as error:  # psycopg is missing, or is installed without libpq
        raise MissingExtraError("postgres", error) from error
    if is_sqlite:
        _keep_private(engine, _file(url), may_create=may_create)
        _set_up_sqlite(engine)
    else:
        _set_up_postgresql(engine)
    return engine


def _set_up_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def do_connect(_: object, record: object, cargs: Any, cparams: Any) -> Any:
        return timed_connection(_PATIENCE_SECONDS).connect(*cargs, **cparams)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        # A server that takes longer counts as down, because threads must not wait for it indefinitely.
        limit = f"'{_BUSY_SECONDS}s'"
        set_up_session(connection, f"SET statement_timeout = {limit}; SET lock_timeout = {limit}")
        connection.commit()


def _file(url: URL) -> Path:
    """Return the file of a SQLite database, whose name may be a URI."""
    name = url.database or ""
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it may not be looked at, which is reported when it is opened
        return False


def _keep_private(engine: Engine, path: Path, *, may_create: bool) -> None:
    """Make a new database file readable by its owner alone; SQLite gives `-wal` and `-shm` the same mode.

    If a file that was opened before is missing, that is an outage, which a new empty file would hide.
    """
    was_opened = not may_create

    @event.listens_for(engine, "do_connect")
    def connect(*_: object) -> None:
        nonlocal was_opened
        if was_opened and not path.exists():
            raise sqlite3.OperationalError("no such database file")
        was_opened = True
        # The file is created here, so that it never has another mode.
        # If that fails, SQLite reports it as an outage.
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))

    with suppress(OSError):
        folder = path.absolute().parent
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            logger.warning("every user can put another file in the place of %s: chmod o-w %s", path, folder)
    with suppress(OSError):
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            logger.warning("%s is open to every user of this machine: chmod 600 %s", path, path)


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # the driver begins no transactions itself
        _use_wal(connection)
        connection.execute("PRAGMA foreign_keys = ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL; wait for other processes that do the same, because SQLite does not."""
    deadline = monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if monotonic() > deadline:
                raise
            sleep(0.02)
        else:
            return
