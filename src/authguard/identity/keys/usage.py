"""Count the uses of API keys in memory, and write them once a minute."""

import logging
import os
from threading import Event, Lock, Thread
from weakref import WeakMethod

from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage.database import Database
from authguard.identity.storage.usage_queries import KeyUses, add_uses

logger = logging.getLogger("authguard")

#: Seconds between two writings; as many may be lost if the process is killed.
FLUSH_SECONDS = 60.0
_DAY = 86_400


class UsageRecorder:
    """Count requests by key, generation and day, where requests wait for nothing.

    Args:
        database: where the counts are written.
        seconds: between two writings.
    """

    def __init__(self, database: Database, *, seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._seconds = seconds
        self._begin_process()
        reset = WeakMethod(self._begin_process)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _begin_process(self) -> None:
        """Start anew: threads do not survive a fork, and what was counted is the parent's to write."""
        self._lock = Lock()
        self._writing = Lock()
        self._uses: dict[tuple[str, int, int], int] = {}
        self._last: dict[str, tuple[float, str | None]] = {}
        self._thread: Thread | None = None
        self._closing = Event()

    def count(self, key_id: str, generation: int, now: float, address: str | None) -> None:
        """Count a request.

        Args:
            key_id: the public id of the key.
            generation: of the secret that was presented.
            now: seconds since the epoch.
            address: of the client, if it is known.
        """
        name = (key_id, generation, int(now // _DAY))
        with self._lock:
            self._uses[name] = self._uses.get(name, 0) + 1
            self._note_last(key_id, now, address)
            if self._thread is None:
                self._start()

    def _note_last(self, key_id: str, now: float, address: str | None) -> None:
        before = self._last.get(key_id)
        if before is not None:
            now = max(now, before[0])
            address = address or before[1]
        self._last[key_id] = (now, address)

    def _start(self) -> None:
        # A daemon: a program that ends without closing does not wait for it.
        self._closing = Event()
        self._thread = Thread(
            target=self._run, args=(self._closing,), name="authguard-key-usage", daemon=True
        )
        self._thread.start()

    def _run(self, closing: Event) -> None:
        while not closing.wait(self._seconds):
            try:
                self.flush()
            except Exception as error:
                # They are written the next time; the thread must not end.
                logger.warning("the uses of API keys are not written yet: %s", type(error).__name__)

    def pending(self, user_key_ids: set[str]) -> dict[int, int]:
        """Return what has been counted and not written for some keys, by day."""
        with self._lock:
            uses = list(self._uses.items())
        days: dict[int, int] = {}
        for (key_id, _, day), count in uses:
            if key_id in user_key_ids:
                days[day] = days.get(day, 0) + count
        return days

    def flush(self) -> None:
        """Write what has been counted.

        Raises:
            StoreUnavailableError: if it was not stored; it is kept for the next time.
        """
        with self._writing:
            with self._lock:
                uses, self._uses = self._uses, {}
                last, self._last = self._last, {}
            if not uses:
                return
            rows = [KeyUses(*name, count, *last[name[0]]) for name, count in sorted(uses.items())]
            try:
                add_uses(self._database, rows)
            except BaseException:
                self._put_back(uses, last)
                raise

    def _put_back(
        self, uses: dict[tuple[str, int, int], int], last: dict[str, tuple[float, str | None]]
    ) -> None:
        with self._lock:
            for name, count in uses.items():
                self._uses[name] = self._uses.get(name, 0) + count
            for key_id, (now, address) in last.items():
                newer = self._last.get(key_id)
                self._last[key_id] = (now, address)
                if newer is not None:
                    self._note_last(key_id, *newer)

    def close(self) -> None:
        """Write what has been counted, and end the thread; a later request starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._closing.set()
        if thread is not None:
            thread.join()
        try:
            self.flush()
        except StoreUnavailableError as error:
            logger.warning("the last uses of API keys are lost: %s", error.reason)
