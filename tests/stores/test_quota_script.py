"""The script of Redis counts as `blocks.py` does, in little memory, and writes all of a step or nothing."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from authguard.stores.counting import blocks
from authguard.stores.counting.backend import Answer, Ask, Rest
from authguard.stores.counting.redis import RedisCounters
from authguard.stores.counting.redis_script import GIVE_BACK, TAKE, Script
from authguard.stores.log import StoreDownError
from sizes import size
from stores.servers import RedisServer, store_server

START = 1_790_000_000 * blocks.MICROSECONDS
HOUR = 3600 * blocks.MICROSECONDS
WINDOWS = (1, 7, 60, 61, 3600, 86_400, 366 * 86_400)


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = store_server("redis", tmp_path_factory.mktemp("redis"))
    assert isinstance(server, RedisServer)
    server.start()
    yield server
    server.stop()


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


def ask(limit: int = 10, window: int = 60, cost: int = 1, **changed: Any) -> Ask:
    """Return what a request asks of one quota."""
    return Ask("key", limit, window, False, cost, True)._replace(**changed)


@dataclass
class Stepper:
    """Take the same steps by both, at a time that is passed in."""

    client: Any
    now: int = START
    counters: dict[str, blocks.Counter] = field(default_factory=dict)
    rests: list[Rest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._take, self._give_back = map(self._with_time, (TAKE, GIVE_BACK))

    def _with_time(self, script: Script) -> Script:
        # Nothing expires by the clock of the server.
        text = script.text.replace("redis.call('TIME')", "redis.call('HMGET', 'time', 's', 'u')")
        return Script(text.replace("'PEXPIRE', counter.key,", "'ECHO',"))

    def run(self, script: Script, keys: list[str], arguments: list[int]) -> list[int]:
        """Run a script at the time."""
        seconds, rest = divmod(self.now, blocks.MICROSECONDS)
        self.client.hset("time", mapping={"s": seconds, "u": rest})
        answer: list[int] = self.client.eval(script.text, len(keys), *keys, *arguments)
        return answer

    def take(self, asks: list[Ask], live: int) -> None:
        """Take by both, and compare the answers."""
        known = [self.counters.get(each.key) or blocks.Counter(self.now) for each in asks]
        expected = blocks.take(known, asks, self.now, live)
        arguments = [live]
        for each in asks:
            arguments += [each.limit, each.window, each.is_daily, each.cost, each.enforce, each.wants]
            arguments += [len(each.rests), *(part for rest in each.rests for part in rest[4:])]
        admitted, *numbers = self.run(self._take, [each.key for each in asks], list(map(int, arguments)))
        answers = [Answer(*numbers[at : at + 7]) for at in range(0, len(numbers), 7)]
        assert (bool(admitted), answers) == expected
        for each, counter, answer in zip(asks, known, answers, strict=True):
            if counter.slots or each.key in self.counters:
                self.counters[each.key] = counter
            if answer.lent:
                place = ("owner", each.key, each.window, each.is_daily, answer.epoch, answer.slot)
                self.rests.append(Rest(*place, answer.lent))

    def give_back(self, rests: list[Rest]) -> None:
        """Give back to both."""
        for rest in rests:
            blocks.give_back(self.counters[rest.key], rest, self.now)
            self.run(self._give_back, [rest.key], list(map(int, (*rest[2:4], 1, *rest[4:]))))

    def check_counters(self) -> None:
        """Compare what both keep."""
        for key, counter in self.counters.items():
            kept = {name.decode(): int(number) for name, number in self.client.hgetall(key).items()}
            named = {name: kept.pop(name) for name in "efln"}
            assert named["n"] == sum(kept.values())
            assert named["f"] <= min(map(int, kept), default=named["f"])
            assert named["l"] >= max(map(int, kept), default=named["l"])
            slots = {int(slot): part for slot, part in kept.items()}
            assert slots == dict(zip(counter.slots, counter.amounts, strict=True))


def random_asks(chance: random.Random, stepper: Stepper) -> list[Ask]:
    """Return what a request asks of some quotas, with rests of leases, some of which do not exist."""
    asks = []
    for number in chance.sample(range(len(WINDOWS) + 1), chance.randint(1, 4)):
        is_daily = number == len(WINDOWS)
        window = 86_400 if is_daily else WINDOWS[number]
        key = f"{window}-{is_daily}"
        count = 10 ** (number % 5 + 1)
        rests = [rest for rest in stepper.rests if rest.key == key and chance.random() < 0.3]
        stepper.rests = [rest for rest in stepper.rests if rest not in rests]
        rests = [
            rest._replace(amount=chance.randint(1, rest.amount), epoch=rest.epoch + (chance.random() < 0.05))
            for rest in rests
        ]
        cost = chance.choice((1, 1, 1, 2, 3, 7, count // 2, count, count + 1))
        enforced, wants = chance.random() < 0.9, chance.choice((0, 3, 64))
        asks.append(Ask(key, count, window, is_daily, max(1, cost), enforced, wants, rests))
    return asks


@pytest.mark.parametrize("seed", range(size(4, 40)))
def test_both_count_the_same(client: Any, seed: int) -> None:
    """For random costs, leases and times, also of a clock that jumps."""
    chance = random.Random(seed)
    stepper = Stepper(client)
    for step in range(size(250, 2500)):
        window = chance.choice(WINDOWS)
        stepper.now += int(window * 1_500_000 * chance.random() ** chance.choice((3, 20)))
        if chance.random() < 0.1:
            stepper.now += chance.choice((-1, -10_000, -HOUR, HOUR, -25 * HOUR, -50 * HOUR))
        stepper.take(random_asks(chance, stepper), chance.randint(1, 20))
        if stepper.rests and chance.random() < 0.3:
            stepper.give_back([stepper.rests.pop(chance.randrange(len(stepper.rests)))])
        if step % 25 == 0:
            stepper.check_counters()


def test_a_counter_takes_at_most_4_kb(client: Any) -> None:
    """With an amount in each slot, of the largest count and the longest window."""
    stepper = Stepper(client)
    window = 366 * 86_400
    for _ in range(300):
        stepper.take([ask(10**12, window, cost=8 * 10**9)], 1)
        stepper.now += blocks.slot_length(window, is_daily=False)
    assert client.hlen("key") == 121 + len("efln")
    assert client.memory_usage("key", samples=0) <= 4096


def test_a_counter_expires_when_nothing_counts_any_more(client: Any, counters: RedisCounters) -> None:
    """A slot later, since it may be needed for as long."""
    counters.take("owner", [ask(window=1200), ask(key="daily", window=86_400, is_daily=True)], 1)
    now = client.time()[0]
    assert 1200 < client.ttl("test:quota:{owner}:key") <= 1200 + 2 * 10
    assert client.ttl("test:quota:{owner}:daily") == pytest.approx(2 * 86_400 - now % 86_400, abs=2)


def test_processes_are_counted_that_were_seen_lately(client: Any, counters: RedisCounters) -> None:
    """Those that are gone are forgotten after a while, and so are those of another clock."""
    assert counters.beat("one") == 1
    now = client.time()[0] * blocks.MICROSECONDS
    places = {"gone": now - 40 * blocks.MICROSECONDS, "ahead": now + HOUR, "recent": now - 9_000_000}
    client.zadd("test:quota:{processes}:seen", places)
    assert counters.beat("one") == 2
    assert counters.beat("two") == 3
    assert 0 < client.ttl("test:quota:{processes}:seen") <= 60


def test_rests_of_several_owners_come_back(counters: RedisCounters) -> None:
    """Each in its own slot of its own counter."""
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
    """Neither from the other quotas of the request, before and after it."""
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
    """Whoever sends on although nothing is left keeps no disk busy."""
    asks = [ask(key="a"), ask(1, key="b")]
    counters.take("owner", asks, 1)
    before = client.info("persistence")["rdb_changes_since_last_save"]
    admitted, answers = counters.take("owner", asks, 1)
    assert not admitted
    assert (answers[0].used, answers[1].wait > 0) == (1, True)
    assert client.info("persistence")["rdb_changes_since_last_save"] == before


def test_a_script_that_the_server_has_forgotten_is_sent_again(client: Any, counters: RedisCounters) -> None:
    """As after a restart, or SCRIPT FLUSH."""
    for used in (1, 2):
        client.script_flush()
        assert counters.take("owner", [ask()], 1)[1][0].used == used


def test_a_server_without_memory_is_an_outage(client: Any, counters: RedisCounters) -> None:
    """It says so itself."""
    client.config_set("maxmemory", "1kb")
    try:
        with pytest.raises(StoreDownError, match="Redis: .*OutOfMemory|OOM"):
            counters.take("owner", [ask()], 1)
    finally:
        client.config_set("maxmemory", "0")


def test_a_replica_is_an_outage(client: Any, counters: RedisCounters) -> None:
    """It could not count."""
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(StoreDownError, match="Redis: ReadOnlyError"):
            counters.take("owner", [ask()], 1)
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("answer", ["1", "{1}", "{1, 2, 3}", "{1, 1, 0, 0, 5, 6, 7, 'many'}"])
def test_an_answer_of_another_form_is_an_outage(
    counters: RedisCounters, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """As from something that only speaks the protocol of Redis."""
    monkeypatch.setattr("authguard.stores.counting.redis_script.TAKE", Script(f"return {answer}"))
    with pytest.raises(StoreDownError, match="Redis: an answer of another form"):
        counters.take("owner", [ask()], 1)


def test_the_password_is_not_told(server: RedisServer, client: Any) -> None:
    """Nor the address, which has it."""
    client.config_set("requirepass", "another")
    counters = RedisCounters(f"redis://:a-secret-password@127.0.0.1:{server.port}/0", 5.0, "test")
    try:
        with pytest.raises(StoreDownError, match=r"Redis: AuthenticationError\Z") as raised:
            counters.take("owner", [ask()], 1)
    finally:
        client.config_set("requirepass", "")
        counters.close()
    assert "a-secret-password" not in f"{raised.value!r} {counters!r}"
