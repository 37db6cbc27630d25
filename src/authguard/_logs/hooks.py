"""Log errors of hooks that must not fail a request: one line a minute for each kind."""

import logging
import time
import traceback
from collections.abc import Callable

logger = logging.getLogger("authguard")

_SECONDS = 60
_MAX_KINDS = 64
_OTHERS = "other kinds"


class HookFailures:
    """Log the first failure of each kind in a minute, with its class and place, but not its text.

    Args:
        monotonic: a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told: dict[str, int] = {}  # the minute of the last line, by kind

    def log(self, error: Exception) -> None:
        """Log a failure, unless one of its kind was logged in this minute."""
        name = type(error).__name__
        kind = name if name in self._told or len(self._told) < _MAX_KINDS else _OTHERS
        minute = int(self._monotonic() // _SECONDS)
        if self._told.get(kind) == minute:
            return
        self._told[kind] = minute
        logger.error("on_decision raised %s%s; the decision was not affected", name, _place_of(error))


def _place_of(error: Exception) -> str:
    """Return the place where an exception was raised; its text may contain a part of the request."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


_failures = HookFailures()


def log_hook_failure(error: Exception) -> None:
    """Log an error that `on_decision` raised."""
    _failures.log(error)
