"""Limit the lines about refusals and outages: one in a while for each reason, with a number of others."""

import time
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

from authguard.errors import Cause, RefusedError

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


class LineCounts:
    """Find out which refusals or outages are logged: the first of each reason, and then one in some seconds.

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
        """Count a refusal or outage; return None if no line is due.

        Args:
            reason: the fault. More than 64 different ones are counted together.

        Returns:
            The end of the line: the number of those since the last line, or nothing.
        """
        reason = reason if reason in self._lines or len(self._lines) < _MAX_REASONS else _OTHERS
        last, now = self._lines.get(reason), self._monotonic()
        if last is not None and now - last.at < self._seconds:
            last.count_other()
            return None
        new = _Line(now)
        current = self._lines.setdefault(reason, new) if last is None else last.successor.setdefault("", new)
        if current is not new:
            current.count_other()
            return None
        self._lines[reason] = new
        return more_since(0 if last is None else last.count_other())


def more_since(number: int) -> str:
    """Return the end of a line with the number of those that were not logged; nothing for none."""
    return f"; {number} more since the last such line" if number > 0 else ""


def reason_of(error: RefusedError) -> str:
    """Return the reason of a refusal: its code, and its cause if it has one.

    It has nothing from the caller, neither the path nor the text of the error.
    """
    code = ascii(str(error.code)[:_MAX_CODE])[1:-1]
    cause = getattr(error, "cause", None)
    return f"{code} ({cause.value})" if isinstance(cause, Cause) and cause != Cause.INVALID else code
