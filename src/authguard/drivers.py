"""The two drivers: they answer what flows ask, with and without an event loop (law 2)."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from asgiref.sync import async_to_sync, sync_to_async

from authguard._core.flow import Call, Flow, Question

Result = TypeVar("Result")


def run(flow: Flow[Result]) -> Result:
    """Run a flow in this thread, which has no event loop."""
    try:
        question = next(flow)
        while True:
            try:
                answer = _answer(question)
            except Exception as error:
                question = flow.throw(error)
            else:
                question = flow.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        flow.close()


async def arun(flow: Flow[Result]) -> Result:
    """Run a flow in the event loop, and never block it.

    A cancelled request is not thrown into the flow: it is closed.
    """
    try:
        question = next(flow)
        while True:
            try:
                answer = await _aanswer(question)
            except Exception as error:
                question = flow.throw(error)
            else:
                question = flow.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        flow.close()


def _answer(question: Question[Any]) -> Any:
    call = _call(question)
    if _is_async(call.function):
        return async_to_sync(call.function)(*call.arguments)
    answer = call.function(*call.arguments)
    return async_to_sync(_awaited)(answer) if inspect.isawaitable(answer) else answer


async def _aanswer(question: Question[Any]) -> Any:
    call = _call(question)
    if _is_async(call.function):
        answer = call.function(*call.arguments)
    else:
        # thread_sensitive would queue all callbacks of the process behind each other.
        answer = await sync_to_async(call.function, thread_sensitive=False)(*call.arguments)
    return await answer if inspect.isawaitable(answer) else answer


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def _call(question: Question[Any]) -> Call[Any]:
    if not isinstance(question, Call):
        raise TypeError(f"no driver can answer {type(question).__name__}")
    return question


def _is_async(function: Callable[..., Any]) -> bool:
    # asgiref's own iscoroutinefunction does not look at __call__.
    call = getattr(type(function), "__call__", None)  # noqa: B004 (which it is, not whether)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
