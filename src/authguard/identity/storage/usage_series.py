"""Read the usage of one API key over time."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select, union_all

from authguard.identity.model import StoredAPIKey
from authguard.identity.storage.usage_levels import LEVELS, Level


class Period(NamedTuple):
    """Hold the number of requests with a key in one period.

    Attributes:
        start: the beginning of the period, in seconds since the epoch.
        generation: of the secret; 0 if the key has no such secret.
        rule: the name of the rule of the guard that decided.
        outcome: one of `authguard._core.terms.OUTCOMES`.
        uses: the number of requests.
    """

    start: int
    generation: int
    rule: str
    outcome: str
    uses: int


def read_usage(
    connection: Connection, key: StoredAPIKey, level: Level, begin: float, end: float
) -> list[Period]:
    """Return the usage of a key, in the order of time.

    Args:
        connection: to read with.
        key: the key.
        level: the kind of periods.
        begin: the first time; its whole period is returned.
        end: the end, which is excluded.
    """
    first, last = level.start_of(begin), ceil(end)
    table = level.table
    parts = [_rows(table, table.c.uses, first, last).where(table.c.key_id == key.id)]
    # A single statement that includes rows that are not rolled up yet, so that no row can move meanwhile.
    for lower in LEVELS[: LEVELS.index(level)]:
        table = lower.table
        is_left = (table.c.user_id == key.user_id) & (table.c.uses != table.c.rolled)
        # The condition avoids the primary key, which would scan all minutes, although only few are not rolled
        # up.
        is_of_key = table.c.key_id.concat("") == key.id
        parts.append(_rows(table, table.c.uses - table.c.rolled, first, last).where(is_left, is_of_key))
    return add_up(level, connection.execute(union_all(*parts)).all())


def _rows(table: Table, uses: Any, begin: int, end: int) -> Any:
    statement = select(table.c.start, table.c.generation, table.c.rule, table.c.outcome, uses)
    return statement.where(table.c.start >= begin, table.c.start < end)


def add_up(level: Level, rows: Iterable[Sequence[Any]]) -> list[Period]:
    """Return the rows of shorter periods as those of a level.

    Args:
        level: the kind of periods.
        rows: the fields of `Period`.
    """
    sums: dict[tuple[int, int, str, str], int] = {}
    seconds = level.seconds
    for start, generation, rule, outcome, uses in rows:
        first = start - start % seconds if seconds else level.start_of(start)
        cell = (first, generation, rule, outcome)
        sums[cell] = sums.get(cell, 0) + uses
    return [Period(*cell, uses) for cell, uses in sorted(sums.items()) if uses]
