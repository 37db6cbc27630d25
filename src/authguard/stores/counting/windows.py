"""Count what was taken of one quota by one caller: in a window that slides, or in a calendar day."""

from array import array
from math import inf
from typing import ClassVar, Protocol

#: Entries of a log, of 16 bytes each. What is taken shortly after another is one entry with it.
MAX_ENTRIES = 120
_DAY = 86_400


class Window(Protocol):
    """Count what was taken of a quota.

    Attributes:
        is_daily: whether its times are of the clock; else they are of one that never goes back.
        used: how much is taken now, as of the last `expire` or `wait`.
    """

    is_daily: ClassVar[bool]
    used: int

    def expire(self, now: float) -> None:
        """Forget what counts no longer."""

    def wait(self, count: int, cost: int, now: float) -> float:
        """Forget what counts no longer, and return after how many seconds a cost may be taken of a count.

        Returns:
            0 for now, infinity for never.
        """
        ...

    def reset(self, now: float) -> float:
        """Return after how many seconds less is taken."""
        ...

    def take(self, count: int, cost: int, now: float) -> float:
        """Take a cost, after `wait` has found that it may be; return what `reset` does then."""
        ...

    def give_back(self, cost: int, taken_at: float, now: float) -> None:
        """Undo what was taken at a time; nothing happens if it counts no longer."""


class SlidingWindow:
    """Keep a log of what was taken when, so that no window holds more than the quota.

    Of a quota of more than `MAX_ENTRIES`, an entry stands for a `MAX_ENTRIES`th part of the window, and
    counts until the last of it has expired: for so much longer at most, and never shorter.

    Args:
        seconds: the length of the window.
    """

    __slots__ = ("_began", "_log", "_seconds", "used")

    is_daily: ClassVar[bool] = False

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._log = array("d")  # the end and the amount of each entry, in turn
        self._began = -inf  # when the last entry did
        self.used = 0

    def expire(self, now: float) -> None:
        """Forget what was taken before the window."""
        log, seconds = self._log, self._seconds
        while log and now - log[0] >= seconds:
            self.used -= int(log[1])
            del log[:2]

    def wait(self, count: int, cost: int, now: float) -> float:
        """Forget what was taken before the window, and return after how many seconds a cost may be taken."""
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
        return self._seconds - (now - log[0])  # in this order, so that it is never longer than the window

    def give_back(self, cost: int, taken_at: float, now: float) -> None:
        """Undo what was taken at a time; nothing happens if it counts no longer."""
        log = self._log
        if now - taken_at >= self._seconds:
            return  # its entry may be gone, and a later one is of others
        for at in range(0, len(log), 2):
            if log[at] >= taken_at:
                self.used -= cost
                log[at + 1] -= cost
                if not log[at + 1]:
                    del log[at : at + 2]
                return


class DayWindow:
    """Count what was taken in one calendar day of UTC.

    The day never goes back: if the clock is set back, the later day goes on until it is over.
    """

    __slots__ = ("_end", "used")

    is_daily: ClassVar[bool] = True

    def __init__(self) -> None:
        self._end = 0  # of the day
        self.used = 0

    def expire(self, now: float) -> None:
        """Begin with nothing, if it is a later day."""
        if now >= self._end:
            self._end = (int(now // _DAY) + 1) * _DAY
            self.used = 0

    def wait(self, count: int, cost: int, now: float) -> float:
        """Return the seconds until midnight, unless a cost may be taken today; infinity for never."""
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
        """Undo what was taken on this day; nothing happens on another."""
        if taken_at >= self._end - _DAY:
            self.used -= cost
