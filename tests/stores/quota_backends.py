"""Define stores of quotas for the tests: in memory with a settable clock, and the arithmetic of real ones."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

import psycopg

from authguard.stores.counting import blocks
from authguard.stores.counting.backend import Answer, Ask, Backend, Rest
from authguard.stores.counting.blocks import DAY, Counter
from authguard.stores.counting.postgres import PostgresCounters
from authguard.stores.counting.redis import read_answer, take_arguments
from authguard.stores.counting.redis_script import GIVE_BACK, TAKE, Script
from authguard.stores.counting.sqlite import SQLiteCounters
from authguard.stores.log import StoreDownError

NOON = 20_000 * DAY + DAY // 2
OpenBackend = Callable[[], Backend]


class Steps(Protocol):
    """Define a store whose clock is set for each step."""

    def take(self, asks: Sequence[Ask], live: int, now: int) -> tuple[bool, Sequence[Answer]]:
        """Take, at a time."""
        ...

    def give_back(self, rest: Rest, now: int) -> None:
        """Give back, at a time."""
        ...


class MemoryBackend:
    """Store counters in memory for several `LeasedQuotas`; the store can be down."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now
        self.counters: dict[str, Counter] = {}
        self.live = 1
        self.calls: list[str] = []
        self.last_asks: list[Ask] = []
        self.owners: list[str] = []
        self.errors: list[BaseException] = []
        self.before: Callable[[], None] = lambda: None
        self.is_down = False
        self._step = RLock()  # a store takes in one step; a hook may take in another

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before()
        if self.errors:
            raise self.errors.pop(0)
        if self.is_down:
            raise StoreDownError("Memory: switched off")

    def take(self, owner: str, asks: Sequence[Ask], live: int) -> tuple[bool, Sequence[Answer]]:
        self._call("take")
        with self._step:
            return self._take(owner, asks, live)

    def _take(self, owner: str, asks: Sequence[Ask], live: int) -> tuple[bool, Sequence[Answer]]:
        self.owners.append(owner)
        self.last_asks = list(asks)
        counters = [copy.deepcopy(self.counters.get(ask.key, Counter(self.now))) for ask in asks]
        epochs = [counter.epoch for counter in counters]
        admitted, answers = blocks.take(counters, asks, self.now, live)
        for counter, epoch, ask in zip(counters, epochs, asks, strict=True):
            if blocks.is_to_be_kept(counter, epoch, ask, admitted=admitted):
                self.counters[ask.key] = counter
        return admitted, answers

    def give_back(self, rests: Sequence[Rest]) -> None:
        self._call("give_back")
        with self._step:
            for rest in rests:
                if rest.key in self.counters:
                    blocks.give_back(self.counters[rest.key], rest, self.now)

    def beat(self, process: str) -> int:
        self._call("beat")
        return self.live

    def used(self) -> int:
        """Return the sum of the amounts that count."""
        return sum(sum(counter.amounts) for counter in self.counters.values())

    def close(self) -> None:
        self.calls.append("close")

    def forget(self) -> None:
        self.calls.append("forget")


class PythonSteps:
    """Run the arithmetic itself."""

    def __init__(self) -> None:
        self._store = MemoryBackend()

    def take(self, asks: Sequence[Ask], live: int, now: int) -> tuple[bool, Sequence[Answer]]:
        self._store.now = now
        return self._store.take("owner", asks, live)

    def give_back(self, rest: Rest, now: int) -> None:
        self._store.now = now
        self._store.give_back([rest])


class SQLiteSteps:
    """Run SQLite with a settable clock."""

    def __init__(self, path: Path) -> None:
        self._now = 0
        self.store = SQLiteCounters(path, 5.0, now=lambda: self._now)

    def take(self, asks: Sequence[Ask], live: int, now: int) -> tuple[bool, Sequence[Answer]]:
        self._now = now
        return self.store.take("owner", asks, live)

    def give_back(self, rest: Rest, now: int) -> None:
        self._now = now
        self.store.give_back([rest])


class PostgresSteps:
    """Run the PostgreSQL functions that `authguard_take_1` and `authguard_give_back_1` call with the time."""

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._connection = connection

    def take(self, asks: Sequence[Ask], live: int, now: int) -> tuple[bool, Sequence[Answer]]:
        listed = json.dumps([(*ask[:-1], [rest[4:] for rest in ask.rests]) for ask in asks])
        cursor = self._connection.execute("SELECT authguard_step_1(%s::jsonb, %s, %s)", (listed, live, now))
        row = cursor.fetchone()
        assert row is not None
        admitted, answers = row[0]  # type: ignore[misc]
        return admitted, [Answer(*answer) for answer in answers]  # type: ignore[has-type]

    def give_back(self, rest: Rest, now: int) -> None:
        listed = json.dumps((*rest[4:], *rest[1:4], rest.owner))
        self._connection.execute("SELECT authguard_give_one_1(%s::jsonb, %s)", (listed, now))


class RedisSteps:
    """Run the scripts of Redis, changed so that they read the time from a key, and nothing expires."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def _run(self, script: Script, now: int, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        text = script.text.replace("redis.call('TIME')", "redis.call('HMGET', 'time', 's', 'u')")
        text = text.replace("'PEXPIRE', counter.key,", "'ECHO',")
        seconds, rest = divmod(now, blocks.MICROSECONDS)
        self.client.hset("time", mapping={"s": seconds, "u": rest})
        return self.client.eval(text, len(keys), *keys, *arguments)

    def take(self, asks: Sequence[Ask], live: int, now: int) -> tuple[bool, Sequence[Answer]]:
        numbers = self._run(TAKE, now, [ask.key for ask in asks], take_arguments(asks, live))
        return read_answer(numbers, len(asks))

    def give_back(self, rest: Rest, now: int) -> None:
        self._run(GIVE_BACK, now, [rest.key], [rest.window, int(rest.is_daily), 1, *rest[4:]])


@contextmanager
def postgres_steps(url: str) -> Iterator[PostgresSteps]:
    """Create the tables, and open a connection."""
    backend = PostgresCounters(url, 5.0)
    backend.beat("process")
    backend.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        yield PostgresSteps(connection)
