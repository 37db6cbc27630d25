"""Wait in a thread for `async` functions, using an event loop that the process keeps."""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync

from authguard.drivers.greenlets import awaiting_thread, start_thread
from authguard.drivers.loops import running_loop
from authguard.drivers.pool import outcome_of
from authguard.stores.late_lock import LateLock

Result = TypeVar("Result")

logger = logging.getLogger("authguard")

_CLOSING_SECONDS = 1.0  # seconds for tasks of the application to end with the process


def wait_for(function: Callable[..., Awaitable[Result]], arguments: tuple[Any, ...]) -> Result:
    """Return the result of an `async` function, in a thread without an event loop.

    asgiref runs the function in a loop that is running already; without one, it would create a loop with a
    thread for each call. Context variables are passed to the function and back. Code that asgiref calls
    thread-sensitive, such as that of Django's database, runs in this thread meanwhile.
    """
    here, process = SyncToAsync.threadlocal, os.getpid()
    before = getattr(here, "main_event_loop", None), getattr(here, "main_event_loop_pid", None)
    is_inside = before[1] == process and before[0] is not None and before[0].is_running()
    loop = before[0] if is_inside else _kept.loop()
    here.main_event_loop, here.main_event_loop_pid = loop, process
    try:
        with awaiting_thread():
            result: Result = _Waiting(function)(*arguments)
        return result
    finally:
        here.main_event_loop, here.main_event_loop_pid = before


class _Waiting(AsyncToSync[Any, Any]):
    """Wait until asgiref has also noted the context variables, which it does after reporting the result."""

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
    """Keep an event loop in a thread of its own, starting with the first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost: list[asyncio.AbstractEventLoop] = []
        self.begin()

    def begin(self) -> None:
        """Start without a loop, as in a child process, which has none of the parent's threads."""
        if self._loop is not None:
            self._lost.append(self._loop)  # the copied loop counts as running, and cannot be closed
        self._lock = LateLock()
        self._loop = None
        self._ended: threading.Event | None = None
        self._is_closing = False
        self._has_greenlets = False

    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the running loop; None if threads are greenlets, as all code would seem to be inside it."""
        loop = self._loop
        if loop is not None or self._has_greenlets:
            return loop
        with self._lock:
            return self._loop or self._start()

    def _start(self) -> asyncio.AbstractEventLoop | None:
        started, self._ended, self._is_closing = threading.Event(), threading.Event(), False
        start_thread(self._run, started, self._ended, name="authguard-loop", close=self.close)
        with awaiting_thread():
            started.wait()
        if running_loop() is not None:
            self._has_greenlets = True
            self.close()
        return self._loop

    def _run(self, started: threading.Event, ended: threading.Event) -> None:
        try:
            self._run_loop(started)
        finally:
            ended.set()

    def _run_loop(self, started: threading.Event) -> None:
        with asyncio.Runner() as runner:
            loop = self._loop = runner.get_loop()
            loop.call_soon(started.set)
            while not self._is_closing:
                try:
                    loop.run_forever()
                except BaseException:  # a task has raised SystemExit; others may still be awaited
                    logger.exception(
                        "a task in the guard's event loop raised an exception that ends a thread"
                    )

    def close(self) -> None:
        """Stop the loop, if one exists, and cancel its tasks."""
        loop, self._loop = self._loop, None
        if loop is not None and self._ended is not None:
            self._is_closing = True
            loop.call_soon_threadsafe(loop.stop)
            self._ended.wait(_CLOSING_SECONDS)


_kept = KeptLoop()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.begin)
