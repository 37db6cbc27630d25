"""Run the migrations of the database, which are shipped with the package, by Alembic."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, column, event, inspect, select, table

from authguard._extras import needs_extra
from authguard.errors import ConfigurationError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage.connecting.writes import WRITTEN_TABLES
from authguard.identity.storage.database import Database
from authguard.identity.storage.migrations.other_tables import check_file, check_place

if TYPE_CHECKING:
    from alembic.config import Config

#: The database file if `Settings.database` is not set.
DEFAULT_FILE = "authguard.db"
VERSION_TABLE = "authguard_version"
_FOLDER = Path(__file__).parent
_LOCK = 0x61757468  # "auth" in ASCII: the advisory lock that allows one upgrade at a time in PostgreSQL


def upgrade(database: Database | str, revision: str = "head") -> None:
    """Migrate the tables to the newest version, in one transaction; other processes that do so wait.

    Args:
        database: the database, or its URL.
        revision: the last version to apply.

    Raises:
        ConfigurationError: if the tables are of a newer release, or those of an application have their names.
        StoreUnavailableError: if the database does not answer.
    """
    opened = Database(database) if isinstance(database, str) else database
    try:
        migrate(opened, revision)
    finally:
        if opened is not database:
            opened.close()


def migrate(database: Database, revision: str = "head") -> tuple[str | None, str | None]:
    """Migrate the tables as `upgrade` does, and return their versions before and after; None without tables.

    Args:
        database: the database.
        revision: the last version to apply.

    Raises:
        ConfigurationError: if the tables are of a newer release, some are missing, or those of an application
            have their names.
        StoreUnavailableError: if the database does not answer.
    """
    if database.file is not None:
        check_file(database.file, VERSION_TABLE)
    with database.write() as connection:
        if not database.is_sqlite:
            _wait_without_end(connection)
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        before = _revision_of(connection)
        if before is None:
            check_place(connection, VERSION_TABLE)
        _refuse_newer(before)
        if revision != "head" or before != _newest_revision():
            _run_migrations(connection, revision)
        if revision == "head":
            _check_complete(connection)
        return before, _revision_of(connection)


def _run_migrations(connection: Connection, revision: str) -> None:
    # Only a process that migrates needs Alembic, which takes a while to import, and memory.
    with needs_extra("identity"):
        from alembic import command

    command.upgrade(_config(connection), revision)


def _wait_without_end(connection: Connection) -> None:
    """Wait as long as a large table needs, and for other processes that migrate."""
    driver: Any = connection.connection.driver_connection
    patience, driver.patience = driver.patience, None

    @event.listens_for(connection, "commit")
    @event.listens_for(connection, "rollback")
    def end(_: object) -> None:
        driver.patience = patience


def check(database: Database, *, may_be_newer: bool = False) -> None:
    """Check that the tables have the version of this release, and are complete.

    Args:
        database: the database.
        may_be_newer: whether newer tables are accepted, as for a process that runs while tables are migrated
            and processes are replaced.

    Raises:
        ConfigurationError: if they have another version, or some are missing; the message names the remedy.
    """
    newest = _newest_revision()
    if database.file is not None and not database.file.exists():
        # Connecting would create an empty file, perhaps under a mistyped name.
        name = str(database.file)
        which = ", the default: set AUTHGUARD_DATABASE" if name == DEFAULT_FILE else ": correct the name"
        raise ConfigurationError(
            f"database must name a file that is there, got {name!r}{which}, or, for a new database, run "
            "`authguard db upgrade`, or call authguard.identity.upgrade(database)"
        )
    with database.read() as connection:
        revision = _revision_of(connection)
        if revision is None:
            check_place(connection, VERSION_TABLE)
        elif revision == newest:
            _check_complete(connection)
    if not may_be_newer:
        _refuse_newer(revision)
    if revision != newest and not _is_newer(revision):
        raise ConfigurationError(
            f"the tables of database must be of version {newest}, got {revision or 'no tables'}: run "
            "`authguard db upgrade`, or call authguard.identity.upgrade(database)"
        )


def _check_complete(connection: Connection) -> None:
    """Check that no table is missing, as after the restore of a part of a backup."""
    missing = sorted(set(WRITTEN_TABLES).difference(inspect(connection).get_table_names()))
    if missing:
        raise ConfigurationError(
            f"database must have all tables of the service, got none with the names {', '.join(missing)}: "
            "restore a backup; `authguard db upgrade` creates all tables only in a database without them"
        )


def _is_newer(revision: str | None) -> bool:
    return revision is not None and revision > _newest_revision()  # the versions are numbers


def _refuse_newer(revision: str | None) -> None:
    """Refuse tables that a newer release has migrated: no migration leads back."""
    if _is_newer(revision):
        raise ConfigurationError(
            f"the tables of database must be of version {_newest_revision()}, got {revision}, which a newer "
            "release of authguard has made: start that release, or restore the backup from before its upgrade"
        )


def find_fault(url: str) -> str | None:
    """Return the fault of the tables; None if they have none, or cannot be read."""
    try:
        database = Database(url)
    except ConfigurationError:  # `Settings` reports a missing driver
        return None
    try:
        check(database)
    except ConfigurationError as error:
        return str(error)
    except StoreUnavailableError:
        return None
    finally:
        database.close()
    return None


def _revision_of(connection: Connection) -> str | None:
    """Return the version of the tables; None without tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return revision


@cache
def _newest_revision() -> str:
    """Return the version of this release: the number with which the name of the last file begins."""
    return max(path.name.partition("_")[0] for path in _FOLDER.glob("versions/[0-9]*.py"))


def _config(connection: Connection | None) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
