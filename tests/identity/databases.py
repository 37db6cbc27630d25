"""Provide the two databases, for tests of code that stores data."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from authguard.identity.storage import database
from identity.support import close_connections, empty, postgres_database, upgrade


@pytest.fixture(scope="session", autouse=True)
def compiled_statements() -> Iterator[None]:
    """Keep the statements that SQLAlchemy has compiled, because each test creates an engine of its own.

    SQLAlchemy compares the dialects of a compiled statement and of the engine. All tests use equal dialects.
    """
    compiled: dict[Any, Any] = {}

    def create_engine(*args: Any, **options: Any) -> Engine:
        return sqlalchemy.create_engine(*args, **options, execution_options={"compiled_cache": compiled})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", create_engine)
        for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
            patch.setattr(dialect, "__eq__", lambda self, other: type(self) is type(other), raising=False)
            patch.setattr(dialect, "__hash__", lambda self: hash(type(self)), raising=False)
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_database() as url:
        upgrade(url)
        yield url
        close_connections()


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('identity')}/identity.db"
    upgrade(url)
    return url


@pytest.fixture(name="url", params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database with its tables."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    empty(url)
    return url
