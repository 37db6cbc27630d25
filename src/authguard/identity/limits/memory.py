"""Keep the counts of limits in the memory of this process."""

import time

from limits.storage import MemoryStorage
from limits.storage.memory import Entry

_SWEEP_SECONDS = 60.0  # seconds between two scans of all keys


class CountMemory(MemoryStorage):
    """Count like the library's memory, without a thread for each count.

    To drop expired counts, the library starts a thread that scans all keys whenever a request is counted,
    which costs more with each key.
    """

    def __init__(self) -> None:
        super().__init__(wrap_exceptions=True)
        self._sweep_at = 0.0

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a request, if fewer than the limit are held."""
        return self.take(key, limit, expiry) is not None

    def take(self, key: str, limit: int, expiry: int) -> object:
        """Count a request, and return a receipt; None if the limit is reached.

        `Limiter` calls this and `give_back` in one thread at a time.

        Args:
            key: the key of the count.
            limit: the greatest number of requests in a window.
            expiry: the seconds of a window.
        """
        now = time.time()
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            for old in [old for old, entries in self.events.items() if entries[0].expiry < now]:
                self.clear(old)
        entries = self.events.setdefault(key, [])
        if len(entries) >= limit and entries[limit - 1].expiry >= now:
            return None
        entry = Entry(expiry)
        entries.insert(0, entry)
        del entries[limit:]
        return entry

    def give_back(self, key: str, receipt: object) -> None:
        """Remove a request that was counted, unless its window has ended.

        Args:
            key: the key of the count.
            receipt: as returned by `take`.
        """
        others = [entry for entry in self.events.get(key, ()) if entry is not receipt]
        if others:
            self.events[key] = others
        else:
            self.events.pop(key, None)
