"""Threads for event loops: results, errors, cancellation, and the end."""

import asyncio
import gc
import threading
import weakref
from functools import partial

import pytest

from authguard.identity.threads import Threads


@pytest.fixture
def threads():
    made = Threads(2, "test")
    yield made
    made.close()


def test_function_runs_in_a_thread(threads):
    """The loop is not where the function runs, and its result comes back."""
    name = asyncio.run(threads.run(lambda: threading.current_thread().name))
    assert name == "test-0"


def test_error_comes_back(threads):
    """What the function raises is raised where its result is awaited."""
    with pytest.raises(ZeroDivisionError):
        asyncio.run(threads.run(lambda: 1 // 0))


def test_no_more_threads_than_were_asked_for(threads):
    """However much work there is, two threads do it."""

    async def main():
        names = [threads.run(lambda: threading.current_thread().name) for _ in range(50)]
        return set(await asyncio.gather(*names))

    assert asyncio.run(main()) <= {"test-0", "test-1"}


def test_several_loops_use_them(threads):
    """Threads outlive the loop that was served first."""
    assert [asyncio.run(threads.run(partial(int, number))) for number in range(3)] == [0, 1, 2]


def test_work_that_nobody_waits_for_is_not_begun():
    """A request that is cancelled while its work waits does not reach the database."""
    threads, done, go = Threads(1, "test"), [], threading.Event()

    async def main():
        first = asyncio.create_task(threads.run(go.wait))
        second = asyncio.create_task(threads.run(lambda: done.append(2)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        go.set()
        await first

    asyncio.run(main())
    threads.close()
    assert done == []


def test_work_that_has_begun_is_finished():
    """A request that is cancelled while its work runs leaves nothing half done, and the thread goes on."""
    threads, done, begun, go = Threads(1, "test"), [], threading.Event(), threading.Event()

    def work():
        begun.set()
        go.wait()
        done.append(1)

    async def main():
        task = asyncio.create_task(threads.run(work))
        await asyncio.sleep(0)
        begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    go.set()
    asyncio.run(threads.run(lambda: done.append(2)))
    threads.close()
    assert done == [1, 2]


def test_close_waits_for_what_was_asked_for():
    """What was asked for before the end is done at the end."""
    threads, done = Threads(1, "test"), []

    async def main():
        tasks = [asyncio.create_task(threads.run(lambda n=n: done.append(n))) for n in range(5)]
        await asyncio.sleep(0)
        threads.close()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert done == [0, 1, 2, 3, 4]


def test_there_is_no_work_after_the_end(threads):
    """After `close`, work is refused and does not wait for ever."""
    threads.close()
    with pytest.raises(RuntimeError, match="no more work"):
        asyncio.run(threads.run(int))


def test_idle_thread_keeps_nothing():
    """What a function was given, such as a password, goes when its work is done."""
    threads, gone = Threads(1, "test"), threading.Event()

    class Secret:
        def work(self):
            return None

    secret = Secret()
    weakref.finalize(secret, gone.set)
    asyncio.run(threads.run(secret.work))
    del secret
    gc.collect()
    assert gone.wait(2)
    threads.close()
