"""Choose the clock by which a process tells how long it may spend what it has borrowed."""

import time
from collections.abc import Callable
from functools import partial


def default_clock() -> Callable[[], float]:
    """Return a clock that never goes back, and that runs on while the machine sleeps, where there is one."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot_clock is None else partial(time.clock_gettime, boot_clock)
