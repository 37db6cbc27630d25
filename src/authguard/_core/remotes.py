"""Report on the remotes that a guard's verifiers ask, and close them."""

from collections.abc import Callable, Sequence

from authguard._core.flow import Opened
from authguard._core.remote.http import RemoteHealth
from authguard._core.verifier import Verifier


class Remotes:
    """Know the remotes of some verifiers.

    Args:
        verifiers: the verifiers of a guard.
    """

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = verifiers
        #: Tells the seconds since the epoch: that of the adapter; None for the time of day.
        self.clock: Callable[[], float] | None = None

    def health(self, now: float | None) -> list[RemoteHealth]:
        """Return how each remote is doing.

        Args:
            now: seconds since the epoch; None for what `clock` tells.
        """
        if now is None and self.clock is not None:
            now = self.clock()
        return [health for verifier in self._verifiers for health in verifier.health(now)]

    def opened(self) -> list[Opened]:
        """Return what drivers have opened to reach the remotes."""
        channels = [channel for verifier in self._verifiers for channel in verifier.channels()]
        return [opened for channel in channels for opened in list(channel.opened.values())]

    def close(self) -> None:
        """Close the connections from outside of an event loop."""
        for opened in self.opened():
            opened.close()

    async def aclose(self) -> None:
        """Close the connections from inside of an event loop."""
        for opened in self.opened():
            await opened.aclose()
