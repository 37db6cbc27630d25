"""Stop waiting for a PostgreSQL server that does not answer.

The server applies `statement_timeout`, and `tcp_user_timeout` does not help while its kernel answers. Without
this module, a frozen process or a hanging disk would block a request for ever.
"""

import time
from collections.abc import Generator
from functools import cache
from typing import Any

_LOOK_SECONDS = 0.05  # seconds between two checks of the time, while waiting for a statement


@cache
def timed_connection(seconds: float) -> Any:
    """Return a class of connections that wait for each answer for a limited time.

    If the server does not answer, the connection is closed, and an `OperationalError` that is also a
    `TimeoutError` is raised. The attribute `patience` is the limit in seconds; None for no limit.
    """
    from psycopg import Connection, OperationalError, waiting

    class ServerSilentError(OperationalError, TimeoutError):
        """Report that a server does not answer."""

    class TimedConnection(Connection[Any]):
        patience: float | None = seconds

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            if self.patience is None:
                return super().wait(gen, *args, **kwargs)
            # This replaces psycopg's wait function in C, which in 3.2 returns only when the server answers.
            bounded = _until(gen, time.monotonic() + self.patience)
            try:
                return waiting.wait_selector(bounded, self.pgconn.socket, _LOOK_SECONDS)
            except TimeoutError as error:
                self.pgconn.finish()
                raise ServerSilentError("the server does not answer") from error

    return TimedConnection


def _until(waits: Generator[Any, Any, Any], end: float) -> Generator[Any, Any, Any]:
    """Run a generator of psycopg that waits for a server, until a deadline.

    Raises:
        TimeoutError: if it has not ended by then.
    """
    try:
        wanted = next(waits)
        while True:
            ready = yield wanted
            if time.monotonic() > end and not ready:
                waits.close()
                raise TimeoutError("the server does not answer")
            wanted = waits.send(ready)
    except StopIteration as stop:
        return stop.value


def set_up_session(connection: Any, settings: str) -> bool:
    """Apply settings to a connection, unless a pooler is in between; return whether they were applied.

    A pooler such as PgBouncer in transaction mode runs each transaction on another connection to the server:
    a setting or prepared statement is missing in the next transaction, and would affect statements of other
    clients. A pooler is recognised by the process id of the connection's server process, which differs from
    the one that the server reports.

    Args:
        connection: the connection of psycopg.
        settings: one or more statements `SET …`.
    """
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    if process != connection.info.backend_pid:
        connection.prepare_threshold = None
        return False
    connection.execute(settings)
    return True
