"""Threads for event loops: what waits for a database runs in them, and the loop goes on.

A queue is bounded in two ways: by the number of jobs in it, and by the seconds that a job may wait
in it. Beyond either the answer is 503, so that a database that hangs fills neither memory nor time.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, Generic, TypeAlias, TypeVar

from authguard.identity.errors import StoreUnavailableError

Result = TypeVar("Result")
Question = TypeVar("Question")
Answer = TypeVar("Answer")
Answering: TypeAlias = Callable[[list[Question]], Sequence[Answer | Exception]]
_Asked: TypeAlias = tuple[AbstractEventLoop, Future[Answer], Question, float]  # and until when it may wait
_Outcome: TypeAlias = tuple[Future[Any], Any]  # who waits, and what for; an exception is raised there

#: Seconds for which a job may wait for its turn; as long as a query may take.
MAX_WAIT_SECONDS = 5.0


class Threads:
    """A few threads that run functions for whichever event loop asks.

    Not `ThreadPoolExecutor`: its second future, with locks of its own, costs a service a quarter
    of its requests a second; anyio's threads cost more.

    Args:
        most: how many; each starts when there is work, so that none is lost in a fork.
        name: what they are called.
        max_waiting: how many jobs may wait for their turn.
        clock: seconds, by a clock that is never set back.
    """

    def __init__(
        self, most: int, name: str, *, max_waiting: int = 1_000, clock: Callable[[], float] = monotonic
    ) -> None:
        self._most = most
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
            if len(self._threads) < self._most:
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
    """Answers all who ask while a thread is busy by one call.

    With a call for each, loop and threads take the interpreter's lock from each other at each statement of
    the database. For 16 who ask who they are, one call takes 55 µs of processor time for each, and their
    own 90 to 230 µs.

    Args:
        threads: where the calls are made.
        answer: gives the answers to several questions in their order. An exception among them is
            raised where its answer is awaited; one that is raised is raised for all.
        most: of how many questions one call is.
    """

    def __init__(self, threads: Threads, answer: Answering[Question, Answer], most: int) -> None:
        self._threads = threads
        self._answer = answer
        self._most = most
        self._asked: deque[_Asked[Answer, Question]] = deque()

    async def ask(self, question: Question) -> Answer:
        """The answer; the question is not put if nobody waits for it any more.

        Raises:
            StoreUnavailableError: if too many wait, or this one has waited for too long.
            RuntimeError: after the threads were closed.
        """
        loop = get_running_loop()
        future: Future[Answer] = loop.create_future()
        asked = loop, future, question, self._threads.clock() + MAX_WAIT_SECONDS
        self._asked.append(asked)
        try:
            # For each one: whoever comes first answers all, and the others find nothing to do.
            self._put(asked)
            return await future
        finally:
            future.cancel()
            del future, asked  # an error's traceback has this frame, and the future has the error

    def _put(self, asked: "_Asked[Answer, Question]") -> None:
        try:
            self._threads.put(self._serve)
        except (StoreUnavailableError, RuntimeError):
            with suppress(ValueError):  # a thread has taken it meanwhile
                self._asked.remove(asked)  # else a flood of refused requests would fill the memory
            raise

    def _serve(self) -> None:
        asked = self._take()
        if asked:
            _tell(asked, _outcome(partial(self._answer, [question for _, _, question, _ in asked])))
        del asked  # see `_work`

    def _take(self) -> "list[_Asked[Answer, Question]]":
        asked: list[_Asked[Answer, Question]] = []
        late: list[_Asked[Answer, Question]] = []
        now = self._threads.clock()
        with suppress(IndexError):
            while len(asked) < self._most:
                one = self._asked.popleft()
                if not one[1].cancelled():
                    (asked if now < one[3] else late).append(one)
        if late:
            _tell(late, _too_late())
        return asked


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


def _tell(asked: Sequence[_Asked[Any, Any]], answers: Sequence[Any] | BaseException) -> None:
    if isinstance(answers, BaseException):
        answers = [answers] * len(asked)
    outcomes: dict[AbstractEventLoop, list[_Outcome]] = {}
    for (loop, future, _, _), answer in zip(asked, answers, strict=True):
        outcomes.setdefault(loop, []).append((future, answer))
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
