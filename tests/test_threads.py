"""Plain functions that may block run in threads: context, errors, cancellation, forks and the end."""

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from authguard.drivers.pool import Threads
from authguard.drivers.threads import call_in_thread

SECONDS = 10  # for events that must come at once
variable: ContextVar[str] = ContextVar("variable", default="nothing")


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a thread, from an event loop of its own."""
    return asyncio.run(call_in_thread(function, arguments))


@pytest.fixture(name="threads")
def _threads() -> Iterator[Threads]:
    made = Threads(2, "test")
    yield made
    made.close()


def python(text: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with all warnings."""
    # From Python 3.12 on, a fork beside threads causes a warning.
    warned = ["-W", "default", "-W", "ignore::DeprecationWarning"]
    command = [sys.executable, *warned, "-c", textwrap.dedent(text)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)


def test_the_function_gets_its_arguments_in_another_thread() -> None:
    """The function gets its arguments in another thread, and its result is returned, also an exception."""
    error = ValueError("a value")
    assert call(lambda *arguments: (arguments, threading.get_ident()), 1, 2)[0] == (1, 2)
    assert call(threading.get_ident) != threading.get_ident()
    assert call(lambda: error) is error


def test_the_function_has_the_context_variables_of_its_caller() -> None:
    """The function has the context variables of its caller."""

    async def main() -> str:
        variable.set("of the request")
        return await call_in_thread(variable.get, ())

    assert asyncio.run(main()) == "of the request"


@pytest.mark.parametrize("fails", [False, True])
def test_what_the_function_sets_is_set_where_it_is_awaited(fails: bool) -> None:
    """The context variables that the function sets are set in its caller, also if it raises."""

    def bind() -> None:
        variable.set("of the function")
        if fails:
            raise ValueError

    async def main() -> str:
        variable.set("of the request")
        with suppress(ValueError):
            await call_in_thread(bind, ())
        return variable.get()

    assert asyncio.run(main()) == "of the function"


def test_requests_have_context_variables_of_their_own() -> None:
    """The context variables of one request are not set in another one."""

    async def request(name: str) -> tuple[str, str]:
        before = variable.get()
        await call_in_thread(lambda: variable.set(name), ())
        await asyncio.sleep(0)
        return before, variable.get()

    async def main() -> list[tuple[str, str]]:
        return await asyncio.gather(*[asyncio.create_task(request(name)) for name in "abc"])

    assert asyncio.run(main()) == [("nothing", "a"), ("nothing", "b"), ("nothing", "c")]


def test_what_the_function_awaits_by_asgiref_runs_in_the_loop_of_the_request() -> None:
    """`async_to_sync` in the function runs in the loop of the request, which has its connections."""

    async def awaited() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def main() -> bool:
        return await call_in_thread(async_to_sync(awaited), ()) is asyncio.get_running_loop()

    assert asyncio.run(main())


@pytest.mark.parametrize("error", [KeyError("k"), SystemExit(3), KeyboardInterrupt()])
def test_what_the_function_raises_is_raised_where_it_is_awaited(error: BaseException) -> None:
    """An exception of the function is raised in its caller, and the thread is kept."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        call(fail)
    assert call(int) == 0


def test_stop_iteration_does_not_leave_the_caller_waiting() -> None:
    """StopIteration of the function becomes a RuntimeError, because a future refuses it."""

    async def main() -> None:
        async with asyncio.timeout(SECONDS):
            await call_in_thread(partial(next, iter(())), ())

    with pytest.raises(RuntimeError, match="raised StopIteration") as raised:
        asyncio.run(main())
    assert isinstance(raised.value.__cause__, StopIteration)


def test_one_thread_is_enough_for_calls_in_turn(threads: Threads) -> None:
    """One thread is enough for calls in turn, because it is free before its caller continues."""

    async def main() -> set[str]:
        return {await threads.run(lambda: threading.current_thread().name) for _ in range(50)}

    assert asyncio.run(main()) == {"test-0"}


def test_a_call_does_not_queue_behind_one_that_blocks(threads: Threads) -> None:
    """A call does not wait behind a blocking one, because another thread starts."""
    go = threading.Event()

    async def main() -> None:
        blocked = asyncio.create_task(threads.run(partial(go.wait, SECONDS)))
        await asyncio.sleep(0)
        await threads.run(go.set)
        assert await blocked

    asyncio.run(main())


def test_where_no_more_threads_can_start_calls_wait_for_those_that_run(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no more threads can start, calls wait for the running ones; without any, it is an error."""
    go = threading.Event()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> str:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                await threads.run(go.is_set)
        blocked = asyncio.create_task(threads.run(partial(go.wait, SECONDS)))
        await asyncio.sleep(0)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            waiting = asyncio.create_task(threads.run(lambda: threading.current_thread().name))
            await asyncio.sleep(0)
        go.set()
        assert await blocked
        return await waiting

    assert asyncio.run(main()) == "test-0"


def test_a_caller_who_has_gone_is_called_for_no_more(threads: Threads) -> None:
    """A call that is cancelled while it waits for a thread is not made."""
    go, called = threading.Event(), []

    async def main() -> None:
        busy = [asyncio.create_task(threads.run(partial(go.wait, SECONDS))) for _ in range(2)]
        gone = asyncio.create_task(threads.run(lambda: called.append("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        go.set()
        await asyncio.gather(*busy)

    asyncio.run(main())
    threads.close()
    assert called == []


def test_a_caller_who_goes_meanwhile_leaves_the_thread_to_others() -> None:
    """A call that is cancelled while it runs is finished, and its thread is used again."""
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def function() -> None:
        begun.set()
        go.wait(SECONDS)
        done.set()

    async def main() -> None:
        task = asyncio.create_task(call_in_thread(function, ()))
        await asyncio.sleep(0)
        begun.wait(SECONDS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        assert await call_in_thread(int, ()) == 0

    asyncio.run(main())
    assert done.wait(SECONDS)


def test_a_loop_that_has_ended_harms_no_thread(threads: Threads) -> None:
    """A call whose loop has been closed does not harm the thread, which serves other loops."""
    begun, go = threading.Event(), threading.Event()

    def function() -> None:
        begun.set()
        go.wait(SECONDS)

    loop = asyncio.new_event_loop()
    task = loop.create_task(threads.run(function))
    loop.run_until_complete(asyncio.sleep(0))
    begun.wait(SECONDS)
    task.cancel()
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    go.set()
    assert asyncio.run(threads.run(int)) == 0


def test_an_error_keeps_nothing_alive() -> None:
    """An exception keeps no reference to the arguments of the call."""

    class Sent:
        pass

    def fail(sent: Sent) -> None:
        raise ValueError

    async def main() -> "weakref.ref[Sent]":
        sent = Sent()
        with suppress(ValueError):
            await call_in_thread(fail, (sent,))
        return weakref.ref(sent)

    gc.disable()
    try:
        gone = asyncio.run(main())
        for _ in range(200):  # the thread may not have finished its last step
            if gone() is None:
                break
            threading.Event().wait(0.01)
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_forked_process_has_threads_of_its_own() -> None:
    """A forked process has threads of its own, even if the parent's lock was held."""
    done = python(
        """
        import asyncio, os
        from authguard.drivers import threads

        async def main():
            return await asyncio.wait_for(threads.call_in_thread(os.getpid, ()), 10)

        assert asyncio.run(main()) == os.getpid()
        threads._threads._lock.acquire()  # as another thread may hold it at that moment
        child = os.fork()
        if child == 0:
            os._exit(0 if asyncio.run(main()) == os.getpid() else 1)
        threads._threads._lock.release()
        assert os.waitpid(child, 0)[1] == 0
        assert asyncio.run(main()) == os.getpid()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_function_that_never_ends_does_not_keep_the_process() -> None:
    """A process ends although a function in a thread never ends."""
    done = python(
        """
        import asyncio, threading
        from authguard.drivers.threads import call_in_thread

        begun = threading.Event()

        def hang():
            begun.set()
            threading.Event().wait()

        async def main():
            task = asyncio.create_task(call_in_thread(hang, ()))
            await asyncio.sleep(0)
            begun.wait()
            task.cancel()

        asyncio.run(main())
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
