"""Provide a Redis that is stopped and started, and services that write their logouts to it."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from authguard import Credential, Principal
from authguard.identity import Identity, IdentityService
from authguard.identity.errors import StoreUnavailableError
from authguard.stores import RedisStore
from authguard.stores.marks import keys_of, revokes
from identity.support import ANN, CALLER, PASSWORD, service_at
from stores.servers import RedisServer, store_server
from support import judge

NEW = "An0ther-Password!"


@pytest.fixture(name="server")
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a Redis of this test alone, which stores nothing on disk."""
    server = store_server("redis", tmp_path)
    assert isinstance(server, RedisServer)
    server.start()
    yield server
    server.stop()


@contextlib.contextmanager
def service_with(url: str, server: RedisServer, **given: Any) -> Iterator[IdentityService]:
    """Return a service that writes its logouts to a Redis; its background threads do not run."""
    with service_at(url, clock=time.time, **{"revocations_url": server.url} | given) as service:
        yield service


def principal_of(service: IdentityService, tokens: Any) -> Principal:
    """Return the principal of an access token."""
    return judge(service.own_tokens, Credential(tokens.access_token, "bearer"), service.clock()).principal


def sign_up(service: IdentityService, email: str = ANN["email"]) -> tuple[Any, Principal]:
    """Return a new account's tokens, and the principal of its access token."""
    tokens = service.accounts.register(email, PASSWORD, "Ann", CALLER)
    return tokens, principal_of(service, tokens)


def has(server: RedisServer, *principals: Principal) -> bool:
    """Return whether a Redis has a mark for each principal."""
    store = RedisStore(server.url)
    try:
        log = store.revocations._log
        return all(revokes(log.find(list(keys_of(each))), each, time.time()) for each in principals)
    finally:
        store.close()


def gets_all(server: RedisServer, *principals: Principal, seconds: float = 10) -> bool:
    """Return whether a Redis gets a mark for each principal within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if has(server, *principals):
            return True
        time.sleep(0.05)
    return False


def positions(service: IdentityService) -> tuple[int, list[int]]:
    """Return the number of the last mark in the log, and the numbers that were noted for other stores."""
    with service.database.read() as connection:
        last = connection.execute(text("SELECT seq FROM authguard_log")).scalar_one()
        return last, list(connection.execute(text("SELECT seq FROM marks_elsewhere")).scalars())


def fails(function: Any) -> None:
    """Call a function, which must report an outage."""
    with pytest.raises(StoreUnavailableError):
        function()


def start_threads(service: IdentityService) -> None:
    """Start the background threads, as the first request of a service does."""
    Identity(service)
    service.start()
