"""Quotas of several processes: amounts that are borrowed, spent and given back."""

import random
import threading
import time
from math import inf
from typing import Any

import pytest

from authguard import Quota
from authguard.stores.counting.backend import StoreConnectionLostError
from authguard.stores.counting.blocks import slot_length
from authguard.stores.counting.clock import default_clock
from authguard.stores.counting.lease import REFUSED_SECONDS, owner_digest
from sizes import size
from stores.quota_world import World, takes

MINUTE = Quota(1000, 60)
HOUR = Quota(100_000, 3600)
DAILY = Quota(1000, "day")
MANY_A_DAY = Quota(100_000, "day")
FEW = Quota(10, 60, name="few")
SHADOW = Quota(2, 60, name="shadow", enforce=False)


def test_a_first_request_borrows_nothing() -> None:
    """The first request of a caller borrows nothing, because most callers send one."""
    world = World()
    world.take(MINUTE)
    assert world.store.used() == 1


def test_requests_that_follow_soon_borrow_more_and_more() -> None:
    """Frequent requests borrow more and more, up to 64."""
    world = World()
    wants = []
    for _ in range(200):
        world.later(0.0001)
        calls = len(world.store.calls)
        assert world.admits(HOUR)
        if len(world.store.calls) > calls:
            wants.append(world.store.last_asks[0].wants)
    assert wants == [0, 4, 20, 64, 64, 64]


@pytest.mark.slow
def test_steady_requests_borrow_as_before_when_a_slot_ends() -> None:
    """Steady requests borrow 64 by one call for each slot."""
    world = World()
    many = Quota(10**9, 60)  # a slot is half a second
    wants = []
    for _ in range(50_000):
        world.later(0.0004)
        if world.at_once(many) is None:
            assert world.admits(many)
            wants.append(world.store.last_asks[0].wants)
        world.processes[0].borrow_ahead()
    first, later = wants[:4], wants[4:]
    assert first == [0, 4, 20, 64]
    assert set(later) == {64}
    assert len(later) <= 40  # one for each slot


def test_a_slow_caller_borrows_as_much_as_it_spends_in_a_second() -> None:
    """A slow caller borrows at most the amount that it spends in a second."""
    world = World()
    for _ in range(100):
        world.later(0.1)
        world.take(HOUR)
        assert world.store.used() - 100 <= 20
    for _ in range(5):
        world.later(10)
        world.take(HOUR)
    assert all(ask.wants == 0 for ask in world.store.last_asks)


def test_what_is_borrowed_is_taken_without_a_call() -> None:
    """`take_at_once` takes a borrowed amount without a call of the store."""
    world = World()
    assert world.at_once(MINUTE) is None
    borrowed = world.lend(MINUTE)
    assert borrowed > 0
    world.store.calls.clear()
    for remaining in reversed(range(borrowed)):
        taken = world.at_once(MINUTE)
        assert taken is not None
        assert taken.admitted
        assert taken.states[0].remaining == 1000 - 2 - borrowed + remaining
    assert world.at_once(MINUTE) is None
    assert world.store.calls == []


def test_all_quotas_must_be_borrowed_or_none_is_spent() -> None:
    """A request spends nothing unless all its quotas are borrowed."""
    world = World()
    borrowed = world.lend(MINUTE)
    for _ in range(5):
        assert world.at_once(MINUTE, HOUR) is None
    assert sum(world.at_once(MINUTE) is not None for _ in range(100)) == borrowed


@pytest.mark.parametrize("quota", [Quota(1000, 1), MINUTE, DAILY], ids=str)
def test_what_is_borrowed_is_not_spent_after_a_second_or_the_end_of_its_slot(quota: Quota) -> None:
    """A borrowed amount is not spent after a second or after the end of its slot."""
    world = World()
    life = min(1.0, quota.window / 120)
    length = slot_length(quota.window, is_daily=quota.is_daily)
    world.store.now = world.store.now // length * length  # at the begin of a slot
    world.take(quota)
    world.later(0.0001)
    world.take(quota)
    world.later(life * 0.9 - 0.0001)
    assert world.at_once(quota) is not None
    world.later(life * 0.1 + 0.0001)
    assert world.at_once(quota) is None


def test_the_end_of_a_lease_is_counted_from_before_the_call() -> None:
    """The life of a lease begins before the call of the store."""
    world = World()
    world.take(HOUR)
    world.later(0.001)
    world.store.before = lambda: world.later(0.7)
    world.take(HOUR)
    world.store.before = lambda: None
    world.later(0.25)
    assert world.at_once(HOUR) is not None
    world.later(0.05)
    assert world.at_once(HOUR) is None


@pytest.mark.parametrize("jump", [-3600, 3600, -86_400])
def test_clocks_of_processes_are_not_used(jump: int) -> None:
    """A process with a wrong clock takes the same."""
    world = World(2)
    assert [world.admits(FEW, cost=5, process=number) for number in (0, 1, 0)] == [True, True, False]
    assert world.store.used() == 10


def test_a_process_does_not_block_itself() -> None:
    """A call that needs more gives back the borrowed rest first."""
    world = World()
    borrowed = world.lend(FEW)
    assert borrowed > 0
    assert world.admits(FEW, cost=8)
    assert world.store.used() == 10
    assert not world.admits(FEW)


def test_a_cost_that_fits_beside_what_others_hold_is_admitted() -> None:
    """A cost that fits beside the leases of other processes is admitted, and a larger one is refused."""
    world = World(2)
    held = world.lend(FEW, process=1)
    assert held > 0
    assert not world.admits(FEW, cost=10 - 2 - held + 1)
    assert world.admits(FEW, cost=10 - 2 - held)


def test_what_was_not_spent_is_given_back_after_a_second() -> None:
    """A borrowed rest is given back after a second."""
    world = World(2)
    held = world.lend(FEW, process=1)
    world.later(0.3)
    world.processes[1].keep()
    assert world.store.used() == 2 + held
    world.later(0.71)
    world.processes[1].keep()
    assert world.store.used() == 2
    assert world.admits(FEW, cost=8)


def test_closing_gives_back_what_is_left() -> None:
    """`close` gives back the borrowed rest."""
    world = World(2)
    world.lend(FEW, process=1)
    world.processes[1].close()
    assert world.store.used() == 2
    assert world.store.calls[-1] == "close"
    assert world.at_once(FEW, process=1) is None


def test_closing_a_store_that_is_down_raises_nothing() -> None:
    """`close` with a store that is down raises nothing."""
    world = World()
    held = world.lend(FEW)
    world.store.is_down = True
    world.processes[0].close()
    assert world.processes[0].health().reason
    world.store.calls.clear()
    world.processes[0].close()
    assert world.store.calls == ["close"]  # a store that is down is not called again
    assert world.store.used() == 2 + held


def test_a_child_process_begins_with_nothing() -> None:
    """A forked child does not spend the leases of its parent."""
    world = World()
    world.lend(MINUTE)
    name = world.processes[0]._process
    world.processes[0]._begin_process()
    assert world.at_once(MINUTE) is None
    assert world.processes[0]._process != name
    assert "forget" in world.store.calls


@pytest.mark.parametrize("quota", [MINUTE, FEW, DAILY], ids=str)
def test_what_is_given_back_can_be_taken_again(quota: Quota) -> None:
    """An amount that was given back can be taken by another process."""
    world = World(2)
    first, second = world.take(quota), world.take(quota, cost=quota.count - 1)
    assert not world.admits(quota, process=1)
    world.processes[0].give_back(first)
    world.processes[0].give_back(second)
    world.processes[0].keep()
    world.later(REFUSED_SECONDS)
    assert world.admits(quota, cost=quota.count, process=1)


def test_what_is_given_back_to_a_lease_is_spent_without_a_call() -> None:
    """An amount that was given back to a lease is spent again without a call."""
    world = World()
    borrowed = world.lend(MINUTE)
    for _ in range(10 * borrowed):
        taken = world.at_once(MINUTE)
        assert taken is not None
        world.processes[0].give_back(taken)


def test_what_is_given_back_late_is_not_spent_again_here() -> None:
    """An amount that was given back after the end of its lease goes back to the store."""
    world = World()
    world.lend(FEW)
    taken = world.at_once(FEW)
    assert taken is not None
    world.later(5)
    world.processes[0].give_back(taken)
    assert world.at_once(FEW) is None
    world.processes[0].keep()
    assert world.store.used() == 2


def test_what_was_taken_in_another_slot_is_not_spent_again_here() -> None:
    """An amount of an earlier slot is given back to the store, and not spent again in this process."""
    world = World()
    early = world.take(MINUTE, cost=5)
    world.later(30)
    borrowed = world.lend(MINUTE)
    world.processes[0].give_back(early)
    world.processes[0].keep()
    assert world.store.used() == 2 + borrowed
    assert sum(world.at_once(MINUTE) is not None for _ in range(100)) == borrowed


def test_several_calls_at_once_borrow_once() -> None:
    """Of several calls at the same time one borrows, and the others take their cost alone."""
    world = World()
    world.take(MINUTE)
    wants = []

    def meanwhile() -> None:
        world.store.before = lambda: None
        world.take(MINUTE)
        wants.append(world.store.last_asks[0].wants)

    world.later(0.001)
    world.store.before = meanwhile
    world.take(MINUTE)
    assert wants == [0]
    assert world.store.last_asks[0].wants > 0


@pytest.mark.parametrize("cost", [0, -1])
def test_a_cost_below_one_is_an_error(cost: int) -> None:
    """A cost below one raises ValueError."""
    with pytest.raises(ValueError, match="cost must be at least 1"):
        World().take(MINUTE, cost=cost)


def test_a_cost_above_the_count_is_never_admitted() -> None:
    """A cost above the count is refused, with an infinite time to wait."""
    taken = World().take(FEW, cost=11)
    assert (taken.admitted, taken.states) == (False, [(10, 0.0, inf)])


def test_a_refusal_tells_when_to_come_back() -> None:
    """A refusal has the seconds to wait for each quota in order."""
    world = World()
    world.take(FEW, MINUTE, cost=10)
    world.later(20)
    admitted, (few, minute), _ = world.take(FEW, MINUTE)
    assert not admitted
    assert (few.remaining, minute.remaining, minute.wait) == (0, 990, 0)
    assert few.wait == few.reset == pytest.approx(40.5)


def test_a_quota_that_is_not_enforced_refuses_nothing() -> None:
    """A quota with `enforce=False` admits all requests, also from a lease, and counts refusable ones."""
    world = World()
    for _ in range(50):
        world.later(0.0001)
        assert world.admits(SHADOW, HOUR)
    health = world.processes[0].health()
    assert (health.admitted, health.would_refuse) == (50, 48)
    assert len(world.store.calls) < 15
    taken = world.at_once(SHADOW, HOUR)
    assert taken is not None
    assert taken.states[0].remaining == 0
    assert 59 < taken.states[0].wait <= 60.5


def test_a_quota_beside_one_that_is_not_enforced_is_spent() -> None:
    """A quota beside one with `enforce=False` that is used up is spent for each request."""
    world = World()
    remaining = []
    for _ in range(50):
        world.later(0.0001)
        remaining.append(world.take(SHADOW, HOUR).states[1].remaining)
    assert remaining == [HOUR.count - number for number in range(1, 51)]


def test_a_smaller_cost_may_fit_a_quota_that_was_too_small_for_a_greater_one() -> None:
    """A smaller cost is taken from a quota with `enforce=False` that was too small for a larger one."""
    world = World()
    for _ in range(5):
        world.later(0.0001)
        world.take(HOUR)
    world.take(SHADOW, cost=3)
    assert world.at_once(SHADOW, cost=4) is not None
    assert world.at_once(SHADOW, cost=2) is None
    assert world.take(SHADOW, cost=2).states[0].remaining == 0


def test_what_a_quota_that_is_not_enforced_did_not_give_is_not_given_back() -> None:
    """An amount that a quota with `enforce=False` has not given is not given back."""
    world = World()
    world.take(SHADOW, cost=2)
    world.processes[0].give_back(world.take(SHADOW, HOUR))
    world.processes[0].keep()
    assert world.store.used() == 2


def test_a_process_that_knows_of_no_others_borrows_as_one_of_eight() -> None:
    """A process that does not know the number of the others borrows as one of eight, or of `processes`."""
    for options, most in (({}, 8), ({"quotas_down": "local", "processes": 50}, 50)):
        world = World(**options)
        process = world.new_process()
        for _ in range(10):
            world.later(0.0001)
            before = world.store.used()
            process.take(takes([MINUTE]))
            assert world.store.used() - before <= 1000 // (2 * most)


def test_a_quota_that_is_not_enforced_is_asked_about_again_within_a_second() -> None:
    """For a quota with `enforce=False` that was used up, the store is asked again within a second."""
    world = World()
    for _ in range(10):
        world.later(0.0001)
        world.take(SHADOW, HOUR)
    world.later(1.0)
    assert world.at_once(SHADOW, HOUR) is None
    assert world.at_once(SHADOW) is None


@pytest.mark.parametrize("quotas", [(FEW,), (FEW, MINUTE), (MINUTE, FEW), (SHADOW, FEW)])
def test_what_was_refused_just_now_is_refused_without_a_call(quotas: tuple[Quota, ...]) -> None:
    """A request that was refused a moment ago is refused again without a call."""
    world = World()
    assert world.admits(*quotas, cost=8)
    world.later(0.001)
    refused = world.take(*quotas, cost=3)
    calls = len(world.store.calls)
    world.later(REFUSED_SECONDS / 2)
    again = world.take(*quotas, cost=3)
    assert (refused.admitted, again.admitted, len(world.store.calls)) == (False, False, calls)
    for first, second in zip(refused.states, again.states, strict=True):
        assert second.remaining == first.remaining
        assert second.wait == pytest.approx(first.wait - REFUSED_SECONDS / 2 if first.wait else 0)
    assert world.processes[0].health().refused == 2


def test_a_refusal_is_believed_for_a_moment_and_for_the_cost_alone() -> None:
    """The store is asked for a smaller cost after a refusal, and again a moment later."""
    world = World(2)
    held = world.take(FEW, cost=8)
    world.later(0.001)
    assert not world.admits(FEW, cost=3, process=1)
    assert world.admits(FEW, cost=2, process=1)
    world.processes[0].give_back(held)
    world.processes[0].keep()
    world.later(REFUSED_SECONDS)
    assert world.admits(FEW, cost=8, process=1)


def test_a_refusal_is_not_believed_beyond_the_end_of_the_window() -> None:
    """A remembered refusal ends with its time to wait."""
    world = World()
    assert world.admits(FEW, cost=10)
    world.later(0.001)
    wait = world.take(FEW).states[0].wait
    world.later(wait - REFUSED_SECONDS / 2)
    assert not world.admits(FEW)
    world.later(REFUSED_SECONDS / 2 + 0.001)
    assert world.admits(FEW)


def test_a_refusal_is_not_believed_that_another_call_has_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is not remembered if another call has given an amount back meanwhile."""
    world = World()
    (process,) = world.processes
    held = world.take(FEW, cost=10)
    take = world.store.take

    def overtaken(*args: Any) -> Any:
        answer = take(*args)
        monkeypatch.setattr(world.store, "take", take)
        world.later(0.001)
        process.give_back(held)
        assert world.admits(FEW)
        return answer

    world.later(0.001)
    monkeypatch.setattr(world.store, "take", overtaken)
    assert not world.admits(FEW)
    assert world.admits(FEW, cost=9)


def test_what_is_given_back_here_ends_a_refusal() -> None:
    """An amount that was given back in the process ends a remembered refusal."""
    world = World()
    held = world.take(FEW, cost=10)
    world.later(0.001)
    assert not world.admits(FEW)
    world.processes[0].give_back(held)
    assert world.admits(FEW, cost=10)


def test_a_quota_that_was_not_asked_about_is_asked_about() -> None:
    """A remembered refusal by one quota is not used for a request with another quota."""
    world = World()
    world.take(FEW, cost=10)
    world.later(0.001)
    assert not world.admits(FEW)
    assert world.take(FEW, MINUTE).states[1].remaining == MINUTE.count


def test_takes_of_two_owners_are_an_error() -> None:
    """Takes of two owners raise ValueError."""
    world = World()
    with pytest.raises(ValueError, match="must be of one owner"):
        world.processes[0].take([*takes([MINUTE], caller="ann"), *takes([HOUR], caller="bob")])
    assert world.processes[0].health().state == "unused"


def test_two_takes_of_one_counter_are_an_error() -> None:
    """Two takes of one counter raise ValueError."""
    with pytest.raises(ValueError, match="must be of another counter"):
        World().take(FEW, FEW)


def test_nobody_is_named_in_the_store() -> None:
    """The store has digests of issuers, subjects and keys."""
    world = World()
    key = ("per-minute", "issuer", "ann@example.com")
    world.take(MINUTE, caller="ann@example.com")
    assert world.store.owners == [owner_digest(key)]
    assert "ann" not in f"{world.store.owners}{world.store.counters}"


def test_a_call_on_a_connection_that_was_closed_is_made_again_without_rests() -> None:
    """A call on a lost connection is made again without rests, so that none is given back twice."""
    world = World()
    world.lend(FEW)
    world.store.errors = [StoreConnectionLostError("lost")]
    assert world.admits(FEW, cost=5)
    assert world.store.last_asks[0].rests == ()
    world.store.errors = [StoreConnectionLostError("lost")]
    world.later(20)
    assert world.processes[0].keep()
    assert world.processes[0].health().reason == ""


def test_what_was_not_given_back_since_a_connection_was_closed_stays_taken() -> None:
    """A rest that was not given back on a lost connection stays taken, and the store is not down."""
    world = World()
    held = world.lend(FEW)
    world.later(2)
    world.store.errors = [StoreConnectionLostError("lost")]
    world.processes[0].keep()
    assert (world.store.used(), world.processes[0].health().reason) == (2 + held, "")


def test_leases_are_bounded_and_what_goes_is_given_back() -> None:
    """The number of leases is bounded; the lease that was used longest ago is given back first."""
    world = World(max_counters=3)
    for number in range(3):
        assert world.lend(MINUTE, caller=str(number)) > 0
    world.take(MINUTE, caller="new")
    assert world.at_once(MINUTE, caller="0") is None
    assert world.at_once(MINUTE, caller="2") is not None
    assert world.processes[0].health().counters == 3
    world.later(1.1)
    world.processes[0].keep()
    assert world.store.used() == 3 * 2 + 1 + 1


def test_a_caller_that_asks_again_does_not_go_first() -> None:
    """The lease of a caller that has asked again is kept."""
    world = World(max_counters=2)
    for caller in ("a", "b", "a", "new"):
        world.take(MINUTE, caller=caller)
    assert [key[2] for key in world.processes[0]._leases] == ["a", "new"]


def test_a_quota_that_was_lowered_has_nothing_left() -> None:
    """A quota with a lowered count has nothing left."""
    world = World()
    world.take(FEW, cost=10)
    taken = world.take(Quota(4, 60, name="few"))
    assert (taken.admitted, taken.states[0].remaining) == (False, 0)
    assert taken.states[0].wait == pytest.approx(60.5)


def test_what_is_borrowed_is_not_spent_for_a_lower_limit() -> None:
    """A lease for one limit is not spent for a lower limit of the same name."""
    world = World()
    for _ in range(30):
        world.later(0.001)
        assert world.admits(MINUTE)
    assert world.at_once(MINUTE) is not None
    lower = Quota(10, 60)
    assert world.at_once(lower) is None
    world.later(0.001)
    assert not world.admits(lower)
    assert world.admits(MINUTE)


def test_what_was_not_spent_for_another_limit_is_given_back() -> None:
    """A lease for another limit is given back within two seconds."""
    world = World()
    for _ in range(30):
        world.later(0.001)
        world.take(MINUTE)
    world.take(Quota(900, 60))
    world.later(1.0)
    world.processes[0].keep()
    assert world.store.used() == 31


def test_a_quota_whose_window_was_changed_counts_anew() -> None:
    """A quota with another window has a counter of its own."""
    world = World(2)
    world.take(FEW, cost=10)
    assert world.admits(Quota(10, 3600, name="few"), cost=10, process=1)
    assert len(world.store.counters) == 2


@pytest.mark.slow
def test_callers_that_stay_away_are_forgotten_as_others_come() -> None:
    """Leases of inactive callers are dropped as other callers come."""
    world = World(max_counters=100_000)
    for number in range(3000):
        world.later(0.01)
        world.take(HOUR, caller=str(number))
    assert world.processes[0].health().counters < 300


def test_a_process_tells_that_it_is_alive_every_ten_seconds() -> None:
    """A process beats every ten seconds, and gets the number of live processes."""
    world = World()
    world.store.live = 16
    for _ in range(60):
        world.later(0.5)
        world.take(MINUTE)
        assert world.processes[0].keep()
    assert 2 <= world.store.calls.count("beat") <= 4
    assert world.lend(MINUTE) <= 1000 // 32


def test_the_thread_ends_when_nothing_is_asked_for_half_a_minute() -> None:
    """The thread ends after half a minute without a request."""
    world = World()
    world.take(MINUTE)
    world.later(29)
    assert world.processes[0].keep()
    world.later(1.1)
    assert not world.processes[0].keep()


def test_health_counts_requests() -> None:
    """The health counts the admitted and refused requests of this process."""
    world = World()
    for _ in range(13):
        world.take(FEW, MINUTE)
    health = world.processes[0].health()
    assert (health.name, health.counters, health.max_counters) == ("memory://store", 2, 1000)
    assert (health.admitted, health.refused, health.unavailable, health.by_share) == (10, 3, 0, 0)
    assert health.state == "fresh"
    assert repr(world.processes[0]) == "LeasedQuotas('memory://store')"


def _most_in_a_window(admitted: list[tuple[float, int]], seconds: float) -> int:
    most, used, first = 0, 0, 0
    for at, cost in admitted:
        used += cost
        while at - admitted[first][0] >= seconds:
            used -= admitted[first][1]
            first += 1
        most = max(most, used)
    return most


@pytest.mark.parametrize("seed", range(size(8, 300)))
def test_no_window_holds_more_than_the_count(seed: int) -> None:
    """Four processes exceed no quota in any window, for random requests, pauses and restarts."""
    chance = random.Random(seed)
    quotas = [Quota(chance.choice([10, 150, 2000]), 60), Quota(3000, 600), Quota(2500, "day")]
    world = World(4)
    admitted: list[tuple[float, int]] = []
    speed = chance.choice([0.0005, 0.01, 0.3])
    for _ in range(2000):
        world.later(chance.choice([0, speed, speed, 0.2, 5] if chance.random() < 0.05 else [speed]))
        number = chance.randrange(chance.choice([1, 4]))
        cost = chance.randint(1, 7)
        taken: Any = world.at_once(*quotas, cost=cost, process=number)
        if taken is None:
            taken = world.take(*quotas, cost=cost, process=number)
        if taken.admitted and chance.random() < 0.1:
            world.processes[number].give_back(taken)
        elif taken.admitted:
            admitted.append((world.passed, cost))
        if chance.random() < 0.02:
            world.processes[number].keep()
        if chance.random() < 0.001:
            world.processes[number]._begin_process()  # killed and started again
    assert _most_in_a_window(admitted, 60) <= quotas[0].count
    assert _most_in_a_window(admitted, 600) <= 3000
    assert sum(cost for _, cost in admitted) <= 2500


@pytest.mark.parametrize("processes", [1, 4, 16])
def test_99_percent_of_a_quota_can_be_used(processes: int) -> None:
    """99 percent of a quota can be used within a window, although each process has a lease."""
    chance = random.Random(processes)
    world = World(processes)
    admitted = 0
    for step in range(1500):
        world.later(0.03)
        admitted += world.admits(MINUTE, process=chance.randrange(processes))
        if step % 16 == 0:
            for process in world.processes:
                process.keep()
    assert 990 <= admitted <= 1000


def test_threads_of_a_process_take_together_what_there_is() -> None:
    """Threads of a process take together exactly the count of the quota."""
    world = World()
    admitted = []

    def run() -> None:
        for _ in range(300):
            admitted.append(world.admits(MINUTE))

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == 1000
    assert world.store.used() == 1000


def test_the_clock_runs_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock continues while the machine sleeps, if the system has such a clock."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    if boot_clock is not None:
        assert default_clock()() == pytest.approx(time.clock_gettime(boot_clock), abs=30)
        monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert default_clock() is time.monotonic


def _lent_64(world: World, *quotas: Quota) -> None:
    """Have a process borrow the maximum."""
    for _ in range(200):
        world.later(0.0001)
        assert world.admits(*quotas)
        if world.store.last_asks[0].wants == 64:
            return
    raise AssertionError("never borrowed 64")


def _spend(world: World, times: int, *quotas: Quota) -> None:
    """Take so many times from a lease."""
    for _ in range(times):
        world.later(0.0001)
        taken = world.at_once(*quotas)
        assert taken is not None
        assert taken.admitted


def test_more_is_borrowed_when_half_is_spent() -> None:
    """The thread borrows more when half of a lease is spent."""
    world = World()
    _lent_64(world, HOUR, MANY_A_DAY)
    world.store.calls.clear()
    _spend(world, 31, HOUR, MANY_A_DAY)
    world.processes[0].borrow_ahead()
    assert world.store.calls == []
    _spend(world, 1, HOUR, MANY_A_DAY)
    for _ in range(10):
        world.processes[0].borrow_ahead()
        assert world.store.calls == ["take"]
        world.store.calls.clear()
        _spend(world, 64, HOUR, MANY_A_DAY)


def test_what_is_borrowed_ahead_is_counted_once() -> None:
    """An amount that was borrowed ahead is spent once, with the rest of the lease."""
    world = World()
    _lent_64(world, HOUR)
    before = world.store.used()
    _spend(world, 40, HOUR)
    world.processes[0].borrow_ahead()
    lent = world.store.used() - before
    assert lent == 64
    spent = 0
    while world.at_once(HOUR) is not None:
        spent += 1
    assert spent == 63 - 40 + lent  # the request that borrowed took one of the 64


def test_nothing_is_borrowed_ahead_of_a_quota_beside_one_that_is_used_up() -> None:
    """Nothing is borrowed ahead if a quota of the same call is used up."""
    world = World(2)
    few = Quota(1000, 3600, name="few")
    _lent_64(world, HOUR, few)
    _spend(world, 40, HOUR, few)
    assert world.admits(few, cost=1000 - world.store.used() // 2, process=1)
    used = world.store.used()
    world.processes[0].borrow_ahead()
    assert world.store.calls[-1] == "take"
    assert world.store.used() == used
    _spend(world, 23, HOUR, few)
    assert world.at_once(HOUR) is None


def test_a_store_that_fails_ahead_is_noted_and_lends_to_the_next_request() -> None:
    """A store that fails while the thread borrows ahead is recorded, and the lease is still spent."""
    world = World()
    _lent_64(world, HOUR)
    _spend(world, 40, HOUR)
    world.store.is_down = True
    world.processes[0].borrow_ahead()
    assert world.processes[0].health().reason == "Memory: switched off"
    _spend(world, 23, HOUR)
    world.store.is_down = False
    world.later(0.5)
    assert world.admits(HOUR)
    assert world.processes[0].health().reason == ""


def test_a_request_that_borrows_itself_leaves_nothing_for_the_thread() -> None:
    """The thread borrows nothing after a request has borrowed."""
    world = World()
    _lent_64(world, HOUR)
    _spend(world, 63, HOUR)
    assert world.admits(HOUR)
    world.store.calls.clear()
    world.processes[0].borrow_ahead()
    assert world.store.calls == []


def test_a_slow_store_leaves_the_thread_time_to_keep() -> None:
    """With a slow store the thread borrows for few callers at a time, so that it can give back and beat."""
    world = World()
    callers = ["ann", "bob", "cy"]
    for caller in callers:
        while not world.store.last_asks or world.store.last_asks[0].wants < 64:
            world.later(0.0001)
            assert world.admits(HOUR, caller=caller)
        world.store.last_asks.clear()
    for caller in callers:
        for _ in range(40):
            assert world.at_once(HOUR, caller=caller) is not None
    world.store.calls.clear()
    world.store.before = lambda: world.later(0.3)
    world.processes[0].borrow_ahead()
    assert world.store.calls == ["take"] * 2
    world.processes[0].borrow_ahead()
    assert world.store.calls == ["take"] * 3
