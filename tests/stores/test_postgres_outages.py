"""Stores in a real PostgreSQL server that freezes, or that has PgBouncer before it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from authguard._core.model import Principal
from authguard.errors import VerificationUnavailableError
from authguard.stores import PostgresStore
from authguard.stores.counting.postgres import PostgresCounters
from authguard.stores.log import StoreDownError
from authguard.stores.postgres import for_libpq
from authguard.stores.sql.postgres_connections import PostgresConnections
from own_postgres import OwnPostgres, own_postgres, pgbouncer

pytestmark = pytest.mark.slow

TIMEOUT = 1.0
IN_TIME = 20  # seconds, because a frozen server never answers


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


def test_statement_on_a_frozen_server_ends(server: OwnPostgres) -> None:
    """A statement on a frozen server ends as an outage in time, and the next one succeeds."""
    connections = PostgresConnections(for_libpq(server.url), TIMEOUT)
    with connections.statements() as execute:
        execute("SELECT 1", ())
    begin = time.monotonic()
    with server.frozen(), pytest.raises(StoreDownError), connections.statements() as execute:
        execute("SELECT 1", ())
    assert time.monotonic() - begin < IN_TIME
    with connections.statements() as execute:
        execute("SELECT 1", ())
    connections.close()


def test_statements_on_a_frozen_server_end_together(server: OwnPostgres) -> None:
    """Statements that wait for one without an answer end with it, and not each after its own timeout."""
    connections = PostgresConnections(for_libpq(server.url), TIMEOUT)

    def ask(_: int) -> bool:
        with connections.statements() as execute:
            execute("SELECT 1", ())
        return True

    assert ask(0)
    begin = time.monotonic()
    with server.frozen(), ThreadPoolExecutor(30) as pool:
        errors = [answer.exception() for answer in [pool.submit(ask, number) for number in range(30)]]
    assert {type(error) for error in errors} == {StoreDownError}
    assert time.monotonic() - begin < IN_TIME
    assert ask(0)
    connections.close()


def test_listening_is_not_cut_off(server: OwnPostgres) -> None:
    """Listening for longer than a statement may take is no outage."""
    connections = PostgresConnections(for_libpq(server.url), TIMEOUT)
    connections.wait(0.0, 0)
    connections.wait(2 * TIMEOUT, 0)
    connections.close()


def test_counting_on_a_frozen_server_ends(server: OwnPostgres) -> None:
    """Counting on a frozen server ends as an outage in time."""
    counters = PostgresCounters(for_libpq(server.url), TIMEOUT)
    assert counters.beat("a") == 1
    begin = time.monotonic()
    with server.frozen(), pytest.raises(StoreDownError):
        counters.beat("a")
    assert time.monotonic() - begin < IN_TIME
    assert counters.beat("a") == 1
    counters.close()


def test_revoking_on_a_frozen_server_fails_in_time(server: OwnPostgres) -> None:
    """Revoking on a frozen server ends as an outage in time."""
    store = PostgresStore(server.url, bound=TIMEOUT)
    store.revocations.revoke(token_id="a", until=time.time() + 60)
    begin = time.monotonic()
    with server.frozen(), pytest.raises(VerificationUnavailableError):
        store.revocations.revoke(token_id="b", until=time.time() + 60)
    assert time.monotonic() - begin < IN_TIME
    store.close()


def test_store_behind_a_pooler(server: OwnPostgres) -> None:
    """Behind PgBouncer in transaction mode a revocation is known in another process within the bound."""
    with pgbouncer(server) as url:
        first, other = PostgresStore(url), PostgresStore(url)
        principal = Principal(subject="ann", scopes=frozenset(), claims={"jti": "p1"}, token_id="p1")
        assert not other.revocations.is_revoked(principal)
        first.revocations.revoke(token_id="p1", until=time.time() + 60)
        end = time.monotonic() + 30
        while not other.revocations.is_revoked(principal):
            assert time.monotonic() < end
        first.close()
        other.close()


def test_quotas_behind_a_pooler(server: OwnPostgres) -> None:
    """Behind PgBouncer in transaction mode counters are counted."""
    with pgbouncer(server) as url:
        counters = PostgresCounters(for_libpq(url), TIMEOUT)
        for _ in range(10):
            assert counters.beat("a") >= 1
        counters.close()
