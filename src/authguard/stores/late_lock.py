"""Create a lock when it is first used."""

import threading
from typing import Any


class LateLock:
    """Lock a part of a process, by a re-entrant lock that is created at its first use.

    A server may import the application, fork, and then let gevent replace Python's locks. A lock created
    before that would block all requests of the worker, or none.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __enter__(self) -> None:
        self._lock().acquire()

    def __exit__(self, *_: object) -> None:
        self._lock().release()

    def _lock(self) -> Any:
        # `setdefault` is atomic: two threads that come first get the same lock.
        return self._made.get("lock") or self._made.setdefault("lock", threading.RLock())
