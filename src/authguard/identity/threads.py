"""Threads for event loops: what waits for a database runs in them, and the loop goes on."""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeAlias, TypeVar

Result = TypeVar("Result")
_Job: TypeAlias = tuple[AbstractEventLoop, "Future[Any]", Callable[[], Any]]


class Threads:
    """A few threads that run functions for whichever event loop asks.

    Not `ThreadPoolExecutor`: its second future, with locks of its own, costs a service a quarter
    of its requests a second; anyio's threads cost more.

    Args:
        most: how many; each starts when there is work, so that none is lost in a fork.
        name: what they are called.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._closed = False
        self._lock = Lock()

    async def run(self, function: Callable[[], Result]) -> Result:
        """What the function returns or raises; it is not called if nobody waits for it any more.

        Raises:
            RuntimeError: after `close`.
        """
        loop = get_running_loop()
        future: Future[Result] = loop.create_future()
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} takes no more work")
            if len(self._threads) < self._most:
                self._start()
            self._jobs.put((loop, future, function))
        return await future

    def _start(self) -> None:
        # Daemons: a program that ends without closing the service does not wait for them.
        name = f"{self._name}-{len(self._threads)}"
        thread = Thread(target=_work, args=(self._jobs,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def close(self) -> None:
        """Take no more work, and wait until what was asked for is done."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()


def _work(jobs: "SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        loop, future, function = job
        if not future.cancelled():
            outcome = _outcome(function)
            with suppress(RuntimeError):  # a loop that has ended
                loop.call_soon_threadsafe(_settle, future, *outcome)
            del outcome
        # What was sent, such as a password, does not stay here until there is more work.
        del job, loop, future, function


def _outcome(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return function(), None
    except BaseException as error:  # noqa: BLE001 (raised where it is awaited)
        return None, error


def _settle(future: "Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
