"""`/readyz` of a service whose database answers reads and refuses writes, as every sign-in needs one."""

import logging
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity, upgrade
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage.connecting.writes import WRITTEN_TABLES, try_write
from authguard.identity.storage.database import Database
from identity.full_disk import small_disk
from identity.keys import create_key, key_field, register
from identity.support import PASSWORD, Clock, service_at
from own_postgres import OwnPostgres, own_postgres

pytestmark = pytest.mark.one_database

PAGE = (Path(__file__).parents[2] / "docs" / "production.md").read_text(encoding="utf-8")
(GRANTS,) = re.findall(r"```sql\n(.+?)```", PAGE, re.DOTALL)
LOGIN = {"email": "ann@example.com", "password": PASSWORD}


@contextmanager
def client_at(url: str, clock: Clock) -> Iterator[TestClient]:
    """Run the service on a database, without its background threads."""
    with service_at(url, clock=clock) as service:
        yield TestClient(Identity(service))


def state(client: TestClient, clock: Clock) -> tuple[int, list[str]]:
    """Return the status and the failing parts of a new look."""
    clock.go_on(2)
    answer = client.get("/readyz")
    return answer.status_code, answer.json().get("failing", [])


def sign_in(client: TestClient) -> int:
    """Return the status of a sign-in."""
    return client.post("/v1/auth/login", json=LOGIN).status_code


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        execute(server, "CREATE ROLE authguard LOGIN", "CREATE ROLE authguard_owner LOGIN")
        execute(server, "CREATE DATABASE service OWNER authguard_owner")
        execute(server, "ALTER SCHEMA public OWNER TO authguard_owner", database="service")
        upgrade(at(server, "authguard_owner"))
        yield server


def at(server: OwnPostgres, user: str, database: str = "service") -> str:
    """Return the URL of a database for a user."""
    return f"postgresql+psycopg://{user}@127.0.0.1:{server.port}/{database}"


def execute(
    server: OwnPostgres, *statements: str, user: str = "postgres", database: str = "postgres"
) -> None:
    """Execute statements."""
    url = at(server, user, database).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture
def granted(server: OwnPostgres) -> OwnPostgres:
    """Return the server after the statements of docs/production.md."""
    execute(server, GRANTS, user="authguard_owner", database="service")
    return server


@pytest.mark.slow
def test_the_rights_of_the_page_are_enough(granted: OwnPostgres, clock: Clock) -> None:
    """A role with the rights of docs/production.md signs users in and out, uses keys, and purges."""
    with service_at(at(granted, "authguard"), clock=clock) as service:
        client = TestClient(Identity(service))
        assert state(client, clock) == (200, [])
        headers = register(client)
        key = key_field(create_key(client, headers)["api_key"])
        assert client.get("/v1/users/me", headers=key).status_code == 200
        assert sign_in(client) == 200
        assert client.post("/v1/auth/logout", headers=headers).status_code in (200, 204)
        service.purge.run()


@pytest.mark.slow
@pytest.mark.parametrize("right", ["SELECT", "INSERT", "UPDATE", "DELETE"])
def test_a_missing_right_is_named(
    granted: OwnPostgres, clock: Clock, right: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A table without one of the rights makes the service unready, and the log names the table."""
    with client_at(at(granted, "authguard"), clock) as client:
        assert state(client, clock) == (200, [])
        execute(granted, f"REVOKE {right} ON sessions, mails FROM authguard", database="service")
        assert state(client, clock) == (503, ["database"])
        assert "needs SELECT, INSERT, UPDATE and DELETE on mails, sessions: GRANT them" in caplog.text
        execute(granted, GRANTS, user="authguard_owner", database="service")
        assert state(client, clock) == (200, [])


def test_new_tables_are_granted_by_default(granted: OwnPostgres) -> None:
    """A table that the owner adds later has the rights, by the last statement of the page."""
    execute(granted, "CREATE TABLE later (x INTEGER)", user="authguard_owner", database="service")
    execute(granted, "INSERT INTO later VALUES (1)", user="authguard", database="service")
    execute(granted, "DROP TABLE later", user="authguard_owner", database="service")


def test_each_table_is_checked(granted: OwnPostgres) -> None:
    """All tables of the migrations are checked, but not the one with their version, which is only read."""
    with psycopg.connect(at(granted, "postgres").replace("+psycopg", "")) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert sorted(name for (name,) in rows) == sorted([*WRITTEN_TABLES, "authguard_version"])


@pytest.mark.slow
def test_a_database_that_is_read_only(
    granted: OwnPostgres, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A read-only database makes the service unready, and the service recovers without a restart."""
    with client_at(at(granted, "authguard"), clock) as client:
        assert state(client, clock) == (200, [])
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'authguard'"
        execute(granted, "ALTER DATABASE service SET default_transaction_read_only = on", end)
        assert sign_in(client) == 503
        assert state(client, clock) == (503, ["database"])
        assert "it accepts no writes: it is a standby, or read-only" in caplog.text
        execute(granted, "ALTER DATABASE service RESET default_transaction_read_only")
        assert state(client, clock) == (200, [])
        assert sign_in(client) in (200, 401)


@pytest.mark.slow
def test_a_standby(granted: OwnPostgres, clock: Clock) -> None:
    """A server that has become a standby makes the service unready, until it is the primary again."""
    signal_file = granted.folder / "data" / "standby.signal"
    with client_at(at(granted, "authguard"), clock) as client:
        assert state(client, clock) == (200, [])
        signal_file.touch()
        granted.restart()
        try:
            assert state(client, clock) == (503, ["database"])
        finally:
            signal_file.unlink()
            granted.restart()
        assert state(client, clock) == (200, [])


@pytest.mark.slow
def test_a_lock_of_a_writer_is_not_waited_for(granted: OwnPostgres, clock: Clock, tmp_path: Path) -> None:
    """A writer that locks the tables does not make the service unready, with either database."""
    locking = psycopg.connect(at(granted, "postgres").replace("+psycopg", ""))
    with client_at(at(granted, "authguard"), clock) as client, locking as connection:
        connection.execute("LOCK TABLE users, sessions, authguard_log, authguard_replays")
        assert state(client, clock) == (200, [])
    file = tmp_path / "identity.db"
    upgrade(f"sqlite:///{file}")
    with client_at(f"sqlite:///{file}", clock) as client, closing(sqlite3.connect(file)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        before = (file.stat().st_mtime_ns, Path(f"{file}-wal").stat().st_size)
        assert state(client, clock) == (200, [])
        assert before == (file.stat().st_mtime_ns, Path(f"{file}-wal").stat().st_size)  # nothing is written


@pytest.mark.slow
def test_a_full_disk_of_sqlite(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A refused write on a full disk makes the service unready, until the disk has room again."""
    with small_disk(8) as disk:
        url = f"sqlite:///{disk.folder}/identity.db"
        upgrade(url)
        with client_at(url, clock) as client, caplog.at_level(logging.INFO, "authguard"):
            register(client)
            disk.fill()
            assert sign_in(client) == 503
            assert state(client, clock) == (503, ["database"])
            assert state(client, clock) == (503, ["database"])
            assert "the service is not ready: database: the disk is full" in caplog.text
            with (
                closing(Database(url)) as another,
                pytest.raises(StoreUnavailableError, match="disk is full"),
            ):
                another.check_writes()
                with another.write() as connection:
                    try_write(connection)
            disk.make_room()
            assert state(client, clock) == (200, [])
            assert sign_in(client) == 200
            assert state(client, clock) == (200, [])


@contextmanager
def locked_file(tmp_path: Path, clock: Clock) -> Iterator[tuple[TestClient, sqlite3.Connection]]:
    """Run the service on a file with an account, which another program has locked for writing."""
    file = tmp_path / "identity.db"
    upgrade(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    with client_at(f"sqlite:///{file}", clock) as client, closing(other):
        register(client)
        other.execute("BEGIN IMMEDIATE")
        yield client, other


@pytest.mark.slow
@pytest.mark.parametrize("end", ["ROLLBACK", "COMMIT"])
def test_a_lock_for_which_a_write_has_waited_in_vain(clock: Clock, tmp_path: Path, end: str) -> None:
    """After a write has timed out, the service is not ready until the other program ends its transaction."""
    with locked_file(tmp_path, clock) as (client, other):
        assert state(client, clock) == (200, [])
        assert sign_in(client) == 503
        for _ in range(2):
            assert state(client, clock) == (503, ["database"])
        other.execute(end)
        assert wait_for_ready(client, clock)
        assert sign_in(client) == 200


@pytest.mark.slow
def test_a_lock_that_has_ended_leaves_the_service_ready(clock: Clock, tmp_path: Path) -> None:
    """A lock that has ended before the next probe, or ends while it waits, leaves the service ready."""
    with locked_file(tmp_path, clock) as (client, other):
        assert sign_in(client) == 503
        other.execute("ROLLBACK")
        assert state(client, clock) == (200, [])
        other.execute("BEGIN IMMEDIATE")
        assert sign_in(client) == 503
        ending = threading.Timer(0.5, other.execute, ["ROLLBACK"])
        ending.start()
        assert state(client, clock) == (200, [])
        ending.join()


def wait_for_ready(client: TestClient, clock: Clock) -> bool:
    """Return whether the service is ready within ten seconds; an earlier look may still wait for the lock."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if state(client, clock) == (200, []):
            return True
    return False
