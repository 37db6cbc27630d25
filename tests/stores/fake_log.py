"""Simulate a shared log of revocations without a store; the tests set its clock and its outages."""

import threading
from collections.abc import Callable, Sequence

from authguard.stores.follower import Follower
from authguard.stores.log import Page, Position, State, StoreDownError
from authguard.stores.marks import Key, Mark
from authguard.stores.revocations import SharedRevocations

NOW = 1_800_000_000.0
BOUND = 1.0


class World:
    """Hold a settable clock, and a simulated store that can fail and lose its data."""

    def __init__(self) -> None:
        self.monotonic = 100.0
        self.now = NOW
        self.down = False
        self.epoch = "first"
        self.began = -1000.0
        self.marks: list[Mark] = []
        self.readings = 0
        self.counts = 0
        self.page_marks = 1_000_000
        self.on_read: Callable[[], None] = lambda: None
        self.closed = threading.Event()
        self.processes: list[SharedRevocations] = []

    def close(self) -> None:
        """End the threads, so that they log nothing during the next test."""
        self.closed.set()
        for process in self.processes:
            process.close()

    def forget(self) -> None:
        """Delete all data, like a restart of a Redis without a disk."""
        self.epoch, self.began, self.marks = "second", self.monotonic, []


class FakeLog:
    """Read and write the log; no notification wakes the thread, so the tests determine when it reads."""

    def __init__(self, world: World) -> None:
        self.world = world

    def _answer(self) -> None:
        if self.world.down:
            raise StoreDownError("the store is down")

    def read(self, process: str, position: Position, alive: float) -> Page:
        """Read all marks after a position."""
        self._answer()
        world = self.world
        world.readings += 1
        world.on_read()
        state: State = "ok" if position.epoch in ("", world.epoch) else "lost"
        end = min(position.sequence + world.page_marks, len(world.marks))
        reached, marks = Position(world.epoch, end, "tip"), world.marks[position.sequence : end]
        is_last = end == len(world.marks)
        return Page(state, reached, world.monotonic - world.began, marks, is_last=is_last)

    def append(self, marks: Sequence[Mark], *, lost_epoch: str = "") -> int:
        """Write marks."""
        self._answer()
        self.world.marks += marks
        return len(self.world.marks)

    def find(self, keys: Sequence[Key]) -> list[Mark]:
        """Return marks by their keys."""
        self._answer()
        return [mark for mark in self.world.marks if mark.key in keys]

    def count(self, now: float, most: int) -> int:
        """Count the marks that have not ended."""
        self._answer()
        self.world.counts += 1
        return min(most, sum(mark.until > now for mark in self.world.marks))

    def is_confirmed(self, sequence: int, alive: float) -> bool:
        """Return False, because no process reads."""
        return False

    def epoch(self) -> str:
        """Return the name of the epoch."""
        self._answer()
        return self.world.epoch

    def use_proof(self, digest: str, seconds: int) -> bool:
        """Return True, because no proof was used before."""
        self._answer()
        return True

    def wait(self, seconds: float) -> None:
        """Wait for the end of the test."""
        self.world.closed.wait()
        raise StoreDownError("closed")

    def close(self) -> None:
        """Do nothing."""

    def forget_connections(self) -> None:
        """Do nothing."""


def revocations(world: World, *, stale: float = 0.0, max_marks: int = 1000) -> SharedRevocations:
    """Return the revocations of one process."""
    log = FakeLog(world)
    follower = Follower(
        log,
        "store",
        bound=BOUND,
        stale=stale,
        monotonic=lambda: world.monotonic,
        wall=lambda: world.now,
        max_marks=max_marks,
    )
    process = SharedRevocations(log, follower, clock=lambda: world.now, monotonic=lambda: world.monotonic)
    world.processes.append(process)
    return process
