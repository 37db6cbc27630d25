"""Outages of real PostgreSQL servers: restarts, frozen servers, and poolers between them and the service."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import exc, text

from authguard.identity import SQLRevocations, upgrade
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage import database as database_module
from authguard.identity.storage.connecting import pool
from authguard.identity.storage.connecting.reasons import OutageLog, reason_of
from authguard.identity.storage.database import Database
from identity.support import ANN, CALLER, PASSWORD, service_at, together
from own_postgres import OwnPostgres, own_postgres, pgbouncer
from sizes import size

PATIENCE = 0.5
IN_TIME = 20  # seconds: a frozen server never answers


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        upgrade(server.url)
        yield server


@pytest.fixture
def database(server: OwnPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Return a database with a short timeout."""
    monkeypatch.setattr(database_module, "_PATIENCE_SECONDS", PATIENCE)
    database = Database(server.url)
    yield database
    database.close()


def select_one(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT 1")).scalar() or 0)


def open_connections(database: Database) -> None:
    """Open several connections of each kind, which stay open."""

    def use(index: int) -> None:
        with (database.read if index % 2 else database.write)() as connection:
            connection.execute(text("SELECT pg_sleep(0.05)"))

    together(8, use)


@pytest.mark.slow
def test_no_request_fails_after_a_restart(server, database):
    """After a restart of the server no request fails, because its connections are replaced first."""
    for _ in range(3):
        open_connections(database)
        server.restart()
        assert together(8, lambda index: select_one(database)) == [1] * 8
        with database.write() as connection:
            connection.execute(text("SELECT 1"))


def test_connection_that_was_idle_for_long_is_asked_first(database, monkeypatch):
    """A connection that was idle for long is checked first, because a firewall may have dropped it."""
    select_one(database)
    monkeypatch.setattr(pool, "IDLE_SECONDS", -1.0)
    (idle,) = database._readers._idle
    idle[0].connection.driver_connection.pgconn.finish()
    assert select_one(database) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["read", "write"])
def test_frozen_server_holds_up_nobody(server, database, kind):
    """A request to a frozen server raises StoreUnavailableError in time, and later ones succeed."""
    open_connections(database)
    begin = time.monotonic()
    with server.frozen():
        with (
            pytest.raises(StoreUnavailableError, match="does not answer in time"),
            getattr(database, kind)() as connection,
        ):
            connection.execute(text("SELECT 1"))
        assert time.monotonic() - begin < IN_TIME
    assert select_one(database) == 1


@pytest.mark.slow
def test_revoking_on_a_frozen_server_fails_in_time(server, database):
    """`revoke` of SQLRevocations raises StoreUnavailableError in time while the server is frozen."""
    revocations = SQLRevocations(database)
    revocations.revoke(token_id="a", until=time.time() + 60)
    begin = time.monotonic()
    with server.frozen(), pytest.raises(StoreUnavailableError):
        revocations.revoke(token_id="b", until=time.time() + 60)
    assert time.monotonic() - begin < IN_TIME
    revocations.close()


@pytest.mark.slow
def test_migrations_may_take_longer(server, database):
    """A statement of a migration may take longer than the timeout, which applies again afterwards."""
    with database.write() as connection:
        from authguard.identity.storage.migrations import _wait_without_end

        driver = connection.connection.driver_connection
        _wait_without_end(connection)
        connection.execute(text(f"SELECT pg_sleep({2 * PATIENCE})"))
    assert driver.patience == PATIENCE


@pytest.mark.slow
def test_pooler_in_transaction_mode(server, clock, postbox):
    """Behind PgBouncer in transaction mode, each of many requests at once succeeds."""
    with pgbouncer(server) as url, service_at(url, clock=clock, postbox=postbox) as service:
        tokens = service.accounts.register(ANN["email"], PASSWORD, "", CALLER)
        assert tokens is not None
        for _ in range(8):  # more often than psycopg waits before it prepares a statement
            result = together(12, lambda index: service.accounts.login(ANN["email"], PASSWORD, CALLER))
            assert not [each for each in result if isinstance(each, Exception)]
        principal = service.own_tokens
        assert principal is not None
        service.revocations.revoke(token_id="a", until=clock() + 60)
        assert service.outbox.flush()
        assert len(postbox.mails) == 1


def test_settings_of_a_session_do_not_leak_through_a_pooler(server):
    """The service sets no timeout on a pooled connection, which other clients share."""
    with pgbouncer(server) as url:
        database = Database(url)
        select_one(database)
        with psycopg.connect(url.replace("+psycopg", ""), prepare_threshold=None) as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
        database.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("53100", "its disk is full (53100)"),
        (
            "53300",
            "the server takes no more connections; raise max_connections, or lower worker_threads (53300)",
        ),
        ("57P01", "the connection was lost (57P01)"),
        ("57014", "a statement took too long (57014)"),
        ("25006", "it accepts no writes: it is a standby, or read-only (25006)"),
        ("42501", "the user of the URL may not use the tables (42501)"),
        ("SQLITE_FULL", "the disk is full (SQLITE_FULL)"),
        ("SQLITE_IOERR_FSYNC", "its disk cannot be read or written (SQLITE_IOERR_FSYNC)"),
        ("SQLITE_IOERR_SHMSIZE", "its disk is full, or cannot be written (SQLITE_IOERR_SHMSIZE)"),
        ("SQLITE_READONLY_DBMOVED", "the file cannot be written; the file and its folder must be writable"),
        ("99999", "error 99999"),
    ],
)
def test_error_is_in_words(code, words):
    """The reason of an outage has words and the code of the database, but not the driver's message."""
    cause = Exception("INSERT INTO users VALUES ('ann@example.com')")
    setattr(cause, "sqlite_errorname" if code.startswith("SQLITE") else "sqlstate", code)
    reason = reason_of(exc.OperationalError("INSERT", {"email": "ann@example.com"}, cause))
    assert reason.startswith(words)
    assert "ann@" not in reason
    assert "INSERT" not in reason


def test_outage_is_a_warning_once_in_a_while(caplog):
    """Each reason of an outage is logged once, and not for each request."""
    database = Database("postgresql://postgres@127.0.0.1:9/none")
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            with pytest.raises(StoreUnavailableError), database.read():
                pass
        OutageLog().warn("another")
    told = [record.getMessage() for record in caplog.records if record.name == "authguard.outages"]
    assert told == [
        "requests are answered with 503: database: no server listens at the host and port of the URL",
        "requests are answered with 503: another",
    ]


def test_rights_that_are_missing_are_an_outage_in_words(server, database):
    """Missing rights on the tables are an outage, and its reason names them."""
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
    guest = Database(server.url.replace("postgres@", "guest@"))
    with pytest.raises(StoreUnavailableError, match="may not use the tables"), guest.read() as connection:
        connection.execute(text("SELECT * FROM users"))
    guest.close()


@pytest.mark.slow
def test_restarts_under_load_are_never_our_bug(server, clock, postbox):
    """While the server restarts, sign-ins succeed or get 503, and afterwards all succeed."""
    done, errors, stop = [], [], threading.Event()
    with service_at(server.url, clock=clock, postbox=postbox) as service:
        service.accounts.create("load@example.com", PASSWORD)

        def sign_in(_: int) -> None:
            while not stop.is_set():
                try:
                    done.append(service.accounts.login("load@example.com", PASSWORD, CALLER))
                except Exception as error:
                    errors.append(error)

        with ThreadPoolExecutor(8) as threads:
            loops = [threads.submit(sign_in, index) for index in range(8)]
            for _ in range(size(2, 5)):
                before = len(done)
                server.restart()
                while len(done) < before + 20:
                    assert not all(loop.done() for loop in loops)
                    time.sleep(0.01)
            stop.set()
        assert {type(error) for error in errors} <= {StoreUnavailableError}
        assert service.accounts.login("load@example.com", PASSWORD, CALLER)
