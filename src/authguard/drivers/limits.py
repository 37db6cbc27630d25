"""Limit the duration of a block of code, under asyncio and under trio."""

import asyncio
from types import TracebackType
from typing import Any, Protocol, Self

from authguard.drivers.loops import trio_run


class TimeLimit(Protocol):
    """Raise TimeoutError in a block that takes too long, like `asyncio.Timeout`."""

    async def __aenter__(self) -> Any:
        """Start the time."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        """Raise TimeoutError if the time is over."""
        ...

    def expired(self) -> bool:
        """Return whether the time is over."""
        ...


def time_limit(seconds: float) -> TimeLimit:
    """Return a time limit for the running event loop."""
    return _OnTrio(seconds) if trio_run() is not None else asyncio.timeout(seconds)


class _OnTrio:
    def __init__(self, seconds: float) -> None:
        import trio

        self._scope = trio.move_on_after(seconds)

    async def __aenter__(self) -> Self:
        self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        swallows = self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            raise TimeoutError
        return swallows

    def expired(self) -> bool:
        return self._scope.cancelled_caught
