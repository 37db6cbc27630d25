"""Make a lock when it is first used."""

import threading
from typing import Any


class LateLock:
    """Lock a part of a process, by a re-entrant lock that the process makes when it first needs it.

    A server may import the application, fork, and then let gevent put locks of its own in the place of
    Python's. A lock that is older than that stops all requests of the worker, or none.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __enter__(self) -> None:
        self._lock().acquire()

    def __exit__(self, *_: object) -> None:
        self._lock().release()

    def _lock(self) -> Any:
        # `setdefault` is one step: of two threads that come first, both get the same lock.
        return self._made.get("lock") or self._made.setdefault("lock", threading.RLock())
