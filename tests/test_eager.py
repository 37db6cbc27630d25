"""Tasks that begin at once."""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from authguard.drivers.eager import begin

variable: ContextVar[str] = ContextVar("variable", default="outside")


def started(coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    return begin(coroutine, asyncio.get_running_loop())


def test_it_has_begun_when_begin_returns() -> None:
    """As far as it gets without waiting, and what only lets others go first is no waiting."""
    steps: list[str] = []

    async def work(go_on: asyncio.Event) -> str:
        for number in range(5):
            await asyncio.sleep(0)
            steps.append(str(number))
        await go_on.wait()
        return "done"

    async def main() -> str:
        go_on = asyncio.Event()
        task = started(work(go_on))
        assert steps == list("01234")
        go_on.set()
        return str(await task)

    assert asyncio.run(main()) == "done"


def test_who_waits_by_letting_others_go_first_is_not_kept_from_it() -> None:
    """What it waits for is the loop's to do, and would never come."""

    async def work(ended: list[bool]) -> None:
        while not ended:
            await asyncio.sleep(0)

    async def main() -> None:
        ended: list[bool] = []
        asyncio.get_running_loop().call_soon(ended.append, True)
        await started(work(ended))

    asyncio.run(main())


def test_it_is_a_task_of_its_own() -> None:
    """In its first step, too; then its caller's goes on."""

    async def work() -> tuple[Any, Any]:
        before = asyncio.current_task()
        async with asyncio.timeout(5):
            await asyncio.sleep(0.001)
        return before, asyncio.current_task()

    async def main() -> None:
        caller = asyncio.current_task()
        task = started(work())
        assert asyncio.current_task() is caller
        assert await task == (task, task)

    asyncio.run(main())


def test_it_may_begin_where_there_is_no_task() -> None:
    """As in a callback of the loop."""

    async def work() -> Any:
        await asyncio.sleep(0.001)
        return asyncio.current_task()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[asyncio.Task[Any]] = loop.create_future()
        loop.call_soon(lambda: begun.set_result(begin(work(), loop)))
        task = await begun
        assert await task is task

    asyncio.run(main())


def test_its_context_is_a_copy() -> None:
    """As of any task: what it sets is not seen by its caller."""

    async def work() -> tuple[str, str]:
        before = variable.get()
        variable.set("inside")
        await asyncio.sleep(0.001)
        return before, variable.get()

    async def main() -> None:
        task = started(work())
        assert variable.get() == "outside"
        assert await task == ("outside", "inside")

    asyncio.run(main())


@pytest.mark.parametrize("waits", [False, True])
def test_what_it_returns(waits: bool) -> None:
    """Whether it has had to wait or not."""

    async def work() -> str:
        await asyncio.sleep(0.001 if waits else 0)
        return "result"

    async def main() -> None:
        assert await started(work()) == "result"

    asyncio.run(main())


@pytest.mark.parametrize("waits", [False, True])
def test_what_it_raises(waits: bool) -> None:
    """To whoever waits for the task, and not to who has begun it."""

    async def work() -> None:
        await asyncio.sleep(0.001 if waits else 0)
        raise KeyError("failed")

    async def main() -> None:
        task = started(work())
        with pytest.raises(KeyError, match="failed"):
            await task

    asyncio.run(main())


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_it_is_cancelled_where_it_waits(turns: int) -> None:
    """Even before the loop has come to it; what it holds is let go."""
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> None:
        task = started(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == ["cancelled"]


def test_what_is_thrown_into_it_it_may_survive() -> None:
    """A timeout within it is its own business."""

    async def work() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return "too late"
        return "not reached"

    async def main() -> None:
        assert await started(work()) == "too late"

    asyncio.run(main())
