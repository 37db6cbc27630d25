"""The reason of an outage of Redis names the part of the URL that is wrong."""

import gc
import logging
import socketserver
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread

import pytest
import redis

from authguard import Principal, Quota
from authguard.errors import QuotaUnavailableError, VerificationUnavailableError
from authguard.identity.limits import Limiter
from authguard.stores import RedisQuotas, RedisStore
from authguard.stores.redis_options import redis_options, redis_reason
from ports import free_port
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


@pytest.mark.slow
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


class _Greeting(socketserver.StreamRequestHandler):
    """Greet as a server of SSH does."""

    def handle(self) -> None:
        """Send a greeting, and read until the client hangs up."""
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.rfile.read()


class _HangingUp(socketserver.StreamRequestHandler):
    """Read a command, and hang up, as PostgreSQL does."""

    def handle(self) -> None:
        """Read the beginning of a command."""
        self.connection.recv(1024)


@contextmanager
def _listening(handler: type[socketserver.StreamRequestHandler]) -> Iterator[int]:
    """Run a server that is no Redis, and yield its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _reason_at(url: str) -> str:
    with (
        closing(redis.Redis.from_url(url, **redis_options(1, retries=0))) as client,
        pytest.raises(redis.RedisError) as caught,
    ):
        client.ping()
    return redis_reason(caught.value)


def test_a_port_without_a_server() -> None:
    """A closed port is named."""
    reason = _reason_at(f"redis://127.0.0.1:{free_port()}")
    assert reason == "ConnectionError: no server listens at the host and port of the URL"


@pytest.mark.slow
def test_a_socket_without_a_server() -> None:
    """A missing socket is named."""
    with warnings.catch_warnings():
        # The oldest redis-py leaves the socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        reason = _reason_at("unix:///nonexistent/redis.sock")
        gc.collect()
    assert reason == "ConnectionError: no server listens at the socket of the URL"


def test_a_host_that_is_not_known() -> None:
    """An unknown host is named."""
    assert _reason_at("redis://no-host.invalid:6379") == "ConnectionError: the host of the URL is not known"


@pytest.mark.slow
def test_a_server_that_is_not_redis() -> None:
    """A server that speaks another protocol is named."""
    with _listening(_Greeting) as port:
        reason = _reason_at(f"redis://127.0.0.1:{port}")
    assert reason == "InvalidResponse: the server at the host and port of the URL is not Redis"


@pytest.mark.slow
def test_a_server_that_hangs_up() -> None:
    """A server that hangs up stops, or is not Redis."""
    with _listening(_HangingUp) as port:
        reason = _reason_at(f"redis://127.0.0.1:{port}")
    assert reason == "ConnectionError: the server has closed the connection: it stops, or is not Redis"


def test_users_and_passwords_that_are_wrong(server: RedisServer) -> None:
    """A wrong password, a missing one, and missing rights are three reasons; no password is shown."""
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "on", ">open-sesame", "+ping", "~*")
        try:
            wrong = _reason_at(f"redis://reader:other@127.0.0.1:{server.port}")
            admin.execute_command("ACL", "SETUSER", "reader", "-ping")
            no_right = _reason_at(f"redis://reader:open-sesame@127.0.0.1:{server.port}")
            admin.config_set("requirepass", "open-sesame")
            missing = _reason_at(f"redis://127.0.0.1:{server.port}")
        finally:
            admin.config_set("requirepass", "")
            admin.execute_command("ACL", "DELUSER", "reader")
    assert wrong == "AuthenticationError: the server refuses the user or the password of the URL"
    assert missing == "AuthenticationError: the server requires a password, and the URL has none"
    assert no_right.endswith("the user of the URL may not use the commands or keys; change its ACL")
