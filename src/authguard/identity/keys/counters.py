"""Count the outcomes of requests with an API key in memory."""

from collections.abc import Iterator
from threading import Lock
from typing import Protocol, TypeAlias

from authguard._core.terms import OK
from authguard.identity.storage.usage_levels import MINUTE_SECONDS
from authguard.identity.storage.usage_queries import LastUse

#: The generation of a text with the id of a key, but none of its secrets.
UNKNOWN = 0

#: The start of a minute, the generation, the rule and the outcome.
Cell: TypeAlias = tuple[int, int, str, str]
Counted: TypeAlias = Iterator[tuple[Cell, int]]


class Recorder(Protocol):
    """Define the methods that a counter needs of the recorder that writes its counts.

    Attributes:
        lock: locked while a request is counted.
    """

    lock: Lock

    def note(self, counter: "KeyCounter") -> None:
        """Note that a counter has counts to write; the lock is held."""

    def keep(self, key_id: str, cells: Counted) -> None:
        """Store the counts of a finished minute; the lock is held."""


class KeyCounter:
    """Count the requests with a generation of a key; created when the key is looked up.

    Args:
        recorder: writes the counts.
        key_id: the public id of the key.
        generation: the generation of the presented secret; `UNKNOWN` if it is none of the key's.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_cells",
        "_ends_at",
        "_last",
        "_passed",
        "_recorder",
        "_starts_at",
        "generation",
        "key_id",
    )

    def __init__(self, recorder: Recorder, key_id: str, generation: int) -> None:
        self._recorder = recorder
        self.key_id = key_id
        self.generation = generation
        self.clear()

    def clear(self) -> None:
        """Reset the counts to zero."""
        # The minute from `_starts_at` to `_ends_at`; both are equal while nothing is counted.
        self._cells: dict[tuple[str, str], int] = {}
        self._starts_at = self._ends_at = 0.0
        self._passed = 0
        self._last = 0.0
        self._address: str | None = None

    def count(self, now: float, address: str | None, rule: str, outcome: str, uses: int = 1, /) -> None:
        """Count a request; every request with a key calls this.

        Args:
            now: seconds since the epoch.
            address: the address of the client, if known.
            rule: the name of the rule that decided.
            outcome: one of `OUTCOMES`.
            uses: 1, or -1 to take a count back.
        """
        with self._recorder.lock:
            if not self._starts_at <= now < self._ends_at:
                self._begin(now)
            cell = (rule, outcome)
            cells = self._cells
            cells[cell] = cells.get(cell, 0) + uses
            if outcome == OK:
                self._passed += uses
                if uses < 0:
                    return
                if now > self._last:  # noqa: PLR1730 (a call of `max` would cost each request more)
                    self._last = now
                if address is not None:
                    self._address = address

    def _begin(self, now: float) -> None:
        """Start to count another minute; the lock is held."""
        if self._cells:
            self._recorder.keep(self.key_id, self.cells())
            self._cells = {}
        elif not self._ends_at:
            self._recorder.note(self)
        self._starts_at = float(now // MINUTE_SECONDS * MINUTE_SECONDS)
        self._ends_at = self._starts_at + MINUTE_SECONDS

    def cells(self) -> Counted:
        """Return the counts of the minute."""
        start = int(self._starts_at)
        for (rule, outcome), uses in self._cells.items():
            yield (start, self.generation, rule, outcome), uses

    @property
    def last_use(self) -> LastUse:
        """Return how many requests were allowed since the last write, and the time of the last one."""
        return LastUse(self.key_id, self._passed, self._last, self._address)
