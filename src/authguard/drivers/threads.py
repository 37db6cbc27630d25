"""Say in which threads the asynchronous driver runs functions that are not `async`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Whether they run in the one thread that belongs to the request. By default they do not, since they would
#: queue behind each other in frameworks that have one such thread for the whole process.
thread_sensitive: ContextVar[bool] = ContextVar("authguard.thread_sensitive", default=False)


@contextmanager
def in_sensitive_thread() -> Iterator[None]:
    """Run such functions in the thread of the request, inside this context.

    Django keeps database connections by thread: it closes those of this thread when the request ends, and
    the transaction of a test is there alone.
    """
    token = thread_sensitive.set(True)
    try:
        yield
    finally:
        thread_sensitive.reset(token)
