"""Run a task again and again in a thread, as long as it has something to do."""

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread, current_thread
from weakref import WeakMethod

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
        self._lock = Lock()
        self._closing = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs; a process that ends may start none."""
        if self._thread is not None or self._seconds is None:
            return
        with self._lock, suppress(RuntimeError):
            if self._thread is None:
                closing = self._closing
                thread = Thread(target=self._run, args=(closing,), name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def stop(self) -> None:
        """End the thread; it may be started again."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._closing.set()
            self._closing = Event()
        if thread is not None and thread is not current_thread():
            thread.join()

    def _run(self, closing: Event) -> None:
        while not closing.is_set() and self._is_needed():
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
            self._thread = None
        if task is not None and task():  # there was more to do before it was known that this thread ends
            self.start()
        return False
