"""Run plain functions in a few threads, while event loops go on."""

import os
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeAlias, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")
#: What a thread does, and returns what is left to do when the thread counts as free; it raises nothing.
Job: TypeAlias = Callable[[], Callable[[], None] | None]
Outcome: TypeAlias = tuple[BaseException | None, Any]  # what a function has raised, or its result


class Threads:
    """Run functions in a few threads, for whichever event loop asks.

    Not `ThreadPoolExecutor`: its second future has locks of its own, and the interpreter waits for its
    threads at the end.

    Args:
        max_threads: how many; each starts when there is work that no other is free for.
        name: what they are called.
    """

    def __init__(self, max_threads: int, name: str) -> None:
        self._max_threads = max_threads
        self._name = name
        self._closed = False
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._unfinished = 0  # jobs that wait or are under way

    async def run(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns; it is not called once its caller is cancelled.

        Raises:
            RuntimeError: after `close`.
        """
        loop = get_running_loop()
        future: Future[Result] = loop.create_future()
        self.put(partial(self._run, loop, future, function))
        try:
            return await future
        finally:
            del future  # an error's traceback has this frame, and the future has the error

    def _run(
        self, loop: AbstractEventLoop, future: "Future[Any]", function: Callable[[], Any]
    ) -> Callable[[], None] | None:
        if future.cancelled():
            return None
        try:
            return partial(settle_soon, loop, settle, future, outcome_of(function))
        finally:
            del future, function  # as above

    def put(self, job: Job) -> None:
        """Have one of the threads do something.

        Raises:
            RuntimeError: after `close`, or if not even one thread can start.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} takes no more work")
            self._admit(self._jobs.qsize())
            if self._unfinished >= len(self._threads) < self._max_threads:
                try:
                    self._start()
                except RuntimeError:  # the system has no more threads for now; those that run will do it
                    if not self._threads:
                        raise
            self._unfinished += 1
            self._jobs.put(job)

    def _admit(self, waiting: int) -> None:
        """Raise if too many jobs wait already; here there are never too many.

        Args:
            waiting: how many there are.
        """

    def _start(self) -> None:
        # Daemons: a program that ends does not wait for them.
        name = f"{self._name}-{len(self._threads)}"
        thread = Thread(target=self._work, args=(self._jobs,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self, jobs: "SimpleQueue[Job | None]") -> None:
        while (job := jobs.get()) is not None:
            finish = job()
            # Before the caller is woken, so that its next call uses this thread and starts no other.
            with self._lock:
                self._unfinished -= 1
            if finish is not None:
                finish()
            # What was sent, such as a password, does not stay here until there is more work. Nor does it stay
            # in the frames that the traceback of an error leads to, by which a future would keep itself.
            del job, finish

    def close(self) -> None:
        """Take no more work, and wait until what was asked for is done."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()


_all: "WeakSet[Threads]" = WeakSet()


def _begin_all() -> None:
    """Start again in a child process, which has none of the threads, and a copy of the lock."""
    for threads in _all:
        threads._begin()  # noqa: SLF001 (their own module)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)


def outcome_of(function: Callable[[], Any]) -> Outcome:
    """Return what a function raises or returns."""
    try:
        return None, function()
    except BaseException as error:  # raised where it is awaited
        return error, None


def settle_soon(loop: AbstractEventLoop, settle: Callable[..., None], *arguments: Any) -> None:
    """Have an event loop do something, unless it has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(settle, *arguments)


def settle(future: "Future[Any]", outcome: Outcome) -> None:
    """Give a future its outcome, unless its caller was cancelled."""
    if future.done():
        return
    error, result = outcome
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # no future accepts it, and its caller would wait forever
        unexpected = RuntimeError("a plain function raised StopIteration")
        unexpected.__cause__ = error
        future.set_exception(unexpected)
    else:
        future.set_exception(error)
