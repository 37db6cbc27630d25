"""Count the outcomes of requests with API keys in memory, and write them once a minute."""

import logging
import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from secrets import token_hex
from threading import Event, Lock, Thread
from weakref import WeakMethod, WeakValueDictionary

from authguard.identity.errors import StoreUnavailableError
from authguard.identity.keys.counters import Cell, Counted, KeyCounter
from authguard.identity.storage.database import Database
from authguard.identity.storage.usage_levels import DAY_SECONDS, HOUR_SECONDS
from authguard.identity.storage.usage_queries import Batch, LastUse, Uses, add_batch
from authguard.identity.storage.usage_roll_up import keep_up

logger = logging.getLogger("authguard")

#: Seconds between two writes; counts of that long may be lost if the process is killed.
FLUSH_SECONDS = 60.0
#: Counts that wait while the database is down; above this number they are merged by hour and day.
MAX_WAITING = 100_000

_MAX_REFUSED = 5  # attempts to write a batch that the database refuses for another reason than an outage
_FLUSHES = 5  # the number of writes after which ended periods are rolled up


class UsageRecorder:
    """Write the counts in a thread, so that requests do not wait.

    Args:
        database: the database for the counts.
        seconds: seconds between two writes.
        clock: seconds since the epoch, for rolling up.

    Attributes:
        lock: locked while a request is counted.
    """

    def __init__(
        self,
        database: Database,
        *,
        seconds: float = FLUSH_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock
        self._noted: dict[str, list[KeyCounter]] = {}
        self._begin_process()
        reset = WeakMethod(self._begin_process)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _begin_process(self) -> None:
        """Reset all state: threads do not survive a fork, and the parent writes its own counts."""
        self.lock = Lock()
        self._writing = Lock()
        for counters in self._noted.values():
            for counter in counters:
                counter.clear()
        #: Counters with counts since the last write, and counts that were moved out of them, by key.
        self._noted = {}
        self._cells: dict[str, dict[Cell, int]] = {}
        self._last_uses: dict[str, LastUse] = {}
        self._known: WeakValueDictionary[tuple[str, int], KeyCounter] = WeakValueDictionary()
        # The batch that is being written. It does not change until it is known to be stored.
        self._batch: Batch | None = None
        self._refused = 0
        self._writer, self._number = token_hex(16), 0
        self._thread: Thread | None = None
        self._closing = Event()

    def counter(self, key_id: str, generation: int) -> KeyCounter:
        """Return the counter of a generation of a key; the same one for all look-ups."""
        with self.lock:
            counter = self._known.get((key_id, generation))
            if counter is None:
                counter = self._known[key_id, generation] = KeyCounter(self, key_id, generation)
        return counter

    def note(self, counter: KeyCounter) -> None:
        """Note that a counter has counts to write; the lock is held."""
        self._noted.setdefault(counter.key_id, []).append(counter)
        if self._thread is None:
            # A daemon thread, so that a program that ends without closing does not wait for it.
            self._closing = Event()
            arguments = (self._closing,)
            thread = Thread(target=self._run, args=arguments, name="authguard-key-usage", daemon=True)
            with suppress(RuntimeError):  # the system has no more threads for now: the next use tries again
                thread.start()
                self._thread = thread

    def keep(self, key_id: str, cells: Counted) -> None:
        """Store the counts of a finished minute; the lock is held."""
        kept = self._cells.setdefault(key_id, {})
        for cell, uses in cells:
            kept[cell] = kept.get(cell, 0) + uses

    def _run(self, closing: Event) -> None:
        flushes = 0
        while not closing.wait(self._seconds):
            try:
                self.flush()
                if flushes % _FLUSHES == 0:
                    keep_up(self._database, self._clock(), stops=closing.is_set)
                flushes += 1
            except Exception as error:
                # The counts are written the next time; the thread must not end.
                logger.warning("the uses of API keys are not written yet: %s", type(error).__name__)

    def pending(self, key_ids: Collection[str]) -> list[Uses]:
        """Return the counts of some keys that are not written yet."""
        with self.lock:
            batch = () if self._batch is None else self._batch.uses
            rows = [row for row in batch if row.key_id in key_ids]
            for key_id in key_ids:
                for cell, uses in self._cells.get(key_id, {}).items():
                    rows.append(Uses(key_id, *cell, uses))
                for counter in self._noted.get(key_id, ()):
                    rows += [Uses(key_id, *cell, uses) for cell, uses in counter.cells()]
        return rows

    def pending_last_uses(self, key_ids: Collection[str]) -> dict[str, LastUse]:
        """Return the allowed requests of some keys that are not written yet, for keys that have some."""
        uses: dict[str, LastUse] = {}
        with self.lock:  # the newest uses first, whose address is kept
            for key_id in key_ids:
                for counter in self._noted.get(key_id, ()):
                    if counter.last_use.uses:
                        _add_last(uses, counter.last_use)
                if key_id in self._last_uses:
                    _add_last(uses, self._last_uses[key_id])
            for use in () if self._batch is None else self._batch.last_uses:
                if use.key_id in key_ids:
                    _add_last(uses, use)
        return uses

    def flush(self) -> None:
        """Write all counts.

        Raises:
            StoreUnavailableError: if the counts may not be stored; they are kept for the next time.
        """
        with self._writing:
            # Counts that were made after a failed batch form another batch.
            while self._batch is not None or self._make_batch():
                try:
                    add_batch(self._database, self._batch)  # type: ignore[arg-type]  # it is one now
                except StoreUnavailableError:
                    self._bound()
                    raise
                except Exception:
                    self._give_up()
                    raise
                with self.lock:
                    self._batch, self._refused = None, 0

    def _give_up(self) -> None:
        """Drop a batch that the database refuses repeatedly, so that others are written."""
        self._refused += 1
        if self._refused >= _MAX_REFUSED:
            logger.error("uses of API keys are lost: the database refuses them")
            with self.lock:
                self._batch, self._refused = None, 0

    def _make_batch(self) -> bool:
        with self.lock:
            self._collect()
            cells = [(key_id, cell) for key_id, cells in self._cells.items() for cell in cells.items()]
            uses = sorted(Uses(key_id, *cell, many) for key_id, (cell, many) in cells if many)
            last = sorted(self._last_uses.values())
            self._cells, self._last_uses = {}, {}
            if not uses:
                return False
            self._number += 1
            self._batch = Batch(self._writer, self._number, self._clock(), uses, last)
            return True

    def _collect(self) -> None:
        """Take the counts of the counters; the lock is held."""
        for counters in self._noted.values():
            for counter in counters:
                self.keep(counter.key_id, counter.cells())
                if counter.last_use.uses:
                    _add_last(self._last_uses, counter.last_use)
                counter.clear()
        self._noted = {}

    def _bound(self) -> None:
        """Limit the waiting counts: merge them by hour, and then by day."""
        with self.lock:
            self._collect()
            for seconds in (HOUR_SECONDS, DAY_SECONDS):
                if sum(map(len, self._cells.values())) <= MAX_WAITING:
                    return
                waiting, self._cells = self._cells, {}
                for key_id, cells in waiting.items():
                    self.keep(key_id, _in_periods(cells, seconds))

    def close(self) -> None:
        """Write all counts, and end the thread; a later request starts another."""
        with self.lock:
            thread, self._thread = self._thread, None
            self._closing.set()
        if thread is not None:
            thread.join()
        try:
            self.flush()
        except StoreUnavailableError as error:
            logger.warning("the last uses of API keys are lost: %s", error.reason)


def _add_last(uses: dict[str, LastUse], use: LastUse) -> None:
    """Add the uses of a key to those before."""
    before = uses.get(use.key_id)
    if before is not None:
        newer, older = (use, before) if use.at >= before.at else (before, use)
        use = LastUse(use.key_id, use.uses + before.uses, newer.at, newer.address or older.address)
    uses[use.key_id] = use


def _in_periods(cells: Mapping[Cell, int], seconds: int) -> Counted:
    """Return counts moved to the beginning of their hour or day."""
    for (start, generation, rule, outcome), uses in cells.items():
        yield (start // seconds * seconds, generation, rule, outcome), uses
