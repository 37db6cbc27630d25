"""Counters in Redis take little memory, and a script writes a whole step or nothing."""

import re
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from authguard.stores.counting import blocks
from authguard.stores.counting.backend import Ask, Rest, StoreConnectionLostError
from authguard.stores.counting.redis import RedisCounters
from authguard.stores.counting.redis_script import Script
from authguard.stores.log import StoreDownError
from stores.quota_backends import RedisSteps
from stores.servers import RedisServer

START = 1_790_000_000 * blocks.MICROSECONDS
HOUR = 3600 * blocks.MICROSECONDS
WINDOWS = (1, 7, 60, 61, 3600, 86_400, 366 * 86_400)


@pytest.fixture(name="client")
def _client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis(port=server.port) as client:
        client.flushall()
        yield client


@pytest.fixture(name="counters")
def _counters(server: RedisServer, client: Any) -> Iterator[RedisCounters]:
    counters = RedisCounters(server.url, 5.0, "test")
    yield counters
    counters.close()


class LossyProxy(socketserver.ThreadingTCPServer):
    """Pass commands on; while `loses` is set, drop the answers to scripts and the connection."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.upstream_port = port
        self.loses = False
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class _Passing(socketserver.BaseRequestHandler):
    server: LossyProxy

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.upstream_port)) as upstream:
            while True:
                for source in select.select([self.request, upstream], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is upstream:
                        self.request.sendall(data)
                        continue
                    upstream.sendall(data)
                    if self.server.loses and b"EVAL" in data:
                        upstream.recv(65536)
                        return


def ask(limit: int = 10, window: int = 60, cost: int = 1, **changed: Any) -> Ask:
    """Return the question of a request about one quota."""
    return Ask("key", limit, window, False, cost, True)._replace(**changed)


def test_a_counter_takes_at_most_4_kb(client: Any) -> None:
    """A counter takes at most 4 KB with the largest amount in each slot."""
    steps, now = RedisSteps(client), 1_790_000_000 * blocks.MICROSECONDS
    window = 366 * 86_400
    for _ in range(300):
        steps.take([ask(10**12, window, cost=8 * 10**9)], 1, now)
        now += blocks.slot_length(window, is_daily=False)
    assert client.hlen("key") == 121 + len("efln")
    assert client.memory_usage("key", samples=0) <= 4096


def test_a_counter_expires_when_nothing_counts_any_more(client: Any, counters: RedisCounters) -> None:
    """A counter expires a slot after its window."""
    counters.take("owner", [ask(window=1200), ask(key="daily", window=86_400, is_daily=True)], 1)
    now = client.time()[0]
    assert 1200 < client.ttl("test:quota:{owner}:key") <= 1200 + 2 * 10
    assert client.ttl("test:quota:{owner}:daily") == pytest.approx(2 * 86_400 - now % 86_400, abs=2)


def test_processes_are_counted_that_were_seen_lately(client: Any, counters: RedisCounters) -> None:
    """Only processes that were recently alive are counted, by the clock of the server."""
    assert counters.beat("one") == 1
    now = client.time()[0] * blocks.MICROSECONDS
    places = {"gone": now - 40 * blocks.MICROSECONDS, "ahead": now + HOUR, "recent": now - 9_000_000}
    client.zadd("test:quota:{processes}:seen", places)
    assert counters.beat("one") == 2
    assert counters.beat("two") == 3
    assert 0 < client.ttl("test:quota:{processes}:seen") <= 60


def test_rests_of_several_owners_come_back(counters: RedisCounters) -> None:
    """The rests of several owners are given back, each in its slot of its counter."""
    rests = []
    for owner, key in (("ann", "key"), ("bob", "key"), ("ann", "other")):
        _, [answer] = counters.take(owner, [ask(100, key=key, cost=1, wants=9)], 1)
        assert answer.used == 10
        rests += [Rest(owner, key, 60, False, answer.epoch, answer.slot, amount) for amount in (4, 5)]
    counters.give_back(rests)
    for owner, key in (("ann", "key"), ("bob", "key"), ("ann", "other")):
        assert counters.take(owner, [ask(100, key=key)], 1)[1][0].used == 2


@pytest.mark.parametrize("broken", ["string", "field", "amount"])
def test_a_counter_of_another_form_is_an_outage_and_nothing_is_taken(
    client: Any, counters: RedisCounters, broken: str
) -> None:
    """A counter of another form is an outage, and nothing is taken from the other quotas."""
    name = "test:quota:{owner}:b"
    asks = [ask(key=key) for key in "abc"]
    _, answers = counters.take("owner", asks, 1)
    if broken == "string":
        client.set(name, b"mine")
    else:
        client.hset(name, "n" if broken == "field" else str(answers[1].slot), "mine")
    with pytest.raises(StoreDownError, match="Redis: ResponseError"):
        counters.take("owner", asks, 1)
    for key in "ac":
        assert client.hget(f"test:quota:{{owner}}:{key}", "n") == b"1"


def test_a_refused_request_writes_nothing(client: Any, counters: RedisCounters) -> None:
    """A refused request writes nothing to Redis."""
    asks = [ask(key="a"), ask(1, key="b")]
    counters.take("owner", asks, 1)
    before = client.info("persistence")["rdb_changes_since_last_save"]
    admitted, answers = counters.take("owner", asks, 1)
    assert not admitted
    assert (answers[0].used, answers[1].wait > 0) == (1, True)
    assert client.info("persistence")["rdb_changes_since_last_save"] == before


def test_a_script_that_the_server_has_forgotten_is_sent_again(client: Any, counters: RedisCounters) -> None:
    """A script that the server has forgotten is sent again."""
    for used in (1, 2):
        client.script_flush()
        assert counters.take("owner", [ask()], 1)[1][0].used == used


def test_a_server_without_memory_is_an_outage(client: Any, counters: RedisCounters) -> None:
    """A server without memory is an outage."""
    client.config_set("maxmemory", "1kb")
    try:
        with pytest.raises(StoreDownError, match="Redis: .*OutOfMemory|OOM"):
            counters.take("owner", [ask()], 1)
    finally:
        client.config_set("maxmemory", "0")


def test_a_replica_is_an_outage(client: Any, counters: RedisCounters) -> None:
    """A replica is an outage, because it cannot count."""
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(StoreDownError, match="Redis: ReadOnlyError"):
            counters.take("owner", [ask()], 1)
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")


ANSWERS = ["1", "{1}", "'1'", "'1 2 3'", "'1 1 0 0 5 6 7 many'", "'1 1 0 0 5 6 7 8 9'", "'1 1 0 0 5 6 7 1e9'"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_another_form_is_an_outage(
    counters: RedisCounters, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """An answer of another form is an outage."""
    monkeypatch.setattr("authguard.stores.counting.redis_script.TAKE", Script(f"return {answer}"))
    with pytest.raises(StoreDownError, match="Redis: an answer of another form"):
        counters.take("owner", [ask()], 1)


def test_a_call_whose_answer_is_lost_is_not_repeated(server: RedisServer, client: Any) -> None:
    """A call whose answer is lost is not repeated, because it may have been carried out."""
    with LossyProxy(server.port) as proxy:
        counters = RedisCounters(f"redis://127.0.0.1:{proxy.server_address[1]}/0", 5.0, "test")
        counters.take("owner", [ask()], 1)
        proxy.loses = True
        with pytest.raises(StoreConnectionLostError, match="Redis: ConnectionError"):
            counters.take("owner", [ask()], 1)
        assert client.hget("test:quota:{owner}:key", "n") == b"2"
        proxy.loses = False
        assert counters.take("owner", [ask()], 1)[1][0].used == 3
        counters.close()
        proxy.shutdown()


def test_a_connection_that_the_server_has_closed_is_opened_again(
    client: Any, counters: RedisCounters
) -> None:
    """A connection that the server has closed is opened again without an outage."""
    counters.take("owner", [ask()], 1)
    client.client_kill_filter(_type="normal", skipme=True)
    assert counters.take("owner", [ask()], 1)[1][0].used == 2


@pytest.mark.parametrize(
    ("answer", "reason"), [(b"", "TimeoutError"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", r"\w+: .* not Redis")]
)
def test_something_else_than_redis_is_an_outage(answer: bytes, reason: str) -> None:
    """A server that does not speak the protocol of Redis, or does not answer, is an outage."""

    class Other(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65536):
                self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        counters = RedisCounters(f"redis://127.0.0.1:{other.server_address[1]}/0", 0.1, "test")
        with pytest.raises(StoreDownError, match=rf"Redis: {reason}\Z"):
            counters.take("owner", [ask()], 1)
        counters.close()
        other.shutdown()


def test_the_password_is_not_told(server: RedisServer, client: Any) -> None:
    """The error shows neither the password nor the address."""
    client.config_set("requirepass", "another")
    counters = RedisCounters(f"redis://:a-secret-password@127.0.0.1:{server.port}/0", 5.0, "test")
    try:
        with pytest.raises(
            StoreDownError,
            match=r"Redis: AuthenticationError: the server refuses the user or the password of the URL\Z",
        ) as raised:
            counters.take("owner", [ask()], 1)
    finally:
        client.config_set("requirepass", "")
        counters.close()
    assert "a-secret-password" not in f"{raised.value!r} {counters!r}"


def test_the_documented_permissions_are_enough(server: RedisServer, client: Any) -> None:
    """The ACL of docs/quotas.md allows all commands of the counters."""
    page = (Path(__file__).parents[2] / "docs" / "quotas.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("An ACL needs")]
    keys, commands = re.findall(r"`([^`]+)`", line)
    client.execute_command("ACL", "SETUSER", "quotas", "on", ">pass", keys, *commands.split())
    counters = RedisCounters(f"redis://quotas:pass@127.0.0.1:{server.port}/0", 5.0, "authguard")
    try:
        _, [answer] = counters.take("owner", [ask(100, wants=9)], 1)
        counters.give_back([Rest("owner", "key", 60, False, answer.epoch, answer.slot, answer.lent)])
        assert counters.take("owner", [ask(100)], 1)[1][0].used == 2
        assert counters.beat("one") == 1
        name = "authguard:quota:{owner}:key"
        slots = {answer.slot - before: 1 for before in range(1, 20)}
        client.hset(name, mapping={**slots, "f": answer.slot - 19, "n": 21})
        assert counters.take("owner", [ask(21, cost=21)], 1)[1][0].wait > 0  # reads all of the slots
        with redis.Redis(port=server.port, username="quotas", password="pass") as limited:
            for forbidden in (limited.get, limited.hgetall):
                with pytest.raises(redis.ResponseError):
                    forbidden("another")
    finally:
        client.execute_command("ACL", "DELUSER", "quotas")
        counters.close()
