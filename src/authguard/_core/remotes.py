"""Report on the remotes that a guard's verifiers ask, and close them."""

from collections.abc import Callable, Sequence

from authguard._core.flow import Opened
from authguard._core.remote.http import RemoteHealth
from authguard._core.verifier import Verifier


class Remotes:
    """Hold the remotes of some verifiers.

    Args:
        verifiers: the verifiers of a guard.
    """

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = verifiers
        #: Returns the seconds since the epoch: the clock of the adapter; None for the current time.
        self.clock: Callable[[], float] | None = None

    def health(self, now: float | None) -> list[RemoteHealth]:
        """Return the state of each remote.

        Args:
            now: seconds since the epoch; None for the time of `clock`.
        """
        if now is None and self.clock is not None:
            now = self.clock()
        return [health for verifier in self._verifiers for health in verifier.health(now)]

    def opened(self) -> list[Opened]:
        """Return the resources that drivers have opened for the remotes."""
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
