"""Choose the clock that limits the time for which a process may spend a lease."""

import time
from collections.abc import Callable
from functools import partial


def default_clock() -> Callable[[], float]:
    """Return a monotonic clock; where possible, one that includes the time for which the machine sleeps."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot_clock is None else partial(time.clock_gettime, boot_clock)
