"""Identify the event loop of this thread, of asyncio or of trio."""

import asyncio
import sys
from typing import Any


def running_loop() -> Any:
    """Return a key for the event loop that is running in this thread; None if none is.

    It is the loop of asyncio, or the token of a run of trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return trio_run()


def trio_run() -> Any:
    """Return the token of the trio run in this thread; None if none is running."""
    trio = sys.modules.get("trio")  # if trio has not been imported, it is not running
    if trio is None:
        return None
    try:
        return trio.lowlevel.current_trio_token()
    # the module is incomplete while another thread imports it, and no run has started yet
    except (AttributeError, RuntimeError):
        return None
