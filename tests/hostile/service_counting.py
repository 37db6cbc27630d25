"""Count the work of a request in the identity service, including its threads."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.hostile_guards import Answer
from benchmarks.hostile_service import Sent, prepare
from sqlalchemy import func, select

from authguard.identity import Identity, IdentityService
from authguard.identity.storage.schema import metadata
from hostile.counting import TooMuchWorkError, Work, counting_unicode


class ThreadedWork:
    """Count the work of threads that start while it is active, for one request after the other."""

    def __init__(self) -> None:
        self._work: Work | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Count each thread that starts inside the block."""
        threading.settrace(self._trace)
        threading.setprofile(self._profile)
        try:
            yield
        finally:
            threading.settrace(None)
            threading.setprofile(None)

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        return None if self._work is None else self._work._trace(frame, event, argument)

    def _profile(self, frame: Any, event: str, called: Any) -> None:
        if self._work is not None:
            self._work._profile(frame, event, called)

    def count(self, app: Identity, sent: Sent, runner: asyncio.Runner) -> tuple[Work, Answer | None]:
        """Return the work of a request, and its answer; None if the work was too much."""
        step, work, answer = prepare(app, sent), Work(), None
        self._work = work
        try:
            with counting_unicode(work), work:
                answer = step(runner)
        except TooMuchWorkError:
            pass
        finally:
            self._work = None
        return work, answer


def rows(service: IdentityService) -> dict[str, int]:
    """Return the number of rows of each table."""
    with service.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
