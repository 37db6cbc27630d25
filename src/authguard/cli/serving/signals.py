"""Handle SIGTERM and SIGHUP of `authguard serve` at any moment, also before uvicorn has its own handlers."""

import logging
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing it takes a while, in which SIGTERM would have no handler
    from asyncio import AbstractEventLoop

logger = logging.getLogger("authguard")


class Signals:
    """Handle signals before and after the server does.

    Before, SIGTERM ends the process at once: nothing is in progress, and the databases survive that. An
    exception would be lost if Python was in a destructor or a callback of its garbage collection.
    """

    def __init__(self) -> None:
        self._is_served = self._has_hung_up = False
        self._loop: AbstractEventLoop | None = None

    def install(self) -> None:
        """Set the handlers, in the main thread.

        A process at a terminal keeps the usual SIGHUP, by which it ends when the terminal is closed.
        """
        signal.signal(signal.SIGTERM, self._end)
        if hasattr(signal, "SIGHUP") and not _is_at_terminal():
            signal.signal(signal.SIGHUP, self._hang_up)

    def serve_in(self, loop: "AbstractEventLoop") -> None:
        """Leave SIGTERM to the server, whose handlers are set, and log SIGHUP in its event loop."""
        self._is_served, self._loop = True, loop
        if self._has_hung_up:
            _warn()

    def _end(self, number: int, frame: FrameType | None) -> None:
        """End the process; but the server has ended already if it repeats a signal that it has handled."""
        if self._is_served:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, RuntimeError, ValueError):  # it is closed, or is written to just now
                stream.flush()
        os._exit(0)

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        self._has_hung_up = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(_warn)


def _warn() -> None:
    logger.warning(
        "SIGHUP: nothing is loaded again, and the service continues; restart it to apply changed settings "
        "(with 2 or more --workers, SIGHUP replaces the processes)"
    )


def _is_at_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False
