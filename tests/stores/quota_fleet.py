"""Run processes that take from the same quotas, each with another clock: a script with arguments.

It prints the ids of its processes and their start. Each process writes a file with a line for each request:
its begin and end by the clock of the machine, its cost, and `admitted`, `refused`, `down` or, if the refusal
names no exceeded quota, `wrong`.
"""

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

_clock = {"offset": 0.0}
if __name__ == "__main__":
    _real_time = time.time
    time.time = lambda: _real_time() + _clock["offset"]  # simulates a machine with a wrong clock

from authguard import Quota, stores  # noqa: E402
from authguard.errors import QuotaUnavailableError  # noqa: E402
from authguard.stores import Take  # noqa: E402

PROCESSES = 16
HOUR = 3600.0
QUOTAS = (Quota(4000, 4), Quota(6000, 8), Quota(100_000, "day"))
MAX_COST = 7
#: Seconds for which the processes stay alive after the load, while they give back their leases.
IDLE_SECONDS = 4.0


def takes(cost: int) -> list[Take]:
    """Return the takes of a request: from all quotas of one caller."""
    return [Take((quota.policy, "issuer", "ann"), quota, cost) for quota in QUOTAS]


def open_store(kind: str, place: str) -> Any:
    """Open the store of this process."""
    return getattr(stores, kind)(place, timeout=5)


def ask(store: Any, cost: int) -> str:
    """Send a request, and return its outcome."""
    try:
        taken = store.take_at_once(takes(cost)) or store.take(takes(cost))
    except QuotaUnavailableError:
        return "down"
    if taken.admitted:
        return "admitted"
    is_short = any(state.wait > 0 and state.remaining < cost for state in taken.states)
    return "refused" if is_short else "wrong"


def work(store: Any, log: Path, chance: random.Random, begin: float, end: float) -> None:
    """Send bursts of requests; a refusal ends one."""
    time.sleep(max(0.0, begin - time.monotonic()))
    with log.open("ab", buffering=0) as file:
        while time.monotonic() < end:
            for _ in range(chance.randint(1, 80)):
                cost = chance.randint(1, MAX_COST)
                started = time.monotonic()
                what = ask(store, cost)
                file.write(f"{started!r} {time.monotonic()!r} {cost} {what}\n".encode())
                if what != "admitted":
                    break
            time.sleep(chance.uniform(0.0, 0.1))
    time.sleep(IDLE_SECONDS)


def main(kind: str, place: str, folder: str, seconds: str) -> None:
    """Run the processes."""
    store = open_store(kind, place)
    begin = time.monotonic() + 1.0
    # The leases of the parent do not belong to its children. Two requests are sent, because the first one
    # borrows nothing.
    log = Path(folder, "parent")
    with log.open("w", encoding="ascii") as file:
        for _ in range(3):
            started = time.monotonic()
            what = ask(store, 1)
            file.write(f"{started!r} {time.monotonic()!r} 1 {what}\n")
    pids = []
    for number in range(PROCESSES):
        pid = os.fork()
        if not pid:
            _clock["offset"] = HOUR * (number % 3 - 1)
            work(store, Path(folder, f"{number:02}"), random.Random(number), begin, begin + float(seconds))
            store.close()
            os._exit(0)
        pids.append(pid)
    print(json.dumps({"pids": pids, "begin": begin}), flush=True)
    for pid in pids:
        os.waitpid(pid, 0)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
