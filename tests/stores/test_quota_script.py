"""The script of Redis counts as `blocks.py` does, in little memory, and writes all of a step or nothing."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import redis

from authguard.stores.counting import blocks
from authguard.stores.counting.backend import Answer, Ask, Rest
from authguard.stores.counting.redis import RedisCounters
from authguard.stores.counting.redis_script import BEAT, GIVE_BACK, TAKE, Script
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
def _client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port) as client:
        client.flushall()
        yield client


@pytest.fixture(name="counters")
def _counters(server: RedisServer, client: redis.Redis) -> Iterator[RedisCounters]:
    counters = RedisCounters(server.url, 5.0, "test")
    yield counters
    counters.close()


def ask(count: int = 10, window: int = 60, cost: int = 1, **changed: object) -> Ask:
    """Return what a request asks of one quota."""
    return Ask("key", count, window, False, cost, True)._replace(**changed)


@dataclass
class Stepper:
    """Take the same steps by both, at a time that is passed in."""

    client: redis.Redis
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
        answer: list[int] = self.client.eval(script.text, len(keys), *keys, *arguments)  # type: ignore[assignment]
        return answer

    def take(self, asks: list[Ask], live: int) -> None:
        """Take by both, and compare the answers."""
        known = [self.counters.get(each.key) or blocks.Counter(self.now) for each in asks]
        expected = blocks.take(known, asks, self.now, live)
        arguments = [live]
        for each in asks:
            arguments += [each.count, each.window, each.is_daily, each.cost, each.enforce, each.wants]
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
            # What counts no longer goes with the next step.
            first = (self.now // 1) and min(counter.slots, default=math.inf)
            assert {int(slot): part for slot, part in kept.items() if int(slot) >= first} == dict(
                zip(counter.slots, counter.amounts, strict=True)
            )


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


@pytest.mark.parametrize("seed", range(4))
def test_both_count_the_same(client: redis.Redis, seed: int) -> None:
    """For random costs, leases and times, also of a clock that jumps."""
    chance = random.Random(seed)  # noqa: S311
    stepper = Stepper(client)
    for _ in range(size(250, 5000)):
        window = chance.choice(WINDOWS)
        step = chance.choice((0, 1, chance.randint(0, window * 20_000), chance.randint(0, window * 1_500_000)))
        stepper.now += int(step * chance.random() ** 3) if chance.random() < 0.9 else step
        if chance.random() < 0.1:
            stepper.now += chance.choice((-1, -10_000, -HOUR, HOUR, -25 * HOUR, -50 * HOUR))
        stepper.take(random_asks(chance, stepper), chance.randint(1, 20))
        if stepper.rests and chance.random() < 0.3:
            stepper.give_back([stepper.rests.pop(chance.randrange(len(stepper.rests)))])
    stepper.check_counters()
