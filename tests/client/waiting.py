"""Simulate a time that passes when a client sleeps."""

import threading


class Time:
    """Provide a clock and two ways to sleep, by which alone it moves.

    Attributes:
        now: seconds.
        sleeps: the length of each sleep.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self._lock = threading.Lock()

    def clock(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.now += seconds
            self.sleeps.append(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.sleep(seconds)

    @property
    def options(self) -> dict[str, object]:
        """Return the options of `APIKeyAuth` for this time."""
        return {"clock": self.clock, "sleep": self.sleep, "async_sleep": self.async_sleep}
