"""Connect to PostgreSQL, using psycopg."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from authguard.stores.late_lock import LateLock
from authguard.stores.log import StoreDownError
from authguard.stores.sql import sql_tables as sql
from authguard.stores.sql.reasons import NO_TABLES, driver_reason
from authguard.stores.sql.sql_log import Dialect, Execute, Row, create_tables
from authguard.stores.sql.timed_connections import set_up_session, timed_connection

if TYPE_CHECKING:
    from psycopg import Connection

_CHANNEL = "authguard_log"
ANNOUNCE = f"SELECT pg_notify('{_CHANNEL}', '')"
DIALECT = Dialect("%s", "extract(epoch FROM clock_timestamp())::double precision", "greatest")
_LOOK = DIALECT.spell(f"WITH beat AS ({sql.PUT_READER}) {sql.READ_LOG}")  # both statements in one round trip
# the number of an advisory lock, because two processes that create a table at the same time conflict
_TABLES_LOCK = 0x61757468


class PostgresConnections:
    """Manage two connections: one for statements, used by one thread at a time, and one that listens.

    Args:
        url: of the database, as libpq reads it.
        timeout: seconds for connecting and for a statement.
        creates_tables: whether missing tables are created. Otherwise they are an outage, because a new log
            in another database would have none of the revocations.
    """

    dialect = DIALECT

    def __init__(self, url: str, timeout: float, *, creates_tables: bool = True) -> None:
        self._url = url
        self._timeout = timeout
        self._creates_tables = creates_tables
        self._connection: Connection[Any] | None = None
        self._listening: Connection[Any] | None = None
        self._of_parent: list[Connection[Any] | None] = []
        self._failures, self._reason = 0, ""
        self.forget()

    def forget(self) -> None:
        """Drop connections of the parent process without closing them.

        Closing them would close the parent's, too.
        """
        self._lock = LateLock()
        self._of_parent += [self._connection, self._listening]
        self._connection = self._listening = None

    @contextmanager
    def write(self) -> Iterator[Execute]:
        """Begin a transaction, and commit it at the end."""
        with self._open_connection() as connection, connection.transaction():
            yield cast("Execute", connection.execute)

    @contextmanager
    def statements(self) -> Iterator[Execute]:
        """Run statements, each in its own transaction."""
        with self._open_connection() as connection:
            yield cast("Execute", connection.execute)

    def look(self, process: str, sequence: int, *, is_noted: bool) -> Row:
        """Note that a process has read up to a number, and return the state of the log."""
        with self.statements() as execute:
            return cast("Row", execute(_LOOK, (process, sequence, sequence)).fetchone())

    def announce(self, execute: Execute) -> None:
        """Notify the listening processes when the transaction commits."""
        execute(ANNOUNCE, ())

    def wait(self, seconds: float, sequence: int) -> None:
        """Return when something has been written, or when the time has passed."""
        try:
            with _store_down():
                if self._listening is None:
                    self._listening = self._open(lambda connection: connection.execute(f"LISTEN {_CHANNEL}"))
                    cast("Any", self._listening).patience = None  # from now on it waits for notifications
                    return  # read marks that were written before the subscription
                for _ in self._listening.notifies(timeout=seconds, stop_after=1):
                    pass
        except StoreDownError:
            # A separate connection, because another thread may be using the other one.
            listening, self._listening = self._listening, None
            _close(listening)
            raise

    def close(self) -> None:
        """Close both connections."""
        with self._lock:
            connection, self._connection = self._connection, None
        _close(connection)
        _close(self._listening)

    def _open(self, prepare: Any) -> "Connection[Any]":
        milliseconds = round(self._timeout * 1000)
        connection: Connection[Any] = timed_connection(self._timeout).connect(
            self._url,
            autocommit=True,
            connect_timeout=max(2, round(self._timeout)),
            application_name="authguard",
            keepalives_idle=5,
            tcp_user_timeout=milliseconds,
        )
        try:
            set_up_session(connection, f"SET statement_timeout = {milliseconds}")
            prepare(connection)
        except BaseException:
            _close(connection)
            raise
        return connection

    def _prepare(self, connection: "Connection[Any]") -> None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TABLES_LOCK,))
            if connection.execute("SELECT to_regclass('authguard_replays')").fetchone() == (None,):
                if not self._creates_tables:
                    raise StoreDownError(NO_TABLES)
                create_tables(cast("Execute", connection.execute), self.dialect.spell, unlogged="UNLOGGED")

    @contextmanager
    def _open_connection(self) -> "Iterator[Connection[Any]]":
        """Lend the connection for statements; after an error, the next call opens another.

        Calls that have waited for a call without an answer are not tried, because each would also wait.
        """
        failures = self._failures
        with self._lock, _store_down():
            if failures != self._failures:
                raise StoreDownError(self._reason)
            opened = self._connection
            try:
                self._connection = self._connection or self._open(self._prepare)
                yield self._connection
            except Exception as error:
                self._note(error, opened)
                raise

    def _note(self, error: Exception, opened: "Connection[Any] | None") -> None:
        """Close the connection; count the failure, unless the server had only closed an open connection."""
        is_lost = opened is not None and opened.closed and not isinstance(error, TimeoutError)
        if not is_lost and isinstance(error, _failures()):
            self._reason = _reason(error)
            self._failures += 1
        connection, self._connection = self._connection, None
        _close(connection)


@contextmanager
def _store_down() -> Iterator[None]:
    """Raise `StoreDownError` on errors of the database."""
    try:
        yield
    except _failures() as error:
        raise StoreDownError(_reason(error)) from error


def _failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that are failures of the database or of the network."""
    from psycopg import Error

    return Error, OSError


def _reason(error: Exception) -> str:
    return f"PostgreSQL: {driver_reason(error)}"


def _close(connection: "Connection[Any] | None") -> None:
    if connection is not None:
        with suppress(Exception):
            connection.close()
