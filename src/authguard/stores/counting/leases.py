"""Count quotas for several processes, each of which borrows a small part in advance."""

import atexit
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from math import inf
from threading import Condition, Lock
from typing import TypeAlias
from weakref import WeakMethod

from authguard._core.options import Duration, check_seconds, check_whole
from authguard._core.quota_store import CounterKey, QuotaHealth, QuotaState, Take, Taken
from authguard.stores.counting.backend import Answer, Ask, Backend, Rest, StoreConnectionLostError
from authguard.stores.counting.blocks import MICROSECONDS
from authguard.stores.counting.clock import default_clock
from authguard.stores.counting.keeper import Keeper
from authguard.stores.counting.lease import Lease
from authguard.stores.counting.lease_table import LeaseTable
from authguard.stores.counting.outage import ByShare, Outage, QuotasDown, check_quotas_down
from authguard.stores.log import StoreDownError

MIN_TIMEOUT, MAX_TIMEOUT = 0.05, 30.0  # seconds
BEAT_SECONDS = 10.0
_TICK_SECONDS = 0.5
_ACTIVE_SECONDS = 30.0
_ASSUMED_PROCESSES = 8  # the assumed number until the store has reported it

# The same as Taken(…), with one call less.
_new_taken = partial(tuple.__new__, Taken)
# A lease, the epoch and slot in which a cost was taken, and the cost.
_Paid: TypeAlias = tuple[Lease, int, int, int]


class LeasedQuotas:
    """Count quotas in a store that processes share, asking it for few of the requests.

    Args:
        open_backend: a function that opens the store, given the timeout of a call in seconds.
        name: of the store, without secrets.
        quotas_down: the behaviour while the store is down.
        processes: the number of processes, for `"local"`.
        timeout: seconds that a call may take.
        max_counters: the greatest number of counters (callers times quotas) with borrowed amounts.
        monotonic: a monotonic clock; it limits the time for which a lease may be spent.
        clock: seconds since the epoch, for calendar days while the store is down.
        tick: seconds between two runs of `keep` in a thread; None for no thread.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    def __init__(
        self,
        open_backend: Callable[[float], Backend],
        name: str,
        *,
        quotas_down: QuotasDown,
        processes: int | None,
        timeout: float | Duration,
        max_counters: int,
        monotonic: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.time,
        tick: float | None = _TICK_SECONDS,
    ) -> None:
        self._name = name
        self._monotonic = monotonic or default_clock()
        self._max_counters = check_whole(max_counters, "max_counters")
        self._live = processes or _ASSUMED_PROCESSES
        self._new_outage = partial(
            Outage,
            name,
            check_quotas_down(quotas_down, processes),
            max_counters=self._max_counters,
            monotonic=self._monotonic,
            clock=clock,
        )
        self._timeout = check_seconds(timeout, "timeout", MAX_TIMEOUT, least=MIN_TIMEOUT)
        self._backend = open_backend(self._timeout)
        self._keeper = Keeper(self.keep, self.borrow_ahead, tick, "authguard-quotas")
        self._begin_process()
        os.register_at_fork(
            before=_weakly(self._keeper.pause),
            after_in_parent=_weakly(self._keeper.resume),
            after_in_child=_weakly(self._begin_process),
        )
        atexit.register(_weakly(self.close))

    def _begin_process(self) -> None:
        """Reset all state: the leases of the parent process remain the parent's."""
        self._lock = Lock()
        self._process = secrets.token_hex(8)
        self._table = LeaseTable(self._max_counters)
        self._leases = self._table.leases
        self._admitted = self._refused = self._would_refuse = 0
        self._low: dict[CounterKey, Sequence[Take]] = {}  # takes to borrow for, by their first counter
        self._borrowing: set[CounterKey] = set()  # counters for which the thread borrows
        self._arrived = Condition(self._lock)
        self._beat_at = self._active_until = 0.0
        self._outage = self._new_outage()
        self._keeper.forget()
        self._backend.forget()

    def take_at_once(self, takes: Sequence[Take]) -> Taken | None:
        """Take from borrowed amounts, or refuse if the store has just refused.

        Returns:
            the result of `take`; None if the store must decide.

        Raises:
            ValueError: if a cost is below 1.
        """
        with self._lock:
            now = self._monotonic()
            paid: list[_Paid] = []
            short = None
            is_low = False
            for key, quota, cost in takes:
                if cost < 1:
                    raise ValueError(f"cost must be at least 1, got {cost}")
                lease = self._leases.get(key)
                if lease is None or lease.limit != quota.count:
                    break
                if cost <= lease.amount and now < lease.ends:
                    paid.append((lease, lease.epoch, lease.slot, cost))
                    is_low = is_low or lease.amount - cost <= lease.low
                elif not quota.enforce and lease.is_short(cost, now):
                    short = lease
                else:
                    break
            else:
                self._admitted += 1
                if is_low:
                    self._note_low(takes)
                if short is None:
                    return _new_taken((True, [lease.spend(cost, now) for lease, _, _, cost in paid], paid))
                self._would_refuse += 1
                return Taken(True, self._spend_around(takes, now), paid)
            states = self._table.refused_states(takes, now)
            if states:
                self._refused += 1
                return Taken(False, states)
            if self._outage.is_due(now):
                return None
        return self._outage.take_at_once(takes)

    def _spend_around(self, takes: Sequence[Take], now: float) -> list[QuotaState]:
        """Take from borrowed amounts, and skip quotas that are not enforced and have too little."""
        states = []
        for key, _, cost in takes:
            lease = self._leases[key]
            if cost <= lease.amount and now < lease.ends:
                states.append(lease.spend(cost, now))
            else:
                states.append(QuotaState(lease.free, max(0.0, lease.reset_at - now), lease.fits_at - now))
        return states

    def _note_low(self, takes: Sequence[Take]) -> None:
        """Let the thread borrow more before all is spent, so that no request waits for the store."""
        for key, _, _ in takes:
            self._leases[key].low = -1
        if len(self._low) < self._max_counters:
            self._low[takes[0].key] = takes
        self._keeper.wake()

    def take(self, takes: Sequence[Take]) -> Taken:
        """Take from all quotas in one step, or from none if an enforced quota has too little.

        Raises:
            ValueError: if a cost is below 1, or the takes have different owners.
            QuotaUnavailableError: if the store is down.
        """
        taken = self.take_at_once(takes)  # another thread may have borrowed meanwhile
        if taken is None and self._wait_for_more(takes):
            taken = self.take_at_once(takes)
        if taken is not None:
            return taken
        with self._lock:
            now = self._monotonic()
            leases = [self._table.lease_for(take, now) for take in takes]
            if len(set(leases)) < len(leases):
                raise ValueError("each take must be of another counter")
            if len({lease.owner for lease in leases}) != 1:
                raise ValueError("all takes must be of one owner, the issuer and subject in their keys")
            may_ask = self._outage.may_ask(now)
            self._low.pop(takes[0].key, None)  # this request borrows more
            self._active_until = now + _ACTIVE_SECONDS
            asks = [lease.begin(take, now) for lease, take in zip(leases, takes, strict=True) if may_ask]
        if not may_ask:
            return self._outage.take(takes)
        answered = None
        try:
            answered = self._ask(leases[0].owner, asks)
        except Exception as error:
            self._note_failure(error)
        finally:
            with self._lock:
                taken = self._taken(leases, asks, answered, now)
        self._keeper.start()
        if taken is None:
            return self._outage.take(takes)
        self._outage.note_success()
        return taken

    def _wait_for_more(self, takes: Sequence[Take]) -> bool:
        """Wait while the thread is borrowing; return False if it borrows nothing for these takes."""
        keys = {key for key, _, _ in takes}
        with self._lock:
            if self._borrowing.isdisjoint(keys):
                return False
            return self._arrived.wait_for(lambda: self._borrowing.isdisjoint(keys), self._timeout)

    def _ask(self, owner: str, asks: Sequence[Ask]) -> tuple[bool, Sequence[Answer]]:
        try:
            admitted, answers = self._backend.take(owner, asks, self._live)
        except StoreConnectionLostError:
            again = [ask._replace(rests=()) for ask in asks]
            admitted, answers = self._backend.take(owner, again, self._live)
        if len(answers) != len(asks):
            raise StoreDownError("the store gave a wrong answer")
        return bool(admitted), [Answer(*map(int, answer)) for answer in answers]

    def _taken(
        self,
        leases: Sequence[Lease],
        asks: Sequence[Ask],
        answered: tuple[bool, Sequence[Answer]] | None,
        started: float,
    ) -> Taken | None:
        """Apply the store's answer and return it; return None if the store did not answer."""
        if answered is None:
            for lease, ask in zip(leases, asks, strict=True):
                lease.end(ask, None, started, started)
            return None
        admitted, answers = answered
        ended = self._monotonic()
        self._admitted += admitted
        self._refused += not admitted
        self._would_refuse += admitted and any(answer.wait for answer in answers)
        states, paid = [], []
        for lease, ask, answer in zip(leases, asks, answers, strict=True):
            lease.end(ask, answer, started, ended)
            if answer.lent:
                self._table.note_unreturned(lease)
            if admitted and not answer.wait:
                paid.append((lease, answer.epoch, answer.slot, ask.cost))
            wait = inf if answer.wait < 0 else answer.wait / MICROSECONDS
            states.append(QuotaState(lease.free + lease.amount, answer.reset / MICROSECONDS, wait))
        return Taken(admitted, states, paid)

    def give_back(self, taken: Taken) -> None:
        """Undo a `take` that was admitted, because its request was refused for another reason.

        The cost can be spent again at once, or is given back to the store within two seconds.
        """
        if isinstance(taken.receipt, ByShare):
            self._outage.give_back(taken.receipt)
            return
        with self._lock:
            paid: Sequence[_Paid] = taken.receipt or ()
            for lease, epoch, slot, cost in paid:
                lease.give_back(epoch, slot, cost)
                self._table.note_unreturned(lease)
        self._keeper.start()

    def health(self) -> QuotaHealth:
        """Return the health of the store, and the counts of this process."""
        outage = self._outage
        admitted, refused, would_refuse = outage.counts()
        return QuotaHealth(
            self._name,
            len(self._leases),
            self._max_counters,
            self._admitted + admitted,
            self._refused + refused,
            self._would_refuse + would_refuse,
            outage.reason,
            unavailable=outage.unavailable,
            by_share=outage.by_share,
        )

    def keep(self) -> bool:
        """Give back expired rests, and note that this process is alive.

        Returns:
            whether the thread has more to do.
        """
        with self._lock:
            now = self._monotonic()
            is_down = bool(self._outage.reason)
            if not self._outage.may_ask(now):
                return True
        try:
            if is_down or now >= self._beat_at:
                self._live = self._outage.note_processes(self._beat())
                self._beat_at = now + BEAT_SECONDS
                self._outage.note_success()
            self._return_rests(now)
        except Exception as error:
            self._note_failure(error)
            return True
        with self._lock:
            return self._table.has_unreturned or now < self._active_until

    def borrow_ahead(self) -> None:
        """Borrow more for leases that are nearly spent. If that fails, a later request borrows.

        If the store is slow, some leases wait for the next run: `keep` must also run, and a fork waits for
        the end of a run.
        """
        ends = self._monotonic() + _TICK_SECONDS
        while (now := self._monotonic()) < ends:
            with self._lock:
                if not self._low or self._outage.reason:
                    self._low.clear()
                    return
                _, takes = self._low.popitem()
                asks = self._begin_ahead(takes, now)
            if asks:
                self._borrow(asks, now)
        self._keeper.wake()

    def _begin_ahead(self, takes: Sequence[Take], now: float) -> dict[CounterKey, tuple[Lease, Ask]]:
        self._active_until = now + _ACTIVE_SECONDS
        asks = {}
        for key, quota, _ in takes:
            lease = self._leases.get(key)
            if lease is not None and lease.limit == quota.count and (ask := lease.begin_ahead(quota, now)):
                asks[key] = lease, ask
        self._borrowing.update(asks)
        return asks

    def _borrow(self, asks: Mapping[CounterKey, tuple[Lease, Ask]], started: float) -> None:
        admitted = False
        answers: Sequence[Answer] = ()
        try:
            owner = next(iter(asks.values()))[0].owner
            admitted, answers = self._ask(owner, [ask for _, ask in asks.values()])
        except Exception as error:
            self._note_failure(error)
        finally:
            with self._lock:
                ended = self._monotonic()
                for (lease, ask), answer in zip_longest(asks.values(), answers):
                    lease.end_ahead(ask, answer, started, ended, admitted=admitted)
                    self._table.note_unreturned(lease)
                self._borrowing.difference_update(asks)
                self._arrived.notify_all()

    def _return_rests(self, now: float) -> None:
        """Give back expired rests. If the call fails, they stay taken."""
        while rests := self._collect(now):
            with suppress(StoreConnectionLostError):  # the rests stay taken, and the next call connects again
                self._backend.give_back(rests)

    def _beat(self) -> int:
        try:
            return self._backend.beat(self._process)
        except StoreConnectionLostError:
            return self._backend.beat(self._process)

    def _collect(self, now: float) -> list[Rest]:
        with self._lock:
            return self._table.collect(now)

    def give_back_unused(self) -> None:
        """Give back all borrowed amounts, unless the store is down; a later request borrows again."""
        try:
            if not self._outage.reason:
                self._return_rests(inf)
        except Exception as error:
            self._note_failure(error)

    def close(self) -> None:
        """Give back all borrowed amounts, and close the connections; a later request opens new ones."""
        self._keeper.stop()
        self.give_back_unused()
        self._backend.close()

    def _note_failure(self, error: Exception) -> None:
        # The text of other exceptions may contain a URL or the values that were sent.
        is_known = isinstance(error, StoreDownError)
        self._outage.note_failure(str(error) if is_known else type(error).__name__, self._monotonic())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls a method while its object exists."""
    reference = WeakMethod(method)
    return lambda: None if (bound := reference()) is None else bound()
