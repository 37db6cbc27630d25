"""Build statements that SQLite and PostgreSQL support, but standard SQL does not."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an INSERT that has ON CONFLICT; both dialects write it the same way."""
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
