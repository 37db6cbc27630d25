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
        """Count a request, if fewer than the limit are held; `Limiter` calls it in one thread at a time."""
        now = time.time()
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            for old in [old for old, entries in self.events.items() if entries[0].expiry < now]:
                self.clear(old)
        entries = self.events.setdefault(key, [])
        if len(entries) >= limit and entries[limit - 1].expiry >= now:
            return False
        entries.insert(0, Entry(expiry))
        del entries[limit:]
        return True
