"""Follow a log: copy its marks into memory, and track how long the copy is current."""

import logging
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread, current_thread
from weakref import WeakMethod

from authguard._core.logouts import Mode, StoreHealth
from authguard.stores.late_lock import LateLock
from authguard.stores.log import Log, Page, Position, StoreDownError
from authguard.stores.marks import Marks

MAX_MARKS = 1_000_000  # about 400 MB; with more marks, each request asks the store
# The share of that number: above the number a process drops all marks, and below this share it loads them
# again.
_ROOM = 0.9
_RECOUNT_SECONDS = 60.0
_WARNING_SECONDS = 60.0
_ATTEMPT_BOUNDS = 3  # the number of bounds that a read of a store without an answer may take
_ALIVE_BOUNDS = 3  # the number of bounds without a read after which a process counts as ended
_SHARING = "only processes with this log share revocations with this process"
_NEW_LOG = (
    "the log is new, and may lack revocations. Processes that were already running have lost their log, or "
    "use another address, database number, prefix or schema"
)
_log = logging.getLogger("authguard")


class Follower:
    """Follow a log in a thread, which each process starts for itself.

    The copy in memory is current for `bound` seconds from the beginning of the last complete read. The thread
    reads when the store notifies it, and at least once in a third of the bound.

    Args:
        log: the log.
        name: of the store, for health and logs.
        bound: seconds.
        stale: seconds beyond the bound for which the copy may be used while the store does not answer.
        monotonic: a clock that never goes back.
        wall: seconds since the epoch.
        max_marks: the greatest number of marks in memory.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        *,
        bound: float,
        stale: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        max_marks: int = MAX_MARKS,
    ) -> None:
        self.marks = Marks()
        self.bound = bound
        self._log = log
        self.name = name
        self._stale = stale
        self._monotonic = monotonic
        self._wall = wall
        self._max_marks = max_marks
        self._reconnects = 0
        self._warned_at: float | None = None
        self._begin_process()
        reset = WeakMethod(self._begin_process)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _begin_process(self) -> None:
        """Reset all state, because threads and connections do not survive a fork."""
        self._process = f"{os.getpid()}-{secrets.token_hex(8)}"
        # A thread of the parent may hold its lock. Remembered callers refer to its revisions.
        self.marks = Marks(self.marks.revision + 1)
        self._log.forget_connections()
        self._position = Position()
        #: The name of the log as this process has logged it; empty before.
        self.told_epoch = ""
        self._reason = ""
        self._has_failed = False  # whether the store did not answer the last read
        self._retry_at = 0.0  # the time until which requests do not read the log
        self._steps = LateLock()  # locked during a read of the log
        self._thread: Thread | None = None
        self._closing = Event()
        #: Whether the marks are too many for memory, so that requests ask the store.
        self.is_overfull = False
        self._holds = True  # also true while such a process reads all marks again
        self._recount_at = 0.0
        self._confirmed_at: float | None = None
        #: The time until which the copy is current, by the monotonic clock. A request compares only this.
        self.trusted_until = 0.0

    @property
    def sequence(self) -> int:
        """Return the number of the last known mark."""
        return self._position.sequence

    def is_current(self) -> bool:
        """Return whether the copy in memory may be used now."""
        return self._monotonic() < self.trusted_until

    def revision(self) -> int | None:
        """Return a number that changes with the marks; None while the copy must not be used."""
        return self.marks.revision if self._monotonic() < self.trusted_until else None

    def catch_up(self) -> None:
        """Read the log until the copy is current; simultaneous callers wait for the same read.

        Raises:
            StoreDownError: if the store does not answer, at once if it has not answered a short time ago.
        """
        self._start()
        # before the lock, which another caller may hold until its own attempt has failed
        if not self.is_current() and self._monotonic() < self._retry_at:
            raise StoreDownError(self._reason)
        with self._steps:
            while not self.is_current() and not self.is_overfull:
                if self._monotonic() < self._retry_at:
                    raise StoreDownError(self._reason)
                young = self._step_or_stale()
                if young > 0:
                    self._closing.wait(young)

    def _step_or_stale(self) -> float:
        """Read the log once; if the store does not answer, accept a stale copy where allowed."""
        try:
            return self.step()
        except StoreDownError:
            if not self.is_current():
                raise
            return 0.0

    def step(self) -> float:
        """Read the log once.

        Returns:
            the seconds after which to read again, if the log's epoch is too young to be trusted.

        Raises:
            StoreDownError: if the store does not answer.
        """
        with self._steps:
            started = self._monotonic()
            if self._has_failed:  # callers do not wait for this attempt
                self._retry_at = started + _ATTEMPT_BOUNDS * self.bound
            try:
                if not self._holds:
                    self._hold_again(started)
                page = self._read()
                while not page.is_last:
                    page = self._read()
            except StoreDownError as error:
                self._has_failed = True
                self._note_failure(str(error), self._monotonic())
                raise
            self._has_failed = False
            young = self.bound - page.age
            if young > 0:
                # Other processes may still be writing back their marks.
                self._note_failure(_NEW_LOG, started)
                # requests wait until the epoch is old enough, regardless of the thread that has read it
                self._retry_at = 0.0
                return young
            self._note_success(started)
            return 0.0

    def _hold_again(self, now: float) -> None:
        """Drop all marks; start to load them again if they have become few enough."""
        # The marks are dropped only after this read, because a request may have used the previous marks.
        if len(self.marks):
            self.marks.clear()
        if now >= self._recount_at:
            self._recount_at = now + _RECOUNT_SECONDS
            if self._log.count(self._wall(), self._max_marks) <= _ROOM * self._max_marks:
                self._holds, self._position = True, Position()

    def _read(self) -> Page:
        page = self._log.read(self._process, self._position, _ALIVE_BOUNDS * self.bound)
        if page.state == "lost":
            self._write_back()
            return self._read_anew()
        if page.state == "old":
            return self._read_anew()
        now = self._wall()
        for mark in page.marks:
            if mark.until > now and self._holds:
                self.marks.put(mark, now)
        if self._holds and len(self.marks) > self._max_marks:
            self._make_room(now)
        self._position = page.position
        return page

    def _make_room(self, now: float) -> None:
        """Drop expired marks; if too many remain, let requests ask the store."""
        self.marks.purge(now)
        if len(self.marks) > _ROOM * self._max_marks:
            self.trusted_until = 0.0
            self.is_overfull, self._holds = True, False
            self._recount_at = self._monotonic() + _RECOUNT_SECONDS

    def _write_back(self) -> None:
        """Restore lost marks of the store from the copy in memory."""
        self._note_failure("the log has lost its past", self._monotonic())
        marks = self.marks.live(self._wall())
        self._log.append(marks, lost_epoch=self._position.epoch)
        _log.warning(
            "authguard: %s had lost its log; %d revocations were written back", self.name, len(marks)
        )

    def _read_anew(self) -> Page:
        self._position = Position()
        return Page("ok", self._position, 0.0, is_last=False)

    def _note_success(self, started: float) -> None:
        if self._reason:
            self._reconnects += 1
            self._reason = ""
            self._warned_at = None
            _log.info("authguard: %s answers again", self.name)
        self.tell_epoch(self._position.epoch)
        self._confirmed_at = started
        self._retry_at = 0.0
        self.is_overfull = not self._holds
        self.trusted_until = 0.0 if self.is_overfull else started + self.bound

    def tell_epoch(self, epoch: str) -> None:
        """Log the name of the log once, because an address alone does not tell which processes share it."""
        if epoch != self.told_epoch:
            self.told_epoch = epoch
            _log.info("authguard: %s has the log %s; %s", self.name, epoch, _SHARING)

    def _note_failure(self, reason: str, now: float) -> None:
        """Log that the copy will soon be too old; within the bound it is still used."""
        self._retry_at = now + self.bound / 3
        if self._stale and self._confirmed_at is not None and not self.is_overfull:
            self.trusted_until = self._confirmed_at + self.bound + self._stale
        self._warn(reason, now)

    def _warn(self, reason: str, now: float) -> None:
        self._reason = reason
        if self._warned_at is None or now - self._warned_at >= _WARNING_SECONDS:
            self._warned_at = now
            _log.warning("authguard: %s cannot tell what is revoked: %s", self.name, reason)

    def _start(self) -> None:
        """Start the thread, unless it is running."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._steps:
            if self._thread is None or not self._thread.is_alive():
                self._closing = Event()
                follow = WeakMethod(self._follow_once)
                thread = Thread(
                    target=_follow, args=(follow, self._closing), name="authguard-revocations", daemon=True
                )
                with suppress(RuntimeError):  # the system has no more threads for now: requests read the log
                    thread.start()
                    self._thread = thread

    def _follow_once(self, closing: Event) -> None:
        """Wait for the store, and read.

        A thread of the parent process, which gevent keeps running in the child, ends here.
        """
        if closing is not self._closing:
            closing.set()
            return
        try:
            self._log.wait(self.bound / 3)
        except StoreDownError:
            self._closing.wait(self.bound / 3)
        sequence = self.sequence
        with suppress(StoreDownError):  # the failure is noted and logged
            if self.step() == 0.0 and self.sequence != sequence:
                self.step()  # the next read tells waiting callers that this process has read the marks

    def is_known_everywhere(self, sequence: int) -> bool:
        """Return whether every living process has read up to a number."""
        return self._log.is_confirmed(sequence, _ALIVE_BOUNDS * self.bound)

    def health(self) -> StoreHealth:
        """Return the state of this process's copy."""
        now = self._monotonic()
        lag = None if self._confirmed_at is None else max(0.0, now - self._confirmed_at)
        return StoreHealth(self.name, self._mode(now), lag, self.sequence, self._reconnects, self._reason)

    def _mode(self, now: float) -> Mode:
        if self._thread is None and self._confirmed_at is None:
            return "unused"
        if self.is_overfull and not self._reason:
            return "checking"
        if now >= self.trusted_until:
            return "down"
        return "stale" if self._reason else "pushed"

    def close(self) -> None:
        """End the thread and close the connections."""
        self._closing.set()
        if self._thread is not None and self._thread is not current_thread():
            self._thread.join()  # the thread waits for the store for at most a third of the bound
        self._log.close()


def _follow(follow_once: "WeakMethod[Callable[[Event], None]]", closing: Event) -> None:
    """Follow until the follower is closed or collected."""
    while not closing.is_set() and (once := follow_once()) is not None:
        try:
            once(closing)
        except Exception:  # the thread must not end, or the copy would become stale
            _log.exception("authguard: following the log of revocations failed")
            closing.wait(1.0)
        del once
