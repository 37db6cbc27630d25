"""The steps of stores of quotas: equal results, atomic among processes, by the clock of the store."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from authguard.stores.counting.backend import Ask, Backend, Rest
from authguard.stores.counting.blocks import DAY, MICROSECONDS
from sizes import size
from stores.quota_backends import NOON, OpenBackend, PythonSteps, Steps

MINUTE = 60


def ask(key: str = "minute", limit: int = 10, *, cost: int = 1, wants: int = 0, window: int = MINUTE) -> Ask:
    return Ask(key, limit, window, False, cost, True, wants)


def _random_ask(chance: random.Random, key: str, rests: list[Rest]) -> Ask:
    is_daily = key.startswith("day")
    window = 86_400 if is_daily else int(key.split("-")[1])
    limit = {"a": 5, "b": 130, "c": 10**12}[key[-1]]
    cost = chance.choice([1, 2, 7, limit // 3 + 1, limit + 1 if chance.random() < 0.1 else 1])
    own = [rest for rest in rests if rest.key == key and chance.random() < 0.5]
    for rest in own:
        rests.remove(rest)
    return Ask(key, limit, window, is_daily, cost, chance.random() < 0.8, chance.choice([0, 5, 64]), own)


@pytest.mark.parametrize("seed", range(size(3, 60)))
def test_every_store_computes_as_python_does(steps: Steps, seed: int) -> None:
    """Each store has the results of the steps in Python, for random requests and clocks."""
    chance = random.Random(seed)
    keys = [
        f"{name}-{window}-{limit}" for name, window in (("w", 1), ("w", 7), ("w", 3600)) for limit in "abc"
    ]
    keys += [f"day-{limit}" for limit in "abc"]
    expected, now = PythonSteps(), NOON
    rests: list[Rest] = []
    for _ in range(250):
        now += chance.choice([0, 1, 9_000, 60_000, MICROSECONDS, 40 * MICROSECONDS])
        if chance.random() < 0.02:
            now += chance.choice([-1, 1]) * chance.choice([MICROSECONDS, 3600 * MICROSECONDS, DAY, 9 * DAY])
        asks = [_random_ask(chance, key, rests) for key in chance.sample(keys, chance.randint(1, 4))]
        live = chance.choice([1, 2, 16])
        admitted, answers = steps.take(asks, live, now)
        assert (admitted, list(answers)) == expected.take(asks, live, now)
        for each, answer in zip(asks, answers, strict=True):
            if answer.lent:
                slot = answer.slot - (chance.random() < 0.05)
                amount = chance.randint(1, answer.lent)
                rests.append(Rest("owner", each.key, each.window, each.is_daily, answer.epoch, slot, amount))
        if rests and chance.random() < 0.3:
            rest = rests.pop(chance.randrange(len(rests)))
            steps.give_back(rest, now)
            expected.give_back(rest, now)


def test_a_clock_that_goes_back_blocks_for_a_window_at_most(steps: Steps) -> None:
    """A clock that goes back blocks a caller for one window at most, even if it sends all the time."""
    steps.take([ask(cost=10)], 1, NOON)
    back = NOON - 3600 * MICROSECONDS
    for seconds in range(61):
        assert not steps.take([ask()], 1, back + seconds * MICROSECONDS)[0]
    assert steps.take([ask()], 1, back + 61 * MICROSECONDS)[0]


def test_processes_share_what_they_count(open_backend: OpenBackend) -> None:
    """An amount that one process has taken is missing for the other."""
    first, second = open_backend(), open_backend()
    assert first.take("ann", [ask(cost=6)], 1)[0]
    assert second.take("ann", [ask(cost=5)], 1) == (False, [shows(used=6)])
    assert second.take("ann", [ask(cost=4)], 1)[0]


class _Shown:
    """Equal an answer that has these members."""

    def __init__(self, shown: dict[str, int]) -> None:
        self._shown = shown

    def __eq__(self, other: object) -> bool:
        return all(getattr(other, name) == value for name, value in self._shown.items())

    def __hash__(self) -> int:
        return 0


def shows(**shown: int) -> Any:
    return _Shown(shown)


def test_a_refused_request_takes_nothing(open_backend: OpenBackend) -> None:
    """A refused request takes nothing from any of its quotas."""
    backend = open_backend()
    backend.take("ann", [ask("a", cost=9), ask("b")], 1)
    for _ in range(3):
        assert not backend.take("ann", [ask("a", cost=2), ask("b", cost=2)], 1)[0]
    assert backend.take("ann", [ask("a"), ask("b")], 1) == (True, [shows(used=10), shows(used=2)])


def test_rests_are_given_back_with_a_step_or_without(open_backend: OpenBackend) -> None:
    """Rests are given back alone, with a step, or with a refused step."""
    backend = open_backend()
    _, [answer] = backend.take("ann", [ask(limit=100, wants=20)], 1)
    assert (answer.used, answer.lent) == (21, 20)
    rest = Rest("ann", "minute", MINUTE, False, answer.epoch, answer.slot, 5)
    backend.give_back([rest, rest])
    again = ask(limit=100, cost=200)._replace(rests=[rest._replace(amount=9)])
    assert backend.take("ann", [again], 1) == (False, [shows(used=2, wait=-1)])


def test_rests_of_counters_that_are_gone_are_ignored(open_backend: OpenBackend) -> None:
    """Rests of a counter that is gone are ignored."""
    backend = open_backend()
    backend.give_back([Rest("ann", "gone", MINUTE, False, 5, 5, 5)])
    assert backend.take("ann", [ask()], 1)[0]


def test_living_processes_are_counted(open_backend: OpenBackend) -> None:
    """Each live process is counted once, regardless of the number of its beats."""
    first, second = open_backend(), open_backend()
    assert [first.beat("a"), second.beat("b"), first.beat("a"), second.beat("b")] == [1, 2, 2, 2]


def test_a_step_is_atomic_among_processes(open_backend: OpenBackend) -> None:
    """Concurrent connections admit exactly the count of both quotas."""
    limit, admitted = 60, []

    def work(backend: Backend) -> Callable[[], None]:
        def run() -> None:
            for _ in range(20):
                takes = [ask("a", limit), ask("b", 2 * limit, cost=2)]
                admitted.append(backend.take("ann", takes, 1)[0])

        return run

    threads = [threading.Thread(target=work(open_backend())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(admitted), sum(admitted)) == (120, limit)
    assert open_backend().take("ann", [ask("b", 2 * limit)], 1) == (False, [shows(used=2 * limit)])


def test_give_backs_of_many_owners_do_not_wait_for_each_other(open_backend: OpenBackend) -> None:
    """Two processes that give back for the same owners in another order make no deadlock."""
    owners = [f"owner {number}" for number in range(20)]
    backends = [open_backend(), open_backend()]
    rests = []
    for owner in owners:
        _, [answer] = backends[0].take(owner, [ask(owner, 1000, wants=60)], 1)
        rests.append(Rest(owner, owner, MINUTE, False, answer.epoch, answer.slot, 1))
    errors = []

    def run(backend: Backend, batch: list[Rest]) -> None:
        try:
            for _ in range(15):
                backend.give_back(batch)
        except Exception as error:
            errors.append(error)

    batches = [rests, rests[::-1]]
    threads = [threading.Thread(target=run, args=each) for each in zip(backends, batches, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for owner in owners:
        assert backends[0].take(owner, [ask(owner, 1000)], 1) == (True, [shows(used=61 - 30 + 1)])


def test_a_closed_store_opens_again(open_backend: OpenBackend) -> None:
    """A closed store is opened again by the next request."""
    backend = open_backend()
    assert backend.take("ann", [ask(cost=10)], 1)[0]
    backend.close()
    assert not backend.take("ann", [ask()], 1)[0]
