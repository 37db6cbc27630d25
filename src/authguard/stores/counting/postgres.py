"""Count quotas in PostgreSQL."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from authguard._core.options import Duration, named_options
from authguard.stores.counting.backend import ALIVE_SECONDS, Answer, Ask, Rest, StoreConnectionLostError
from authguard.stores.counting.blocks import MICROSECONDS
from authguard.stores.counting.leases import LeasedQuotas
from authguard.stores.counting.outage import QuotasDown
from authguard.stores.late_lock import LateLock
from authguard.stores.log import StoreDownError
from authguard.stores.postgres import check_url, for_libpq
from authguard.stores.sql.reasons import driver_reason
from authguard.stores.sql.timed_connections import set_up_session, timed_connection

if TYPE_CHECKING:
    from psycopg import Connection

_MAX_PURGED = 500  # counters in one statement, because requests wait for it
_MAX_PURGES = 40
# the number of an advisory lock, because two processes that create a table at the same time conflict
_TABLES_LOCK = 0x61757468
_LAST_FUNCTION = "authguard_give_back_1(jsonb)"
_TAKE = "SELECT authguard_take_1(%s, %s::text::jsonb, %s)"
_GIVE_BACK = "SELECT authguard_give_back_1(%s::text::jsonb)"
# The time is queried once and the keys are an array, so that both use an index.
_PURGE = """DELETE FROM authguard_quotas WHERE key = ANY(ARRAY(
    SELECT key FROM authguard_quotas WHERE until < (SELECT authguard_now_1())
    LIMIT %s FOR UPDATE SKIP LOCKED))"""
_BEAT = """INSERT INTO authguard_quota_processes (process, seen) VALUES (%s, authguard_now_1())
    ON CONFLICT (process) DO UPDATE SET seen = excluded.seen"""
_DELETE_PROCESSES = "DELETE FROM authguard_quota_processes WHERE abs(seen - authguard_now_1()) > %s"
_COUNT_PROCESSES = "SELECT count(*) FROM authguard_quota_processes"


@named_options
class PostgresQuotas(LeasedQuotas):
    """Count quotas exactly for several processes and machines, in tables of PostgreSQL.

    Each process borrows a small part of a quota in advance, so that most requests do not ask the database. It
    gives the unspent amount back after a second. A crash of the database may lose the last counts.

    Args:
        url: `postgresql://…`, as libpq reads it; the database may be that of a `PostgresStore`.
        quotas_down: the behaviour while the database does not answer: `"deny"` answers with 503; `"local"`
            counts in each process, which gets its share of each quota.
        processes: the number of processes on all machines, for `"local"`.
        timeout: seconds that a request may wait for the database, 0.05 to 30; connecting may take 2 seconds
            or more.
        max_counters: the greatest number of counters (callers times quotas) for which each process borrows at
            once.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range, or psycopg is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        quotas_down: QuotasDown = "deny",
        processes: int | None = None,
        timeout: float | Duration = 1.0,
        max_counters: int = 100_000,
    ) -> None:
        name = check_url(url)
        super().__init__(
            partial(PostgresCounters, for_libpq(url)),
            name,
            quotas_down=quotas_down,
            processes=processes,
            timeout=timeout,
            max_counters=max_counters,
        )


class PostgresCounters:
    """Store counters in a table of PostgreSQL, through one connection that one thread uses at a time.

    Args:
        url: of the database, as libpq reads it.
        timeout: seconds for a statement.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._connection: Connection[Any] | None = None
        self._of_parent: list[Connection[Any] | None] = []
        self._failures, self._reason = 0, ""
        self.forget()

    def forget(self) -> None:
        """Drop the connection of the parent process without closing it.

        Closing it would close the parent's, too.
        """
        self._lock = LateLock()
        self._of_parent.append(self._connection)
        self._connection = None

    def take(self, owner: str, asks: Sequence[Ask], live: int) -> tuple[bool, Sequence[Answer]]:
        """Take from all quotas in one step; see `Backend`."""
        listed = [(*ask[:-1], [rest[4:] for rest in ask.rests]) for ask in asks]
        with self._open_connection() as connection:
            row = connection.execute(_TAKE, (owner, json.dumps(listed), live)).fetchone()
        admitted, answers = row[0] if row else (False, [])
        return admitted, [Answer(*answer) for answer in answers]

    def give_back(self, rests: Sequence[Rest]) -> None:
        """Give back rests; see `Backend`."""
        listed = [(*rest[4:], *rest[1:4], rest.owner) for rest in rests]
        with self._open_connection() as connection:
            connection.execute(_GIVE_BACK, (json.dumps(listed),))

    def beat(self, process: str) -> int:
        """Note that a process is alive, and forget old counters; see `Backend`."""
        for _ in range(_MAX_PURGES):
            with self._open_connection() as connection:
                if connection.execute(_PURGE, (_MAX_PURGED,)).rowcount < _MAX_PURGED:
                    break
        with self._open_connection() as connection:
            connection.execute(_BEAT, (process,))
            connection.execute(_DELETE_PROCESSES, (ALIVE_SECONDS * MICROSECONDS,))
            row = connection.execute(_COUNT_PROCESSES).fetchone()
        return int(row[0]) if row else 1

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    @contextmanager
    def _open_connection(self) -> "Iterator[Connection[Any]]":
        """Lend the connection for statements; after an error, the next call opens another."""
        from psycopg import Error

        failures = self._failures
        with self._lock:
            if failures != self._failures:
                raise StoreDownError(self._reason)  # a waiting call has timed out meanwhile
            is_old = self._connection is not None
            try:
                self._connection = self._connection or self._open()
                yield self._connection
            except (Error, OSError) as error:
                is_lost = is_old and self._connection is not None and self._connection.closed
                self._disconnect()
                self._reason = f"PostgreSQL: {driver_reason(error)}"
                if is_lost and not isinstance(error, TimeoutError):
                    raise StoreConnectionLostError(self._reason) from error
                self._failures += 1
                raise StoreDownError(self._reason) from error
            except BaseException:
                self._disconnect()
                raise

    def _open(self) -> "Connection[Any]":
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
            # A function must see changes that were committed while it waited for its lock. Commits do not
            # wait for the disk.
            set_up_session(
                connection,
                f"SET statement_timeout = {milliseconds}; SET synchronous_commit = off; "
                "SET default_transaction_isolation = 'read committed'",
            )
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TABLES_LOCK,))
                if connection.execute("SELECT to_regprocedure(%s)", (_LAST_FUNCTION,)).fetchone() == (None,):
                    connection.execute(_statements())
        except BaseException:
            with suppress(Exception):
                connection.close()
            raise
        return connection


def _statements() -> bytes:
    """Return the statements that create the tables and functions; psycopg sends bytes unchanged."""
    return (files("authguard.stores.counting") / "postgres.sql").read_bytes()
