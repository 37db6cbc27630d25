"""Measure the cost of signing in without the password's hash: each login in turns with the hash alone."""

import asyncio
import contextlib
import http.client
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.pairing import Paired, clock
from benchmarks.report import Findings
from benchmarks.traffic import scope


@dataclass(frozen=True)
class Cost:
    """Hold the times of the hash alone, and of a login, in the same rounds, in milliseconds.

    Attributes:
        wall: the elapsed time of the hash alone, and of the login.
        computed: the same in processor time.
        outside: the time of each login without its own hash; empty if it is not known.
    """

    wall: Paired
    computed: Paired
    outside: Sequence[float]


def over_sockets(port: int, contestant: Any, number: int) -> Cost:
    """Time logins of one caller with one connection; the hash alone is computed in the caller's process."""
    path, media_type, body = contestant.login
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:

        def login() -> None:
            connection.request("POST", path, body, {"content-type": media_type})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{contestant.name}: {answer.status}")

        return _in_turns(contestant.verify, login, number)


def in_process(contestant: Any, number: int) -> Cost:
    """Time logins by calling the application like a server."""
    path, media_type, body = contestant.login
    fields = [("content-type", media_type), ("content-length", str(len(body)))]
    app = contestant.build()

    async def ask() -> None:
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        statuses = []

        async def receive() -> Any:
            return messages.pop() if messages else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            statuses.append(message.get("status"))

        request = {**scope(*fields, path=path), "method": "POST", "state": {}}
        started, before = time.perf_counter(), sum(hashing)
        await app(request, receive, send)
        outside.append((time.perf_counter() - started) * 1e3 - (sum(hashing) - before))
        if statuses[0] != 200:
            raise RuntimeError(f"{contestant.name}: {statuses[0]}")

    hashing: list[float] = []
    outside: list[float] = []
    with asyncio.Runner() as runner, _timed(*contestant.hasher, hashing):
        return _in_turns(contestant.verify, lambda: runner.run(ask()), number, outside)


@contextlib.contextmanager
def _timed(owner: Any, name: str, into: list[float]) -> Iterator[None]:
    """Time a method directly, because a difference of two hashes of 20 ms is less exact."""
    method = getattr(owner, name)

    def timed(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return method(*arguments, **named)
        finally:
            into.append((time.perf_counter() - started) * 1e3)

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, method)


def _in_turns(verify: Any, login: Any, number: int, outside: Sequence[float] = ()) -> Cost:
    login()
    walls: tuple[list[float], list[float]] = ([], [])
    computed: tuple[list[float], list[float]] = ([], [])
    for _ in range(number):
        for which, call in enumerate((verify, login)):
            started, processor = time.perf_counter(), clock()
            call()
            walls[which].append((time.perf_counter() - started) * 1e3)
            computed[which].append((clock() - processor) * 1e3)
    return Cost(Paired(*walls), Paired(*computed), outside)


def table(findings: Findings, over_sockets: dict[str, Cost], in_process: dict[str, Cost]) -> None:
    """Return the cost of a login without its hash."""
    result = findings.table(
        "Signing in, apart from argon2",
        "Milliseconds, one login at a time; medians. *Outside of the hash* is what passes in a login, in process, but for the "
        "hash that it computes. The others are a login less the same password's verification alone, in turns: over the socket "
        "and in process, as time that passes, and as processor time. Two hashes differ by more than what is looked for, so "
        "they are less certain. Each service hashes as it does by default, and reads, writes and signs with caches that "
        "the hash has emptied.",
        "", "argon2 alone", "outside of the hash", "over the socket", "in process", "in process, processor time",
    )  # fmt: skip
    for name, cost in in_process.items():
        outside = statistics.median(cost.outside)
        result.add(
            name, cost.wall.base_median, outside, over_sockets[name].wall.added, cost.wall.added, cost.computed.added
        )  # fmt: skip
        findings.values[f"{name}, login, outside of the hash"] = outside
