"""What a stranger's request can cost: every entrance of the guard, every kind of bad input, in processor time.

`python -m benchmarks.hostile` prints the table, and ends with 1 if a request costs more than the limit.
"""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from authguard import Guard
from benchmarks import hostile_guards, hostile_inputs
from benchmarks.hostile_inputs import Hostile
from benchmarks.report import Findings, Table

#: Milliseconds of processor time that the request of a stranger may cost.
LIMIT = 20.0
_SURE = 5  # times that a request which seems to cost too much is measured again
_CLOSE, _FAR = 0.25, 3  # of the limit: what takes less, or more, is measured once


@dataclass(frozen=True)
class Cost:
    """What one request costs.

    Attributes:
        milliseconds: of processor time, threads included.
        entrance: where it came in.
        guard: which guard it came to.
        status: how it was answered.
    """

    milliseconds: float
    entrance: str
    guard: str
    status: int


def measure(make: Callable[[], Guard], entrance: str, request: Hostile, runner: asyncio.Runner, rounds: int) -> tuple[float, int]:
    """Return the least processor time of a request in milliseconds, and the status of its answer.

    Each time the guard is a new one, so that it remembers nothing.
    """
    taken, status = [], 0
    for number in range(max(rounds, _SURE)):
        step = hostile_guards.ENTRANCES[entrance](make(), request)
        gc.collect(0)
        started = time.process_time()
        status = step(runner).status
        taken.append((time.process_time() - started) * 1000)
        least = min(taken)
        if least < LIMIT * _CLOSE or least > LIMIT * _FAR or (number + 1 >= rounds and least <= LIMIT):
            break
    return min(taken), status


def costs(requests: dict[str, Hostile], rounds: int) -> dict[str, Cost]:
    """Return for each request what it costs where it costs most."""
    found: dict[str, Cost] = {}
    logging.getLogger("authguard").addHandler(logging.NullHandler())
    gc.disable()
    with asyncio.Runner() as runner:
        for name, make in hostile_guards.makers().items():
            for entrance in hostile_guards.ENTRANCES:
                for request in hostile_inputs.usual():
                    measure(make, entrance, request, runner, 1)  # what is imported, made and asked once
                for title, request in requests.items():
                    if title in found and found[title].milliseconds > LIMIT * _FAR:
                        continue  # that it is too much is known
                    taken, status = measure(make, entrance, request, runner, rounds)
                    if title not in found or taken > found[title].milliseconds:
                        found[title] = Cost(taken, entrance, name, status)
            gc.collect()
    gc.enable()
    return found


def run(rounds: int) -> Findings:
    """Measure every request at every entrance of every guard, and keep the dearest of each.

    Args:
        rounds: how often a request that comes near the limit is measured.
    """
    findings = Findings()
    for group in hostile_inputs.GROUPS:
        table = findings.table(
            f"A stranger's request: {group}",
            f"Milliseconds of processor time; the limit is {LIMIT:g}. Each request is sent to a new guard of each of "
            f"{len(hostile_guards.GUARDS) + len(hostile_guards.SLOW_TO_BUILD)} kinds, at each entrance ({', '.join(hostile_guards.ENTRANCES)}); the row is where it costs most.",
            "request", "ms", "limit", "where", "answer", "",
        )  # fmt: skip
        for name, cost in costs(hostile_inputs.everything([group]), rounds).items():
            verdict = "" if cost.milliseconds <= LIMIT else "**over**"
            where = f"{cost.entrance}, {cost.guard}"
            table.add(name, cost.milliseconds, LIMIT, where, str(cost.status), verdict)
            findings.values["hostile, dearest ms"] = max(
                findings.values.get("hostile, dearest ms", 0.0), cost.milliseconds
            )
    return findings


def over(tables: list[Table]) -> list[str]:
    """Return the requests that cost more than the limit."""
    return [row[0] for table in tables for row in table.rows if row[-1]]


if __name__ == "__main__":
    dear = over(run(3).tables)
    print(f"\n{len(dear)} requests cost more than {LIMIT:g} ms" + "".join(f"\n    {name}" for name in dear))
    sys.exit(1 if dear else 0)
