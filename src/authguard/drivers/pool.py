"""Run plain functions in a few threads, without blocking event loops."""

import os
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Protocol, TypeAlias, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")
#: A job of a thread. It returns a function to call after the thread counts as free, and raises nothing.
Job: TypeAlias = Callable[[], Callable[[], None] | None]
# the exception that a function has raised, and its result
Outcome: TypeAlias = tuple[BaseException | None, Any]


class Threads:
    """Run functions in a few threads, for any event loop.

    This replaces `ThreadPoolExecutor`, whose second future has locks of its own, and for whose threads the
    interpreter waits at its end.

    Args:
        max_threads: the greatest number of threads; a thread is started if no other is free for a job.
        name: the name of the threads.
    """

    def __init__(self, max_threads: int, name: str) -> None:
        self._max_threads = max_threads
        self._name = name
        self._closed = False
        self.begin()
        begin_in_child(self)

    def begin(self) -> None:
        """Start without threads and jobs, at first and in a child process."""
        self._lock = Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._unfinished = 0  # the number of jobs that wait or are running

    async def run(self, function: Callable[[], Result]) -> Result:
        """Return the result of the function, which is not called if its caller was cancelled before.

        Raises:
            RuntimeError: after `close`.
        """
        loop = get_running_loop()
        future: Future[Result] = loop.create_future()
        self.put(partial(self._run, loop, future, function))
        try:
            return await future
        finally:
            # breaks a circle: the traceback of an error refers to this frame, and the future refers to the
            # error
            del future

    def _run(
        self, loop: AbstractEventLoop, future: "Future[Any]", function: Callable[[], Any]
    ) -> Callable[[], None] | None:
        if future.cancelled():
            return None
        try:
            return partial(settle_soon, loop, settle, future, outcome_of(function))
        finally:
            del future, function  # breaks the same circle

    def put(self, job: Job) -> None:
        """Give one of the threads a job.

        Raises:
            RuntimeError: after `close`, or if no thread can be started.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} accepts no more work")
            self.admit(self._jobs.qsize())
            if self._unfinished >= len(self._threads) < self._max_threads:
                try:
                    self._start()
                # the system has no more threads for now; the running ones will do the job
                except RuntimeError:
                    if not self._threads:
                        raise
            self._unfinished += 1
            self._jobs.put(job)

    def admit(self, waiting: int) -> None:
        """Raise an error if too many jobs wait; this class accepts any number.

        Args:
            waiting: the number of waiting jobs.
        """

    def _start(self) -> None:
        # Daemon threads, so that a program that ends does not wait for them.
        name = f"{self._name}-{len(self._threads)}"
        thread = Thread(target=self._work, args=(self._jobs,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self, jobs: "SimpleQueue[Job | None]") -> None:
        while (job := jobs.get()) is not None:
            finish = job()
            # The thread counts as free before the caller is resumed, so that the caller's next call uses this
            # thread and starts no other.
            with self._lock:
                self._unfinished -= 1
            if finish is not None:
                finish()
            # The arguments of a job, such as a password, are deleted here, and do not stay until the next
            # job. They are also deleted from the frames in the traceback of an error, through which a future
            # would refer to itself.
            del job, finish

    def close(self) -> None:
        """Accept no more jobs, and wait until all accepted jobs are done."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()


class Beginning(Protocol):
    """Start again in a child process, which has none of the threads, and a copy of each lock."""

    def begin(self) -> None:
        """Forget all jobs and questions of the parent process."""


_all: "WeakSet[Beginning]" = WeakSet()


def begin_in_child(holder: Beginning) -> None:
    """Call `begin` of an object in each child process, for as long as the object lives."""
    _all.add(holder)


def _begin_all() -> None:
    for holder in _all:
        holder.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)


def outcome_of(function: Callable[[], Any]) -> Outcome:
    """Return the exception that a function raises, and its result."""
    try:
        return None, function()
    except BaseException as error:  # raised again where the result is awaited
        return error, None


def settle_soon(loop: AbstractEventLoop, settle: Callable[..., None], *arguments: Any) -> None:
    """Call a function in an event loop, unless the loop has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(settle, *arguments)


def settle(future: "Future[Any]", outcome: Outcome) -> None:
    """Give a future its outcome, unless its caller was cancelled."""
    if future.done():
        return
    error, result = outcome
    if error is None:
        future.set_result(result)
    # a future does not accept StopIteration, and the caller would wait forever
    elif isinstance(error, StopIteration):
        unexpected = RuntimeError("a plain function raised StopIteration")
        unexpected.__cause__ = error
        future.set_exception(unexpected)
    else:
        future.set_exception(error)
