"""Find out whether a database accepts the writes of the service."""

import re

from sqlalchemy import Connection, exc, text

from authguard.identity.storage.schema import metadata
from authguard.stores.sql import sql_tables

#: The tables that the service reads and writes, with those of `authguard.stores`.
WRITTEN_TABLES = (
    *(table.name for table in metadata.sorted_tables),
    *re.findall(r"TABLE IF NOT EXISTS (\w+)", "".join(sql_tables.TABLES)),
)
#: Codes of errors that end writes, but not reads: of SQLite, and SQLSTATEs of PostgreSQL. SQLITE_BUSY is the
#: end of waiting for another writer, such as a program that was stopped in its transaction.
_REFUSED_WRITES = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_BUSY", "25006", "53100")
_STATE = text(
    """SELECT current_setting('transaction_read_only') = 'on', array_to_string(ARRAY(
        SELECT name FROM unnest(CAST(:names AS text[])) AS name, to_regclass(name) AS class
        WHERE NOT (has_table_privilege(class, 'SELECT') AND has_table_privilege(class, 'INSERT')
            AND has_table_privilege(class, 'UPDATE') AND has_table_privilege(class, 'DELETE'))
        ORDER BY name), ', ')"""
)
_TRIAL = (
    text("INSERT INTO authguard_replays (digest, until) VALUES ('a trial of readiness', 0)"),
    text("DELETE FROM authguard_replays WHERE digest = 'a trial of readiness'"),
)


def is_refused_write(error: exc.SQLAlchemyError) -> bool:
    """Return whether an error shows that the database only answers reads."""
    driver = getattr(error, "orig", None)
    code = getattr(driver, "sqlstate", None) or getattr(driver, "sqlite_errorname", None)
    return isinstance(code, str) and code.startswith(_REFUSED_WRITES)


def postgres_fault(connection: Connection) -> str | None:
    """Return why PostgreSQL would refuse writes; None if it accepts them. The one statement takes no lock."""
    is_read_only, names = connection.execute(_STATE, {"names": list(WRITTEN_TABLES)}).one()
    if is_read_only:
        return "it accepts no writes: it is a standby, or read-only"
    if names:
        return f"the user of the URL needs SELECT, INSERT, UPDATE and DELETE on {names}: GRANT them"
    return None


def try_write(connection: Connection) -> None:
    """Write a row and delete it, so that nothing is left when the transaction commits."""
    for statement in _TRIAL:
        connection.execute(statement)
