"""Add to the usage of API keys, and sum it up."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, case, func, or_, select, update

from authguard.identity.storage.database import Database
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import api_key_usage, api_keys

#: Rows of one transaction, so that others do not wait for long.
_BATCH = 5_000

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


class KeyUses(NamedTuple):
    """Hold what a process has counted for a generation of a key on a day.

    Attributes:
        key_id: the public id of the key.
        generation: of its secret.
        day: in UTC, since the epoch.
        uses: how many requests.
        last_used_at: of the key, in seconds since the epoch.
        address: of the client then, if it is known.
    """

    key_id: str
    generation: int
    day: int
    uses: int
    last_used_at: float
    address: str | None


def add_uses(database: Database, rows: Sequence[KeyUses]) -> None:
    """Add what a process has counted; what is about keys that are gone is left out.

    Args:
        database: the database.
        rows: in the order of their keys.

    Raises:
        StoreUnavailableError: if not all of it was stored. None of it is then.
    """
    with database.write(flush=False) as connection:
        for start in range(0, len(rows), _BATCH):
            _add_batch(connection, rows[start : start + _BATCH])


def _add_batch(connection: Connection, rows: Sequence[KeyUses]) -> None:
    key_ids = sorted({row.key_id for row in rows})
    # In the order of their ids in every process, so that none of two waits for the other.
    keys = select(api_keys.c.id, api_keys.c.user_id).where(api_keys.c.id.in_(key_ids))
    statement = keys.order_by(api_keys.c.id).with_for_update(key_share=True)
    owners = {row.id: row.user_id for row in connection.execute(statement)}
    rows = [row for row in rows if row.key_id in owners]
    if not rows:
        return
    connection.execute(_ADD, list(_updates(rows)))
    statement = insert_into(connection, api_key_usage)
    changes = {"uses": api_key_usage.c.uses + statement.excluded.uses}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["key_id", "generation", "day"], set_=changes),
        [
            {
                "key_id": row.key_id,
                "generation": row.generation,
                "day": row.day,
                "user_id": owners[row.key_id],
                "uses": row.uses,
            }
            for row in rows
        ],
    )


def _updates(rows: Sequence[KeyUses]) -> Iterator[dict[str, object]]:
    for row in rows:
        yield {
            "key": row.key_id,
            "more": row.uses,
            "moment": row.last_used_at,
            "address": None if row.address is None else row.address[:64],
        }


def sum_uses(connection: Connection, user_id: str, first_day: int, last_day: int) -> int:
    """Return how many requests the keys of an account have made from one day to another."""
    is_counted = api_key_usage.c.day >= first_day, api_key_usage.c.day <= last_day
    statement = select(func.coalesce(func.sum(api_key_usage.c.uses), 0))
    return int(
        connection.execute(statement.where(api_key_usage.c.user_id == user_id, *is_counted)).scalar_one()
    )
