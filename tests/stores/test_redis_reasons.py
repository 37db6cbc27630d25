"""The reason of an outage of Redis names the part of the URL that is wrong."""

import logging
from collections.abc import Iterator
from contextlib import closing

import pytest

from authguard import Principal, Quota
from authguard.errors import QuotaUnavailableError, VerificationUnavailableError
from authguard.identity.limits import Limiter
from authguard.stores import RedisQuotas, RedisStore
from stores.quota_world import takes
from stores.servers import RedisServer, store_server

ANN = Principal("ann", token_id="1")
NO_NUMBER = "ResponseError: the server has no database of the number in the URL"
NO_TLS = "TimeoutError: check the host and port of the URL; rediss:// needs a port with TLS"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = store_server("redis", tmp_path_factory.mktemp("redis"))
    assert isinstance(server, RedisServer)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(("scheme", "number", "reason"), [("redis", 99, NO_NUMBER), ("rediss", 0, NO_TLS)])
def test_the_wrong_part_is_named(
    server: RedisServer, scheme: str, number: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A store of revocations, of quotas and of limits names a wrong number, and a port without TLS."""
    url = f"{scheme}://127.0.0.1:{server.port}/{number}"
    with closing(RedisStore(url)) as store, pytest.raises(VerificationUnavailableError) as of_store:
        store.revocations.is_revoked(ANN)
    assert f"Redis: {reason}" in str(of_store.value.reason)
    with closing(RedisQuotas(url)) as quotas, pytest.raises(QuotaUnavailableError) as of_quotas:
        quotas.take(takes([Quota(10, 60)]))
    assert f"Redis: {reason}" in str(of_quotas.value.reason)
    with caplog.at_level(logging.WARNING), pytest.raises(VerificationUnavailableError):
        Limiter(url).check_store()
    assert f"the store of limits cannot be asked: {reason} at {scheme}://" in caplog.text
