"""Stand for the time of day in tests: a clock that moves by hand."""

import time
from math import inf

from authguard._core.options import Duration, Moment, check_moment, check_seconds


class Clock:
    """Tell a time that only the test moves, wherever a `clock` is taken.

    Args:
        now: seconds since the epoch, or a datetime with a time zone; None for the time of day at which the
            clock is made.

    Raises:
        ConfigurationError: if it is no such moment.
    """

    def __init__(self, now: float | Moment | None = None) -> None:
        self._now: float = time.time() if now is None else check_moment(now, "now")

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._now

    def advance(self, seconds: float | Duration) -> None:
        """Move forward.

        Args:
            seconds: by how much, in seconds or as a timedelta; negative to go back.
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
