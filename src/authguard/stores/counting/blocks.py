"""Decide how much a counter admits and lends. All shared stores of quotas use this arithmetic.

Times are whole microseconds of the store's clock. A window is divided into 120 slots. An amount that is taken
or lent in a slot counts in this slot and in the 120 that follow: never shorter than the window, even if it is
spent at the end of its slot, and at most a 120th longer. A calendar day is one slot.
"""

from collections.abc import Iterable, Sequence

from authguard.stores.counting.backend import Answer, Ask, Rest

SLOTS = 120
MAX_BLOCK = 64  # the greatest amount that one request takes and borrows together, unless it costs more
MICROSECONDS = 1_000_000
DAY = 86_400 * MICROSECONDS
_MAX_PERCENT = 95  # the share of a quota above which nothing is lent
_KEPT = 600 * MICROSECONDS


class Counter:
    """Count one quota of one caller.

    Args:
        epoch: the epoch of the counter, such as the time at which it was created.
        slots: the numbers of the slots in which an amount was taken, in ascending order.
        amounts: the amount taken in each slot.
    """

    __slots__ = ("amounts", "epoch", "slots")

    def __init__(self, epoch: int, slots: Iterable[int] = (), amounts: Iterable[int] = ()) -> None:
        self.epoch = epoch
        self.slots = list(slots)
        self.amounts = list(amounts)

    def advance(self, window: int, now: int, *, is_daily: bool) -> int:
        """Drop expired slots, and return the current slot.

        If the clock was set back, amounts of later slots count from the next slot on, because a lease of them
        may still be spent for the length of a slot. If the last slot is tomorrow by the clock, the counter
        stays on that day, so that no day's quota is given twice.
        """
        current = now // slot_length(window, is_daily=is_daily)
        latest = self.slots[-1] if self.slots else current
        if latest == current + 1 or (latest > current and not is_daily):
            current += 1
        later = 0
        while self.slots and self.slots[-1] > current:
            later += self.amounts.pop()
            self.slots.pop()
        if later:
            # Leases of those slots are not given back, because their numbers will be used again.
            self.epoch += 1
            self.add(current, later)
        first = current if is_daily else current - SLOTS
        while self.slots and self.slots[0] < first:
            del self.slots[0], self.amounts[0]
        return current

    def add(self, slot: int, amount: int) -> None:
        """Count an amount in the last slot or a later one."""
        if self.slots and self.slots[-1] == slot:
            self.amounts[-1] += amount
        else:
            self.slots.append(slot)
            self.amounts.append(amount)

    def give_back(self, epoch: int, slot: int, amount: int) -> None:
        """Take back an amount that was lent in a slot, if that slot still counts."""
        if epoch != self.epoch or slot not in self.slots:
            return
        at = self.slots.index(slot)
        self.amounts[at] -= min(amount, self.amounts[at])
        if not self.amounts[at]:
            del self.slots[at], self.amounts[at]

    def until(self, window: int, *, is_daily: bool) -> int:
        """Return the time after which nothing counts; rounded up, so that it seldom changes."""
        end = 0
        if self.slots:
            end = (self.slots[-1] + 1 + (0 if is_daily else SLOTS)) * slot_length(window, is_daily=is_daily)
        return -(-end // _KEPT) * _KEPT


def slot_length(window: int, *, is_daily: bool) -> int:
    """Return the length of a slot: a 120th of the window, rounded up, or a day."""
    return DAY if is_daily else -(-window * MICROSECONDS // SLOTS)


def take(counters: Sequence[Counter], asks: Sequence[Ask], now: int, live: int) -> tuple[bool, list[Answer]]:
    """Give back rests; then take all costs, or none; then lend.

    Args:
        counters: one for each ask. They are changed; write those for which `is_to_be_kept` is true.
        asks: one for each counter.
        now: the time.
        live: the number of processes that share the free part of the quota.

    Returns:
        the result of `Backend.take`.
    """
    slots = []
    admitted = True
    for counter, ask in zip(counters, asks, strict=True):
        slots.append(counter.advance(ask.window, now, is_daily=ask.is_daily))
        for rest in ask.rests:
            counter.give_back(rest.epoch, rest.slot, rest.amount)
        if ask.enforce and sum(counter.amounts) + ask.cost > ask.limit:
            admitted = False
    if not admitted:
        live = 0
    each = zip(counters, asks, slots, strict=True)
    return admitted, [_take_cost(counter, ask, slot, now, live) for counter, ask, slot in each]


def is_to_be_kept(counter: Counter, epoch: int, ask: Ask, *, admitted: bool) -> bool:
    """Return whether a counter must be written after a step. A refused request usually writes nothing.

    Args:
        counter: the counter after the step.
        epoch: its epoch before the step. If the epoch has changed, the clock was set back, and the new epoch
            must be written.
        ask: the ask of the step.
        admitted: whether the request is admitted.
    """
    return admitted or bool(ask.rests) or counter.epoch != epoch


def _take_cost(counter: Counter, ask: Ask, slot: int, now: int, live: int) -> Answer:
    """Take a cost and lend, unless too little is left or the request is refused (`live` is 0)."""
    used, lent, wait = sum(counter.amounts), 0, 0
    if used + ask.cost > ask.limit:
        wait = _wait(counter, ask, used, now)
    elif live:
        lent = _extra(ask, used + ask.cost, live)
        counter.add(slot, ask.cost + lent)
        used += ask.cost + lent
    reset = _end(counter.slots[0], ask) - now if counter.slots else 0
    length = slot_length(ask.window, is_daily=ask.is_daily)
    ends_in = min((slot + 1) * length - now, DAY // SLOTS if ask.is_daily else length)
    return Answer(used, reset, wait, counter.epoch, slot, ends_in, lent)


def _extra(ask: Ask, used: int, live: int) -> int:
    """Return the amount to lend beyond the cost, which `used` includes."""
    if used * 100 > ask.limit * _MAX_PERCENT:
        return 0
    block = min(MAX_BLOCK, (ask.limit - used) // (2 * live))
    return max(0, min(ask.wants, block - ask.cost))


def _wait(counter: Counter, ask: Ask, used: int, now: int) -> int:
    """Return the time until a cost fits; -1 for never."""
    if ask.cost > ask.limit:
        return -1
    free, at = ask.limit - used, -1
    while free < ask.cost:
        at += 1
        free += counter.amounts[at]
    return _end(counter.slots[at], ask) - now


def _end(slot: int, ask: Ask) -> int:
    """Return the time at which a slot expires."""
    length = slot_length(ask.window, is_daily=ask.is_daily)
    return (slot + (1 if ask.is_daily else SLOTS + 1)) * length


def give_back(counter: Counter, rest: Rest, now: int) -> None:
    """Give back the rest of a lease."""
    counter.advance(rest.window, now, is_daily=rest.is_daily)
    counter.give_back(rest.epoch, rest.slot, rest.amount)
