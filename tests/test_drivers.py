"""Both drivers answer, throw failures in, and close the flow in each case (law 2)."""

import asyncio
import sys
import threading
import types
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from authguard._core.flow import Call, Channel, Flow, Later, Pace, Question, Shared
from authguard.drivers import asynchronous, run
from authguard.drivers.asynchronous import run as run_async
from authguard.drivers.threads import in_sensitive_thread
from support import no_more_threads


def in_loop(flow: Flow[Any]) -> Any:
    """Run a flow by the asynchronous driver."""
    return asyncio.run(run_async(flow))


both = pytest.mark.parametrize("drive", [run, in_loop], ids=["sync", "async"])


async def twice(number: int) -> int:
    """Return twice the number, as an async callback."""
    return 2 * number


class Twice:
    """Be an object with an async call."""

    async def __call__(self, number: int) -> int:
        return 2 * number


@types.coroutine
def twice_as_of_old(number: int) -> Generator[Any, Any, int]:
    """Return twice the number, as a generator that can be awaited."""
    return (yield from twice(number).__await__())


@both
@pytest.mark.parametrize(
    "function",
    [lambda n: 2 * n, twice, Twice(), partial(lambda function, n: function(n), twice), twice_as_of_old],
    ids=["plain", "async", "async object", "awaitable", "generator"],
)
def test_any_kind_of_callback_is_answered(drive: Callable[[Flow[Any]], Any], function: Any) -> None:
    """A callback may be plain, async, or plain with an awaitable as its result."""

    def flow() -> Flow[int]:
        first = yield from Call[int](function, 1)
        return (yield from Call[int](function, first))

    assert drive(flow()) == 4


@both
def test_failures_are_thrown_into_the_flow(drive: Callable[[Flow[Any]], Any]) -> None:
    """A failure is thrown into the flow, which decides about it."""

    def fail() -> None:
        raise ConnectionError

    def flow() -> Flow[str]:
        try:
            yield from Call(fail)
        except ConnectionError:
            return "decided"
        return "not reached"

    assert drive(flow()) == "decided"


@both
def test_the_flow_is_closed_when_it_raises(drive: Callable[[Flow[Any]], Any]) -> None:
    """The flow is closed when it raises."""
    closed: list[bool] = []

    def flow() -> Flow[None]:
        try:
            yield from Call(lambda: None)
            raise KeyError
        finally:
            closed.append(True)

    with pytest.raises(KeyError):
        drive(flow())
    assert closed == [True]


@both
def test_an_unknown_question_is_a_mistake(drive: Callable[[Flow[Any]], Any]) -> None:
    """An unknown question raises TypeError."""

    def flow() -> Flow[None]:
        yield from Question[None]()

    with pytest.raises(TypeError, match="no driver"):
        drive(flow())


def test_a_cancelled_flow_is_closed_and_not_thrown_into() -> None:
    """A cancelled flow is closed, and the cancellation is not thrown into it."""
    seen: list[str] = []

    async def forever() -> None:
        await asyncio.Event().wait()

    def flow() -> Flow[None]:
        try:
            yield from Call(forever)
        except Exception:
            seen.append("thrown")
        finally:
            seen.append("closed")

    async def cancel() -> None:
        task = asyncio.create_task(run_async(flow()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert seen == ["closed"]


def test_blocking_callbacks_leave_the_loop() -> None:
    """A plain function runs in another thread."""

    def flow() -> Flow[int]:
        return (yield from Call(threading.get_ident))

    assert in_loop(flow()) != threading.get_ident()


def test_blocking_callbacks_run_in_the_thread_of_the_request_where_that_is_asked_for() -> None:
    """Within `in_sensitive_thread` a plain function runs in the request's thread, also in a shared flow."""

    def asking() -> Flow[int]:
        return (yield from Call(threading.get_ident))

    def sharing() -> Flow[int]:
        return (yield from Shared(Channel(), "key", asking))

    async def main() -> tuple[int, list[int]]:
        thread = await sync_to_async(threading.get_ident, thread_sensitive=True)()
        with in_sensitive_thread():
            inside = [await run_async(asking()), await run_async(sharing())]
        return thread, [*inside, await run_async(asking())]

    thread, (called, shared, outside) = asyncio.run(main())
    assert (called, shared) == (thread, thread)
    assert outside != thread


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks cannot start at once before Python 3.12")
def test_a_shared_flow_does_not_queue_behind_other_tasks():
    """A shared flow starts before a task that was created earlier."""
    order = []

    def flow():
        order.append("flow")
        return (yield from ())

    async def other():
        order.append("other")

    async def main():
        task = asyncio.create_task(other())
        await asynchronous.ask(Shared(Channel(), "key", flow))
        await task

    asyncio.run(main())
    assert order == ["flow", "other"]


def test_work_that_raises_keeps_no_others_waiting() -> None:
    """Work that raises gives its own caller the error, and the others get their results."""

    def fail() -> None:
        raise ValueError("a bug")

    async def answers() -> list[Any]:
        pace = Pace(0)
        work = [fail, lambda: "behind"]
        got = await asyncio.gather(*(run_later(pace, each) for each in work), return_exceptions=True)
        return [*got, await run_later(pace, lambda: "after")]

    async def run_later(pace: Pace, work: Callable[[], Any]) -> Any:
        return await asyncio.wait_for(asynchronous.ask(Later(pace, 1, work)), 5)

    error, behind, after = asyncio.run(answers())
    assert isinstance(error, ValueError)
    assert (behind, after) == ("behind", "after")


def test_a_shared_flow_that_is_cancelled_from_inside_fails_and_is_not_repeated() -> None:
    """A shared flow that raises CancelledError itself is an outage for all its callers, and runs once."""
    calls = []

    async def fetch() -> None:
        calls.append("fetch")
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    channel = Channel()

    def flow() -> Flow[Any]:
        return (yield from Shared(channel, "key", lambda: iter_call(fetch)))

    async def both_wait() -> list[Any]:
        waiting = asyncio.gather(run_async(flow()), run_async(flow()), return_exceptions=True)
        return await asyncio.wait_for(waiting, 5)

    outcomes = asyncio.run(both_wait())
    assert [type(outcome) for outcome in outcomes] == [ConnectionError, ConnectionError]
    assert calls == ["fetch"]


def test_a_flow_in_the_background_runs_where_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A background flow runs in the thread of the request if no thread can start."""
    channel, ran = Channel(), []

    def flow() -> Flow[str]:
        ran.append(threading.current_thread())
        return "done"
        yield

    def share(wait: bool) -> Flow[Any]:
        return (yield from Shared(channel, "key", flow, wait=wait))

    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    assert run(share(False)) is None
    assert run(share(True)) == "done"
    assert ran == [threading.current_thread()] * 2


def iter_call(function: Callable[..., Any]) -> Flow[Any]:
    """Make one call."""
    return (yield from Call[Any](function))
