"""Connect to SQLite or PostgreSQL: connections, transactions, and the errors of outages."""

import logging
import os
import re
import sqlite3
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import BoundedSemaphore, Lock
from time import monotonic, sleep
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from authguard._core.options import check_text, check_whole, got
from authguard._extras import MissingExtraError
from authguard.errors import ConfigurationError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage import marks
from authguard.stores.marks import Mark

logger = logging.getLogger("authguard")

#: In `Connection.info`: whether the transaction has added mails.
MAILS_ADDED = "authguard mails"
_LOGGING_NAME = "authguard"
# At DEBUG SQLAlchemy logs each row that it reads: hashes of passwords, and encrypted keys.
logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").addFilter(
    lambda record: record.levelno > logging.DEBUG
)

_BUSY_SECONDS = 5  # to wait for another transaction, or for a connection
_OUTAGES = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.InternalError)
_UNDEFINED_TABLE = "42P01"  # of PostgreSQL; SQLite raises an OperationalError

#: What drivers say (patterns), and what the log says then.
_REASONS = {
    'no such table|relation ".*" does not exist': (
        "it has no tables of the service; run `authguard db upgrade`, or correct the URL"
    ),
    "unable to open database file": "the file cannot be opened; its folder must exist and be writable",
    "database is locked": "it is locked by another process",
    "Connection refused": "no server listens at the host and port of the URL",
    "failed to resolve host|Name or service not known": "the host of the URL is not known",
    "password authentication failed": "the server refuses the user or the password of the URL",
    'FATAL:  database ".*" does not exist': "the server has no database of the name in the URL",
    'FATAL:  role ".*" does not exist': "the server has no user of the name in the URL",
}


class Database:
    """Connect to one database; safe to use from several threads.

    Args:
        url: as in `Settings.database`.
        connections: the most that are open at the same time.

    Raises:
        ConfigurationError: if the URL is for no database that is supported, or its driver is missing.
    """

    def __init__(self, url: str, *, connections: int = 8) -> None:
        check_whole(connections, "connections")
        parsed = _parse_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        #: The file of SQLite; None for PostgreSQL.
        self.file = _file(parsed) if self.is_sqlite else None
        self.engine = _create_engine(parsed, is_sqlite=self.is_sqlite)
        if self.is_sqlite:
            self._readers = _ConnectionPool(self.engine, connections)
            self._writers = _ConnectionPool(self.engine, connections, "PRAGMA synchronous = FULL")
            self._unflushed = _ConnectionPool(self.engine, 1, "PRAGMA synchronous = NORMAL")
        else:
            reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._readers = _ConnectionPool(reading, connections)
            self._writers = self._unflushed = _ConnectionPool(self.engine, connections)
        # SQLite has one writer. Threads that wait here are faster than threads that poll for it.
        self._writer = Lock() if self.is_sqlite else None
        #: Called after a transaction that has written marks, with them and the number of the last one.
        self.after_marks: Callable[[Sequence[Mark], int], None] = _do_nothing
        #: Called after a transaction that has added mails.
        self.after_mails: Callable[[], None] = _do_nothing

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Borrow a connection to read with; each statement sees what was committed before it.

        Raises:
            StoreUnavailableError: if the database cannot be asked.
        """
        with _outages(), self._readers.use() as connection:
            yield connection

    @contextmanager
    def write(self, *, flush: bool = True) -> Iterator[Connection]:
        """Begin a transaction, committed at the end of the block; it is stored then.

        Args:
            flush: whether it has to outlive a power cut. It outlives a crash of any process in either
                case; in SQLite a transaction is much faster without.

        Raises:
            StoreUnavailableError: if it was not stored.
        """
        pool = self._writers if flush else self._unflushed
        with _outages(), self._one_writer(), pool.use() as connection:
            if self.is_sqlite:
                # To begin as a reader and to become a writer later may fail at once (SQLITE_BUSY).
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            marks.begin(connection)
            connection.info.pop(MAILS_ADDED, None)
            yield connection
            written, sequence = marks.write_added(connection)
            connection.commit()
            has_mails = connection.info.pop(MAILS_ADDED, False)
        if has_mails:
            self.after_mails()
        if written:
            self.after_marks(written, sequence)

    def swap(self) -> AbstractContextManager[Connection]:
        """Borrow a connection to look at rows and to change them by compare and swap.

        In SQLite, `write` without flushing. In PostgreSQL each statement is a transaction by itself, so
        that no row is locked while others are looked at: if it raises, some of it may have been stored.

        Raises:
            StoreUnavailableError: if not all of it was stored.
        """
        return self.write(flush=False) if self.is_sqlite else self.read()

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
    """Let nobody know."""


class _ConnectionPool:
    """Keep connections that are not in use.

    To take one from SQLAlchemy's pool and to give it back costs as much as a query does.
    """

    def __init__(self, engine: Engine, size: int, setup: str | None = None) -> None:
        self._engine = engine
        self._room = BoundedSemaphore(size)
        self._setup = setup
        self._idle: deque[Connection] = deque()

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """Borrow a connection, for one thread at a time."""
        if not self._room.acquire(timeout=_BUSY_SECONDS):
            raise StoreUnavailableError("all connections are in use")
        try:
            connection = self._take()
            try:
                yield connection
            except exc.DBAPIError:
                # The others were opened before the same outage.
                connection.close()
                self.close()
                raise
            except BaseException:
                connection.rollback()
                self._idle.append(connection)
                raise
            self._idle.append(connection)
        finally:
            self._room.release()

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            connection = self._engine.connect()
        if self._setup is not None:
            connection.exec_driver_sql(self._setup)
            connection.commit()
        return connection

    def close(self) -> None:
        """Close those that are not in use."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


def check_database(value: object, write: str) -> None:
    """Check an option that takes a database or its URL.

    Raises:
        ConfigurationError: for anything else, such as None of a variable that is not set.
    """
    if not isinstance(value, (str, Database)):
        raise ConfigurationError(f"database must be a URL, got {got(value, secret=True)}: write {write}")


def _parse_url(url: str) -> URL:
    must = "be sqlite:///file or postgresql://user@host/name"
    check_text(url, "database", must=must, secret=True)
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):  # whose text has the URL
        raise ConfigurationError(f"database must {must}, got text that is no URL") from None
    if parsed.drivername == "postgresql":  # whose driver depends on the release of SQLAlchemy
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ConfigurationError(
                "database must name a file, such as sqlite:///authguard.db, got SQLite in memory"
            )
    elif parsed.drivername != "postgresql+psycopg":
        raise ConfigurationError(
            "database must be sqlite:///file or postgresql://user@host/name, got a URL that begins with "
            f"{parsed.drivername}://"
        )
    return parsed


def _create_engine(url: URL, *, is_sqlite: bool) -> Engine:
    if is_sqlite:
        connect_args: dict[str, Any] = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
    else:
        connect_args = {"connect_timeout": _BUSY_SECONDS, "tcp_user_timeout": 1000 * _BUSY_SECONDS}
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            logging_name=_LOGGING_NAME,
            poolclass=NullPool,  # `_ConnectionPool` keeps connections
            connect_args=connect_args,
        )
    except ImportError as error:  # psycopg is missing, or it is there without libpq
        raise MissingExtraError("postgres", error) from error
    if is_sqlite:
        _keep_private(engine, _file(url))
        _set_up_sqlite(engine)
    else:
        _set_up_postgresql(engine)
    return engine


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except _OUTAGES as error:
        raise StoreUnavailableError(f"database: {reason_of(error)}") from None
    except exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE:
            raise StoreUnavailableError(f"database: {reason_of(error)}") from None
        if not error.connection_invalidated:
            raise
        raise StoreUnavailableError("database: the connection was lost") from None


def reason_of(error: exc.SQLAlchemyError) -> str:
    """Return why a database cannot be asked, in words of ours.

    The driver's text is never returned: it may hold a part of the URL, or what was to be stored.
    """
    text = str(getattr(error, "orig", None))
    return next((words for said, words in _REASONS.items() if re.search(said, text)), type(error).__name__)


def _set_up_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        # A server that takes longer is as good as down: threads must not wait for it for ever.
        connection.execute(f"SET statement_timeout = '{_BUSY_SECONDS}s'")
        connection.execute(f"SET lock_timeout = '{_BUSY_SECONDS}s'")
        connection.commit()


def _file(url: URL) -> Path:
    """Return the file of a SQLite database, whose name may be a URI."""
    name = url.database or ""
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def _keep_private(engine: Engine, path: Path) -> None:
    """Make a new database file readable by its owner alone; SQLite gives `-wal` and `-shm` the same mode."""

    @event.listens_for(engine, "do_connect")
    def connect(*_: object) -> None:
        # Created by us, so that there is no moment at which it has another mode.
        with suppress(FileExistsError, FileNotFoundError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))

    with suppress(OSError):
        if path.stat().st_mode & stat.S_IROTH:
            logger.warning("%s can be read by every user of this machine: chmod 600 %s", path, path)


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        _use_wal(connection)
        connection.execute("PRAGMA foreign_keys = ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL; SQLite does not wait for others who do the same, so this does."""
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
