"""Keep idle connections to a database for reuse."""

import select
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from time import monotonic

from sqlalchemy import Connection, Engine, exc

from authguard.identity.errors import StoreUnavailableError

#: Seconds to wait for a connection.
WAIT_SECONDS = 5
#: Seconds after which an unused connection is checked: a firewall in between may have dropped it.
IDLE_SECONDS = 30.0


class ConnectionPool:
    """Keep idle connections.

    Taking a connection from SQLAlchemy's pool and returning it costs as much as a query.

    Args:
        engine: opens them.
        size: the greatest number of open connections.
        setup: a statement to run on each new connection.
    """

    def __init__(self, engine: Engine, size: int, setup: str | None = None) -> None:
        self._engine = engine
        self._is_remote = engine.dialect.name == "postgresql"
        self._room = BoundedSemaphore(size)
        self._setup = setup
        self._idle: deque[tuple[Connection, float]] = deque()
        self._closings = 0

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """Borrow a connection, for one thread at a time."""
        if not self._room.acquire(timeout=WAIT_SECONDS):
            raise StoreUnavailableError("all connections are in use")
        try:
            closings = self._closings
            connection = self._take()
            try:
                yield connection
            except exc.DBAPIError:
                # The others were opened before the same outage.
                connection.close()
                self.close()
                raise
            except BaseException:
                with _closed_on_error(connection):
                    connection.rollback()
                self._keep(connection, closings)
                raise
            self._keep(connection, closings)
        finally:
            self._room.release()

    def _keep(self, connection: Connection, closings: int) -> None:
        """Keep a connection for reuse, unless the pool was closed while it was in use."""
        self._idle.append((connection, monotonic()))
        if closings != self._closings:
            self.close()

    def _take(self) -> Connection:
        """Return a live connection, on which no part of a transaction has been sent."""
        with suppress(IndexError):
            while True:
                connection, since = self._idle.pop()
                if not self._is_remote or _is_alive(connection, monotonic() - since):
                    return connection
                _discard(connection)
        connection = self._engine.connect()
        if self._setup is not None:
            with _closed_on_error(connection):
                connection.exec_driver_sql(self._setup)
                connection.commit()
        return connection

    def close(self) -> None:
        """Close the idle connections now, and those in use when they are returned."""
        self._closings += 1
        with suppress(IndexError):
            while True:
                _discard(self._idle.pop()[0])


def _is_alive(connection: Connection, idle: float) -> bool:
    """Return whether the server has closed the connection, as far as this can be checked without a query.

    A server that has stopped has closed the connection, which is visible on the socket.
    """
    try:
        driver = connection.connection.driver_connection
        if driver is None or driver.closed:
            return False
        poll = select.poll()
        poll.register(driver.fileno(), select.POLLIN)
        if poll.poll(0):
            return False
        if idle > IDLE_SECONDS:
            connection.exec_driver_sql("SELECT 1")
            connection.rollback()
    except (exc.SQLAlchemyError, OSError):
        return False
    return True


@contextmanager
def _closed_on_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _discard(connection)
        raise


def _discard(connection: Connection) -> None:
    with suppress(exc.SQLAlchemyError, OSError):
        connection.close()
