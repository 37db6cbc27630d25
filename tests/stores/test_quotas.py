"""Quotas in memory: the limit of any window, several quotas of a request, and requests without effect."""

import random
import threading
import tracemalloc
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from authguard import MemoryQuotas, Quota
from authguard.errors import QuotaUnavailableError
from authguard.stores import Take, Taken
from authguard.stores.counting.windows import MAX_ENTRIES, SlidingWindow
from sizes import size

DAY = 86_400
NOON = 20_000 * DAY + DAY // 2


class World:
    """Have a store, its two clocks, and the admitted requests with their times."""

    def __init__(self, **options: Any) -> None:
        self.now = 1000.0
        self.wall = float(NOON)
        self._seen = threading.local()
        self.store = MemoryQuotas(monotonic=self._monotonic, clock=lambda: self.wall, **options)

    def _monotonic(self) -> float:
        self._seen.now = self.now  # the store reads the clock once for each request
        return self.now

    def take(self, *quotas: Quota, cost: int = 1, caller: str = "ann") -> Taken:
        taken = self.store.take([Take((quota.policy, caller), quota, cost) for quota in quotas])
        self.last = self._seen.now
        return taken

    def admits(self, *quotas: Quota, cost: int = 1, caller: str = "ann") -> bool:
        return self.take(*quotas, cost=cost, caller=caller).admitted

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


def most_in_a_window(admitted: list[tuple[float, int]], seconds: float) -> int:
    """Return the largest amount that was admitted in any window of so many seconds."""
    most, used, first = 0, 0, 0
    for at, cost in admitted:
        used += cost
        while at - admitted[first][0] >= seconds:
            used -= admitted[first][1]
            first += 1
        most = max(most, used)
    return most


MINUTE = Quota(10, 60)


def test_the_count_is_let_through_and_no_more() -> None:
    """A quota of ten admits ten requests, and not the eleventh."""
    world = World()
    assert [world.admits(MINUTE) for _ in range(11)] == [True] * 10 + [False]


def test_a_window_slides() -> None:
    """Each request counts for sixty seconds from its own time."""
    world = World()
    for _ in range(10):
        assert world.admits(MINUTE)
        world.later(5)
    assert not world.admits(MINUTE)  # at 50 seconds
    world.later(9.5)
    assert not world.admits(MINUTE)
    world.later(0.5)
    assert world.admits(MINUTE)  # the first request is 60 seconds old
    assert not world.admits(MINUTE)


@pytest.mark.parametrize("seed", range(size(12, 200)))
def test_no_window_holds_more_than_the_count(seed: int) -> None:
    """At most `count` is admitted in any window of `seconds`, for random times and costs."""
    chance = random.Random(seed)
    count = chance.choice([1, 7, 10, MAX_ENTRIES, MAX_ENTRIES + 1, 1_000, 10_000])
    quota = Quota(count, chance.choice([1, 60, 3600]))
    world = World()
    admitted = []
    for _ in range(3_000):
        world.later(chance.choice([0, 1 / 1024, quota.window / 512, quota.window / 64, quota.window / 2]))
        cost = chance.randint(1, max(1, min(count, count // 50 + 3)))
        if world.admits(quota, cost=cost):
            admitted.append((world.now, cost))
    assert most_in_a_window(admitted, quota.window) <= count
    assert sum(cost for _, cost in admitted) >= count  # else the test would show nothing


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(size(12, 200)))
def test_what_the_count_has_left_is_let_through(seed: int) -> None:
    """A request is refused only if the window, or one that is a 120th longer, has no room for it."""
    chance = random.Random(seed)
    count = chance.choice([1, 10, MAX_ENTRIES, 500, 5_000])
    quota = Quota(count, 60)
    longest = 60.0 if count <= MAX_ENTRIES else 60 + 60 / MAX_ENTRIES
    world, admitted = World(), []
    for _ in range(2_000):
        world.later(chance.choice([0, 1 / 64, 1, 5, 60 * 256 / 255]))
        cost = chance.randint(1, max(1, count // 20))
        used = sum(amount for at, amount in admitted if world.now - at <= longest - (longest == 60) / 4096)
        taken = world.take(quota, cost=cost)
        assert taken.admitted or used + cost > count
        if taken.admitted:
            admitted.append((world.now, cost))


def _hammer(work: Callable[[], None], threads: int) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert errors == []


@pytest.mark.slow
def test_no_window_holds_more_with_many_threads() -> None:
    """Eight threads with costs from 1 to 7 exceed none of three quotas."""
    quotas = [Quota(50, 1), Quota(400, 30), Quota(900, 120, by="key")]
    world = World()
    admitted: list[tuple[float, int]] = []
    lock = threading.Lock()
    numbers = iter(range(8))

    def work() -> None:
        chance = random.Random(next(numbers))
        for _ in range(size(1_500, 20_000)):
            cost = chance.randint(1, 7)
            with lock:
                world.now += chance.choice([0, 0, 1 / 128, 1 / 4])
            taken = world.take(*quotas, cost=cost)
            if taken.admitted:
                # the time of the admission, which may be earlier than this line
                admitted.append((taken.receipt[0][2], cost))

    _hammer(work, 8)
    admitted.sort()
    for quota in quotas:
        assert most_in_a_window(admitted, quota.window) <= quota.count
    assert most_in_a_window(admitted, 120) >= 890


def test_all_quotas_are_decided_together() -> None:
    """If one quota has too little, nothing is taken from the others."""
    world = World()
    small, large = Quota(2, 60), Quota(100, 3600)
    for _ in range(5):
        world.take(small, large)
    world.later(60)
    assert world.take(small, large).states[1].remaining == 100 - 3


@pytest.mark.parametrize("cost", [2, 9])
def test_a_refused_request_takes_nothing(cost: int) -> None:
    """A refused request takes nothing, and a smaller one is admitted afterwards."""
    world = World()
    assert world.admits(MINUTE, cost=9)
    for _ in range(3):
        assert not world.admits(MINUTE, cost=cost)
    assert world.admits(MINUTE, cost=1)


def test_states_tell_what_remains() -> None:
    """The state has the remaining amount, the seconds to its growth, and the seconds to wait for the cost."""
    world = World()
    assert world.take(MINUTE, cost=4).states == [(6, 60, 0)]
    world.later(20)
    assert world.take(MINUTE, cost=3).states == [(3, 40, 0)]
    world.later(10)
    assert world.take(MINUTE, cost=5).states == [(3, 30, 30)]
    assert world.take(MINUTE, cost=8).states == [(3, 30, 50)]


def test_no_reset_is_longer_than_the_window() -> None:
    """`reset` is at most the window, also near a power of two where the clock has fewer digits."""
    chance, world = random.Random(3), World()
    for number in range(1_000):
        world.now = 2.0**13 - chance.random() * 60
        assert world.take(MINUTE, caller=f"caller {number}").states[0].reset <= 60


@pytest.mark.parametrize("count", [10, 1_000])
def test_a_caller_who_waits_as_told_gets_through(count: int) -> None:
    """A caller that waits for the given seconds is admitted, and not a moment earlier."""
    chance, quota = random.Random(count), Quota(count, 60)
    world = World()
    for _ in range(200):
        cost = chance.randint(1, count)
        wait = world.take(quota, cost=cost).states[0].wait
        if wait:
            world.later(wait - 1 / 64)
            assert not world.admits(quota, cost=cost)
            world.later(1 / 64)
            assert world.admits(quota, cost=cost)


def test_a_cost_above_the_count_is_never_admitted() -> None:
    """A cost above the count is refused, with an infinite time to wait."""
    world = World()
    for quota in (MINUTE, Quota(10, "day")):
        taken = world.take(quota, cost=11)
        assert (taken.admitted, taken.states[0].remaining, taken.states[0].wait) == (False, 10, inf)


@pytest.mark.parametrize("cost", [0, -1])
def test_a_cost_below_one_is_an_error(cost: int) -> None:
    """A cost below one raises ValueError."""
    with pytest.raises(ValueError, match=r"cost must be at least 1"):
        World().take(MINUTE, cost=cost)


def test_callers_count_apart() -> None:
    """Each caller has a counter of its own."""
    world = World()
    assert not world.take(MINUTE, cost=10).states[0].remaining
    assert world.admits(MINUTE, cost=10, caller="bob")


DAILY = Quota(3, "day")


def test_a_calendar_day_begins_at_midnight_utc() -> None:
    """A quota for a calendar day is full again at midnight UTC."""
    world = World()
    assert [world.admits(DAILY) for _ in range(4)] == [True, True, True, False]
    assert world.take(DAILY).states == [(0, DAY / 2, DAY / 2)]
    world.later(DAY / 2 - 1)
    assert not world.admits(DAILY)
    world.later(1)
    assert world.admits(DAILY, cost=3)


def test_a_clock_that_is_set_back_does_not_give_a_day_again() -> None:
    """A clock that is set back by a day does not fill the quota again."""
    world = World()
    world.admits(DAILY, cost=3)
    world.wall -= DAY
    assert not world.admits(DAILY)
    assert world.take(DAILY).states[0].reset == 1.5 * DAY


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_clock_that_is_set_changes_nothing_for_windows(jump: int) -> None:
    """A change of the wall clock has no effect on windows."""
    world = World()
    assert world.admits(MINUTE, cost=10)
    world.wall += jump
    world.later(59)
    assert not world.admits(MINUTE)
    world.later(1)
    assert world.admits(MINUTE)


SHADOW = Quota(2, 60, name="shadow", enforce=False)


def test_a_quota_that_is_not_enforced_refuses_nothing() -> None:
    """A quota with `enforce=False` admits all requests, and counts those that it would refuse."""
    world = World()
    assert [world.take(SHADOW, MINUTE).admitted for _ in range(5)] == [True] * 5
    assert world.take(SHADOW, MINUTE).states == [(0, 60, 60), (4, 60, 0)]
    world.later(60)
    assert world.take(SHADOW, MINUTE).states[0].remaining == 1
    assert world.store.health().would_refuse == 4


@pytest.mark.parametrize("quota", [MINUTE, Quota(1_000, 60), DAILY], ids=str)
def test_what_is_given_back_can_be_taken_again(quota: Quota) -> None:
    """An amount that was given back can be taken again."""
    world = World()
    first = world.take(quota)
    second = world.take(quota, cost=quota.count - 1)
    world.store.give_back(first)
    assert world.take(quota).states[0].remaining == 0
    world.store.give_back(second)
    assert world.admits(quota, cost=quota.count - 1)
    assert not world.admits(quota)


def test_what_has_expired_is_not_given_back() -> None:
    """An amount is not given back after its window has ended."""
    world = World()
    for quota in (Quota(1_000, 60), MINUTE, DAILY):
        old = world.take(quota, caller=str(quota))
        world.later(DAY)
        assert world.admits(quota, cost=quota.count, caller=str(quota))
        world.store.give_back(old)
        assert not world.admits(quota, caller=str(quota))


@pytest.mark.parametrize("seed", range(size(10, 100)))
def test_no_window_holds_more_when_some_is_given_back(seed: int) -> None:
    """The amounts that were not given back never exceed the count of a window."""
    chance = random.Random(seed)
    quota = Quota(chance.choice([5, 100, 2_000]), 60)
    world = World()
    kept: list[tuple[float, int, Taken]] = []
    given: set[int] = set()
    for _ in range(2_000):
        world.later(chance.choice([0, 1 / 64, 1, 20]))
        cost = chance.randint(1, max(1, quota.count // 10))
        taken = world.take(quota, cost=cost)
        if taken.admitted:
            kept.append((world.now, cost, taken))
        if kept and chance.random() < 0.3:
            number = chance.randrange(max(0, len(kept) - 20), len(kept))
            if number not in given:
                given.add(number)
                world.store.give_back(kept[number][2])
    rest = [(at, cost) for number, (at, cost, _) in enumerate(kept) if number not in given]
    assert most_in_a_window(rest, 60) <= quota.count


def test_a_full_store_refuses_new_callers_and_never_forgets_one() -> None:
    """A full store refuses new callers, and continues to count the known ones."""
    world = World(max_counters=3)
    for caller in ("a", "b", "c"):
        assert world.admits(DAILY, caller=caller, cost=2)
    for _ in range(5):
        with pytest.raises(QuotaUnavailableError):
            world.take(DAILY, caller="d")
    assert [world.admits(DAILY, caller="a") for _ in range(2)] == [True, False]
    assert world.store.health().state == "failing"


def test_a_full_store_takes_from_no_quota() -> None:
    """If one of two quotas has no room in the store, nothing is taken from the other."""
    world = World(max_counters=2)
    world.take(MINUTE)
    with pytest.raises(QuotaUnavailableError):
        world.take(MINUTE, DAILY, Quota(5, 7))
    assert world.take(MINUTE).states[0].remaining == 8


def test_a_full_store_has_room_when_windows_have_passed() -> None:
    """A full store has room again when windows have ended."""
    world = World(max_counters=100)
    for number in range(100):
        assert world.admits(MINUTE, caller=str(number))
    world.later(60)
    for number in range(100):
        assert world.admits(MINUTE, caller=f"new {number}")
    assert world.store.health().counters <= 100
    assert world.store.health().state == "fresh"


def test_old_counters_are_forgotten_as_new_ones_come() -> None:
    """Counters whose windows have ended are dropped as new ones are added."""
    world = World()
    for number in range(10_000):
        world.later(0.1)
        world.take(MINUTE, caller=str(number))
    assert world.store.health().counters < 2_000  # 600 of them have an amount


def test_what_is_dropped_to_make_room_is_counted_all_the_same() -> None:
    """A caller's oldest counter is dropped and created again, and its request counts."""
    world = World(max_counters=4)
    world.take(MINUTE)
    world.later(60)
    both = [MINUTE, Quota(100, 3600)]
    assert sum(world.admits(*both) for _ in range(20)) == 10


@pytest.mark.slow
@pytest.mark.parametrize(("quota", "most"), [(Quota(10_000, 3600), 4096), (MINUTE, 1100)], ids=str)
def test_a_counter_is_small(quota: Quota, most: int) -> None:
    """A counter takes at most 4 KB for any number of requests."""
    world = World()
    callers = [f"caller {number}" for number in range(50)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1_500):
        world.later(quota.window / 1_400)
        for caller in callers:
            world.take(quota, caller=caller, cost=1)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown / len(callers) <= most


def test_health_counts_requests() -> None:
    """The health counts admitted and refused requests."""
    world = World()
    assert world.store.health().state == "unused"
    for _ in range(13):
        world.take(MINUTE, Quota(100, 3600))
    health = world.store.health()
    assert (health.name, health.counters, health.max_counters) == ("memory", 2, 100_000)
    assert (health.admitted, health.refused, health.would_refuse) == (10, 3, 0)
    assert (health.state, health.reason) == ("fresh", "")


def test_what_is_given_back_leaves_the_entries_before_it() -> None:
    """Giving back an amount leaves the entries before it unchanged."""
    window = SlidingWindow(60)
    window.take(10, 5, 0.0)
    window.take(10, 1, 1.0)
    window.give_back(1, 1.0, 1.0)
    window.expire(60.0)
    assert window.used == 0
    assert window.reset(60.0) == 0.0
