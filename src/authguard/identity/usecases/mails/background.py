"""Repeat a task in a thread, for which no request waits."""

import logging
import os
from collections.abc import Callable
from threading import Event, Lock, Thread
from weakref import WeakMethod

from authguard.errors import VerificationUnavailableError

logger = logging.getLogger("authguard")


class BackgroundThread:
    """Run a step in a thread, every few seconds and when it is woken.

    Args:
        step: the function to call.
        seconds: between two steps; 0 for no thread.
        name: the name of the thread, also for its task in the log.
        is_at_once: whether the first step runs when the thread starts.
    """

    def __init__(
        self, step: Callable[[], None], seconds: float, *, name: str, is_at_once: bool = True
    ) -> None:
        self._step = step
        self._seconds = seconds
        self._name = f"authguard-{name.replace(' ', '-')}"
        self._title = name
        self._is_at_once = is_at_once
        self._begin_process()
        reset = WeakMethod(self._begin_process)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _begin_process(self) -> None:
        """Reset all state: threads do not survive a fork."""
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closed = Event()
        self._woken = Event()

    def start(self) -> None:
        """Start the thread, in the process that serves, unless it runs."""
        if self._thread is None and self._seconds:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                # A daemon thread, so that a program that ends without closing does not wait for it.
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        if not self._is_at_once:
            self._woken.wait(self._seconds)
        while not self._closed.is_set():
            self._woken.clear()
            try:
                self._step()
            except Exception as error:
                # The next step repeats the work; the thread must not end.
                logger.warning("the %s are not done yet: %s", self._title, _reason_of(error))
            self._woken.wait(self._seconds)

    def wake(self) -> None:
        """Take the next step now."""
        self._woken.set()

    def close(self) -> None:
        """End the thread after its step; it is not started again."""
        with self._lock:
            self._closed.set()
            thread, self._thread = self._thread, None
        self._woken.set()
        if thread is not None:
            thread.join()


def _reason_of(error: Exception) -> str:
    """Return the reason of an outage, or the class of another error, whose text may have an address."""
    if isinstance(error, VerificationUnavailableError) and error.reason:
        return error.reason
    return type(error).__name__
