"""Run a task again and again in a thread, as long as it has something to do."""

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread, current_thread
from weakref import WeakMethod

from authguard.stores.late_lock import LateLock

_log = logging.getLogger("authguard")


class Keeper:
    """Run a task by a daemon thread, which ends when the task returns False, or its object is gone.

    Args:
        task: a method; it is held weakly.
        seconds: between two runs; None for no thread.
        name: of the thread.
    """

    def __init__(self, task: Callable[[], bool], seconds: float | None, name: str) -> None:
        self._task = WeakMethod(task)
        self._seconds = seconds
        self._name = name
        self.forget()

    def forget(self) -> None:
        """Forget the thread of the parent process, which a fork does not copy."""
        self._lock = LateLock()
        self._closing: Event | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs; a process that ends may start none."""
        if self._seconds is None or self._is_running():
            return
        with self._lock, suppress(RuntimeError):
            if not self._is_running():
                # Made here, and not with the application: gevent may have put its own in place since.
                self._closing = Event()
                self._thread = Thread(target=self._run, args=(self._closing,), name=self._name, daemon=True)
                self._thread.start()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread; it may be started again."""
        with self._lock:
            thread, closing = self._thread, self._closing
            self._thread = self._closing = None
        if closing is not None:
            closing.set()
        if thread is not None and thread.is_alive() and thread is not current_thread():
            thread.join()

    def _run(self, closing: Event) -> None:
        # A thread of the parent process, which gevent runs in both, finds another event or none.
        while closing is self._closing and self._is_needed():
            closing.wait(self._seconds)

    def _is_needed(self) -> bool:
        task = self._task()
        try:
            if task is not None and task():
                return True
        except Exception:  # the thread must not end
            _log.exception("authguard: %s failed", self._name)
            return True
        with self._lock:
            self._thread = self._closing = None
        if task is not None and task():  # there was more to do before it was known that this thread ends
            self.start()
        return False
