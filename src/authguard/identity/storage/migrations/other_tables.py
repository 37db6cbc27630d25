"""Refuse to create the tables beside those of an application that have the same names."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection, text

from authguard.errors import ConfigurationError
from authguard.identity.storage.schema import metadata

_MAX_NAMED = 5
# The migrations create the last two, and delete them later.
_TABLES = frozenset({*metadata.tables, "api_key_usage", "revocations"})
# Tables, views, indexes and sequences of one schema share their names.
_NAMES_OF_SCHEMA = text(
    "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE nspname = current_schema()"
)
_NAMES_OF_FILE = "SELECT lower(name) FROM sqlite_master"  # SQLite ignores the case of names
_OTHER_FILE = "name a file of its own"
_OTHER_SCHEMA = (
    "name a database of its own, or a schema of its own: create it by `CREATE SCHEMA authguard`, and add "
    "?options=-csearch_path%3Dauthguard to the URL"
)


def check_place(connection: Connection, version_table: str) -> None:
    """Check that a database without tables of the service has a place for them.

    Args:
        connection: to the database.
        version_table: the table of databases that belong to the service; another process may just have
            created it.

    Raises:
        ConfigurationError: if tables of an application have the same names, or the schema is missing.
    """
    if connection.dialect.name == "sqlite":
        _refuse_same_names(connection.execute(text(_NAMES_OF_FILE)).scalars(), version_table, _OTHER_FILE)
        return
    if connection.scalar(text("SELECT current_schema()")) is None:
        search_path = connection.scalar(text("SHOW search_path"))
        raise ConfigurationError(
            "the search_path of database must name a schema that is there, and that its user may use, got "
            f"{search_path!r}: run `CREATE SCHEMA …` or `GRANT USAGE ON SCHEMA …`, or correct the URL"
        )
    _refuse_same_names(connection.execute(_NAMES_OF_SCHEMA).scalars(), version_table, _OTHER_SCHEMA)


def check_file(path: Path, version_table: str) -> None:
    """Check a file of SQLite as `check_place` does, and without a change: the service would switch it to WAL.

    Args:
        path: the file; it may be missing.
        version_table: as for `check_place`.

    Raises:
        ConfigurationError: if tables of an application have the same names.
    """
    names: list[str] = []
    # The service itself reports a file that cannot be read.
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        names = [name for (name,) in connection.execute(_NAMES_OF_FILE)]
    _refuse_same_names(names, version_table, _OTHER_FILE)


def _refuse_same_names(names: Iterable[str], version_table: str, remedy: str) -> None:
    existing = set(names)
    same = sorted(_TABLES & existing)
    if same and version_table not in existing:
        shown = ", ".join(same[:_MAX_NAMED]) + (", …" if len(same) > _MAX_NAMED else "")
        raise ConfigurationError(
            "database must have no tables of other programs with the names of those of the service, got "
            f"{shown}: {remedy}"
        )
