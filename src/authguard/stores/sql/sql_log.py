"""Store a log of revocations in a SQL database.

The two databases differ only in details of the statements.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from authguard.stores.log import KEEP_SECONDS, MAX_PAGE, MAX_TIPS, Page, Position, State
from authguard.stores.marks import Key, Kind, Mark
from authguard.stores.sql import sql_tables as sql

Row = tuple[Any, ...]


class Cursor(Protocol):
    """Define the methods of a DB-API cursor that are used."""

    rowcount: int

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> Any:
        """Return all rows."""
        ...


Execute = Callable[[str, tuple[Any, ...]], Cursor]


class Dialect:
    """Translate the statements for a database.

    Args:
        parameter: the placeholder of a parameter.
        now: the clock of the database, in seconds since the epoch.
        greatest: the function that returns the greater of two values.
    """

    def __init__(self, parameter: str, now: str, greatest: str) -> None:
        self._words = {"p": parameter, "now": now, "greatest": greatest}

    def spell(self, statement: str) -> str:
        """Return a statement in the dialect of the database."""
        return statement.format(**self._words)


class Connections(Protocol):
    """Open transactions. Each method raises `StoreDownError` if the database does not answer."""

    dialect: Dialect

    def write(self) -> AbstractContextManager[Execute]:
        """Begin a transaction that writes, and commit it at the end."""
        ...

    def statements(self) -> AbstractContextManager[Execute]:
        """Run statements, each in its own transaction."""
        ...

    def look(self, process: str, sequence: int, *, is_noted: bool) -> Row:
        """Note that a process has read up to a number, and return the state of the log.

        Args:
            process: the name of the process.
            sequence: the number.
            is_noted: whether the process was noted before, so that noting it can wait while others write.
        """
        ...

    def announce(self, execute: Execute) -> None:
        """Notify the waiting processes when the transaction commits."""

    def wait(self, seconds: float, sequence: int) -> None:
        """Return when a later number has been written, or when the time has passed."""

    def close(self) -> None:
        """Close all connections."""

    def forget(self) -> None:
        """Drop connections of the parent process."""


class SQLLog:
    """Store the log in tables; see `sql_tables`.

    Args:
        connections: of the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._spell = connections.dialect.spell
        self._sequence = 0

    def read(self, process: str, position: Position, alive: float) -> Page:
        """Read after a position, and note that the process has read up to it."""
        sequence, is_noted = position.sequence, bool(position.epoch)
        epoch, last, age, tip, last_tip = self._connections.look(process, sequence, is_noted=is_noted)
        state = _state(position, epoch, last, tip)
        if state != "ok":
            return Page(state, Position(epoch, last, ""), age)
        rows: list[Row] = []
        if last > sequence:
            with self._connections.statements() as execute:
                # Without an upper limit: a mark that was written again has a higher number now.
                rows = execute(self._spell(sql.READ_MARKS), (sequence, MAX_PAGE)).fetchall()
        is_last = len(rows) < MAX_PAGE
        reached = Position(epoch, last, last_tip or "") if is_last else Position(epoch, rows[-1][5], "")
        self._sequence = reached.sequence
        return Page("ok", reached, age, [_mark(row) for row in rows], is_last)

    def append(self, marks: Sequence[Mark], *, lost_epoch: str = "") -> int:
        """Write marks, and return the number of the last one."""
        with self._connections.write() as execute:
            if lost_epoch:
                execute(self._spell(sql.NEW_EPOCH), (secrets.token_hex(8), lost_epoch))
            sequence = append(execute, self._spell, marks)
            self._connections.announce(execute)
        return sequence

    def find(self, keys: Sequence[Key]) -> list[Mark]:
        """Return the marks of some keys."""
        with self._connections.statements() as execute:
            rows = [execute(self._spell(sql.FIND_MARK), key).fetchone() for key in keys]
        return [_mark(row) for row in rows if row is not None]

    def count(self, now: float, most: int) -> int:
        """Return how many marks end after a time; stop counting at `most`."""
        with self._connections.statements() as execute:
            (count,) = execute(self._spell(sql.COUNT_MARKS), (now, most)).fetchone()
        return int(count)

    def is_confirmed(self, sequence: int, alive: float) -> bool:
        """Return whether every living process has read up to a number."""
        with self._connections.statements() as execute:
            (late,) = execute(self._spell(sql.LATE_READERS), (alive, sequence)).fetchone()
        return bool(late == 0)

    def wait(self, seconds: float) -> None:
        """Return when something has been written, or when the time has passed."""
        self._connections.wait(seconds, self._sequence)

    def epoch(self) -> str:
        """Return the name of the log's epoch."""
        with self._connections.statements() as execute:
            return str(execute(sql.READ_EPOCH, ()).fetchone()[0])

    def use_proof(self, digest: str, seconds: int) -> bool:
        """Note that a DPoP proof is used; return False if it was used before."""
        with self._connections.write() as execute:
            execute(self._spell(sql.DELETE_PROOFS), ())
            used: bool = execute(self._spell(sql.USE_PROOF), (digest, seconds)).rowcount == 1
        return used

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def forget_connections(self) -> None:
        """Drop the connections of the parent process."""
        self._connections.forget()


def append(
    execute: Execute,
    spell: Callable[[str], str],
    marks: Sequence[Mark],
    execute_many: Callable[[str, list[tuple[Any, ...]]], object] | None = None,
) -> int:
    """Write marks in an open transaction, and return the number of the last one.

    Other writers wait from here to the end of the transaction, so call this last.

    Args:
        execute: runs a statement of the transaction.
        spell: the method of the dialect.
        marks: the marks to write.
        execute_many: runs a statement for many parameters; None to call `execute` repeatedly.
    """
    sequence, now = execute(spell(sql.COUNT), (len(marks),)).fetchone()
    first = sequence - len(marks) + 1
    # A log that was restored from a backup may have tips for numbers that are given again.
    execute(spell(sql.DELETE_TIPS_AFTER), (first - 1,))
    rows = []
    for number, mark in enumerate(marks, first):
        before = now if mark.issued_before is None and mark.kind in ("subject", "all") else mark.issued_before
        rows.append((mark.kind, mark.issuer, mark.name, number, before, mark.until))
    if execute_many is not None and rows:
        execute_many(spell(sql.PUT_MARK), rows)
    else:
        for row in rows:
            execute(spell(sql.PUT_MARK), row)
    # Only for the last one: a process stops reading there, or at the end of a page, which has no tip.
    execute(spell(sql.PUT_TIP), (sequence, secrets.token_hex(8)))
    execute(spell(sql.DELETE_TIPS), (sequence - MAX_TIPS,))
    execute(spell(sql.DELETE_MARKS), (KEEP_SECONDS,))
    execute(spell(sql.DELETE_READERS), (KEEP_SECONDS,))
    return int(sequence)


def create_tables(execute: Execute, spell: Callable[[str], str], *, unlogged: str = "") -> None:
    """Create missing tables, and start the log."""
    for statement in sql.TABLES:
        execute(statement.format(unlogged=unlogged), ())
    execute(spell(sql.BEGIN_LOG), (secrets.token_hex(8),))


def _state(position: Position, epoch: str, last: int, tip: str | None) -> State:
    if not position.epoch:
        return "ok"
    if position.epoch != epoch or position.sequence > last:
        return "lost"
    if not position.tip or position.sequence == 0 or position.tip == tip:
        return "ok"
    return "lost" if tip is not None or position.sequence > last - MAX_TIPS else "old"


def _mark(row: Row) -> Mark:
    kind, issuer, name, before, until = row[:5]
    return Mark(cast("Kind", kind), issuer, name, before, until)
