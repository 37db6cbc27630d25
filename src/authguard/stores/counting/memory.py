"""Count quotas in the memory of one process."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import TypeAlias

from authguard._core.options import check_clock, check_function, check_whole, named_options
from authguard._core.quota_store import CounterKey, QuotaHealth, QuotaState, Take, Taken
from authguard.errors import QuotaUnavailableError
from authguard.stores.counting.windows import DayWindow, SlidingWindow, Window

_LOOKED_AT = 2  # counters examined for each new one, so that all are examined before their number has doubled
_LOOKED_AT_IF_FULL = 1_000  # the same for a full table, in less than a millisecond
_FULL = "too many callers are counted"

# The amount to take, its window, the time, and the seconds after which it can be taken.
_Requested: TypeAlias = tuple[Take, Window, float, float]
# The same as QuotaState(…), with one call less.
_new_state = partial(tuple.__new__, QuotaState)
_new_taken = partial(tuple.__new__, Taken)


@named_options
class MemoryQuotas:
    """Count quotas for an application that runs as one process, exactly.

    With several processes, each counts separately, so that a caller may send that many times the quota.

    Args:
        max_counters: the greatest number of counters (callers times quotas); each takes up to 3 KB, and
            usually a few hundred bytes. Expired counters are dropped. If the table is full, requests of
            callers without a counter are refused with 503.
        monotonic: a monotonic clock in seconds, for windows.
        clock: seconds since the epoch, for calendar days only.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    in_memory = True

    def __init__(
        self,
        *,
        max_counters: int = 100_000,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._max_counters = check_whole(max_counters, "max_counters")
        check_function(monotonic, "monotonic", "monotonic=time.monotonic", or_none=False)
        check_clock(clock)
        self._monotonic = monotonic
        self._clock = clock
        self._lock = Lock()
        self._windows: OrderedDict[CounterKey, Window] = OrderedDict()
        self._admitted = self._refused = self._would_refuse = 0
        self._is_full = False

    def take(self, takes: Sequence[Take]) -> Taken:
        """Take from all quotas in one step, or from none if an enforced quota has too little.

        Raises:
            ValueError: if a cost is below 1.
            QuotaUnavailableError: if the table is full.
        """
        with self._lock:
            now, today = self._monotonic(), self._clock()
            requested: list[_Requested] = []
            may_pass, is_short, new = True, False, 0
            for take in takes:
                key, quota, cost = take
                if cost < 1:
                    raise ValueError(f"cost must be at least 1, got {cost}")
                window = self._windows.get(key)
                if window is None:
                    new += 1
                    window = DayWindow() if quota.is_daily else SlidingWindow(quota.window)
                at = today if window.is_daily else now
                wait = window.wait(quota.count, cost, at)
                if wait:
                    is_short = True
                    may_pass = may_pass and not quota.enforce
                requested.append((take, window, at, wait))
            if not may_pass:
                self._refused += 1
                return Taken(False, [_state(*each) for each in requested])
            if new:
                self._make_room(new, now, today)
                # All of them: making room may have dropped one that was empty.
                self._windows |= {take.key: window for take, window, _, wait in requested if not wait}
            self._admitted += 1
            self._would_refuse += is_short
            return self._take(requested)

    def _take(self, requested: Sequence[_Requested]) -> Taken:
        states = []
        for take, window, at, wait in requested:
            if wait:
                states.append(_state(take, window, at, wait))
            else:
                reset = window.take(take.quota.count, take.cost, at)
                states.append(_new_state((take.quota.count - window.used, reset, 0.0)))
        return _new_taken((True, states, requested))

    def _make_room(self, number: int, now: float, today: float) -> None:
        """Drop empty windows, the oldest first; move the others behind the new ones.

        Raises:
            QuotaUnavailableError: if the table has no room for so many counters.
        """
        windows = self._windows
        is_full = len(windows) + number > self._max_counters
        for _ in range(min(len(windows), _LOOKED_AT_IF_FULL if is_full else _LOOKED_AT * number)):
            key, window = windows.popitem(last=False)
            window.expire(today if window.is_daily else now)
            if window.used:
                windows[key] = window
        self._is_full = len(windows) + number > self._max_counters
        if self._is_full:
            raise QuotaUnavailableError(_FULL)

    def give_back(self, taken: Taken) -> None:
        """Undo a `take` that was admitted, because its request was refused for another reason."""
        with self._lock:
            now, today = self._monotonic(), self._clock()
            requested: Sequence[_Requested] = taken.receipt or ()
            for take, window, taken_at, wait in requested:
                if not wait and self._windows.get(take.key) is window:
                    window.give_back(take.cost, taken_at, today if window.is_daily else now)

    def health(self) -> QuotaHealth:
        """Return the number of counters and requests."""
        return QuotaHealth(
            "memory",
            len(self._windows),
            self._max_counters,
            self._admitted,
            self._refused,
            self._would_refuse,
            _FULL if self._is_full else "",
        )

    def __repr__(self) -> str:
        return "MemoryQuotas()"


def _state(take: Take, window: Window, at: float, wait: float) -> QuotaState:
    remaining = take.quota.count - window.used
    return QuotaState(max(0, remaining), window.reset(at), wait)
