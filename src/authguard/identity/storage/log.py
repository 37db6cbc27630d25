"""Open the log of revocations in the service's database, as the stores read it."""

from typing import Any

from authguard.identity.storage.database import Database
from authguard.stores.places import postgres_place
from authguard.stores.sql.postgres_connections import PostgresConnections
from authguard.stores.sql.sql_log import SQLLog
from authguard.stores.sql.sqlite_connections import SQLiteConnections


def open_log(database: Database, timeout: float) -> SQLLog:
    """Open the log with connections of its own, so that reading it does not wait for use cases.

    Only the migrations create the log. If the database has none, its name is wrong, or it is not migrated.

    Args:
        database: the database of the service.
        timeout: seconds for connecting, and for a statement.
    """
    if database.file is not None:
        return SQLLog(SQLiteConnections(database.file.absolute(), timeout, creates_tables=False))
    from psycopg.conninfo import make_conninfo

    conninfo = make_conninfo(**_libpq_options(database))
    return SQLLog(PostgresConnections(conninfo, timeout, creates_tables=False))


def log_name(database: Database) -> str:
    """Return the name of the database for health and logs, without secrets."""
    if database.file is not None:
        return str(database.file.absolute())
    return postgres_place(_libpq_options(database))


def _libpq_options(database: Database) -> dict[str, Any]:
    engine = database.engine
    _, options = engine.dialect.create_connect_args(engine.url)
    options.pop("context", None)  # SQLAlchemy's option for types; all others are options of libpq
    return dict(options)
