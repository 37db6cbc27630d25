"""Count the uses of API keys in memory, and write them once a minute."""

import logging
import os
from threading import Event, Lock, Thread
from weakref import WeakMethod, WeakValueDictionary

from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage.database import Database
from authguard.identity.storage.usage_queries import KeyUses, add_uses

logger = logging.getLogger("authguard")

#: Seconds between two writings; as many may be lost if the process is killed.
FLUSH_SECONDS = 60.0
_DAY = 86_400


class KeyCounter:
    """Count the requests with a generation of a key; made when the key is looked up.

    Args:
        recorder: writes what is counted.
        key_id: the public id of the key.
        generation: of the secret that was presented.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_day",
        "_ends_at",
        "_generation",
        "_key_id",
        "_last",
        "_recorder",
        "uses",
    )

    def __init__(self, recorder: "UsageRecorder", key_id: str, generation: int) -> None:
        self._recorder = recorder
        self._key_id = key_id
        self._generation = generation
        #: How many requests have not been written yet.
        self.uses = 0
        self._last = 0.0
        self._address: str | None = None
        self._day = 0
        self._ends_at = 0.0

    def count(self, now: float, address: str | None) -> None:
        """Count a request; each request with a key passes here.

        Args:
            now: seconds since the epoch.
            address: of the client, if it is known.
        """
        recorder = self._recorder
        with recorder.lock:
            if not self.uses or not self._ends_at - _DAY <= now < self._ends_at:
                self._begin(now)
            self.uses += 1
            self._last = max(self._last, now)
            if address is not None:
                self._address = address

    def _begin(self, now: float) -> None:
        """Begin to count, since all has been written, or it is another day."""
        if self.uses:
            self._recorder.rows.append(self.take())
        else:
            self._recorder.note(self)
        self._day = int(now // _DAY)
        self._ends_at = (self._day + 1.0) * _DAY
        self._last = now

    def take(self) -> KeyUses:
        """Return what has been counted, and begin at zero."""
        row = KeyUses(self._key_id, self._generation, self._day, self.uses, self._last, self._address)
        self.uses = 0
        return row

    @property
    def row(self) -> KeyUses:
        """Return what has been counted."""
        return KeyUses(self._key_id, self._generation, self._day, self.uses, self._last, self._address)


class UsageRecorder:
    """Write what was counted, where requests wait for nothing.

    Args:
        database: where the counts are written.
        seconds: between two writings.

    Attributes:
        lock: held while something is counted.
        rows: what was counted of days before, or could not be written.
    """

    def __init__(self, database: Database, *, seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._seconds = seconds
        self._counters: list[KeyCounter] = []
        self._begin_process()
        reset = WeakMethod(self._begin_process)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _begin_process(self) -> None:
        """Start anew: threads do not survive a fork, and what was counted is the parent's to write."""
        self.lock = Lock()
        self._writing = Lock()
        for counter in self._counters:
            counter.uses = 0
        self._counters = []
        self._known: WeakValueDictionary[tuple[str, int], KeyCounter] = WeakValueDictionary()
        self.rows: list[KeyUses] = []
        self._thread: Thread | None = None
        self._closing = Event()

    def counter(self, key_id: str, generation: int) -> KeyCounter:
        """Return what counts the requests with a generation of a key; the same one for all look-ups."""
        with self.lock:
            counter = self._known.get((key_id, generation))
            if counter is None:
                counter = self._known[key_id, generation] = KeyCounter(self, key_id, generation)
        return counter

    def note(self, counter: KeyCounter) -> None:
        """Note that a counter has something to write; the lock is held."""
        self._counters.append(counter)
        if self._thread is None:
            # A daemon: a program that ends without closing does not wait for it.
            self._closing = Event()
            arguments = (self._closing,)
            self._thread = Thread(target=self._run, args=arguments, name="authguard-key-usage", daemon=True)
            self._thread.start()

    def _run(self, closing: Event) -> None:
        while not closing.wait(self._seconds):
            try:
                self.flush()
            except Exception as error:
                # They are written the next time; the thread must not end.
                logger.warning("the uses of API keys are not written yet: %s", type(error).__name__)

    def pending(self, key_ids: set[str]) -> dict[int, int]:
        """Return what has been counted and not written for some keys, by day."""
        with self.lock:
            rows = [*self.rows, *(counter.row for counter in self._counters)]
        days: dict[int, int] = {}
        for row in rows:
            if row.key_id in key_ids:
                days[row.day] = days.get(row.day, 0) + row.uses
        return days

    def flush(self) -> None:
        """Write what has been counted.

        Raises:
            StoreUnavailableError: if it was not stored; it is kept for the next time.
        """
        with self._writing:
            with self.lock:
                rows = [*self.rows, *(counter.take() for counter in self._counters)]
                self.rows, self._counters = [], []
            if not rows:
                return
            rows = _merged(rows)
            try:
                add_uses(self._database, rows)
            except BaseException:
                with self.lock:
                    self.rows += rows
                raise

    def close(self) -> None:
        """Write what has been counted, and end the thread; a later request starts another."""
        with self.lock:
            thread, self._thread = self._thread, None
            self._closing.set()
        if thread is not None:
            thread.join()
        try:
            self.flush()
        except StoreUnavailableError as error:
            logger.warning("the last uses of API keys are lost: %s", error.reason)


def _merged(rows: list[KeyUses]) -> list[KeyUses]:
    """Return one row for each generation of a key on a day, in the order of the keys."""
    merged: dict[tuple[str, int, int], KeyUses] = {}
    for row in rows:
        before = merged.setdefault(row[:3], row)
        if before is not row:
            newer, older = (row, before) if row.last_used_at >= before.last_used_at else (before, row)
            uses, address = before.uses + row.uses, newer.address or older.address
            merged[row[:3]] = newer._replace(uses=uses, address=address)
    return sorted(merged.values(), key=lambda row: row[:3])
