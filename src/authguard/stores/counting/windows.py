"""Count one quota of one caller: in a sliding window, or in a calendar day."""

from array import array
from math import inf
from typing import ClassVar, Protocol

#: Entries of a log, of 16 bytes each. Amounts that are taken shortly after each other share an entry.
MAX_ENTRIES = 120
_DAY = 86_400


class Window(Protocol):
    """Count the amount taken of a quota.

    Attributes:
        is_daily: whether its times are of the wall clock; otherwise they are of a monotonic clock.
        used: the amount that counts, as of the last `expire` or `wait`.
    """

    is_daily: ClassVar[bool]
    used: int

    def expire(self, now: float) -> None:
        """Drop expired amounts."""

    def wait(self, count: int, cost: int, now: float) -> float:
        """Drop expired amounts, and return the seconds after which a cost fits.

        Returns:
            0 for now, infinity for never.
        """
        ...

    def reset(self, now: float) -> float:
        """Return the seconds after which less counts."""
        ...

    def take(self, count: int, cost: int, now: float) -> float:
        """Take a cost, after `wait` has returned 0; return the result of `reset`."""
        ...

    def give_back(self, cost: int, taken_at: float, now: float) -> None:
        """Undo an amount taken at a time; do nothing if it has expired."""


class SlidingWindow:
    """Log amounts with their times, so that no window exceeds the quota.

    With a quota above `MAX_ENTRIES`, an entry covers a `MAX_ENTRIES`th part of the window and counts until
    its last amount has expired: at most that much longer, and never shorter.

    Args:
        seconds: the length of the window.
    """

    __slots__ = ("_began", "_log", "_seconds", "used")

    is_daily: ClassVar[bool] = False

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._log = array("d")  # the end and the amount of each entry, in turn
        self._began = -inf  # the time at which the last entry ends
        self.used = 0

    def expire(self, now: float) -> None:
        """Drop amounts taken before the window."""
        log, seconds = self._log, self._seconds
        while log and now - log[0] >= seconds:
            self.used -= int(log[1])
            del log[:2]

    def wait(self, count: int, cost: int, now: float) -> float:
        """Drop amounts taken before the window, and return the seconds after which a cost fits."""
        log = self._log
        if log and now - log[0] >= self._seconds:
            self.expire(now)
        free = count - self.used
        if cost <= free:
            return 0.0
        for at in range(0, len(log), 2):
            free += int(log[at + 1])
            if cost <= free:
                return self._seconds - (now - log[at])
        return inf

    def reset(self, now: float) -> float:
        """Return after how many seconds the first entry expires."""
        return self._seconds - (now - self._log[0]) if self._log else 0.0

    def take(self, count: int, cost: int, now: float) -> float:
        """Take a cost, and return after how many seconds the first entry expires."""
        log = self._log
        if log and now - self._began <= (self._seconds / MAX_ENTRIES if count > MAX_ENTRIES else 0):
            log[-2] = now
            log[-1] += cost
        else:
            log.extend((now, cost))
            self._began = now
        self.used += cost
        return self._seconds - (now - log[0])  # in this order, so that the log never exceeds its maximum

    def give_back(self, cost: int, taken_at: float, now: float) -> None:
        """Undo an amount taken at a time; do nothing if it has expired."""
        log = self._log
        if now - taken_at >= self._seconds:
            return  # its entry may have expired, and a later one belongs to other requests
        for at in range(0, len(log), 2):
            if log[at] >= taken_at:
                self.used -= cost
                log[at + 1] -= cost
                if not log[at + 1]:
                    del log[at : at + 2]
                return


class DayWindow:
    """Count the amount taken in one calendar day of UTC.

    If the clock is set back, the later day continues until it ends.
    """

    __slots__ = ("_end", "used")

    is_daily: ClassVar[bool] = True

    def __init__(self) -> None:
        self._end = 0  # of the day
        self.used = 0

    def expire(self, now: float) -> None:
        """Start at zero if a later day has begun."""
        if now >= self._end:
            self._end = (int(now // _DAY) + 1) * _DAY
            self.used = 0

    def wait(self, count: int, cost: int, now: float) -> float:
        """Return 0 if a cost fits today, otherwise the seconds until midnight; infinity for never."""
        if now >= self._end:
            self.expire(now)
        if cost <= count - self.used:
            return 0.0
        return inf if cost > count else self._end - now

    def reset(self, now: float) -> float:
        """Return the seconds until midnight."""
        return self._end - now

    def take(self, count: int, cost: int, now: float) -> float:
        """Take a cost, and return the seconds until midnight."""
        self.used += cost
        return self._end - now

    def give_back(self, cost: int, taken_at: float, now: float) -> None:
        """Undo an amount taken on this day; do nothing for another day."""
        if taken_at >= self._end - _DAY:
            self.used -= cost
