"""Say in which threads the asynchronous driver runs functions that are not `async`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Whether they run in the single thread of the request. By default they do not, because they would queue
#: behind each other in frameworks that have one such thread for the whole process.
thread_sensitive: ContextVar[bool] = ContextVar("authguard.thread_sensitive", default=False)


@contextmanager
def in_sensitive_thread() -> Iterator[None]:
    """Run such functions in the thread of the request, inside this context.

    Django has one database connection for each thread: it closes those of this thread when the request ends,
    and the transaction of a test exists only there.
    """
    token = thread_sensitive.set(True)
    try:
        yield
    finally:
        thread_sensitive.reset(token)
