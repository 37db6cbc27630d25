"""Query which marks of the log another store lacks. Callers pass the connection.

The numbers of marks are in the order of commits (see `sql_tables`), so that one number tells which marks a
store has: all marks up to it.
"""

from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, case, column, delete, select, table, update

from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import marks, marks_elsewhere
from authguard.stores.log import MAX_PAGE
from authguard.stores.marks import Mark

_log = table("authguard_log", column("seq", BigInteger), column("epoch"))
_reached = marks_elsewhere.c.seq
# Statements that are executed often are built once.
_STATE = select(
    _log.c.seq,
    select(_reached).where(marks_elsewhere.c.store == bindparam("store")).scalar_subquery(),
    _log.c.epoch,
)
_MARKS = (
    select(marks.c.kind, marks.c.issuer, marks.c.name, marks.c.issued_before, marks.c.until, marks.c.seq)
    .where(marks.c.seq > bindparam("after", type_=BigInteger))
    .order_by(marks.c.seq)
    .limit(MAX_PAGE)
)
_number = bindparam("number", type_=BigInteger)
_ADVANCE = (
    update(marks_elsewhere)
    .where(
        marks_elsewhere.c.store == bindparam("at"),
        marks_elsewhere.c.seq >= bindparam("after", type_=BigInteger),
    )
    .values(seq=case((_reached > _number, _reached), else_=_number))
)


class State(NamedTuple):
    """Compare the log with a store.

    Attributes:
        last: the number of the last mark in the log.
        reached: the number up to which the store has all marks; 0 for a store that is not known.
        epoch: the name of the log.
    """

    last: int
    reached: int
    epoch: str


class Batch(NamedTuple):
    """Hold marks of the log.

    Attributes:
        marks: in the order of their numbers.
        last: the number of the last one; 0 without marks.
        is_last: whether no more marks followed when they were read.
    """

    marks: list[Mark]
    last: int
    is_last: bool


def read_state(connection: Connection, store: str) -> State:
    """Return how far the log is, and how far a store is."""
    last, reached, epoch = connection.execute(_STATE, {"store": store}).one()
    return State(last, reached or 0, epoch)


def read_batch(connection: Connection, after: int) -> Batch:
    """Return the first marks after a number.

    Marks whose tokens have expired are among them, because clocks differ; the log deletes them after
    `KEEP_SECONDS`.
    """
    rows = connection.execute(_MARKS, {"after": after}).all()
    batch = [Mark(*row[:5]) for row in rows]
    return Batch(batch, rows[-1].seq if rows else 0, len(rows) < MAX_PAGE)


def forget_store(connection: Connection, store: str) -> None:
    """Note that a store may lack any mark."""
    connection.execute(delete(marks_elsewhere).where(marks_elsewhere.c.store == store))


def advance(connection: Connection, store: str, after: int, number: int) -> bool:
    """Note that a store has the marks after a number up to another; False if it lacks earlier ones."""
    values = {"at": store, "after": after, "number": number}
    return connection.execute(_ADVANCE, values).rowcount == 1


def note_reached(connection: Connection, store: str, number: int) -> None:
    """Note that a store has all marks up to a number. A later number that another process noted stays."""
    statement = insert_into(connection, marks_elsewhere).values(store=store, seq=number)
    new = statement.excluded.seq
    changes = {"seq": case((_reached > new, _reached), else_=new)}
    connection.execute(statement.on_conflict_do_update(index_elements=["store"], set_=changes))
