"""Serve in one process, by uvicorn."""

from asyncio import get_running_loop
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from authguard.cli.serving.signals import Signals


class Server(uvicorn.Server):
    """Serve until SIGTERM or Ctrl-C.

    Args:
        config: the configuration of the server.
        signals: handles signals before and after.
    """

    def __init__(self, config: uvicorn.Config, signals: Signals) -> None:
        super().__init__(config)
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Set uvicorn's handlers; without a moment in which a signal is lost."""
        with super().capture_signals():
            self._signals.serve_in(get_running_loop())
            yield
