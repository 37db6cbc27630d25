"""Provide real stores for the tests: Redis, PostgreSQL and SQLite, each empty."""

import os
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from authguard.stores.counting.backend import Backend
from authguard.stores.counting.postgres import PostgresCounters
from authguard.stores.counting.redis import RedisCounters
from authguard.stores.counting.sqlite import SQLiteCounters
from authguard.stores.log import Log
from authguard.stores.redis_log import RedisLog
from authguard.stores.sql.postgres_connections import PostgresConnections
from authguard.stores.sql.sql_log import Connections, SQLLog
from authguard.stores.sql.sqlite_connections import SQLiteConnections
from identity.support import postgres_database
from stores.quota_backends import OpenBackend, RedisSteps, SQLiteSteps, Steps, postgres_steps
from stores.servers import RedisServer, store_server

OpenLog = Callable[[], Log]


def require(error: Exception, service: str) -> None:
    """Skip the test if a service is missing; in CI, fail."""
    if os.environ.get("CI") == "true":
        raise error
    pytest.skip(f"no {service}")


@pytest.fixture(name="redis_prefix")
def _redis_prefix() -> Iterator[str]:
    """Return a prefix for only this test in the Redis of this machine."""
    with redis.Redis(socket_timeout=2) as client:
        try:
            client.ping()
        except redis.ConnectionError as error:
            require(error, "Redis at 127.0.0.1:6379")
        prefix = f"authguard-test-{secrets.token_hex(8)}"
        yield prefix
        for name in client.scan_iter(f"{{{prefix}}}*"):
            client.delete(name)


@pytest.fixture(name="postgres_url")
def _postgres_url() -> Iterator[str]:
    """Yield the URL of an empty database."""
    with postgres_database() as url:
        yield url.replace("postgresql+psycopg:", "postgresql:")


def _sql_log(connect: Callable[[], Connections]) -> Log:
    return SQLLog(connect())


@pytest.fixture(name="open_log", params=["redis", "postgres", "sqlite"])
def _open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenLog]:
    """Return a function that opens the same log repeatedly, like several processes."""
    make: Callable[[], Log]
    if request.param == "redis":
        client = partial(redis.Redis, socket_timeout=2)
        make = partial(RedisLog, client, request.getfixturevalue("redis_prefix"))
    elif request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        make = partial(_sql_log, partial(PostgresConnections, url, 5.0))
    else:
        make = partial(_sql_log, partial(SQLiteConnections, tmp_path / "log.db", 5.0))
    logs: list[Any] = []

    def open_log() -> Log:
        log = make()
        logs.append(log)
        return log

    yield open_log
    for log in logs:
        log.close()


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Start a Redis for one module, whose tests may stop it."""
    server = store_server("redis", tmp_path_factory.mktemp("redis"))
    assert isinstance(server, RedisServer)
    server.start()
    yield server
    server.stop()


@pytest.fixture(name="redis_server_url", scope="session")
def _redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a Redis that several modules may use."""
    server = store_server("redis", tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(name="postgres_server_url", scope="module")
def _postgres_server_url() -> Iterator[str]:
    """Yield the URL of an empty database, for a module."""
    with postgres_database() as url:
        yield url.replace("postgresql+psycopg:", "postgresql:")


@pytest.fixture(name="open_backend", params=["redis", "postgres", "sqlite"])
def _open_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenBackend]:
    """Return a function that opens the same store of quotas repeatedly, like several processes."""
    make: Callable[[], Backend]
    if request.param == "redis":
        url = request.getfixturevalue("redis_server_url")
        make = partial(RedisCounters, url, 5.0, f"authguard-test-{secrets.token_hex(8)}")
    elif request.param == "postgres":
        make = partial(PostgresCounters, request.getfixturevalue("postgres_url"), 5.0)
    else:
        make = partial(SQLiteCounters, tmp_path / "quotas.db", 5.0)
    backends: list[Backend] = []

    def open_backend() -> Backend:
        backends.append(make())
        return backends[-1]

    yield open_backend
    for backend in backends:
        backend.close()


@pytest.fixture(name="steps", params=["redis", "postgres", "sqlite"])
def _steps(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Steps]:
    """Return the arithmetic of a store, with a clock that is set for each step."""
    if request.param == "redis":
        with redis.Redis.from_url(request.getfixturevalue("redis_server_url")) as client:
            client.flushall()
            yield RedisSteps(client)
    elif request.param == "postgres":
        with postgres_steps(request.getfixturevalue("postgres_url")) as postgres:
            yield postgres
    else:
        sqlite = SQLiteSteps(tmp_path / "quotas.db")
        yield sqlite
        sqlite.store.close()
