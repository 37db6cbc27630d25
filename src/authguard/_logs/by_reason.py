"""Log how many requests are refused for which reason: a line a minute for each, at level INFO."""

import logging
import time
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

from authguard.errors import Cause, RefusedError

logger = logging.getLogger("authguard")

_SECONDS = 60
#: Reasons of this package are some 30; an application may define errors of its own.
_MAX_REASONS = 64
_MAX_CODE = 40
_OTHERS = "other reasons"

#: Returns how many there were before, and counts one more: in one step, also where threads do it together.
_Counter: TypeAlias = Callable[[], int]


class RefusalCounts:
    """Count refusals by reason, and log the first of each in a minute.

    Nothing is logged that a caller has sent: neither the path nor what an error says, but its code, and the
    cause of those that have one.

    Args:
        monotonic: a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # No lock, as elsewhere: another thread could hold it while the process forks. `setdefault` is one
        # step, so that of two threads one has the first refusal of a minute.
        self._counters: dict[tuple[str, int], _Counter] = {}
        self._told: dict[str, int] = {}  # the minute of the last line for each reason

    def log(self, error: RefusedError) -> None:
        """Count a refusal, and log it if it is the first of its reason in this minute."""
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
        more = 0 if counted is None else counted() - 1  # the first of them has had the line
        told = f"; {more} more since the last such line" if more > 0 else ""
        logger.info("refused with %d: %s%s", error.status_code, reason, told)

    def _known(self, reason: str) -> str:
        """Return the reason, if there is room for it."""
        return reason if reason in self._told or len(self._told) < _MAX_REASONS else _OTHERS


def _reason_of(error: RefusedError) -> str:
    code = ascii(str(error.code)[:_MAX_CODE])[1:-1]
    cause = getattr(error, "cause", None)
    return f"{code} ({cause.value})" if isinstance(cause, Cause) and cause != Cause.INVALID else code
