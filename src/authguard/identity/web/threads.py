"""Run functions that wait for a database in threads, without blocking the event loop.

A queue is limited in two ways: by the number of its jobs, and by the seconds that a job may wait. Beyond
either, the answer is 503, so that a database that hangs fills neither memory nor time.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from authguard.identity.errors import StoreUnavailableError

Result = TypeVar("Result")
Question = TypeVar("Question")
Answer = TypeVar("Answer")
Answering: TypeAlias = Callable[[list[Question]], Sequence[Answer | Exception]]
_Outcome: TypeAlias = tuple[Future[Any], Any]  # the future of a caller and its result; an exception is raised

#: Seconds for which a job may wait for its turn; as long as a query may take.
MAX_WAIT_SECONDS = 5.0


class _Pending(NamedTuple, Generic[Question, Answer]):
    """Hold a question whose answer is awaited."""

    loop: AbstractEventLoop
    future: "Future[Answer]"
    question: Question
    until: float  # when it has waited for too long


class Threads:
    """Run functions in a few threads, for whichever event loop asks.

    Not `ThreadPoolExecutor`, whose second future has locks of its own and costs many requests a second.

    Args:
        max_threads: how many; each starts when there is work, so that none is lost in a fork.
        name: what they are called.
        max_waiting: how many jobs may wait for their turn.
        clock: seconds of a monotonic clock.
    """

    def __init__(
        self, max_threads: int, name: str, *, max_waiting: int = 1_000, clock: Callable[[], float] = monotonic
    ) -> None:
        self._max_threads = max_threads
        self._name = name
        self._max_waiting = max_waiting
        self.clock = clock
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._closed = False
        self._lock = Lock()

    async def run(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns; it is not called once its caller is cancelled.

        Raises:
            StoreUnavailableError: if too many jobs wait, or this one has waited for too long.
            RuntimeError: after `close`.
        """
        loop = get_running_loop()
        future: Future[Result] = loop.create_future()
        self.put(partial(self._run, loop, future, function, self.clock() + MAX_WAIT_SECONDS))
        return await future

    def _run(
        self, loop: AbstractEventLoop, future: "Future[Any]", function: Callable[[], Any], until: float
    ) -> None:
        if not future.cancelled():
            outcome = _outcome(function) if self.clock() < until else _too_late()
            _settle_soon(loop, [(future, outcome)])
        del future, function

    def put(self, job: Callable[[], None]) -> None:
        """Have one of the threads do something that raises nothing.

        Raises:
            StoreUnavailableError: if too many jobs wait.
            RuntimeError: after `close`.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} takes no more work")
            if self._jobs.qsize() >= self._max_waiting:
                raise StoreUnavailableError(f"{self._name}: {self._max_waiting} jobs wait already")
            if len(self._threads) < self._max_threads:
                self._start()
            self._jobs.put(job)

    def _start(self) -> None:
        # Daemons: a program that ends without closing the service does not wait for them.
        name = f"{self._name}-{len(self._threads)}"
        thread = Thread(target=_work, args=(self._jobs,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def close(self) -> None:
        """Take no more work, and wait until what was asked for is done."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()


class Batcher(Generic[Question, Answer]):
    """Answer by one call all questions that are asked while a thread is busy.

    With a call for each question, loop and threads would compete for the interpreter's lock at each statement
    of the database.

    Args:
        threads: where the calls are made.
        answer: gives the answers to several questions in their order. An exception among them is
            raised where its answer is awaited; one that is raised is raised for all.
        max_batch: how many questions one call answers at most.
    """

    def __init__(self, threads: Threads, answer: Answering[Question, Answer], max_batch: int) -> None:
        self._threads = threads
        self._answer = answer
        self._max_batch = max_batch
        self._queue: deque[_Pending[Question, Answer]] = deque()

    async def ask(self, question: Question) -> Answer:
        """Return the answer; a question whose caller was cancelled is left out.

        Raises:
            StoreUnavailableError: if too many wait, or this one has waited for too long.
            RuntimeError: after the threads were closed.
        """
        loop = get_running_loop()
        future: Future[Answer] = loop.create_future()
        pending = _Pending(loop, future, question, self._threads.clock() + MAX_WAIT_SECONDS)
        self._queue.append(pending)
        try:
            # For each one: the first thread answers all, and the others find no work.
            self._put(pending)
            return await future
        finally:
            future.cancel()
            del future, pending  # an error's traceback has this frame, and the future has the error

    def _put(self, pending: "_Pending[Question, Answer]") -> None:
        try:
            self._threads.put(self._answer_next)
        except (StoreUnavailableError, RuntimeError):
            with suppress(ValueError):  # a thread has taken it meanwhile
                self._queue.remove(pending)  # else a flood of refused requests would fill the memory
            raise

    def _answer_next(self) -> None:
        batch = self._take()
        if batch:
            _settle_batch(batch, _outcome(partial(self._answer, [pending.question for pending in batch])))
        del batch  # see `_work`

    def _take(self) -> "list[_Pending[Question, Answer]]":
        batch: list[_Pending[Question, Answer]] = []
        late: list[_Pending[Question, Answer]] = []
        now = self._threads.clock()
        with suppress(IndexError):
            while len(batch) < self._max_batch:
                pending = self._queue.popleft()
                if not pending.future.cancelled():
                    (batch if now < pending.until else late).append(pending)
        if late:
            _settle_batch(late, _too_late())
        return batch


def _work(jobs: "SimpleQueue[Callable[[], None] | None]") -> None:
    while (job := jobs.get()) is not None:
        job()
        # What was sent, such as a password, does not stay here until there is more work. Nor does it stay in
        # the frames that the traceback of an error leads to, by which a future would keep itself.
        del job


def _outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except BaseException as error:  # noqa: BLE001 (raised where it is awaited)
        return error


def _too_late() -> StoreUnavailableError:
    return StoreUnavailableError(f"waited for {MAX_WAIT_SECONDS:g} seconds without a turn")


def _settle_batch(batch: Sequence[_Pending[Any, Any]], answers: Sequence[Any] | BaseException) -> None:
    if isinstance(answers, BaseException):
        answers = [answers] * len(batch)
    outcomes: dict[AbstractEventLoop, list[_Outcome]] = {}
    for pending, answer in zip(batch, answers, strict=True):
        outcomes.setdefault(pending.loop, []).append((pending.future, answer))
    for loop, of_loop in outcomes.items():
        _settle_soon(loop, of_loop)


def _settle_soon(loop: AbstractEventLoop, outcomes: list[_Outcome]) -> None:
    with suppress(RuntimeError):  # a loop that has ended
        loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[_Outcome]) -> None:
    for future, outcome in outcomes:
        if future.done():  # cancelled
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
