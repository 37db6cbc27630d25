"""Run the migrations of the database, which are shipped with the package, by Alembic."""

from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event

from authguard.errors import ConfigurationError
from authguard.identity.storage.database import Database

VERSION_TABLE = "authguard_version"
_LOCK = 0x61757468  # "auth": one upgrade at a time in PostgreSQL


def upgrade(database: Database | str, revision: str = "head") -> None:
    """Migrate the tables to the newest version, in one transaction; other processes that do so wait.

    Args:
        database: the database, or its URL.
        revision: the last version to apply.

    Raises:
        StoreUnavailableError: if the database does not answer.
    """
    opened = Database(database) if isinstance(database, str) else database
    try:
        with opened.write() as connection:
            if not opened.is_sqlite:
                _wait_without_end(connection)
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            command.upgrade(_config(connection), revision)
    finally:
        if opened is not database:
            opened.close()


def _wait_without_end(connection: Connection) -> None:
    """Wait as long as a large table needs, and for other processes that migrate."""
    driver: Any = connection.connection.driver_connection
    patience, driver.patience = driver.patience, None

    @event.listens_for(connection, "commit")
    @event.listens_for(connection, "rollback")
    def end(_: object) -> None:
        driver.patience = patience


def check(database: Database, *, may_be_newer: bool = False) -> None:
    """Check that the tables have the version of this release.

    Args:
        database: the database.
        may_be_newer: whether newer tables are accepted, as for a process that runs while tables are migrated
            and processes are replaced.

    Raises:
        ConfigurationError: if they have not; the message says what to do.
    """
    newest = _newest_revision()
    if database.file is not None and not database.file.exists():
        # Connecting would create an empty file, perhaps under a mistyped name.
        raise ConfigurationError(
            f"database must name a file that is there, got {str(database.file)!r}, which is not: correct the "
            "name, or run `authguard db upgrade`, or call authguard.identity.upgrade(database)"
        )
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        revision = context.get_current_revision()
    is_newer = None not in (revision, newest) and str(revision) > str(newest)  # they are numbers
    if revision != newest and not (is_newer and may_be_newer):
        raise ConfigurationError(
            f"the tables of database must be of version {newest}, got {revision or 'no tables'}: run "
            "`authguard db upgrade`, or call authguard.identity.upgrade(database)"
        )


@cache  # it reads and runs each migration
def _newest_revision() -> str | None:
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
