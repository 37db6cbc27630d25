"""Roll up the usage of API keys, from minutes to months, and delete old rows.

The column `rolled` of each row is the part of its `uses` that has been added to the level above. A roll-up
adds the rest, so it may run at any time, repeatedly, and after late rows; sums are correct at any time.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Table,
    delete,
    func,
    literal,
    select,
    text,
    update,
)

from authguard.identity.storage.database import Database
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import api_key_usage_kept, api_key_usage_writers
from authguard.identity.storage.usage_levels import DAY, DAY_SECONDS, HOUR, LEVELS, MINUTE, Level
from authguard.identity.storage.usage_queries import USAGE_LOCK

#: The seconds for which each level is kept by default; months are kept forever.
KEPT = {MINUTE.name: 2 * DAY_SECONDS, HOUR.name: 90 * DAY_SECONDS, DAY.name: 730 * DAY_SECONDS}

# seconds after the end of a period at which it is rolled up, when all processes have written
_LATE_SECONDS = 180
_ROWS = 10_000  # rows of one transaction, unless a single period has more
_KNOWN_BATCHES_SECONDS = 30 * DAY_SECONDS  # seconds; a batch is usually repeated after a minute
_SLOW_SECONDS = 60  # seconds for one statement
_CELL = ("key_id", "start", "generation", "rule", "outcome")


def keep_up(database: Database, now: float, *, stops: Callable[[], bool] = lambda: False) -> None:
    """Roll up ended periods, and delete old rows.

    Args:
        database: the database.
        now: seconds since the epoch.
        stops: returns whether the process is ending; another process, or a later call, does the rest.

    Raises:
        StoreUnavailableError: if the database does not answer; the steps before that are kept.
    """
    for level, upper in pairwise(LEVELS):
        while not stops() and roll_up(database, level, upper, now):
            pass
    kept = find_kept(database)
    for level in LEVELS[:-1]:
        while not stops() and _delete_old(database, level, int(now) - kept[level.name]):
            pass
    _forget_batches(database, now - _KNOWN_BATCHES_SECONDS)


def roll_up(database: Database, level: Level, upper: Level, now: float) -> bool:
    """Add some rows of a level to the one above; return whether more rows may be left.

    Args:
        database: the database.
        level: the level of the rows.
        upper: the level above.
        now: seconds since the epoch; periods of the upper level that have ended are rolled up.

    Raises:
        StoreUnavailableError: if it was not stored.
    """
    table = level.table
    is_left = table.c.uses != table.c.rolled
    with database.write(flush=False) as connection:
        if not _lock(connection):
            return False
        ended = upper.start_of(now - _LATE_SECONDS)
        first = connection.execute(select(func.min(table.c.start)).where(is_left)).scalar()
        if first is None or first >= ended:
            return False
        if upper.seconds is None:  # SQL cannot compute the length of a month
            ended = min(ended, upper.end_of(upper.start_of(first)))
        is_some = is_left & (table.c.start < _end(connection, table, first, ended))
        _add(connection, level, upper, first, is_some)
        connection.execute(update(table).where(is_some).values(rolled=table.c.uses))
        return True


def _lock(connection: Connection) -> bool:
    """Block all other writers of usage; return whether no other process is rolling up."""
    if connection.dialect.name != "postgresql":
        return True
    _take_time(connection)
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(USAGE_LOCK))).scalar())


def _take_time(connection: Connection) -> None:
    """Allow more time for the statements of a transaction, because no request waits for them."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_SLOW_SECONDS}s'")


def _end(connection: Connection, table: Table, first: int, end: int) -> int:
    """Return the time up to which one transaction rolls up: at least the end of the first period."""
    statement = select(table.c.start).where(
        table.c.uses != table.c.rolled, table.c.start > first, table.c.start < end
    )
    last: int | None = connection.execute(statement.order_by(table.c.start).offset(_ROWS).limit(1)).scalar()
    return end if last is None else last


def _add(
    connection: Connection, level: Level, upper: Level, first: int, is_some: ColumnElement[bool]
) -> None:
    table, sums = level.table, upper.table
    start: ColumnElement[Any] = literal(upper.start_of(first), BigInteger)
    if upper.seconds is not None:
        start = table.c.start - table.c.start % upper.seconds
    rows = select(
        table.c.key_id,
        start.label("period"),
        table.c.generation,
        table.c.rule,
        table.c.outcome,
        func.max(table.c.user_id),
        func.sum(table.c.uses - table.c.rolled),
        literal(0, BigInteger),
    ).where(is_some)
    grouped = rows.group_by(table.c.key_id, text("period"), table.c.generation, table.c.rule, table.c.outcome)
    statement = insert_into(connection, sums).from_select([*_CELL, "user_id", "uses", "rolled"], grouped)
    more = {"uses": sums.c.uses + statement.excluded.uses}
    connection.execute(statement.on_conflict_do_update(index_elements=_CELL, set_=more))


def _delete_old(database: Database, level: Level, before: int) -> bool:
    """Delete the oldest rows of a level that are rolled up; return whether more may be left."""
    table = level.table
    is_old = (table.c.start < before) & (table.c.uses == table.c.rolled)
    with database.write(flush=False) as connection:
        _take_time(connection)
        first = connection.execute(
            select(table.c.start).where(is_old).order_by(table.c.start).limit(1)
        ).scalar()
        if first is None:
            return False
        statement = select(table.c.start).where(is_old).order_by(table.c.start).offset(_ROWS).limit(1)
        last = connection.execute(statement).scalar()
        end = before if last is None else max(last, first + 1)
        connection.execute(delete(table).where(is_old, table.c.start < end))
        return last is not None


def _forget_batches(database: Database, before: float) -> None:
    table = api_key_usage_writers
    with database.write(flush=False) as connection:
        connection.execute(delete(table).where(table.c.written_at < before))


def find_kept(database: Database) -> dict[str, int]:
    """Return the seconds for which each level is kept, by its name.

    Raises:
        StoreUnavailableError: if the database does not answer.
    """
    with database.read() as connection:
        rows = connection.execute(select(api_key_usage_kept.c.level, api_key_usage_kept.c.seconds)).all()
    return KEPT | {row.level: row.seconds for row in rows}


def set_kept(database: Database, kept: Mapping[str, int]) -> None:
    """Store the seconds for which each level is kept, for all processes that maintain the usage.

    Args:
        database: the database.
        kept: seconds, by the name of the level.

    Raises:
        StoreUnavailableError: if it was not stored.
    """
    if kept == find_kept(database):
        return
    table = api_key_usage_kept
    with database.write() as connection:
        statement = insert_into(connection, table)
        changes = {"seconds": statement.excluded.seconds}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["level"], set_=changes),
            [{"level": level, "seconds": seconds} for level, seconds in kept.items()],
        )
