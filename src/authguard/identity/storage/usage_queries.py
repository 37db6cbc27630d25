"""Add to the usage of API keys, and sum it up."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, ScalarSelect, bindparam, case, func, or_, select, update

from authguard.identity.storage.database import Database
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import api_key_usage_minutes, api_key_usage_writers, api_keys
from authguard.identity.storage.usage_levels import DAY, HOUR, MINUTE

#: The number of keys in one statement.
_KEYS = 5_000
#: The advisory lock of PostgreSQL that writers share, and a roll-up holds exclusively.
USAGE_LOCK = 0x75736167  # "usag" in ASCII
_MAX_ADDRESS = 64

_is_newer = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < bindparam("moment"))
_ADD = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("key"))
    .values(
        usage_count=api_keys.c.usage_count + bindparam("more"),
        last_used_at=case((_is_newer, bindparam("moment")), else_=api_keys.c.last_used_at),
        last_used_address=case(
            (_is_newer, func.coalesce(bindparam("address"), api_keys.c.last_used_address)),
            else_=api_keys.c.last_used_address,
        ),
    )
)
_CELL = ("key_id", "start", "generation", "rule", "outcome")


class Uses(NamedTuple):
    """Hold the number of requests that a process has counted in one minute.

    Attributes:
        key_id: the public id of the key.
        start: the beginning of the minute, in seconds since the epoch.
        generation: of the secret; 0 if the key has no such secret.
        rule: the name of the rule of the guard that decided.
        outcome: one of `authguard._core.terms.OUTCOMES`.
        uses: the number of requests.
    """

    key_id: str
    start: int
    generation: int
    rule: str
    outcome: str
    uses: int


class LastUse(NamedTuple):
    """Hold the number of allowed requests with a key, and the time and address of the last one.

    Attributes:
        key_id: the public id of the key.
        uses: the number of allowed requests.
        at: the time of the last one, in seconds since the epoch.
        address: that of a client, if it is known.
    """

    key_id: str
    uses: int
    at: float
    address: str | None


class Batch(NamedTuple):
    """Hold the counts of a process since its last write.

    Attributes:
        writer: the name of the process.
        number: the number of the batch, which is higher than those of all batches before.
        at: the time of its creation, in seconds since the epoch.
        uses: the counts.
        last_uses: one for each key with an allowed request, in the order of the keys.
    """

    writer: str
    number: int
    at: float
    uses: Sequence[Uses]
    last_uses: Sequence[LastUse]


def add_batch(database: Database, batch: Batch) -> None:
    """Add the counts of a process, each batch once; skip known batches, and keys that were deleted.

    Raises:
        StoreUnavailableError: if it is not certain that the batch is stored. Either all of it is stored, or
            none.
    """
    with database.write(flush=False) as connection:
        share_lock(connection)
        if not _is_new(connection, batch):
            return
        key_ids = sorted({row.key_id for row in batch.uses})
        for start in range(0, len(key_ids), _KEYS):
            _add(connection, batch, key_ids[start : start + _KEYS])


def share_lock(connection: Connection) -> None:
    """Block roll-ups until the transaction ends; SQLite has only one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock_shared(USAGE_LOCK)))


def _is_new(connection: Connection, batch: Batch) -> bool:
    """Note the number of a batch, and return whether it is higher than all earlier ones.

    If the answer to a commit was lost, the same batch is sent again, perhaps before the first transaction has
    ended; this transaction then waits for the first one.
    """
    table = api_key_usage_writers
    statement = insert_into(connection, table).values(
        writer=batch.writer, number=batch.number, written_at=batch.at
    )
    changes = {"number": statement.excluded.number, "written_at": statement.excluded.written_at}
    is_higher = table.c.number < statement.excluded.number
    statement = statement.on_conflict_do_update(index_elements=["writer"], set_=changes, where=is_higher)
    return connection.execute(statement.returning(table.c.number)).first() is not None


def _add(connection: Connection, batch: Batch, key_ids: Sequence[str]) -> None:
    # Every process locks keys in the order of their ids, so that two never wait for each other.
    keys = select(api_keys.c.id, api_keys.c.user_id).where(api_keys.c.id.in_(key_ids))
    statement = keys.order_by(api_keys.c.id).with_for_update(key_share=True)
    owners = {row.id: row.user_id for row in connection.execute(statement)}
    rows = [
        row._asdict() | {"user_id": owners[row.key_id], "rolled": 0}
        for row in batch.uses
        if row.key_id in owners
    ]
    changes = [_change(row) for row in batch.last_uses if row.key_id in owners]
    if changes:
        connection.execute(_ADD, changes)
    if rows:
        table = api_key_usage_minutes
        statement = insert_into(connection, table)
        more = {"uses": table.c.uses + statement.excluded.uses}
        connection.execute(statement.on_conflict_do_update(index_elements=_CELL, set_=more), rows)


def _change(row: LastUse) -> dict[str, object]:
    address = None if row.address is None else row.address[:_MAX_ADDRESS]
    return {"key": row.key_id, "more": row.uses, "moment": row.at, "address": address}


def sum_uses(connection: Connection, user_id: str, begin: int, end: int) -> int:
    """Return the number of allowed requests with the keys of an account.

    Args:
        connection: to read with.
        user_id: the account.
        begin: the first day, in seconds since the epoch.
        end: the day after the last one.
    """
    # A single statement, because nothing can be rolled up between its parts.
    parts = [
        _summed(level.table, user_id, begin, end, rest=level is not DAY) for level in (MINUTE, HOUR, DAY)
    ]
    return int(connection.execute(select(parts[0] + parts[1] + parts[2])).scalar_one())


def _summed(table: Any, user_id: str, begin: int, end: int, *, rest: bool) -> ScalarSelect[Any]:
    """Return the sum of a table; for a lower level, only of the rest that is not rolled up."""
    uses = table.c.uses - table.c.rolled if rest else table.c.uses
    statement = select(func.coalesce(func.sum(uses), 0)).where(
        table.c.user_id == user_id, table.c.start >= begin, table.c.start < end, table.c.outcome == "ok"
    )
    return (statement.where(table.c.uses != table.c.rolled) if rest else statement).scalar_subquery()
