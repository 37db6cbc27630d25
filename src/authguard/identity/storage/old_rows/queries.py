"""Delete expired rows in batches. Callers pass the connection.

A table is scanned in the order of its primary key, and each batch examines a limited number of rows. An index
by expiry would be faster here, but each refresh of a session would update it.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, select

from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import (
    address_changes,
    background_tasks,
    mails,
    one_time_tokens,
    sessions,
)

_ROWS = 5_000  # rows that a batch examines
_CLOCKS_DIFFER = 300  # seconds by which the clocks of two machines may differ
_CHANGES = 500  # rows that a batch deletes


class Deleted(NamedTuple):
    """Hold the result of a batch.

    Attributes:
        number: the number of deleted rows.
        last: the last examined key; None at the end of the table.
    """

    number: int
    last: str | None


def take_task(connection: Connection, name: str, now: float, next_at: float) -> bool:
    """Claim a task that one process does for all.

    Return False if it is not due, or another process has it.
    """
    statement = insert_into(connection, background_tasks).values(name=name, next_at=next_at)
    # A clock that was wrong, or a longer interval, must not postpone it indefinitely.
    is_due = (background_tasks.c.next_at <= now) | (background_tasks.c.next_at > next_at + _CLOCKS_DIFFER)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"next_at": next_at}, where=is_due
    )
    return connection.execute(statement.returning(background_tasks.c.name)).first() is not None


def delete_sessions(connection: Connection, after: str, before: float) -> Deleted:
    """Delete the next batch of sessions that had expired before a given time."""
    return _delete(connection, _SESSIONS, after, before)


def delete_one_time_tokens(connection: Connection, after: str, before: float) -> Deleted:
    """Delete the next batch of one-time tokens that had expired before a given time."""
    return _delete(connection, _ONE_TIME_TOKENS, after, before)


def delete_address_changes(connection: Connection, after: str, before: float) -> Deleted:
    """Delete the next batch of changes of addresses that had expired before a given time."""
    return _delete(connection, _ADDRESS_CHANGES, after, before)


def delete_mails(connection: Connection, after: str, before: float) -> Deleted:
    """Delete mails that were requested before a given time, and that no process has given up since."""
    return _delete(connection, _MAILS, after, before)


class _Rows(NamedTuple):
    """Name the columns by which rows are scanned, and by which they are old."""

    table: Table
    key: ColumnElement[str]
    moment: ColumnElement[float]


_SESSIONS = _Rows(sessions, sessions.c.id, sessions.c.expires_at)
_ONE_TIME_TOKENS = _Rows(one_time_tokens, one_time_tokens.c.digest, one_time_tokens.c.expires_at)
_ADDRESS_CHANGES = _Rows(address_changes, address_changes.c.user_id, address_changes.c.expires_at)
_MAILS = _Rows(mails, mails.c.id, mails.c.asked_at)


def _delete(connection: Connection, of: _Rows, after: str, before: float) -> Deleted:
    chosen = select(of.key, of.moment).where(of.key > after).order_by(of.key).limit(_ROWS)
    rows = connection.execute(chosen).all()
    old = [key for key, moment in rows if moment < before][:_CHANGES]
    number = 0
    if old:
        # The row may have been changed or deleted since it was read.
        statement = delete(of.table).where(of.key.in_(old), of.moment < before)
        number = connection.execute(statement).rowcount
    if len(old) == _CHANGES:
        return Deleted(number, old[-1])
    return Deleted(number, rows[-1][0] if len(rows) == _ROWS else None)
