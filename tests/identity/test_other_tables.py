"""Databases in which an application has tables with the names of those of the service."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from authguard.errors import ConfigurationError
from authguard.identity import Identity, upgrade
from authguard.identity.storage.migrations import VERSION_TABLE
from authguard.identity.storage.migrations.other_tables import check_place
from authguard.stores import PostgresStore
from cli.support import invoke
from identity.support import CALLER, PASSWORD, postgres_database, service_at, settings

USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, login TEXT)"
IN_SCHEMA = "?options=-csearch_path%3Dauthguard"


@pytest.fixture(name="new_url", params=["sqlite", "postgresql"])
def _new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty database of the test alone."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
        return
    with postgres_database() as url:
        yield url


@pytest.fixture(name="new_postgres")
def _new_postgres() -> Iterator[str]:
    with postgres_database() as url:
        yield url


def execute(url: str, *statements: str) -> None:
    """Run statements of the application."""
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        Path(path).chmod(0o600)
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        for statement in statements:
            server.execute(statement)


def tables(url: str) -> set[str]:
    """Return the names of all tables."""
    engine = create_engine(url, poolclass=NullPool)
    with closing(engine.connect()) as connection:
        return set(inspect(connection).get_table_names())


def test_an_upgrade_beside_tables_of_an_application_changes_nothing(new_url: str) -> None:
    """The command ends with status 2 and one line, which names the tables and the remedy."""
    execute(new_url, USERS, "CREATE TABLE clients (name TEXT)", "INSERT INTO clients VALUES ('Ann')")
    path = Path(new_url.removeprefix("sqlite:///"))
    before = path.read_bytes() if path.exists() else b""
    done = invoke("db", "upgrade", AUTHGUARD_DATABASE=new_url)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    told = "no tables of other programs with the names of those of the service, got clients, users: name a "
    assert told in done.stderr
    assert ("?options=-csearch_path%3Dauthguard" in done.stderr) == (not before)
    assert tables(new_url) == {"users", "clients"}
    assert (path.read_bytes() if before else b"") == before


@pytest.mark.parametrize("dev", [True, False])
def test_a_service_does_not_start_beside_tables_of_an_application(new_url: str, *, dev: bool) -> None:
    """The service names the tables, whether it would create its own or not."""
    execute(new_url, USERS)
    with pytest.raises(ConfigurationError, match="those of the service, got users: name a "):
        Identity(settings(new_url, dev=dev, smtp_url="smtp://127.0.0.1:9", mail_from="a@example.com"))
    assert tables(new_url) == {"users"}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE revocations (id INTEGER)",
        "CREATE VIEW sessions AS SELECT 1 AS id",
        "CREATE TABLE access_lifetimes (id INTEGER)",
    ],
)
def test_views_and_names_of_single_versions_count(new_url: str, statement: str) -> None:
    """A view, and a table of an early or of the newest version are refused as well."""
    execute(new_url, statement)
    with pytest.raises(ConfigurationError, match=f"got {statement.split()[2]}: "):
        upgrade(new_url)


def test_names_of_sqlite_have_no_case(tmp_path: Path) -> None:
    """In SQLite, a table `Users` is in the way of `users`."""
    url = f"sqlite:///{tmp_path}/shop.db"
    execute(url, USERS.replace("users", "Users"))
    with pytest.raises(ConfigurationError, match="got users: name a file of its own$"):
        upgrade(url)


def test_a_long_list_is_shortened(new_url: str) -> None:
    """The error names five tables."""
    names = ("users", "sessions", "clients", "mails", "api_keys", "signing_keys")
    execute(new_url, *(f"CREATE TABLE {name} (id INTEGER)" for name in names))
    with pytest.raises(ConfigurationError, match="got api_keys, clients, mails, sessions, signing_keys, …: "):
        upgrade(new_url)


@pytest.mark.slow
def test_tables_of_other_names_do_not_matter(new_url: str) -> None:
    """A database with other tables of an application gets those of the service, twice without an error."""
    execute(new_url, USERS.replace("users", "orders"))
    upgrade(new_url)
    upgrade(new_url)
    assert tables(new_url) > {"orders", "users"}


@pytest.mark.slow
def test_the_log_of_a_store_does_not_matter(new_postgres: str) -> None:
    """The log that a `PostgresStore` has created is used by the service."""
    with closing(PostgresStore(new_postgres)) as store:
        store.revocations.revoke(token_id="one", until=4_000_000_000)
    upgrade(new_postgres)
    with service_at(new_postgres) as service, service.database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM authguard_marks")) == 1


@pytest.mark.slow
def test_a_schema_of_its_own(new_postgres: str) -> None:
    """With a schema of its own, the service runs beside a table `users` of the application."""
    execute(new_postgres, USERS, "INSERT INTO users VALUES (1, 'Ann')", "CREATE SCHEMA authguard")
    url = new_postgres + IN_SCHEMA
    assert invoke("db", "upgrade", AUTHGUARD_DATABASE=url).exit_code == 0
    with service_at(url) as service:
        Identity(service)
        tokens = service.accounts.register("ann@example.com", PASSWORD, "Ann", CALLER)
        assert tokens is not None
        assert service.sessions.refresh(tokens.refresh_token, CALLER).user.id == tokens.user.id
    assert tables(new_postgres) == {"users"}


@pytest.mark.parametrize("path", ["authguard", "one,two"])
def test_a_schema_that_is_missing(new_postgres: str, path: str) -> None:
    """If `search_path` names no schema, the error of commands and of the service tells it."""
    url = f"{new_postgres}?options=-csearch_path%3D{path}"
    done = invoke("db", "upgrade", AUTHGUARD_DATABASE=url)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "the search_path of database must name a schema that is there, and that its user" in done.stderr
    assert f"may use, got '{path}': run `CREATE SCHEMA …` or" in done.stderr
    with service_at(url) as service, pytest.raises(ConfigurationError, match="search_path of database must"):
        Identity(service)


def test_a_schema_that_the_user_may_not_use(new_postgres: str) -> None:
    """Without the right USAGE, the error names the statement that gives it."""
    role = f"authguard_test_{secrets.token_hex(6)}"
    execute(new_postgres, f"CREATE ROLE {role}", "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    try:
        with pytest.raises(ConfigurationError, match="or `GRANT USAGE ON SCHEMA …`, or correct the URL"):
            upgrade(f"{new_postgres}?options=-crole%3D{role}")
    finally:
        execute(new_postgres, f"DROP ROLE {role}")


def test_tables_that_another_process_has_just_created(url: str) -> None:
    """Tables that appear after the look for their version are those of the service."""
    with service_at(url) as service, service.database.read() as connection:
        check_place(connection, VERSION_TABLE)
        with pytest.raises(ConfigurationError):
            check_place(connection, "another_version")
