"""Decide requests while the store of quotas is down."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import Literal, NamedTuple, TypeAlias

from authguard._core.options import check_choice, check_whole, got
from authguard._core.quota_store import Take, Taken
from authguard.errors import ConfigurationError, QuotaUnavailableError
from authguard.stores.counting.memory import MemoryQuotas

#: `"deny"` answers with 503; `"local"` counts in each process, which gets its share of the quotas.
QuotasDown: TypeAlias = Literal["deny", "local"]

RETRY_SECONDS = 0.5
MAX_PROCESSES = 10_000
_WARNING_SECONDS = 60.0
_log = logging.getLogger("authguard")


class ByShare(NamedTuple):
    """Mark the receipt of an amount that was counted in this process.

    Attributes:
        taken: the receipt of the local counters.
    """

    taken: Taken


def check_quotas_down(down: object, processes: object) -> int | None:
    """Check the options, and return the divisor of each quota; None for `"deny"`.

    Raises:
        ConfigurationError: if the word is unknown, or the number of processes is missing or has no effect.
    """
    if check_choice(down, "quotas_down", ("deny", "local")) == "local":
        if processes is None:
            raise ConfigurationError(
                'processes must be how many there are, on all machines, got None: write quotas_down="local", '
                "processes=8"
            )
        return check_whole(processes, "processes", 1, MAX_PROCESSES)
    if processes is not None:
        raise ConfigurationError(
            f'processes must be left out with quotas_down="deny", got {got(processes, numeric=True)}: write '
            'quotas_down="local"'
        )
    return None


class Outage:
    """Track whether a store is down, and decide requests while it is.

    Args:
        name: of the store, for logs.
        processes: the divisor of the quotas; None to refuse all requests that are counted.
        max_counters: the greatest number of counters in this process.
        monotonic: a clock that never goes back.
        clock: seconds since the epoch, for calendar days.

    Attributes:
        reason: the reason why the store is down; empty if it is up.
        unavailable: the number of requests refused for that reason.
        by_share: the number of requests counted in this process.
        memory: the local counters; None to refuse.
    """

    def __init__(
        self,
        name: str,
        processes: int | None,
        *,
        max_counters: int,
        monotonic: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self.reason = ""
        self.unavailable = self.by_share = 0
        self.memory: MemoryQuotas | None = None
        if processes is not None:
            self.memory = MemoryQuotas(max_counters=max_counters, monotonic=monotonic, clock=clock)
        self._name = name
        self._processes = processes or 1
        self._together = 0
        self._retry_at = 0.0
        self._warned_at: float | None = None
        self._lock = Lock()

    def may_ask(self, now: float) -> bool:
        """Return whether to ask the store; while it is down, one caller may do so each half second."""
        if not self.reason:
            return True
        with self._lock:
            if now < self._retry_at:
                return False
            self._retry_at = now + RETRY_SECONDS
            return True

    def is_due(self, now: float) -> bool:
        """Return whether `may_ask` would return True."""
        return not self.reason or now >= self._retry_at

    def note_failure(self, reason: str, now: float) -> None:
        """Note that the store did not answer."""
        with self._lock:
            self.reason = reason
            self._retry_at = now + RETRY_SECONDS
            warns = self._warned_at is None or now - self._warned_at >= _WARNING_SECONDS
            if warns:
                self._warned_at = now
        if warns:
            kept = f"a share of 1/{self._processes} is counted in each process"
            what = "requests are answered with 503" if self.memory is None else kept
            _log.warning("authguard: %s cannot count quotas, and %s: %s", self._name, what, reason)

    def note_success(self) -> None:
        """Note that the store has answered."""
        if self.reason:
            self.reason = ""
            _log.info("authguard: %s counts quotas again", self._name)

    def note_processes(self, number: int) -> int:
        """Log the number of processes that count together, if it has changed, and return it, at least 1.

        Processes at another address or with another prefix are missing from it.
        """
        if number != self._together:
            self._together = number
            _log.info("authguard: %s counts quotas for %d processes together", self._name, number)
        return max(1, number)

    def take(self, takes: Sequence[Take]) -> Taken:
        """Decide in this process, using its share of each quota.

        Raises:
            QuotaUnavailableError: if this process does not decide, the cost is above its share, or its table
                is full.
        """
        decided = self._decide(takes)
        if isinstance(decided, Taken):
            return decided
        with self._lock:
            self.unavailable += 1
        error = QuotaUnavailableError(f"{self._name}: {decided}", retry_after=1)
        error.is_logged = bool(self.reason)
        raise error

    def take_at_once(self, takes: Sequence[Take]) -> Taken | None:
        """Decide as `take` does; return None if that would raise an error."""
        decided = self._decide(takes)
        return decided if isinstance(decided, Taken) else None

    def _decide(self, takes: Sequence[Take]) -> Taken | str:
        """Return the result of the local counters, or the reason why they cannot decide."""
        if self.memory is None:
            return self.reason or "the store did not answer"
        shares = []
        for take in takes:
            quota, share = take.quota, take.quota.count // self._processes
            if quota.enforce and share < take.cost <= quota.count:
                return f"{self.reason}; the request costs more than the share of a process"
            shares.append(Take(take.key, replace(quota, count=max(1, share)), take.cost))
        try:
            taken = self.memory.take(shares)
        except QuotaUnavailableError as error:
            return error.reason
        with self._lock:
            self.by_share += 1
        return Taken(taken.admitted, taken.states, ByShare(taken))

    def counts(self) -> tuple[int, int, int]:
        """Return how many requests the local counters admitted, refused, and would have refused."""
        if self.memory is None:
            return 0, 0, 0
        health = self.memory.health()
        return health.admitted, health.refused, health.would_refuse

    def give_back(self, receipt: ByShare) -> None:
        """Undo a `take` of this process."""
        if self.memory is not None:
            self.memory.give_back(receipt.taken)
