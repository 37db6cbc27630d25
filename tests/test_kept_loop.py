"""On WSGI async functions run in an event loop of the process: context, errors, forks and its end."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from authguard._core.flow import Call, Flow
from authguard.drivers import kept_loop, run
from authguard.drivers.blocking import NeedsEventLoopError
from authguard.drivers.kept_loop import KeptLoop, wait_for

SECONDS = 10  # for events that must come at once
variable: ContextVar[str] = ContextVar("variable", default="nothing")


async def running() -> asyncio.AbstractEventLoop:
    """Return the loop that a function runs in."""
    return asyncio.get_running_loop()


def in_context(function: Callable[[], Any]) -> Any:
    """Call a function with context variables of its own."""
    return copy_context().run(function)


def python(text: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with all warnings."""
    # From Python 3.12 on, a fork beside threads causes a warning.
    warned = ["-W", "default", "-W", "ignore::DeprecationWarning"]
    command = [sys.executable, *warned, "-c", textwrap.dedent(text)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)


def test_all_calls_and_threads_share_one_loop() -> None:
    """All calls and threads share one loop, so that clients and pools of connections can be kept."""
    loops = [wait_for(running, ())]
    thread = threading.Thread(target=lambda: loops.append(wait_for(running, ())))
    thread.start()
    thread.join()
    assert len(set(loops)) == 1


def test_two_threads_wait_at_the_same_time() -> None:
    """Two threads wait at the same time, without blocking each other."""
    met: list[str] = []
    both = asyncio.Barrier(2)

    async def meet() -> None:
        async with asyncio.timeout(SECONDS):
            await both.wait()
        met.append("met")

    threads = [threading.Thread(target=wait_for, args=(meet, ())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == ["met"] * 2


def test_context_variables_go_in_and_come_back() -> None:
    """Context variables of the caller are set in the function, and its changes are set in the caller."""

    async def bind(value: str) -> str:
        before = variable.get()
        await asyncio.sleep(0)
        variable.set(value)
        return before

    def request() -> tuple[str, str]:
        variable.set("of the request")
        return wait_for(bind, ("of the function",)), variable.get()

    assert in_context(request) == ("of the request", "of the function")


def test_context_variables_come_back_however_slow_the_loop_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The changes of context variables are returned before the call ends, also with a slow loop."""

    def slow() -> Context:
        threading.Event().wait(0.05)
        return copy_context()

    async def bind() -> None:
        variable.set("of the function")

    def request() -> str:
        wait_for(bind, ())
        return variable.get()

    monkeypatch.setattr("asgiref.sync.contextvars", SimpleNamespace(copy_context=slow))
    assert in_context(request) == "of the function"


def test_context_variables_come_back_with_an_error() -> None:
    """The changes of context variables are returned with an exception too."""

    async def fail() -> None:
        variable.set("of the function")
        raise KeyError

    def request() -> str:
        with pytest.raises(KeyError):
            wait_for(fail, ())
        return variable.get()

    assert in_context(request) == "of the function"


def test_context_variables_of_one_request_are_not_those_of_another() -> None:
    """The context variables of one request are not set in another one."""

    async def bind() -> str:
        before = variable.get()
        variable.set("another's")
        return before

    assert [in_context(lambda: wait_for(bind, ())) for _ in range(2)] == ["nothing", "nothing"]


def test_thread_sensitive_code_runs_in_the_thread_that_waits() -> None:
    """Thread-sensitive code runs in the waiting thread, which has Django's database connections."""

    async def ask() -> int:
        return await sync_to_async(threading.get_ident, thread_sensitive=True)()

    assert wait_for(ask, ()) == threading.get_ident()


def test_thread_sensitive_code_may_wait_in_turn() -> None:
    """Thread-sensitive code may wait for the kept loop again."""

    def waits_again() -> Any:
        return wait_for(running, ()), async_to_sync(running)()

    async def ask() -> Any:
        return await sync_to_async(waits_again, thread_sensitive=True)()

    loop = wait_for(running, ())
    assert wait_for(ask, ()) == (loop, loop)


def test_the_application_has_its_own_loops() -> None:
    """`async_to_sync` of the application uses a loop of its own."""
    kept = wait_for(running, ())
    assert async_to_sync(running)() is not kept


def test_inside_of_a_server_with_a_loop_that_one_is_used() -> None:
    """Within a server that has an event loop, functions run in that loop."""

    async def main() -> bool:
        call = sync_to_async(wait_for, thread_sensitive=False)
        return await call(running, ()) is asyncio.get_running_loop()

    assert asyncio.run(main())


@pytest.mark.parametrize("error", [KeyError("k"), SystemExit(3), KeyboardInterrupt()])
def test_what_is_raised_is_raised_where_it_is_waited_for(error: BaseException) -> None:
    """An exception of a function is raised in its caller, and the loop is kept."""

    async def fail() -> None:
        raise error

    loop = wait_for(running, ())
    with pytest.raises(type(error)):
        wait_for(fail, ())
    assert wait_for(running, ()) is loop


def test_a_task_that_ends_the_thread_ends_no_loop(caplog: pytest.LogCaptureFixture) -> None:
    """A task that raises SystemExit is logged, and the loop is kept."""
    started: list[asyncio.Task[None]] = []

    async def leave() -> None:
        raise SystemExit(3)

    async def start() -> None:
        started.append(asyncio.create_task(leave()))
        await asyncio.sleep(0)

    loop = wait_for(running, ())
    wait_for(start, ())
    assert wait_for(running, ()) is loop
    assert "that ends a thread" in caplog.text
    with suppress(SystemExit):
        started[0].result()


def test_where_a_loop_runs_it_is_refused_to_wait() -> None:
    """Waiting in a thread with a running event loop is refused, because it would block the loop."""

    def flow() -> Flow[Any]:
        return (yield from Call(running))

    async def main() -> None:
        with pytest.raises(NeedsEventLoopError, match="running is async, and an event loop runs"):
            run(flow())

    asyncio.run(main())


def test_where_threads_are_greenlets_there_is_no_kept_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """With greenlets instead of threads no loop is kept, and each call has its own."""
    kept, shown = KeptLoop(), object()
    monkeypatch.setattr(kept_loop, "_kept", kept)
    monkeypatch.setattr(kept_loop, "running_loop", lambda: shown)  # as with gevent, when another loop runs
    loops = [wait_for(running, ()) for _ in range(2)]
    assert loops[0] is not loops[1]
    assert all(loop.is_closed() for loop in loops)
    assert kept.loop() is None


def test_a_closed_loop_is_followed_by_another() -> None:
    """A closed loop has cancelled its tasks, and the next call starts another."""
    kept, ended = KeptLoop(), threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    loop = kept.loop()
    assert loop is not None
    asyncio.run_coroutine_threadsafe(forever(), loop)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(SECONDS)
    kept.close()
    assert ended.wait(SECONDS)
    assert loop.is_closed()
    other = kept.loop()
    assert other is not loop
    assert other is not None
    assert asyncio.run_coroutine_threadsafe(running(), other).result(SECONDS) is other
    kept.close()


@pytest.mark.slow
def test_a_forked_process_has_a_loop_of_its_own() -> None:
    """A forked process has a loop of its own, as under gunicorn with `preload_app`."""
    done = python(
        """
        import asyncio, os
        from authguard.drivers import kept_loop

        async def ask():
            await asyncio.sleep(0)
            return os.getpid()

        assert kept_loop.wait_for(ask, ()) == os.getpid()
        kept_loop._kept._lock.__enter__()  # as another thread may hold it at that moment
        child = os.fork()
        if child == 0:
            os._exit(0 if kept_loop.wait_for(ask, ()) == os.getpid() else 1)
        kept_loop._kept._lock.__exit__()
        assert os.waitpid(child, 0)[1] == 0
        assert kept_loop.wait_for(ask, ()) == os.getpid()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_what_still_runs_does_not_keep_the_process() -> None:
    """A process ends with pending work in its loop, and without a warning."""
    done = python(
        """
        import asyncio
        from authguard.drivers.kept_loop import wait_for

        kept = []

        async def work():
            try:
                await asyncio.sleep(600)
            finally:
                print("ended")

        async def ask():
            kept.append(asyncio.create_task(work()))
            await asyncio.sleep(0)

        wait_for(ask, ())
        """
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "ended\n")
