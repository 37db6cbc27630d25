"""Readiness of the stores beside the database, without which no user can sign in."""

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from authguard.errors import VerificationUnavailableError
from authguard.identity import Identity
from authguard.identity.api import health
from authguard.identity.limits import Limiter
from authguard.stores import PostgresStore, RedisStore
from authguard.stores.log import Position
from identity.fake_servers import hanging
from identity.keys import create_key, key_field, register
from identity.support import empty, service_at
from stores.servers import RedisServer, store_server

pytestmark = pytest.mark.one_database

ME = "/v1/users/me"
DOWN = "redis://ann:s3cret@127.0.0.1:9/3"
NO_SERVER = "ConnectionError: no server listens at the host and port of the URL"


def failing(client: TestClient) -> list[str]:
    """Return the failing parts of an answer with the status 503."""
    answer = client.get("/readyz")
    assert answer.status_code == 503
    parts: list[str] = answer.json()["failing"]
    return parts


def not_ready(caplog: pytest.LogCaptureFixture) -> str:
    """Return the log line about the service."""
    (line,) = [each.getMessage() for each in caplog.records if "is not ready" in each.getMessage()]
    return line


def test_a_store_of_limits_that_is_down(sqlite_url: str, clock: Any, caplog: Any) -> None:
    """A store of limits that is down is named in the log with its address and setting, without a password."""
    empty(sqlite_url)
    with service_at(sqlite_url, clock=clock, limiter=Limiter(DOWN)) as service:
        assert failing(TestClient(Identity(service))) == ["limits"]
    assert "limits: the store of limits is down: redis://127.0.0.1:9/3" in not_ready(caplog)
    assert "limits_url" in not_ready(caplog) and "s3cret" not in caplog.text


def test_a_refused_sign_in_names_the_store_of_limits(sqlite_url: str, caplog: Any) -> None:
    """A refused login logs the address and setting of a store of limits that is down."""
    empty(sqlite_url)
    with service_at(sqlite_url, limiter=Limiter(DOWN)) as service:
        body = {"email": "ann@example.com", "password": "correct horse battery"}
        assert TestClient(Identity(service)).post("/v1/auth/login", json=body).status_code == 503
    place = "redis://127.0.0.1:9/3 (prefix authguard); check it and the setting limits_url"
    assert f"{NO_SERVER} at {place}" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_store_of_limits_is_checked_when_the_service_starts(sqlite_url: str, caplog: Any) -> None:
    """A store of limits that is down is logged when the service starts."""
    empty(sqlite_url)
    with service_at(sqlite_url, limiter=Limiter(DOWN)) as service, TestClient(Identity(service)) as client:
        client.get("/readyz")  # shares the check of the start
    assert "redis://127.0.0.1:9/3" in not_ready(caplog)


@pytest.mark.slow
def test_the_start_checks_without_a_probe(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service checks its readiness at its start, without a probe."""
    empty(sqlite_url)
    with service_at(sqlite_url) as service:
        looks: list[int] = []
        find = service.readiness.find_failing
        monkeypatch.setattr(service.readiness, "find_failing", lambda: looks.append(1) or find())
        with TestClient(Identity(service)) as client:
            client.get("/healthz")
        assert looks == [1]


@pytest.mark.slow
def test_a_store_of_revocations_that_is_down(sqlite_url: str, clock: Any, caplog: Any) -> None:
    """A store of revocations that is down makes the service unready."""
    empty(sqlite_url)
    with service_at(sqlite_url, clock=clock, store=RedisStore(DOWN, prefix="shop")) as service:
        assert failing(TestClient(Identity(service))) == ["revocations"]
    line = not_ready(caplog)
    place = "redis://127.0.0.1:9/3 (prefix shop)"
    assert f"revocations: {place}: Redis: {NO_SERVER} (revocations_url)" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "value", "usual"),
    [("maxmemory", "1", "0"), ("replicaof", "127.0.0.1 9", "no one")],
)
def test_a_redis_that_refuses_writes(
    sqlite_url: str, clock: Any, caplog: Any, tmp_path: Path, setting: str, value: str, usual: str
) -> None:
    """A Redis that answers and refuses writes makes the service unready, until it takes them again."""
    empty(sqlite_url)
    server = RedisServer(tmp_path)
    server.start()
    try:
        with (
            redis.Redis(port=server.port) as admin,
            service_at(sqlite_url, clock=clock, revocations_url=server.url) as service,
        ):
            client = TestClient(Identity(service))
            assert client.get("/readyz").status_code == 200
            _set(admin, setting, value)
            clock.go_on(2)
            assert failing(client) == ["revocations"]
            _set(admin, setting, usual)
            clock.go_on(2)
            assert client.get("/readyz").status_code == 200
    finally:
        server.stop()
    assert "(revocations_url)" in not_ready(caplog)
    assert ("the server has no memory" if setting == "maxmemory" else "is a replica") in not_ready(caplog)


@pytest.mark.slow
def test_a_postgres_that_refuses_writes(sqlite_url: str, postgres_url: str) -> None:
    """A PostgreSQL of `revocations_url` that takes no writes makes the service unready."""
    empty(sqlite_url)
    read_only = f"{postgres_url}?options=-cdefault_transaction_read_only%3Don"
    with closing(PostgresStore(postgres_url)) as store, service_at(sqlite_url, store=store) as service:
        assert TestClient(Identity(service)).get("/readyz").status_code == 200
    with closing(PostgresStore(read_only)) as store, service_at(sqlite_url, store=store) as service:
        assert failing(TestClient(Identity(service))) == ["revocations"]


@pytest.mark.slow
def test_checks_change_no_log(sqlite_url: str, clock: Any, postgres_url: str) -> None:
    """The writes of the checks are no revocations: the number of the last one stays."""
    empty(sqlite_url)
    with (
        closing(PostgresStore(postgres_url)) as store,
        service_at(sqlite_url, clock=clock, store=store) as service,
    ):
        before = store.revocations._log.read("a process", Position(), 10.0).position
        for _ in range(3):
            assert TestClient(Identity(service)).get("/readyz").status_code == 200
            clock.go_on(2)
        assert store.revocations._log.read("a process", Position(), 10.0).position == before


def _set(admin: Any, setting: str, value: str) -> None:
    if setting == "replicaof":
        admin.execute_command("REPLICAOF", *value.split())
    else:
        admin.config_set(setting, value)


def test_all_that_is_down_is_named(sqlite_url: str, clock: Any) -> None:
    """All stores that are down are named in one answer."""
    empty(sqlite_url)
    with service_at(sqlite_url, clock=clock, limiter=Limiter(DOWN), revocations_url=DOWN) as service:
        assert failing(TestClient(Identity(service))) == ["limits", "revocations"]


@pytest.mark.slow
def test_quotas_that_cannot_be_counted(sqlite_url: str, clock: Any) -> None:
    """Quotas that could not be counted make the service unready after a request with a key."""
    empty(sqlite_url)
    with service_at(sqlite_url, clock=clock, limits_url=DOWN) as service:
        client = TestClient(Identity(service))
        assert client.get("/readyz").status_code == 200
        key = key_field(create_key(client, register(client))["api_key"])
        assert client.get(ME, headers=key).status_code == 503
        clock.go_on(2)
        assert failing(client) == ["quotas"]


@pytest.mark.slow
def test_a_store_that_hangs_is_named(sqlite_url: str, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that hangs is named as failing, and the database is not."""
    monkeypatch.setattr(health, "_SECONDS", 0.3)
    empty(sqlite_url)
    with hanging() as (url, _), service_at(sqlite_url, clock=clock, limiter=Limiter(url)) as service:
        assert failing(TestClient(Identity(service))) == ["limits"]


def test_a_store_that_only_answers_reads_is_down(tmp_path: Path) -> None:
    """A full Redis, which only answers reads, is down as a store of limits."""
    server = store_server("redis", tmp_path)
    server.start()
    try:
        limiter = Limiter(server.url)
        limiter.check_store()
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")
        with pytest.raises(VerificationUnavailableError, match="the store of limits is down"):
            limiter.check_store()
    finally:
        server.stop()


def test_the_memory_of_a_process_is_ready(sqlite_url: str, clock: Any, caplog: Any) -> None:
    """A service without stores is ready, and logs nothing about it."""
    empty(sqlite_url)
    with caplog.at_level(logging.INFO, "authguard"), service_at(sqlite_url, clock=clock) as service:
        assert TestClient(Identity(service)).get("/readyz").json() == {"status": "ready"}
    assert "ready" not in caplog.text
