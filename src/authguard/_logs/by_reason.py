"""Limit the lines about refusals and outages: one in a while for each reason, with a number of others."""

import logging
import time
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

from authguard.errors import Cause, RefusedError

logger = logging.getLogger("authguard")

_SECONDS = 60
#: This package has about 30 reasons; an application may define its own errors.
_MAX_REASONS = 64
_MAX_CODE = 40
_OTHERS = "other reasons"

#: Return the previous count, and add one, atomically among threads.
_Counter: TypeAlias = Callable[[], int]


class _Line:
    """Hold a logged line of a reason.

    Attributes:
        at: the time of the line.
        count_other: counts those with the same reason that were not logged.
        successor: the next line, set by one of several threads.
    """

    def __init__(self, at: float) -> None:
        self.at = at
        self.count_other: _Counter = count().__next__
        self.successor: dict[str, _Line] = {}


class OutageCounts:
    """Find out which outages are logged: the first of each reason, and then one in some seconds.

    Args:
        seconds: between two lines with the same reason.
        monotonic: a clock that never goes back.
    """

    def __init__(self, seconds: float = _SECONDS, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        # No lock, because another thread could hold it during a fork. `setdefault` is atomic, so only one of
        # several threads adds the next line.
        self._lines: dict[str, _Line] = {}

    def take(self, reason: str) -> str | None:
        """Count an outage; return None if no line is due.

        Args:
            reason: the fault. More than 64 different ones are counted together.

        Returns:
            The end of the line: the number of the outages since the last line, or nothing.
        """
        reason = reason if reason in self._lines or len(self._lines) < _MAX_REASONS else _OTHERS
        last, new = self._lines.get(reason), _Line(self._monotonic())
        if last is None:
            current = self._lines.setdefault(reason, new)
        elif new.at - last.at < self._seconds:
            current = last
        else:
            current = last.successor.setdefault("", new)
        if current is not new:
            current.count_other()
            return None
        self._lines[reason] = new
        return more_since(0 if last is None else last.count_other())


def more_since(number: int) -> str:
    """Return the end of a line with the number of those that were not logged; nothing for none."""
    return f"; {number} more since the last such line" if number > 0 else ""


class RefusalCounts:
    """Count refusals by reason, and log the first of each in a minute.

    The lines contain nothing from the caller: neither the path nor the text of an error, only its code, and
    its cause if it has one.

    Args:
        monotonic: a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # No lock, because another thread could hold it during a fork. `setdefault` is atomic, so only one of
        # several threads gets the first refusal of a minute.
        self._counters: dict[tuple[str, int], _Counter] = {}
        self._told: dict[str, int] = {}  # the minute of the last line, by reason

    def log(self, error: RefusedError) -> None:
        """Count a refusal, and log it if it is the first with its reason in this minute."""
        reason = self._known(_reason_of(error))
        minute = int(self._monotonic() // _SECONDS)
        counter = self._counters.get((reason, minute))
        if counter is None:
            mine = count().__next__
            counter = self._counters.setdefault((reason, minute), mine)
            if counter is mine:
                self._tell(error, reason, minute)
        counter()

    def _tell(self, error: RefusedError, reason: str, minute: int) -> None:
        last = self._told.get(reason)
        self._told[reason] = minute
        counted = None if last is None else self._counters.pop((reason, last), None)
        more = 0 if counted is None else counted() - 1  # the first of them has been logged
        logger.info("refused with %d: %s%s", error.status_code, reason, more_since(more))

    def _known(self, reason: str) -> str:
        """Return the reason if it is known or can be added; otherwise a common one."""
        return reason if reason in self._told or len(self._told) < _MAX_REASONS else _OTHERS


def _reason_of(error: RefusedError) -> str:
    code = ascii(str(error.code)[:_MAX_CODE])[1:-1]
    cause = getattr(error, "cause", None)
    return f"{code} ({cause.value})" if isinstance(cause, Cause) and cause != Cause.INVALID else code
