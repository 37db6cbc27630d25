"""Create batches of counts, and read the tables of usage."""

from collections import Counter
from collections.abc import Iterable
from secrets import token_hex
from typing import Any

from sqlalchemy import select

from authguard.identity.storage.database import Database
from authguard.identity.storage.usage_levels import LEVELS, Level
from authguard.identity.storage.usage_queries import Batch, LastUse, Uses

DAY = 86_400
YEARS = {level.name: 10 * 366 * DAY for level in LEVELS[:-1]}


def batch(
    *uses: tuple[str, int], at: float, address: str | None = None, outcome: str = "ok", rule: str = "/me"
) -> Batch:
    """Return the counts of a separate process in one minute, by key."""
    start = int(at // 60 * 60)
    counted = [Uses(key_id, start, 1, rule, outcome, many) for key_id, many in uses]
    last = [LastUse(*use, at, address) for use in uses] if outcome == "ok" else []
    return Batch(token_hex(16), 1, at, counted, last)


def table(database: Database, level: Level) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Return the rows of a level by their keys: the uses, and the rolled up part of them."""
    with database.read() as connection:
        rows = connection.execute(select(level.table)).mappings().all()
    return {
        (row["key_id"], row["start"], row["generation"], row["rule"], row["outcome"]): (
            row["uses"],
            row["rolled"],
        )
        for row in rows
    }


def tables(database: Database) -> list[dict[tuple[Any, ...], tuple[int, int]]]:
    """Return the rows of all levels."""
    return [table(database, level) for level in LEVELS]


def uses(rows: dict[tuple[Any, ...], tuple[int, int]]) -> Counter[tuple[Any, ...]]:
    """Return the number of requests in the rows of a level."""
    return Counter({cell: counted for cell, (counted, _) in rows.items()})


def in_periods(level: Level, cells: Iterable[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """Count events, each by key, time, generation, rule and outcome, in the periods of a level."""
    return Counter((key_id, level.start_of(moment), *rest) for key_id, moment, *rest in cells)
