"""Stores in a PostgreSQL that freezes, or has PgBouncer in front of it: a real server of the tests' own."""

import time
from collections.abc import Iterator

import pytest

from authguard._core.model import Principal
from authguard.errors import VerificationUnavailableError
from authguard.stores import PostgresStore
from authguard.stores.counting.postgres import PostgresCounters
from authguard.stores.log import StoreDownError
from authguard.stores.postgres import for_libpq
from authguard.stores.sql.postgres_connections import PostgresConnections
from own_postgres import OwnPostgres, own_postgres, pgbouncer

TIMEOUT = 0.4


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


def test_statement_on_a_frozen_server_ends(server: OwnPostgres) -> None:
    """On the connection of a store that is open nothing waits for ever; the next one is good again."""
    connections = PostgresConnections(for_libpq(server.url), TIMEOUT)
    with connections.statements() as execute:
        execute("SELECT 1", ())
    begin = time.monotonic()
    with server.frozen(), pytest.raises(StoreDownError), connections.statements() as execute:
        execute("SELECT 1", ())
    assert time.monotonic() - begin < 5 * TIMEOUT
    with connections.statements() as execute:
        execute("SELECT 1", ())
    connections.close()


def test_listening_is_not_cut_off(server: OwnPostgres) -> None:
    """To hear nothing for longer than a statement may take is no outage."""
    connections = PostgresConnections(for_libpq(server.url), TIMEOUT)
    connections.wait(0.0, 0)
    connections.wait(2 * TIMEOUT, 0)
    connections.close()


def test_counting_on_a_frozen_server_ends(server: OwnPostgres) -> None:
    """Quotas are refused or counted locally, instead of holding up requests."""
    counters = PostgresCounters(for_libpq(server.url), TIMEOUT)
    assert counters.beat("a") == 1
    begin = time.monotonic()
    with server.frozen(), pytest.raises(StoreDownError):
        counters.beat("a")
    assert time.monotonic() - begin < 5 * TIMEOUT
    assert counters.beat("a") == 1
    counters.close()


def test_revoking_on_a_frozen_server_fails_in_time(server: OwnPostgres) -> None:
    """Who revokes is told that it was not stored."""
    store = PostgresStore(server.url, bound=TIMEOUT)
    store.revocations.revoke(token_id="a", until=time.time() + 60)
    begin = time.monotonic()
    with server.frozen(), pytest.raises(VerificationUnavailableError):
        store.revocations.revoke(token_id="b", until=time.time() + 60)
    assert time.monotonic() - begin < 10 * TIMEOUT
    store.close()


def test_store_behind_a_pooler(server: OwnPostgres) -> None:
    """Behind PgBouncer in transaction mode, revocations hold in another process within the bound."""
    with pgbouncer(server) as url:
        first, other = PostgresStore(url), PostgresStore(url)
        principal = Principal(subject="ann", scopes=frozenset(), claims={"jti": "p1"}, token_id="p1")
        assert not other.revocations.is_revoked(principal)
        first.revocations.revoke(token_id="p1", until=time.time() + 60)
        end = time.monotonic() + 5
        while not other.revocations.is_revoked(principal):
            assert time.monotonic() < end
        first.close()
        other.close()


def test_quotas_behind_a_pooler(server: OwnPostgres) -> None:
    """Behind PgBouncer in transaction mode, counters are counted."""
    with pgbouncer(server) as url:
        counters = PostgresCounters(for_libpq(url), TIMEOUT)
        for _ in range(10):
            assert counters.beat("a") >= 1
        counters.close()
