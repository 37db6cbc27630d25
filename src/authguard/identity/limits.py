"""Limits."""


class Limiter:
    """Counts attempts."""

    def __init__(self, url: str = "memory://") -> None:
        self._url = url

    def hit(self, name: str, key: str, now: float) -> None:
        """Count an attempt."""
