"""The clients for Redis have a connection for each thread, although redis-py allows 100 by default."""

from collections.abc import Callable
from typing import Any

import pytest

from authguard.identity.limits import Limiter
from authguard.stores import RedisQuotas, RedisStore

URL = "redis://127.0.0.1:6379/9"
#: More than the threads of any server.
THREADS = 100_000


def client_of_quotas() -> Any:
    store: Any = RedisQuotas(URL)
    return store._backend._client


def client_of_revocations() -> Any:
    store: Any = RedisStore(URL)
    return store.revocations._log._connect()


def client_of_limits() -> Any:
    limiter: Any = Limiter(URL)
    return limiter._storage.storage


@pytest.mark.parametrize("client_of", [client_of_quotas, client_of_revocations, client_of_limits])
def test_a_client_has_a_connection_for_each_thread(client_of: Callable[[], Any]) -> None:
    """The pool of connections has no limit that simultaneous requests could reach."""
    assert client_of().connection_pool.max_connections > THREADS
