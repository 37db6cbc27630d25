"""Simulate processes that share a store of quotas, with settable clocks."""

from collections.abc import Sequence
from typing import Any

from authguard import Quota
from authguard.stores import Take, Taken
from authguard.stores.counting.blocks import MICROSECONDS
from authguard.stores.counting.leases import LeasedQuotas
from stores.quota_backends import MemoryBackend


class World:
    """Hold a store, and processes whose clocks begin at different times.

    Args:
        size: the number of processes.
        options: of `LeasedQuotas`.
    """

    def __init__(self, size: int = 1, /, **options: Any) -> None:
        self.store = MemoryBackend()
        self.store.live = size
        self.passed = 0.0
        self._options: dict[str, Any] = {
            "quotas_down": "deny",
            "processes": None,
            "timeout": 1.0,
            "max_counters": 1000,
        }
        self._options |= options
        self.processes: list[LeasedQuotas] = []
        for _ in range(size):
            self.processes.append(self.new_process())
        for process in self.processes:
            process.keep()  # so that it learns the number of processes
        self.store.calls.clear()

    def new_process(self) -> LeasedQuotas:
        """Return a process that has not used the store yet."""
        start = 1000.0 * len(self.processes)
        return LeasedQuotas(
            lambda timeout: self.store,
            "memory://store",
            monotonic=lambda: start + self.passed,
            clock=lambda: self.store.now / MICROSECONDS,
            tick=None,
            **self._options,
        )

    def take(self, *quotas: Quota, cost: int = 1, process: int = 0, caller: str = "ann") -> Taken:
        return self.processes[process].take(takes(quotas, cost, caller))

    def at_once(self, *quotas: Quota, cost: int = 1, process: int = 0, caller: str = "ann") -> Taken | None:
        return self.processes[process].take_at_once(takes(quotas, cost, caller))

    def admits(self, *quotas: Quota, **options: Any) -> bool:
        return self.take(*quotas, **options).admitted

    def later(self, seconds: float) -> None:
        """Move all clocks forward."""
        self.passed += seconds
        self.store.now += round(seconds * MICROSECONDS)

    def lend(self, quota: Quota, process: int = 0, caller: str = "ann") -> int:
        """Make a process borrow, as for a second request soon after the first; return the amount."""
        self.take(quota, process=process, caller=caller)
        self.later(0.001)
        before = self.store.used()
        self.take(quota, process=process, caller=caller)
        return self.store.used() - before - 1


def takes(quotas: Sequence[Quota], cost: int = 1, caller: str = "ann") -> list[Take]:
    return [Take((quota.policy, "issuer", caller), quota, cost) for quota in quotas]
