"""Open the log of revocations in the service's database, as the stores read it."""

from authguard.identity.storage.database import Database
from authguard.stores.sql.postgres_connections import PostgresConnections
from authguard.stores.sql.sql_log import SQLLog
from authguard.stores.sql.sqlite_connections import SQLiteConnections


def open_log(database: Database, timeout: float) -> SQLLog:
    """Open the log by connections of its own: who follows it must not wait for use cases.

    Args:
        database: the database of the service.
        timeout: seconds that connecting and a statement may take.
    """
    if database.file is not None:
        return SQLLog(SQLiteConnections(database.file.absolute(), timeout))
    from psycopg.conninfo import make_conninfo

    engine = database.engine
    _, options = engine.dialect.create_connect_args(engine.url)
    options.pop("context", None)  # how SQLAlchemy adapts types; all others are options of libpq
    return SQLLog(PostgresConnections(make_conninfo(**options), timeout))


def log_name(database: Database) -> str:
    """Return the name of the database for health and logs, without secrets."""
    if database.file is not None:
        return str(database.file)
    url = database.engine.url
    return f"postgresql://{url.host or 'localhost'}/{url.database or ''}"
