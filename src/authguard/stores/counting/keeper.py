"""Run a task again and again in a thread, as long as it has something to do."""

import logging
import time
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
        urgent: another one, which runs soon after `wake`.
        seconds: between two runs of the task; None for no thread.
        name: of the thread.
    """

    def __init__(
        self, task: Callable[[], bool], urgent: Callable[[], None], seconds: float | None, name: str
    ) -> None:
        self._task, self._urgent = WeakMethod(task), WeakMethod(urgent)
        self._seconds = seconds
        self._name = name
        self.forget()

    def forget(self) -> None:
        """Forget the thread of the parent process, which a fork does not copy."""
        self._lock = LateLock()
        self._running = LateLock()  # held while a task runs, and while the process forks
        self._signal: Event | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs; a process that ends may start none."""
        if self._seconds is None or self._is_running():
            return
        with self._lock, suppress(RuntimeError):
            if not self._is_running():
                # Made here, and not with the application: gevent may have put its own in place since.
                self._signal = Event()
                self._thread = Thread(target=self._run, args=(self._signal,), name=self._name, daemon=True)
                self._thread.start()

    def pause(self) -> None:
        """Let no task run until `resume`: a fork in the middle of a call leaves locks of libraries locked."""
        self._running.__enter__()

    def resume(self) -> None:
        """Let tasks run again."""
        self._running.__exit__()

    def wake(self) -> None:
        """Have the thread run what is urgent, if there is one."""
        signal = self._signal
        if signal is not None:
            signal.set()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread; it may be started again."""
        with self._lock:
            thread, signal = self._thread, self._signal
            self._thread = self._signal = None
        if signal is not None:
            signal.set()
        if thread is not None and thread.is_alive() and thread is not current_thread():
            thread.join()

    def _run(self, signal: Event) -> None:
        # A thread of the parent process, which gevent runs in both, finds another event or none.
        while signal is self._signal and self._is_needed():
            self._wait(signal, time.monotonic() + (self._seconds or 0.0))

    def _wait(self, signal: Event, due: float) -> None:
        """Wait until the task is due, or the thread is to end; run what is urgent meanwhile."""
        while (left := due - time.monotonic()) > 0 and signal.wait(left) and signal is self._signal:
            signal.clear()
            urgent = self._urgent()
            if urgent is None:
                return
            try:
                with self._running:
                    urgent()
            except Exception:  # the thread must not end
                _log.exception("authguard: %s failed", self._name)
            del urgent  # it holds the object

    def _is_needed(self) -> bool:
        task = self._task()
        try:
            with self._running:
                if task is not None and task():
                    return True
        except Exception:  # the thread must not end
            _log.exception("authguard: %s failed", self._name)
            return True
        with self._lock:
            self._thread = self._signal = None
        with self._running:
            has_more = task is not None and task()  # from before it was known that this thread ends
        if has_more:
            self.start()
        return False
