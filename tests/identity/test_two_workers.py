"""`authguard serve --workers 2`: exact limits over both workers, and complete answers after SIGTERM."""

import contextlib
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from authguard.identity import upgrade
from cli.servers import Served, served
from identity.service_process import Connection
from identity.support import ISSUER, PASSWORD, SECRET, postgres_database, service_at, together
from sizes import size
from stores.servers import RedisServer, store_server

pytestmark = pytest.mark.slow

CONNECTIONS = 24
EMAIL = "ann@example.com"
#: Far more than the tests need, for the limits that a test does not check.
MANY = "login=9999/900,login_address=9999/900,login_account=9999/900,api_key=9999/900"


@pytest.fixture(scope="module")
def redis(tmp_path_factory) -> Iterator[RedisServer]:
    server = store_server("redis", tmp_path_factory.mktemp("redis"))
    assert isinstance(server, RedisServer)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres_database() as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="module")
def server(url, redis) -> Iterator[Served]:
    """Run two workers with the default limits."""
    with two_workers(url, redis) as server:
        yield server
        assert server.end() == 0


@contextlib.contextmanager
def two_workers(url: str, redis: RedisServer, **settings: str) -> Iterator[Served]:
    """Run two workers on one database, which count in a Redis of the tests."""
    variables = {
        "AUTHGUARD_SECRET": SECRET,
        "AUTHGUARD_ISSUER": ISSUER,
        "AUTHGUARD_DATABASE": url,
        "AUTHGUARD_LIMITS_URL": redis.url,
        "AUTHGUARD_SMTP_URL": "smtp://127.0.0.1:9",
        "AUTHGUARD_MAIL_FROM": "accounts@example.com",
    }
    with served("--workers", "2", "--access-log", "none", **variables | settings) as server:
        assert server.get("/readyz").status_code == 200
        yield server


def sockets_of(pid: int) -> int:
    """Return the number of open sockets of a process."""
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(path))
    return sum(link.startswith("socket:") for link in links)


def open_connections(server: Served, number: int) -> list[Connection]:
    """Open connections, of which each worker accepts half while the other one is stopped."""
    workers = sorted(server.children())
    assert len(workers) == 2
    before = {pid: sockets_of(pid) for pid in workers}
    connections = [Connection(urlsplit(server.base).port or 0) for _ in range(number)]
    for index, stopped in enumerate(workers):
        os.kill(stopped, signal.SIGSTOP)
        try:
            half = connections[index::2]
            assert [each.get("/healthz").status for each in half] == [200] * len(half)
        finally:
            os.kill(stopped, signal.SIGCONT)
    taken = [sockets_of(pid) - old for pid, old in before.items()]
    assert min(taken) >= number // 2 - 1, taken
    return connections


def ask_all(server: Served, bodies: list[dict[str, str]], path: str, token: str = "") -> Counter[int]:
    """Send requests at once, over connections of both workers; return the number of each status."""
    connections = open_connections(server, CONNECTIONS)

    def ask(index: int) -> list[int]:
        with contextlib.closing(connections[index]) as connection:
            share = bodies[index::CONNECTIONS]
            return [connection.post(path, body, token or None).status for body in share]

    return Counter(status for statuses in together(CONNECTIONS, ask) for status in statuses)


@pytest.mark.parametrize(
    ("path", "body", "allowed", "status"),
    [
        ("auth/login", {"email": EMAIL, "password": "wrong"}, 10, 401),
        ("auth/forgot-password", {"email": EMAIL}, 3, 200),
    ],
)
def test_limits_hold_over_two_workers(server, path, body, allowed, status) -> None:
    """Of many requests at once, two workers admit as many as one process."""
    number = size(96, 960)
    assert ask_all(server, [body] * number, path) == {status: allowed, 429: number - allowed}


def test_limit_of_registrations_holds_over_two_workers(server, url) -> None:
    """One network address registers 30 accounts an hour at two workers."""
    bodies = [{"email": f"new{index}@example.com", "password": PASSWORD} for index in range(72)]
    assert ask_all(server, bodies, "auth/register") == {201: 30, 429: 42}
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        made = "SELECT count(*) FROM users WHERE email LIKE 'new%'"
        assert connection.execute(made).fetchone() == (30,)


def test_limits_of_api_keys_hold_over_two_workers(server, url) -> None:
    """A key of the tier `free` has ten requests a minute at two workers."""
    with service_at(url, clock=time.time) as service:
        user = service.accounts.create("cem@example.com", PASSWORD)
        tokens = service.accounts.issue_tokens(user.id)
    connections = open_connections(server, CONNECTIONS)
    key = connections[0].post("api-keys", {"name": "key"}, tokens.access_token).body["api_key"]

    def ask(index: int) -> list[int]:
        with contextlib.closing(connections[index]) as connection:
            return [connection.get("/v1/users/me", key).status for _ in range(4)]

    result = Counter(status for statuses in together(CONNECTIONS, ask) for status in statuses)
    assert result == {200: 10, 429: 4 * CONNECTIONS - 10}


def test_limits_of_the_database_hold_over_two_workers(url, redis) -> None:
    """An account gets at most 100 API keys and 100 sessions at two workers."""
    with service_at(url, clock=time.time) as service:
        user = service.accounts.create("bob@example.com", PASSWORD)
        for _ in range(95):
            tokens = service.accounts.issue_tokens(user.id)
    with two_workers(url, redis, AUTHGUARD_LIMITS=MANY) as server:
        keys = ask_all(server, [{"name": "key"}] * 130, "api-keys", tokens.access_token)
        assert keys == {201: 100, 409: 30}
        body = {"email": "bob@example.com", "password": PASSWORD}
        ask_all(server, [body] * CONNECTIONS, "auth/login")
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            alive = "SELECT count(*) FROM sessions WHERE user_id = %s AND ended_at IS NULL"
            assert connection.execute(alive, (user.id,)).fetchone() == (100,)
        assert server.end() == 0


def unread(port: int) -> int:
    """Return the number of bytes of requests that the server has not read."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    own = [field for field in fields if int(field[1].partition(":")[2], 16) == port]
    return sum(int(field[4].partition(":")[2], 16) for field in own)


def test_sigterm_with_a_hundred_sign_ins_in_flight(url, redis, record_property) -> None:
    """After SIGTERM each of a hundred requests that a worker has begun to read is answered."""
    with service_at(url) as service:
        for index in range(100):
            service.accounts.create(f"p{index}@example.com", PASSWORD)
    with two_workers(url, redis, AUTHGUARD_LIMITS=MANY) as server, contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(contextlib.closing(each)) for each in open_connections(server, 100)
        ]
        for index, connection in enumerate(connections):
            connection.send("POST", "auth/login", {"email": f"p{index}@example.com", "password": PASSWORD})
        while unread(urlsplit(server.base).port or 0):
            threading.Event().wait(0.005)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        statuses = Counter(connection.receive().status for connection in connections)
        record_property("answers after SIGTERM", dict(statuses))
        record_property("seconds", round(time.monotonic() - begun, 1))
        assert server.end(0) == 0
    assert statuses.total() == 100
    assert statuses.keys() <= {200, 503}
    assert statuses[200] >= 16  # each of two workers had eight in hand
    assert not re.search(r"Traceback|Cancel", server.err)
