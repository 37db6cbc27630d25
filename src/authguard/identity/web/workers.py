"""Run use cases in threads: each kind of waiting has its own threads, so that none delays another."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from authguard.identity.web.threads import Answer, Answering, Batcher, Question, Threads
from authguard.identity.web.turns import Turns

P = ParamSpec("P")
Result = TypeVar("Result")

MAX_BATCH = 50  # answers of one call, which take some milliseconds
MAX_WAITING_FOR_REMOTES = 64


class Workers:
    """Run use cases in threads, apart from those of an outer application.

    Each kind of waiting has its own threads and queue, so that it never delays another kind. For example,
    guarded requests are answered by threads that only read the database.

    Args:
        threads: the number of threads of each kind.
        one_writer: whether short writes would only wait for each other, as in SQLite.
    """

    def __init__(self, threads: int, *, one_writer: bool) -> None:
        self._reading = Threads(threads, "authguard-read")
        self._writing = Threads(1 if one_writer else threads, "authguard-write")
        self._counting = Threads(threads, "authguard-count")
        self._hashing = Threads(threads, "authguard-hash")
        self.turns = Turns()
        self._threads = threads
        self._remotes: dict[str, Threads] = {}
        # PostgreSQL: single statements in parallel beat batches, because the network's latency dominates.
        self._write_batch = MAX_BATCH if one_writer else 1

    async def read(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a use case that reads the database, and waits for nothing else."""
        return await self._reading.run(partial(function, *args, **kwargs))

    async def write(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a use case that writes to the database, and may wait for a lock."""
        return await self._writing.run(partial(function, *args, **kwargs))

    async def count(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a use case that counts, and may wait for the store of limits."""
        return await self._counting.run(partial(function, *args, **kwargs))

    async def hash(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a use case that hashes a password; it may do all of the above, too."""
        return await self._hashing.run(partial(function, *args, **kwargs))

    async def ask_remote(
        self, name: str, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run a use case that asks a remote of this name, such as a provider; each has its own threads."""
        threads = self._remotes.get(name)
        if threads is None:
            new = Threads(self._threads, f"authguard-{name}", max_waiting=MAX_WAITING_FOR_REMOTES)
            threads = self._remotes.setdefault(name, new)
        return await threads.run(partial(function, *args, **kwargs))

    def batch_reads(self, answer: Answering[Question, Answer]) -> Batcher[Question, Answer]:
        """Read a row for each request, by one call for all simultaneous requests."""
        return Batcher(self._reading, answer, MAX_BATCH)

    def batch_writes(self, answer: Answering[Question, Answer]) -> Batcher[Question, Answer]:
        """Read and write a row for each request, by one call for all simultaneous requests."""
        return Batcher(self._writing, answer, self._write_batch)

    def close(self) -> None:
        """Accept no more work, and finish running work."""
        kinds = self._reading, self._writing, self._counting, self._hashing
        for threads in (*kinds, *self._remotes.values()):
            threads.close()
