"""Start and await threads of the operating system, also where gevent has replaced threads by greenlets."""

import atexit
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def start_thread(
    function: Callable[..., None], *arguments: Any, name: str, close: Callable[[], None]
) -> None:
    """Start a daemon thread of the operating system.

    Greenlets of one thread share the mark of a running event loop, so that all code would seem to be inside a
    loop in one of them.

    Args:
        function: runs in the thread.
        arguments: of the function.
        name: the name of the thread; gevent sets none.
        close: ends the function; it may be called more than once when Python ends.
    """
    atexit.register(close)
    monkey = _replacing()
    if monkey is None:
        threading.Thread(target=function, args=arguments, name=name, daemon=True).start()
        return
    # Before Python calls functions of `atexit`, it joins the threads of executors. Those that the function
    # has started are greenlets of its thread, which end only with the function.
    getattr(threading, "_register_atexit", atexit.register)(close)
    monkey.get_original("_thread", "start_new_thread")(function, arguments)


@contextmanager
def awaiting_thread() -> Iterator[None]:
    """Let gevent wait for another thread inside this context.

    It raises LoopExit if nothing of its own thread could end the waiting.
    """
    if _replacing() is None:
        yield
        return
    watcher = importlib.import_module("gevent").get_hub().loop.async_()
    watcher.start(_do_nothing)
    try:
        yield
    finally:
        watcher.stop()
        watcher.close()


def _replacing() -> Any:
    """Return the module by which gevent has replaced threads by greenlets; None if it has not."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey if monkey is not None and monkey.is_module_patched("threading") else None


def _do_nothing() -> None:
    """Do nothing; the watcher counts as long as it is started."""
