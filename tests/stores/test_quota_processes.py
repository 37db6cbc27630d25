"""Sixteen processes share three quotas: none is exceeded, and the rest can be used."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from authguard import Quota
from authguard.stores.counting.blocks import MAX_BLOCK
from stores.quota_fleet import MAX_COST, QUOTAS, ask, open_store, takes

LOAD_SECONDS = 15.0
KILLED_AT, PAUSED_AT, RESUMED_AT = 0.6, 0.7, 3.7
KINDS = ("RedisQuotas", "PostgresQuotas", "SQLiteQuotas")
MAX_LOST = MAX_BLOCK + MAX_COST  # of the killed process: its lease and the cost of its request
_TESTS = Path(__file__).resolve().parent.parent


@dataclass
class Fleet:
    """Have the records of the processes.

    Attributes:
        begin: the time of their start.
        events: the begin, the end, the cost and the outcome of each request.
        remaining: the rest of each quota after the last request of the processes.
        last: the requests after that, of which the first takes all that was left.
    """

    begin: float
    events: list[tuple[float, float, int, str]] = field(default_factory=list)
    remaining: tuple[int, ...] = ()
    last: list[tuple[float, float, int, str]] = field(default_factory=list)

    def admitted(self) -> list[tuple[float, float, int]]:
        """Return the admitted requests, in the order of their begin."""
        return sorted(event[:3] for event in self.events if event[3] == "admitted")


@pytest.fixture(name="place", params=KINDS, scope="module")
def _place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Yield the kind and the address of a store."""
    if request.param == "RedisQuotas":
        url = request.getfixturevalue("redis_server_url")
    elif request.param == "PostgresQuotas":
        url = request.getfixturevalue("postgres_server_url")
    else:
        url = str(tmp_path_factory.mktemp("sqlite") / "quotas.db")
    yield request.param, url


@pytest.fixture(name="fleet", scope="module")
def _fleet(place: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Run the processes; kill one, and pause another for longer than the life of a lease."""
    folder = tmp_path_factory.mktemp("logs")
    path = os.pathsep.join([str(_TESTS), *sys.path])
    command = [
        sys.executable,
        str(_TESTS / "stores" / "quota_fleet.py"),
        *place,
        str(folder),
        str(LOAD_SECONDS),
    ]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        told = json.loads(parent.stdout.readline())
        fleet, pids = Fleet(told["begin"]), told["pids"]
        for at, pid, number in (
            (KILLED_AT, pids[5], signal.SIGKILL),
            (PAUSED_AT, pids[9], signal.SIGSTOP),
            (RESUMED_AT, pids[9], signal.SIGCONT),
        ):
            sleep_until(fleet.begin + at)
            os.kill(pid, number)
        sleep_until(fleet.begin + LOAD_SECONDS + 2.5)
        ask_for_the_rest(fleet, *place)
        assert parent.wait(timeout=60) == 0
    for log in folder.iterdir():
        for line in log.read_text(encoding="ascii").splitlines():
            started, ended, cost, what = line.split()
            fleet.events.append((float(started), float(ended), int(cost), what))
    return fleet


def sleep_until(moment: float) -> None:
    """Wait in real time, because this test measures real windows."""
    time.sleep(max(0.0, moment - time.monotonic()))


def ask_for_the_rest(fleet: Fleet, kind: str, place: str) -> None:
    """Take all that is left by one request, while the other processes are alive and idle."""
    store: Any = open_store(kind, place)
    fleet.remaining = tuple(state.remaining for state in store.take(takes(10**9)).states)
    for cost in (min(fleet.remaining), 1, 7, 64):
        started = time.monotonic()
        what = ask(store, cost)
        fleet.last.append((started, time.monotonic(), cost, what))
    store.close()


def most_in_a_window(admitted: list[tuple[float, float, int]], seconds: float) -> int:
    """Return the largest amount that was taken in any window.

    A request counts if it has begun and ended in the window, because the moment between is unknown.
    """
    most = 0
    for index, (begin, _, _) in enumerate(admitted):
        total = 0
        for started, ended, cost in admitted[index:]:
            if started >= begin + seconds:
                break
            total += cost if ended < begin + seconds else 0
        most = max(most, total)
    return most


@pytest.mark.slow
def test_no_window_holds_more_than_its_quota(fleet: Fleet) -> None:
    """No window has more than its quota, although one process was killed and another paused."""
    admitted = fleet.admitted() + [event[:3] for event in fleet.last if event[3] == "admitted"]
    assert len(admitted) > 500
    for quota in QUOTAS[:2]:
        assert most_in_a_window(admitted, quota.window) <= quota.count
    assert sum(cost for _, _, cost in admitted) <= QUOTAS[2].count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quota", "since", "lost"), [(QUOTAS[1], 0.0, MAX_LOST), (QUOTAS[1], 4.0, MAX_LOST), (QUOTAS[0], 8.0, 0)]
)
def test_99_percent_of_a_quota_can_be_used(fleet: Fleet, quota: Quota, since: float, lost: int) -> None:
    """99 percent of a quota can be used, except for the lease of the killed process."""
    admitted = [event for event in fleet.admitted() if event[0] >= fleet.begin + since]
    assert most_in_a_window(admitted, quota.window) >= 0.99 * quota.count - lost


@pytest.mark.slow
def test_a_refusal_names_a_quota_that_is_short(fleet: Fleet) -> None:
    """A request is refused only by a quota."""
    outcomes = {event[3] for event in fleet.events}
    assert {"admitted", "refused"} <= outcomes
    assert "wrong" not in outcomes


@pytest.mark.slow
def test_a_cost_that_fits_is_admitted(fleet: Fleet) -> None:
    """A cost of all that is left is admitted, although idle processes had borrowed it."""
    assert fleet.last[0][3] == "admitted"
    last = fleet.begin + LOAD_SECONDS - QUOTAS[1].window
    taken = sum(cost for _, ended, cost in fleet.admitted() if ended > last)
    assert fleet.remaining[1] >= QUOTAS[1].count - taken


@pytest.mark.slow
def test_what_is_taken_adds_up(fleet: Fleet) -> None:
    """The taken amounts are the sum of the costs, except for the lease of the killed process."""
    lost = QUOTAS[2].count - fleet.remaining[2] - sum(cost for _, _, cost in fleet.admitted())
    assert 0 <= lost <= MAX_LOST
