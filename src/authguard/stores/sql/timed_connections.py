"""Stop waiting for a PostgreSQL server that does not answer.

`statement_timeout` is kept by the server, and `tcp_user_timeout` does not help where its kernel answers: a
process that is frozen, or a disk that hangs, would hold up a request for ever.
"""

import time
from collections.abc import Generator
from functools import cache
from typing import Any

_LOOK_SECONDS = 0.05  # between two looks at the time, while a statement is waited for


@cache
def timed_connection(seconds: float) -> Any:
    """Return a class of connections that wait for each answer for some seconds at most.

    A connection whose server does not answer is closed, and raises an `OperationalError` that is a
    `TimeoutError`, too. Its attribute `patience` has the seconds; None for no end.
    """
    from psycopg import Connection, OperationalError, waiting

    class ServerSilentError(OperationalError, TimeoutError):
        """Tell that a server does not answer."""

    class TimedConnection(Connection[Any]):
        patience: float | None = seconds

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            if self.patience is None:
                return super().wait(gen, *args, **kwargs)
            # Not that of psycopg's part in C: in 3.2 it resumes what waits when the server answers only.
            bounded = _until(gen, time.monotonic() + self.patience)
            try:
                return waiting.wait_selector(bounded, self.pgconn.socket, _LOOK_SECONDS)
            except TimeoutError as error:
                self.pgconn.finish()
                raise ServerSilentError("the server does not answer") from error

    return TimedConnection


def _until(waits: Generator[Any, Any, Any], end: float) -> Generator[Any, Any, Any]:
    """Run what waits for a server, up to a moment.

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
    """Set what holds for a connection, unless a pooler is in between; return whether it was set.

    A pooler such as PgBouncer in transaction mode runs each transaction on another connection of the server:
    what is set or prepared on one is missing on the next, and would hold for the statements of others. It is
    known by the number of the process that serves the connection, which is not that of the server's.

    Args:
        connection: of psycopg.
        settings: one or more statements `SET …`.
    """
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    if process != connection.info.backend_pid:
        connection.prepare_threshold = None
        return False
    connection.execute(settings)
    return True
