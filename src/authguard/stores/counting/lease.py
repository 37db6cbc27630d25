"""Manage the part of one counter that this process has borrowed."""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from math import inf

from authguard._core.quota import Quota
from authguard._core.quota_store import CounterKey, QuotaState, Take
from authguard.stores.counting.backend import Answer, Ask, Rest
from authguard.stores.counting.blocks import MAX_BLOCK, MICROSECONDS, slot_length

#: Seconds for which an amount is borrowed; shorter for windows below 120 seconds.
MAX_LIFE = 1.0
#: Seconds for which a refusal is reused, so that a caller who keeps sending does not load the store.
REFUSED_SECONDS = 0.05
_GROWTH = 4  # amount to borrow next, for each unit spent
_MIN_AHEAD = 16  # for smaller amounts, half would be spent before more could be borrowed
_DIGEST = 32  # hexadecimal digits
# The same as QuotaState(…), with one call less.
_new_state = partial(tuple.__new__, QuotaState)


class Lease:
    """Manage the amount borrowed from one counter, and the last answer of the store about it.

    Args:
        take: the first take of the counter.

    Attributes:
        owner: a digest of the caller.
        limit: the size of the quota; a quota of another size, such as that of another guard with this store,
            does not use this lease.
        amount: the unspent amount.
        ends: the time until which it may be spent, by the monotonic clock of this process.
        epoch: the epoch of the counter that lent it.
        slot: the slot in which it was lent.
        free: the amount that was left in the store.
        reset_at: the time at which the store has more.
        fits_at: the time at which the refused cost fits.
        short_until: until this time, costs from `short_cost` on are known not to fit.
        short_cost: the smallest cost that is known not to fit.
        refused_until: until this time, such costs are refused without asking the store.
        low: at this amount, more is borrowed in advance; -1 for never.
        is_borrowing: whether a call that borrows more is in progress.
        rests: unspent parts of earlier leases, by epoch and slot.
    """

    __slots__ = (
        "_asked_at",
        "_asked_before",
        "_is_daily",
        "_key",
        "_life",
        "_passed_at",
        "_spent",
        "_spent_before",
        "_window",
        "amount",
        "ends",
        "epoch",
        "fits_at",
        "free",
        "is_borrowing",
        "limit",
        "low",
        "owner",
        "refused_until",
        "reset_at",
        "rests",
        "short_cost",
        "short_until",
        "slot",
    )

    def __init__(self, take: Take) -> None:
        quota = take.quota
        self.owner = owner_digest(take.key)
        self.limit = quota.count
        self._window, self._is_daily = quota.window, quota.is_daily
        self._key = _digest((*take.key, str(quota.window), "day" if quota.is_daily else ""))
        self._life = min(MAX_LIFE, slot_length(quota.window, is_daily=quota.is_daily) / MICROSECONDS)
        self._asked_at = self._asked_before = 0.0
        self._passed_at = -inf
        self._spent = self._spent_before = 0
        self.amount = self.epoch = self.slot = self.free = self.short_cost = 0
        self.ends = self.reset_at = self.fits_at = self.short_until = self.refused_until = 0.0
        self.low = -1
        self.is_borrowing = False
        self.rests: dict[tuple[int, int], int] = {}

    def spend(self, cost: int, now: float) -> QuotaState:
        """Take a cost from the borrowed amount, and return the amount that remains here and in the store."""
        self.amount -= cost
        self._spent += cost
        return _new_state((self.free + self.amount, max(0.0, self.reset_at - now), 0.0))

    def is_short(self, cost: int, now: float) -> bool:
        """Return whether the store is known to have too little for a cost."""
        return now < self.short_until and cost >= self.short_cost

    def is_refused(self, cost: int, now: float) -> bool:
        """Return whether the store has just refused a cost, and this lease has nothing to give back."""
        return now < self.refused_until and cost >= self.short_cost and not (self.amount or self.rests)

    def state(self, cost: int, now: float) -> QuotaState:
        """Return the state of the quota, as far as this process knows it."""
        wait = self.fits_at - now if self.is_short(cost, now) else 0.0
        return QuotaState(self.free + self.amount, max(0.0, self.reset_at - now), wait)

    def begin(self, take: Take, now: float) -> Ask:
        """Return the ask for a cost; it gives back the rests of earlier leases.

        It asks for as much more as will probably be spent while the lease lasts, estimated from the previous
        lease. Of several calls at the same time, only one asks for more.
        """
        wants = self._begin_to_borrow(now)
        self._spent += take.cost
        return self._ask(take.quota, take.cost, wants, self.let_go())

    def begin_ahead(self, quota: Quota, now: float) -> Ask | None:
        """Return an ask that borrows more before all is spent; None if little was spent lately.

        The unspent amount stays. The rests of earlier leases are given back.
        """
        wants = self._begin_to_borrow(now)
        if not wants:
            return None
        # A call takes at least 1; this unit is added to the lease.
        return self._ask(quota, 1, wants - 1, self.take_rests())

    def _begin_to_borrow(self, now: float) -> int:
        """Return how much to borrow: as much as will probably be spent while the lease lasts."""
        if self.is_borrowing:
            return 0
        spent, before = self._spent, self._spent_before
        # The rate is measured since the last call, or since the one before: a slot may end soon after a call,
        # with little spent.
        passed, longer = max(now - self._asked_at, 1e-9), max(now - self._asked_before, 1e-9)
        rate = max(spent / passed, (before + spent) / longer)
        wants = int(min(rate * self._life, _GROWTH * max(before, spent), MAX_BLOCK))
        self._asked_before, self._spent_before = self._asked_at, self._spent
        self._asked_at, self._spent = now, 0
        self.is_borrowing = wants > 0
        return wants

    def _ask(self, quota: Quota, cost: int, wants: int, rests: Sequence[Rest]) -> Ask:
        return Ask(self._key, quota.count, self._window, self._is_daily, cost, quota.enforce, wants, rests)

    def end_ahead(
        self, ask: Ask, answer: Answer | None, started: float, ended: float, *, admitted: bool
    ) -> None:
        """Apply the store's answer to `begin_ahead`; the arguments are those of `end`.

        The store has taken the cost only if the call was admitted.
        """
        self.is_borrowing = False
        if answer is not None and admitted and not answer.wait:
            answer = answer._replace(lent=answer.lent + ask.cost)
        self.end(ask, answer, started, ended)

    def end(self, ask: Ask, answer: Answer | None, started: float, ended: float) -> None:
        """Apply the store's answer.

        Args:
            ask: the ask that was sent.
            answer: the answer; None if the store did not answer.
            started: the time before the call.
            ended: the time after it.
        """
        if ask.wants:
            self.is_borrowing = False
        if answer is None:
            return
        self.free = max(0, ask.limit - answer.used)
        self.reset_at = started + answer.reset / MICROSECONDS
        if answer.wait:
            self.short_cost = ask.cost
            self.fits_at = inf if answer.wait < 0 else started + answer.wait / MICROSECONDS
            self.short_until = min(self.fits_at, started + MAX_LIFE)
            # A simultaneous call may have given quota back after the store refused this one.
            is_known = started > self._passed_at
            self.refused_until = min(self.fits_at, started + REFUSED_SECONDS) if is_known else 0.0
        else:
            self.refused_until = 0.0
        if ask.rests or not answer.wait:
            self._passed_at = ended
        if answer.lent:
            if (answer.epoch, answer.slot) != (self.epoch, self.slot):
                self._set_aside()
            self.amount += answer.lent
            self.epoch, self.slot = answer.epoch, answer.slot
            self.low = answer.lent // 2 if answer.lent >= _MIN_AHEAD else -1
            # The time is that before the call, so the lease ends no later than the store's slot.
            self.ends = started + min(MAX_LIFE, answer.ends_in / MICROSECONDS)

    def give_back(self, epoch: int, slot: int, cost: int) -> None:
        """Undo a cost: it can be spent again, or is given back to the store."""
        if self.amount and (epoch, slot) == (self.epoch, self.slot):
            self.amount += cost
        else:
            self.rests[epoch, slot] = self.rests.get((epoch, slot), 0) + cost

    def let_go(self) -> list[Rest]:
        """Return the unspent amount, which has expired."""
        self._set_aside()
        return self.take_rests()

    def take_rests(self) -> list[Rest]:
        """Return the rests of earlier leases."""
        rests = [
            Rest(self.owner, self._key, self._window, self._is_daily, epoch, slot, amount)
            for (epoch, slot), amount in self.rests.items()
        ]
        self.rests.clear()
        return rests

    def is_in_use(self, now: float) -> bool:
        """Return whether the lease is needed. Its rate is measured for a while after the last ask."""
        return self.is_borrowing or now < self._asked_at + MAX_LIFE

    def _set_aside(self) -> None:
        if self.amount:
            place = (self.epoch, self.slot)
            self.rests[place] = self.rests.get(place, 0) + self.amount
            self.amount = 0


def owner_digest(key: CounterKey) -> str:
    """Return a digest of the issuer and subject of a counter."""
    return _digest(key[1:3])


def _digest(key: CounterKey) -> str:
    return sha256(repr(key).encode()).hexdigest()[:_DIGEST]
