"""The arithmetic of shared counters: a window never has more than its count, including all leases."""

import random
from collections.abc import Sequence

import pytest

from authguard.stores.counting.backend import Answer, Ask, Rest
from authguard.stores.counting.blocks import (
    DAY,
    MAX_BLOCK,
    MICROSECONDS,
    SLOTS,
    Counter,
    give_back,
    slot_length,
    take,
)
from sizes import size

NOON = 20_000 * DAY + DAY // 2
MINUTE = 60


def ask(
    count: int,
    window: int = MINUTE,
    *,
    is_daily: bool = False,
    cost: int = 1,
    enforce: bool = True,
    wants: int = 0,
    rests: Sequence[Rest] = (),
) -> Ask:
    return Ask("key", count, window, is_daily, cost, enforce, wants, rests)


def rest_of(answer: Answer, amount: int, *, window: int = MINUTE, is_daily: bool = False) -> Rest:
    return Rest("owner", "key", window, is_daily, answer.epoch, answer.slot, amount)


def take_single(counter: Counter, what: Ask, now: int, live: int = 1) -> tuple[bool, Answer]:
    admitted, [answer] = take([counter], [what], now, live)
    return admitted, answer


def test_a_slot_is_a_120th_of_the_window_rounded_up() -> None:
    """The length of a slot is a 120th of the window, rounded up to a microsecond."""
    assert [slot_length(window, is_daily=False) for window in (1, 60, 7)] == [8334, 500_000, 58_334]
    assert slot_length(86_400, is_daily=True) == DAY


@pytest.mark.parametrize("window", [1, 7, 60, 86_400, 366 * 86_400])
def test_what_is_taken_counts_for_the_window_and_a_120th_longer_at_most(window: int) -> None:
    """A taken amount counts for the window, and at most a 120th longer, from the end of its slot."""
    length = slot_length(window, is_daily=False)
    for now in (NOON, NOON // length * length, NOON // length * length + length - 1):
        counter = Counter(now)
        _, answer = take_single(counter, ask(1, window), now)
        assert answer.ends_in + window * MICROSECONDS <= answer.reset
        assert answer.reset <= (SLOTS + 1) * length <= (window + window / 120) * MICROSECONDS + 121
        assert take_single(counter, ask(1, window), now + answer.reset - 1)[0] is False
        assert take_single(counter, ask(1, window), now + answer.reset)[0] is True


def test_a_refused_request_takes_from_no_quota() -> None:
    """If one of two quotas has too little, nothing is taken from the other."""
    counters = [Counter(NOON), Counter(NOON)]
    take(counters, [ask(5, cost=4), ask(50, cost=4)], NOON, 1)
    admitted, answers = take(counters, [ask(5, cost=2, wants=9), ask(50, cost=2, wants=9)], NOON, 1)
    assert not admitted
    assert [(answer.used, answer.lent) for answer in answers] == [(4, 0), (4, 0)]
    assert [answer.wait > 0 for answer in answers] == [True, False]


def test_a_quota_that_is_not_enforced_and_short_is_left_alone() -> None:
    """A quota with `enforce=False` that is too small is skipped, and the others are taken from."""
    counters = [Counter(NOON), Counter(NOON)]
    asks = [ask(1, enforce=False), ask(50)]
    assert [take(counters, asks, NOON, 1)[0] for _ in range(3)] == [True] * 3
    assert [sum(counter.amounts) for counter in counters] == [1, 3]


def test_rests_come_back_before_the_cost_is_looked_at() -> None:
    """Rests are given back before the cost is checked, also if the request is refused."""
    counter = Counter(NOON)
    _, first = take_single(counter, ask(10, wants=3), NOON)
    assert first.lent == 3
    assert take_single(counter, ask(10, cost=9, rests=[rest_of(first, 3)]), NOON)[0]
    _, second = take_single(Counter(NOON), ask(100, wants=40), NOON)
    counter = Counter(second.epoch, [second.slot], [second.used])
    admitted, answer = take_single(counter, ask(100, cost=101, rests=[rest_of(second, second.lent)]), NOON)
    assert (admitted, answer.used, answer.wait) == (False, 1, -1)


@pytest.mark.parametrize(
    ("epoch", "slot", "amount", "used"), [(0, 0, 5, 5), (1, 0, 5, 10), (0, 1, 5, 10), (0, 0, 50, 0)]
)
def test_a_rest_is_taken_from_its_own_slot_alone(epoch: int, slot: int, amount: int, used: int) -> None:
    """A rest is given back to its own slot and epoch alone, and the amount never falls below zero."""
    counter = Counter(NOON)
    _, answer = take_single(counter, ask(100, cost=10), NOON)
    rest = Rest("owner", "key", MINUTE, False, answer.epoch + epoch, answer.slot + slot, amount)
    give_back(counter, rest, NOON)
    assert sum(counter.amounts) == used


def test_a_rest_that_counts_no_longer_is_ignored() -> None:
    """A rest of a slot whose window has ended is ignored."""
    counter = Counter(NOON)
    _, old = take_single(counter, ask(100, cost=10), NOON)
    later = NOON + old.reset
    take_single(counter, ask(100, cost=10), later)
    give_back(counter, rest_of(old, 10), later)
    assert sum(counter.amounts) == 10


@pytest.mark.parametrize(
    ("count", "cost", "live", "wants", "lent"),
    [
        (1000, 1, 1, 64, 63),
        (1000, 1, 1, 5, 5),
        (1000, 1, 1, 0, 0),
        (1000, 1, 16, 64, 999 // 32 - 1),
        (1000, 63, 1, 64, 1),
        (1000, 64, 1, 64, 0),
        (1000, 200, 1, 64, 0),
        (1000, 950, 1, 64, 0),
        (10, 1, 2, 64, 1),
        (1, 1, 1, 64, 0),
    ],
)
def test_half_of_what_is_left_is_lent_by_all_together(
    count: int, cost: int, live: int, wants: int, lent: int
) -> None:
    """All processes together borrow at most half of the rest, each at most 64 and its wish."""
    assert take_single(Counter(NOON), ask(count, cost=cost, wants=wants), NOON, live)[1].lent == lent


def test_nothing_is_lent_above_95_percent() -> None:
    """Nothing is lent above 95 percent of the count."""
    counter = Counter(NOON)
    take_single(counter, ask(1000, cost=949), NOON)
    assert take_single(counter, ask(1000, wants=64), NOON)[1].lent == 24  # 950 are used
    assert take_single(counter, ask(1000, wants=64), NOON)[1].lent == 0


def test_a_refused_cost_is_told_when_it_fits() -> None:
    """A refused cost has the time until it fits, and -1 if it is above the count."""
    counter = Counter(NOON)
    for seconds in (0, 10, 20):
        take_single(counter, ask(9, cost=3), NOON + seconds * MICROSECONDS)
    now = NOON + 20 * MICROSECONDS
    for cost, wait in ((1, 40.5), (3, 40.5), (4, 50.5), (9, 60.5)):
        admitted, answer = take_single(counter, ask(9, cost=cost), now)
        assert (admitted, answer.wait) == (False, wait * MICROSECONDS)
    assert take_single(counter, ask(9, cost=10), now)[1].wait == -1


def test_a_clock_that_goes_back_forgets_nothing_and_blocks_for_a_window_at_most() -> None:
    """After the clock went back, all amounts count for one more window at most."""
    counter = Counter(NOON)
    for seconds in range(50):
        take_single(counter, ask(50), NOON + seconds * MICROSECONDS)
    back = NOON - 3600 * MICROSECONDS
    admitted, answer = take_single(counter, ask(50), back)
    assert (admitted, answer.used) == (False, 50)
    assert answer.wait <= 61 * MICROSECONDS
    assert take_single(counter, ask(50), back + answer.wait)[0]


def test_what_is_lent_before_the_clock_goes_back_counts_for_a_window_after_it_is_spent() -> None:
    """A lease from before the clock went back counts for a window after its last moment."""
    counter = Counter(NOON)
    _, answer = take_single(counter, ask(101, wants=49), NOON)
    assert (answer.used, answer.ends_in) == (50, MICROSECONDS // 2)
    just_before_the_next_slot = NOON - 3600 * MICROSECONDS - 1
    assert not take_single(counter, ask(50, cost=1), just_before_the_next_slot)[0]
    spent = just_before_the_next_slot + answer.ends_in
    assert not take_single(counter, ask(50, cost=1), spent + MINUTE * MICROSECONDS)[0]


def test_a_lease_after_the_clock_went_back_lives_no_longer_than_any_other() -> None:
    """A lease after the clock went back has the usual life, although its slot is the next one."""
    counter = Counter(NOON)
    take_single(counter, ask(100), NOON)
    _, answer = take_single(counter, ask(100, wants=64), NOON - 10 * MICROSECONDS)
    assert (answer.lent > 0, answer.ends_in) == (True, MICROSECONDS // 2)


def test_a_lease_of_a_slot_that_comes_again_is_not_given_back() -> None:
    """A lease of a slot is not given back to a later slot with the same number."""
    counter = Counter(NOON)
    _, before = take_single(counter, ask(100, cost=1, wants=9), NOON)
    take_single(counter, ask(100), NOON - 10 * MICROSECONDS)
    _, again = take_single(counter, ask(100, cost=20), NOON)
    assert again.slot == before.slot
    assert again.epoch != before.epoch
    give_back(counter, rest_of(before, 9), NOON)
    assert sum(counter.amounts) == 1 + 9 + 1 + 20


def test_a_day_ends_at_midnight_utc() -> None:
    """The quota of a day is full again at midnight UTC."""
    counter = Counter(NOON)
    daily = ask(3, 86_400, is_daily=True, cost=3)
    _, answer = take_single(counter, daily, NOON)
    assert answer.reset == DAY // 2
    assert take_single(counter, daily, NOON + DAY // 2 - 1)[1].wait == 1
    assert take_single(counter, daily, NOON + DAY // 2)[0]


def test_a_lease_of_a_day_ends_after_a_120th_of_it_or_at_midnight() -> None:
    """A lease of a day ends after a 120th of the day, or at midnight."""
    daily = ask(1000, 86_400, is_daily=True, wants=64)
    assert take_single(Counter(NOON), daily, NOON)[1].ends_in == 720 * MICROSECONDS
    assert take_single(Counter(NOON), daily, NOON + DAY // 2 - 5)[1].ends_in == 5


def test_a_day_is_not_given_twice_if_the_clock_goes_back() -> None:
    """The quota of a day is not full again if the clock goes back."""
    counter, daily = Counter(NOON), ask(3, 86_400, is_daily=True, cost=3)
    assert take_single(counter, daily, NOON)[0]
    assert take_single(counter, daily, NOON - DAY) == (
        False,
        (3, 3 * DAY // 2, 3 * DAY // 2, *counter_tail(counter)),
    )
    assert take_single(counter, daily, NOON + DAY // 2)[0]


def counter_tail(counter: Counter) -> tuple[int, ...]:
    return (counter.epoch, counter.slots[-1], 720 * MICROSECONDS, 0)


def test_a_clock_that_was_days_ahead_does_not_block_for_days() -> None:
    """The amounts of a clock that was days ahead count for the current day."""
    counter, daily = Counter(NOON), ask(3, 86_400, is_daily=True, cost=3)
    take_single(counter, daily, NOON + 30 * DAY)
    admitted, answer = take_single(counter, daily, NOON)
    assert (admitted, answer.wait) == (False, DAY // 2)


@pytest.mark.parametrize("seed", range(size(20, 400)))
def test_no_window_holds_more_than_the_count(seed: int) -> None:
    """No window has more than the count, even if leases are spent last and rests are given back late."""
    chance = random.Random(seed)
    count, window = chance.choice([1, 7, 100, 5000]), chance.choice([1, 60, 3600])
    counter, now = Counter(NOON), NOON
    spent: list[tuple[int, int]] = []
    leases: list[tuple[Answer, int, int]] = []
    refused = 0
    for _ in range(600):
        now += round(chance.choice([0, 0.001, 0.01, 0.3]) * window * MICROSECONDS)
        rests = []
        for at in reversed(range(len(leases))):
            answer, ends, amount = leases[at]
            if now >= ends or chance.random() < 0.2:
                del leases[at]
                used = chance.randint(0, amount)
                spent.append((min(now, ends - 1), used))
                if chance.random() < 0.8:
                    rests.append(rest_of(answer, amount - used, window=window))
        cost = chance.randint(1, max(1, min(count, count // 20)))
        admitted, answer = take_single(
            counter, ask(count, window, cost=cost, wants=MAX_BLOCK, rests=rests), now, chance.choice([1, 4])
        )
        assert answer.used == sum(counter.amounts) <= count
        assert len(counter.slots) <= SLOTS + 1
        if admitted:
            spent.append((now, cost))
            leases.append((answer, now + answer.ends_in, answer.lent))
        refused += not admitted
    spent.sort()
    first = used = 0
    for at, cost in spent:
        used += cost
        while at - spent[first][0] >= window * MICROSECONDS:
            used -= spent[first][1]
            first += 1
        assert used <= count
    assert refused or count == 5000


def test_until_is_when_nothing_counts_any_more_and_seldom_changes() -> None:
    """`until` is after the end of the last window, and is the same for requests that follow soon."""
    counter = Counter(NOON)
    assert counter.until(MINUTE, is_daily=False) == 0
    _, answer = take_single(counter, ask(10), NOON)
    until = counter.until(MINUTE, is_daily=False)
    assert NOON + answer.reset <= until < NOON + answer.reset + 600 * MICROSECONDS
    take_single(counter, ask(10), NOON + MICROSECONDS)
    assert counter.until(MINUTE, is_daily=False) == until
