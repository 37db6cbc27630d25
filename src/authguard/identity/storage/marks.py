"""Write revocations to the log that processes follow, at the end of a transaction."""

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Connection

from authguard.stores.marks import Mark
from authguard.stores.sql import sql_log
from authguard.stores.sql.postgres_connections import ANNOUNCE
from authguard.stores.sql.postgres_connections import DIALECT as POSTGRES
from authguard.stores.sql.sql_log import Dialect, Execute
from authguard.stores.sql.sqlite_connections import DIALECT as SQLITE

_PENDING = "authguard marks"
_REPEAT = "authguard repeated marks"


def begin(connection: Connection) -> None:
    """Begin a transaction that may add marks."""
    connection.info[_PENDING] = []
    connection.info[_REPEAT] = False


def add_marks(connection: Connection, marks: Iterable[Mark]) -> None:
    """Add marks that the transaction writes at its end."""
    connection.info[_PENDING].extend(marks)


def note_repeat(connection: Connection) -> None:
    """Have the marks of earlier transactions written to another store, if it lacks some.

    For a transaction that may repeat an earlier one, which was committed although its caller got an error.
    """
    connection.info[_REPEAT] = True


def is_repeat(connection: Connection) -> bool:
    """Return whether the transaction may repeat an earlier one."""
    return bool(connection.info.pop(_REPEAT, False))


def write_added(connection: Connection) -> "tuple[list[Mark], int]":
    """Write the added marks, and return them with the number of the last one.

    This is the last step of a transaction: the log has one writer at a time, and transactions that lock both
    the log and other rows would wait for each other.
    """
    marks: list[Mark] = connection.info.pop(_PENDING, [])
    if not marks:
        return [], 0
    execute = execute_by(connection)
    many = cast("Any", connection.exec_driver_sql)
    sequence = sql_log.append(execute, dialect_of(connection).spell, marks, many)
    if connection.dialect.name == "postgresql":
        execute(ANNOUNCE, ())
    return marks, sequence


def dialect_of(connection: Connection) -> Dialect:
    """Return the SQL dialect of a connection's database."""
    return POSTGRES if connection.dialect.name == "postgresql" else SQLITE


def execute_by(connection: Connection) -> Execute:
    """Return a function that runs a statement of a store."""
    return cast("Execute", lambda statement, values: connection.exec_driver_sql(statement, values or None))
