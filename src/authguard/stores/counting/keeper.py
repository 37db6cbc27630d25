"""Run a task repeatedly in a thread, as long as the task has work."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread, current_thread
from weakref import WeakMethod

from authguard.stores.late_lock import LateLock

_log = logging.getLogger("authguard")


class Keeper:
    """Run a task in a daemon thread, which ends when the task returns False or its object was collected.

    Args:
        task: a method; the keeper has only a weak reference to it.
        urgent: another method, which runs soon after `wake`.
        seconds: between two runs of the task; None to start no thread.
        name: the name of the thread.
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
        self._running = LateLock()  # locked while a task runs, and while the process forks
        self._signal: Event | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it is running or the process is exiting."""
        if self._seconds is None or self._is_running():
            return
        with self._lock, suppress(RuntimeError):
            if not self._is_running():
                # Created here, not when the application is created, because gevent may have replaced the
                # class since then.
                self._signal = Event()
                self._thread = Thread(target=self._run, args=(self._signal,), name=self._name, daemon=True)
                self._thread.start()

    def pause(self) -> None:
        """Block tasks until `resume`. A fork during a call would leave locks of libraries locked."""
        self._running.__enter__()

    def resume(self) -> None:
        """Allow tasks again."""
        self._running.__exit__()

    def wake(self) -> None:
        """Run the urgent task soon, if a thread is running."""
        signal = self._signal
        if signal is not None:
            signal.set()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread; `start` may start it again."""
        with self._lock:
            thread, signal = self._thread, self._signal
            self._thread = self._signal = None
        if signal is not None:
            signal.set()
        if thread is not None and thread.is_alive() and thread is not current_thread():
            thread.join()

    def _run(self, signal: Event) -> None:
        # gevent keeps a thread of the parent process running in the child; it then sees another event, or
        # none.
        while signal is self._signal and self._is_needed():
            self._wait(signal, time.monotonic() + (self._seconds or 0.0))

    def _wait(self, signal: Event, due: float) -> None:
        """Wait until the task is due or the thread has to end; run the urgent task when it is requested."""
        while (remaining := due - time.monotonic()) > 0 and signal.wait(remaining) and signal is self._signal:
            signal.clear()
            urgent = self._urgent()
            if urgent is None:
                return
            try:
                with self._running:
                    urgent()
            except Exception:  # the thread must not end
                _log.exception("authguard: %s failed", self._name)
            del urgent  # the thread holds a reference to the object

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
            has_more = task is not None and task()  # the request came before the thread was told to end
        if has_more:
            self.start()
        return False
