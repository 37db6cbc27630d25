"""Wait in a thread for functions that are `async`, by an event loop that the process keeps."""

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync

from authguard.drivers.loops import running_loop
from authguard.drivers.pool import outcome_of
from authguard.stores.late_lock import LateLock

Result = TypeVar("Result")

logger = logging.getLogger("authguard")

_CLOSING_SECONDS = 1.0  # what tasks of the application's may take to end with the process


def wait_for(function: Callable[..., Awaitable[Result]], arguments: tuple[Any, ...]) -> Result:
    """Return the result of a function that is `async`, in a thread without an event loop.

    asgiref does it, by a loop that runs already: it would make one, with its thread, for each call. Context
    variables go in and come back, and code that asgiref calls thread-sensitive, such as that of Django's
    database, runs in this thread meanwhile.
    """
    here, process = SyncToAsync.threadlocal, os.getpid()
    before = getattr(here, "main_event_loop", None), getattr(here, "main_event_loop_pid", None)
    is_inside = before[1] == process and before[0] is not None and before[0].is_running()
    loop = before[0] if is_inside else _kept.loop()
    here.main_event_loop, here.main_event_loop_pid = loop, process
    try:
        result: Result = _Waiting(function)(*arguments)
        return result
    finally:
        here.main_event_loop, here.main_event_loop_pid = before


class _Waiting(AsyncToSync[Any, Any]):
    """Wait until asgiref has noted the context variables, too: it tells of the result before it does."""

    async def main_wrap(self, call_result: "Future[Any]", *arguments: Any, **named: Any) -> None:
        answered: Future[Any] = Future()
        try:
            await super().main_wrap(answered, *arguments, **named)
        finally:
            error, result = outcome_of(lambda: answered.result(0))
            if error is None:
                call_result.set_result(result)
            else:
                call_result.set_exception(error)


class KeptLoop:
    """Keep an event loop in a thread of its own, from the first time that it is asked for."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost: list[asyncio.AbstractEventLoop] = []
        self.begin()

    def begin(self) -> None:
        """Begin without a loop, as in a child process, which has none of the parent's threads."""
        if self._loop is not None:
            self._lost.append(self._loop)  # it takes itself for one that runs, and cannot be closed
        self._lock = LateLock()
        self._loop = None
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._has_greenlets = False

    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop, which runs; None where threads are greenlets: all would seem to be inside it."""
        loop = self._loop
        if loop is not None or self._has_greenlets:
            return loop
        with self._lock:
            return self._loop or self._start()

    def _start(self) -> asyncio.AbstractEventLoop | None:
        started = threading.Event()
        # A daemon: a program that ends does not wait for it.
        self._thread = threading.Thread(target=self._run, args=(started,), name="authguard-loop", daemon=True)
        self._thread.start()
        started.wait()
        if running_loop() is not None:
            self._has_greenlets = True
            self.close()
        return self._loop

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner() as runner:
            loop = self._loop = runner.get_loop()
            loop.call_soon(started.set)
            while not self._is_closing:
                try:
                    loop.run_forever()
                except BaseException:  # SystemExit of a task: there may be others, which are waited for
                    logger.exception("a task in the event loop of the guard has raised what ends a thread")

    def close(self) -> None:
        """Stop the loop, if there is one, and cancel what it runs."""
        loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            self._is_closing = True
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(_CLOSING_SECONDS)


_kept = KeptLoop()
atexit.register(_kept.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.begin)
