"""Call functions that may block in threads, from an event loop of asyncio."""

import os
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync, sync_to_async

from authguard.drivers.pool import Threads

Result = TypeVar("Result")

#: The number of threads that Starlette has for plain endpoints.
MAX_THREADS = 40

#: Whether functions run in the single thread of the request. By default they do not, because they would queue
#: behind each other in frameworks with one such thread for the whole process.
thread_sensitive: ContextVar[bool] = ContextVar("authguard.thread_sensitive", default=False)

_threads = Threads(MAX_THREADS, "authguard")
_ABSENT = object()


@contextmanager
def in_sensitive_thread() -> Iterator[None]:
    """Run functions that may block in the thread of the request, inside this context.

    Django has a database connection for each thread: it closes the connections of the request's thread when
    the request ends, and the transaction of a test exists only in this thread.
    """
    token = thread_sensitive.set(True)
    try:
        yield
    finally:
        thread_sensitive.reset(token)


async def call_in_thread(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """Return the result of a function, called in a thread with the context variables of its caller.

    Changes of context variables by the function are copied back afterwards, as by `asgiref`.
    """
    if thread_sensitive.get():
        return await sync_to_async(function, thread_sensitive=True)(*arguments)
    # asgiref is not used, because it is much slower.
    context = copy_context()
    try:
        called = partial(_call, get_running_loop(), function, arguments)
        return await _threads.run(partial(context.run, called))
    finally:
        if copy_context() != context:
            _keep_changes(context)


def _call(loop: AbstractEventLoop, function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    # Coroutines that the function awaits by `async_to_sync` run in the loop of the request, with its
    # connections.
    asgiref_thread = SyncToAsync.threadlocal
    asgiref_thread.main_event_loop, asgiref_thread.main_event_loop_pid = loop, os.getpid()
    return function(*arguments)


def _keep_changes(context: Context) -> None:
    for variable, value in context.items():
        if variable.get(_ABSENT) is not value:
            variable.set(value)
