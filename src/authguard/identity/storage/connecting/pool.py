"""Keep open connections to a database for those who need one."""

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
#: Seconds after which a connection that was not used is asked whether it is alive: a firewall in between may
#: have forgotten it.
IDLE_SECONDS = 30.0


class ConnectionPool:
    """Keep connections that are not in use.

    To take one from SQLAlchemy's pool and to give it back costs as much as a query does.

    Args:
        engine: opens them.
        size: the most that are open at the same time.
        setup: a statement for each new one.
    """

    def __init__(self, engine: Engine, size: int, setup: str | None = None) -> None:
        self._engine = engine
        self._is_remote = engine.dialect.name == "postgresql"
        self._room = BoundedSemaphore(size)
        self._setup = setup
        self._idle: deque[tuple[Connection, float]] = deque()

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """Borrow a connection, for one thread at a time."""
        if not self._room.acquire(timeout=WAIT_SECONDS):
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
                self._idle.append((connection, monotonic()))
                raise
            self._idle.append((connection, monotonic()))
        finally:
            self._room.release()

    def _take(self) -> Connection:
        """Return a connection that is alive: nothing of a transaction has been sent by it."""
        with suppress(IndexError):
            while True:
                connection, since = self._idle.pop()
                if not self._is_remote or _is_alive(connection, monotonic() - since):
                    return connection
                _discard(connection)
        connection = self._engine.connect()
        if self._setup is not None:
            connection.exec_driver_sql(self._setup)
            connection.commit()
        return connection

    def close(self) -> None:
        """Close those that are not in use."""
        with suppress(IndexError):
            while True:
                _discard(self._idle.pop()[0])


def _is_alive(connection: Connection, idle: float) -> bool:
    """Return whether the server is still there, as far as that can be known without asking for each use.

    A server that has ended has closed the connection, which can be read then.
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


def _discard(connection: Connection) -> None:
    with suppress(exc.SQLAlchemyError, OSError):
        connection.close()
