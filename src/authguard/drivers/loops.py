"""Tell which event loop runs in this thread, of asyncio or of trio."""

import asyncio
import sys
from typing import Any


def running_loop() -> Any:
    """Return what stands for the event loop that runs in this thread; None if none does.

    It is the loop of asyncio, or the token of a run of trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return trio_run()


def trio_run() -> Any:
    """Return the token of the run of trio in this thread; None if none runs here."""
    trio = sys.modules.get("trio")  # where nothing has imported it, it does not run
    if trio is None:
        return None
    try:
        return trio.lowlevel.current_trio_token()
    except (AttributeError, RuntimeError):  # the first while another thread imports it, which a run is after
        return None
