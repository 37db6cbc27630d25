"""What signing in costs beside the password's hash: each login in turns with the hash alone."""

import asyncio
import contextlib
import http.client
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.pairing import Paired, clock
from benchmarks.report import Findings
from benchmarks.traffic import scope


@dataclass(frozen=True)
class Cost:
    """The hash alone, and a login, in the same rounds; milliseconds that pass, and of processor time."""

    wall: Paired
    computed: Paired


def over_sockets(port: int, contestant: Any, number: int) -> Cost:
    """One caller with one connection; the hash alone is computed where the caller is."""
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
    """The application called as a server calls it."""
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

        await app({**scope(*fields, path=path), "method": "POST", "state": {}}, receive, send)
        if statuses[0] != 200:
            raise RuntimeError(f"{contestant.name}: {statuses[0]}")

    with asyncio.Runner() as runner:
        return _in_turns(contestant.verify, lambda: runner.run(ask()), number)


def _in_turns(verify: Any, login: Any, number: int) -> Cost:
    login()
    walls: tuple[list[float], list[float]] = ([], [])
    computed: tuple[list[float], list[float]] = ([], [])
    for _ in range(number):
        for which, call in enumerate((verify, login)):
            started, processor = time.perf_counter(), clock()
            call()
            walls[which].append((time.perf_counter() - started) * 1e3)
            computed[which].append((clock() - processor) * 1e3)
    return Cost(Paired(*walls), Paired(*computed))


def table(findings: Findings, over_sockets: dict[str, Cost], in_process: dict[str, Cost]) -> None:
    """What is left of a login without its hash."""
    result = findings.table(
        "Signing in, apart from argon2",
        "Milliseconds of a login less those of the same password's verification alone, in turns, one at a time; "
        "medians of the differences. Over the socket and in process, as time that passes, and as processor time. Each service "
        "hashes as it does by default, and reads, writes and signs with caches that the hash has emptied.",
        "", "argon2 alone", "over the socket", "in process", "in process, processor time",
    )  # fmt: skip
    for name, cost in in_process.items():
        result.add(
            name, cost.wall.base_median, over_sockets[name].wall.added, cost.wall.added, cost.computed.added
        )
        findings.values[f"{name}, login, over the socket"] = over_sockets[name].wall.added
        findings.values[f"{name}, login, in process"] = cost.wall.added
