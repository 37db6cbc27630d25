"""Run functions that wait for a database in threads, without blocking the event loop.

A queue is limited by the number of its jobs, and by the seconds that a job may wait. Beyond either limit, the
answer is 503, so that a hanging database neither fills the memory nor blocks requests.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from authguard.drivers import pool
from authguard.drivers.pool import Outcome, begin_in_child, outcome_of, settle, settle_soon
from authguard.identity.errors import StoreUnavailableError

Result = TypeVar("Result")
Question = TypeVar("Question")
Answer = TypeVar("Answer")
Answering: TypeAlias = Callable[[list[Question]], Sequence[Answer | Exception]]
#: Seconds for which a job may wait for its turn; as long as a query may take.
MAX_WAIT_SECONDS = 5.0


class _Pending(NamedTuple, Generic[Question, Answer]):
    """Hold a question and the future of its answer."""

    loop: AbstractEventLoop
    future: "Future[Answer]"
    question: Question
    until: float  # the time at which it has waited for too long


class Threads(pool.Threads):
    """Run functions in a few threads, with a bounded queue.

    Args:
        max_threads: the greatest number of threads, which are started when needed.
        name: the name of the threads.
        max_waiting: the greatest number of waiting jobs.
        clock: seconds of a monotonic clock.
    """

    def __init__(
        self, max_threads: int, name: str, *, max_waiting: int = 1_000, clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(max_threads, name)
        self._max_waiting = max_waiting
        self.clock = clock

    async def run(self, function: Callable[[], Result]) -> Result:
        """Return the result of the function, which is not called if its caller was cancelled before.

        Raises:
            StoreUnavailableError: if too many jobs wait, or this one has waited for too long.
            RuntimeError: after `close`.
        """
        return await super().run(partial(self._in_time, function, self.clock() + MAX_WAIT_SECONDS))

    def _in_time(self, function: Callable[[], Result], until: float) -> Result:
        if self.clock() >= until:
            raise _too_late()
        return function()

    def admit(self, waiting: int) -> None:
        """Raise an error if too many jobs or questions wait."""
        if waiting >= self._max_waiting:
            raise StoreUnavailableError(f"{self._name}: {self._max_waiting} jobs wait already")


class Batcher(Generic[Question, Answer]):
    """Answer all questions that are asked while a thread is busy by one call.

    With a call for each question, loop and threads would compete for the interpreter's lock at each statement
    of the database.

    Args:
        threads: the threads for the calls.
        answer: returns the answers to several questions in their order. An exception among the answers is
            raised to its caller; an exception that the function raises is raised to all callers.
        max_batch: the greatest number of questions of one call.
    """

    def __init__(self, threads: Threads, answer: Answering[Question, Answer], max_batch: int) -> None:
        self._threads = threads
        self._answer = answer
        self._max_batch = max_batch
        self.begin()
        begin_in_child(self)

    def begin(self) -> None:
        """Start without questions, at first and in a child process."""
        self._lock = Lock()
        self._queue: deque[_Pending[Question, Answer]] = deque()
        self._waiting_jobs = 0

    async def ask(self, question: Question) -> Answer:
        """Return the answer; a question whose caller was cancelled is left out.

        Raises:
            StoreUnavailableError: if too many questions wait, or this one has waited for too long.
            RuntimeError: after the threads were closed.
        """
        loop = get_running_loop()
        future: Future[Answer] = loop.create_future()
        pending = _Pending(loop, future, question, self._threads.clock() + MAX_WAIT_SECONDS)
        try:
            self._put(pending)
            return await future
        finally:
            future.cancel()
            # breaks a circle: the traceback of an error refers to this frame, and the future refers to the
            # error
            del future, pending

    def _put(self, pending: "_Pending[Question, Answer]") -> None:
        """Add a question, and a job for it, unless the waiting jobs will answer it, too.

        With a job for each question, the jobs of answered questions would wait in the queue, and fill it.
        """
        with self._lock:
            self._threads.admit(len(self._queue))
            if len(self._queue) >= self._waiting_jobs * self._max_batch:
                self._threads.put(self._answer_next)  # it begins when the lock is free
                self._waiting_jobs += 1
            self._queue.append(pending)

    def _answer_next(self) -> Callable[[], None] | None:
        batch = self._take()
        if not batch:
            return None
        try:
            questions = [pending.question for pending in batch]
            return partial(_settle_batch, batch, outcome_of(partial(self._answer, questions)))
        finally:
            # breaks a circle: the traceback of an error refers to this frame, and the futures refer to the
            # error
            del batch

    def _take(self) -> "list[_Pending[Question, Answer]]":
        batch: list[_Pending[Question, Answer]] = []
        late: list[_Pending[Question, Answer]] = []
        now = self._threads.clock()
        with self._lock, suppress(IndexError):
            self._waiting_jobs -= 1
            while len(batch) < self._max_batch:
                pending = self._queue.popleft()
                if not pending.future.cancelled():
                    (batch if now < pending.until else late).append(pending)
        if late:
            _settle_batch(late, (_too_late(), None))
        return batch


def _too_late() -> StoreUnavailableError:
    return StoreUnavailableError(f"waited for {MAX_WAIT_SECONDS:g} seconds without a turn")


def _settle_batch(batch: Sequence[_Pending[Any, Any]], outcome: Outcome) -> None:
    error, answers = outcome
    if error is not None:
        answers = [error] * len(batch)
    outcomes: dict[AbstractEventLoop, list[tuple[Future[Any], Outcome]]] = {}
    for pending, answer in zip(batch, answers, strict=True):
        its_own = (answer, None) if isinstance(answer, BaseException) else (None, answer)
        outcomes.setdefault(pending.loop, []).append((pending.future, its_own))
    for loop, of_loop in outcomes.items():
        settle_soon(loop, _settle_all, of_loop)


def _settle_all(outcomes: "list[tuple[Future[Any], Outcome]]") -> None:
    for future, outcome in outcomes:
        settle(future, outcome)
