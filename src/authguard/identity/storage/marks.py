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
_REQUIRED = "authguard required marks"


def begin(connection: Connection) -> None:
    """Begin a transaction that may add marks."""
    connection.info[_PENDING] = []
    connection.info[_REQUIRED] = False


def add_marks(connection: Connection, marks: Iterable[Mark]) -> None:
    """Add marks that the transaction writes at its end."""
    connection.info[_PENDING].extend(marks)


def require_elsewhere(connection: Connection) -> None:
    """Let the transaction's caller get an error while another store lacks its marks.

    For a request that revokes something, and can be repeated. Without marks it may repeat an earlier
    transaction, whose marks the store may lack. The answer to any other request does not depend on that
    store, because the change is committed: the caller needs a new secret, and could not repeat a deletion.
    """
    connection.info[_REQUIRED] = True


def is_required_elsewhere(connection: Connection) -> bool:
    """Return whether `require_elsewhere` was called in the transaction."""
    return bool(connection.info.pop(_REQUIRED, False))


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
