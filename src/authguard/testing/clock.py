"""Replace the clock in tests by one that is moved by hand."""

import time
from math import inf

from authguard._core.options import Duration, Moment, check_moment, check_seconds, named_options


@named_options
class Clock:
    """Return a time that only the test changes, for any option `clock`.

    Args:
        now: seconds since the epoch, or a datetime with a time zone; None for the current time.

    Raises:
        ConfigurationError: if it is neither.
    """

    def __init__(self, now: float | Moment | None = None) -> None:
        self._now: float = time.time() if now is None else check_moment(now, "now")

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._now

    def advance(self, seconds: float | Duration) -> None:
        """Move the clock forward.

        Args:
            seconds: the seconds, or a timedelta; negative to go back.
        """
        self._now += check_seconds(seconds, "seconds", inf, least=-inf)

    def set(self, now: float | Moment) -> None:
        """Set the time.

        Args:
            now: seconds since the epoch, or a datetime with a time zone.
        """
        self._now = check_moment(now, "now")

    def __repr__(self) -> str:
        return f"Clock({self._now!r})"
