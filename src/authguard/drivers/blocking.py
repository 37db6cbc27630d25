"""Run flows in servers without an event loop; only the calling thread is blocked."""

import asyncio
import inspect
import logging
import os
import time
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from authguard._core.answer.decision import Decision, Prepared
from authguard._core.callbacks import is_async, is_awaitable
from authguard._core.deciding.asking import AskAbout
from authguard._core.deciding.straight_path import Open
from authguard._core.flow import Call, Channel, Fetch, Flow, Later, Question, Response, Shared
from authguard._core.guard import Guard
from authguard._core.request import Presented, RequestKey, RequestView
from authguard.drivers.http import Body, client_options, failure, failures, request_options, too_late
from authguard.drivers.kept_loop import wait_for
from authguard.drivers.loops import running_loop

if TYPE_CHECKING:
    import httpx

Result = TypeVar("Result")
Source = TypeVar("Source")

logger = logging.getLogger("authguard")


class NeedsEventLoopError(TypeError):
    """Report that an `async` callback is needed where no event loop can wait for it."""


_LEADER_LEFT = object()  # the result of a flight whose thread has ended without one


def decide(  # noqa: PLR0917 (as in authguard.drivers.asynchronous)
    guard: Guard,
    make_request: Callable[[Source, Guard, Presented], RequestView],
    source: Source,
    presented: Presented,
    request_key: RequestKey,
    now: float,
) -> Decision:
    """Return the guard's decision about an HTTP request; see `authguard.drivers.asynchronous.decide`."""
    recalled = guard.recall(presented, request_key, now)
    if recalled.is_decision:  # pyright does not narrow by the truth of a constant, as mypy does
        return recalled  # pyright: ignore
    return complete(guard, make_request, source, presented, request_key, now, recalled)  # pyright: ignore


def complete(  # noqa: PLR0917 (as above)
    guard: Guard,
    make_request: Callable[[Source, Guard, Presented], RequestView],
    source: Source,
    presented: Presented,
    request_key: RequestKey,
    now: float,
    recalled: Open,
) -> Decision:
    """Return the guard's decision; see `authguard.drivers.asynchronous.complete`."""
    while isinstance(recalled, AskAbout):
        try:
            answer = ask(recalled)
        except Exception as error:
            recalled = recalled.answered(None, error)
            break
        confirmed = guard.confirm(recalled, answer, request_key, now)
        if confirmed.is_decision:
            return confirmed  # pyright: ignore
        recalled = confirmed  # pyright: ignore
    if isinstance(recalled, Prepared):
        return guard.present(make_request(source, guard, presented), recalled, now)
    return run(guard.decide(make_request(source, guard, presented), now, recalled))


def run(flow: Flow[Result]) -> Result:
    """Run a flow in this thread, which has no event loop."""
    try:
        question = next(flow)
        while True:
            try:
                answer = ask(question)
            except Exception as error:
                question = flow.throw(error)
            else:
                question = flow.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        flow.close()


def run_anywhere(flow: Flow[Result]) -> Result:
    """Run a flow for synchronous code, in a thread with or without an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run(flow)
    # While a loop is running, a user's coroutine function cannot be awaited in the same thread.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, run, flow).result()


def ask(question: Question[Any]) -> Any:
    """Answer one question in this thread."""
    if isinstance(question, Call):
        return _call(question)
    if isinstance(question, Shared):
        return _opened(question.channel).share(question)
    if isinstance(question, Fetch):
        return _fetch(question)
    if isinstance(question, Later):
        question.pace.begin()
        return question.work()
    raise TypeError(f"no driver can answer {type(question).__name__}")


def _call(call: Call[Any]) -> Any:
    function = call.callback.function
    if call.callback.is_async:
        _check_no_loop(function)
        return wait_for(function, call.arguments)
    answer = function(*call.arguments)
    if not is_awaitable(answer):
        return answer
    try:
        _check_no_loop(function)
    except NeedsEventLoopError:
        if inspect.iscoroutine(answer):
            answer.close()  # otherwise Python warns that the coroutine was never awaited
        raise
    return wait_for(_awaited, (answer,))


def _check_no_loop(function: Callable[..., Any]) -> None:
    """Raise an error if an event loop is running in this thread: coroutines cannot be awaited here."""
    if running_loop() is not None:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        raise NeedsEventLoopError(f"{name} is async, and an event loop runs in this thread")


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


class ProcessState:
    """Hold the resources of one process for a channel: a client, and running flows.

    It uses no locks: `dict.setdefault` is atomic, and a lock that another thread holds during a fork would
    never be released in the child.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._flights: dict[Hashable, Future[Any]] = {}
        self._clients: dict[str, httpx.Client] = {}

    def client(self) -> "httpx.Client":
        """Return the client for all threads of the process."""
        import httpx

        client = self._clients.get("client")
        return client or self._clients.setdefault("client", httpx.Client(**client_options(self._channel)))

    def share(self, shared: Shared[Any]) -> Any:
        """Run the flow, or wait for the thread that is running it."""
        while True:
            mine: Future[Any] = Future()
            flight = self._flights.setdefault(shared.key, mine)
            if flight is mine:
                if shared.wait:
                    return self._lead(shared, mine)
                try:
                    Thread(target=self._lead_alone, args=(shared, mine), daemon=True).start()
                # the system has no more threads for now, so this thread runs the flow, for which the others
                # wait
                except RuntimeError:
                    self._lead_alone(shared, mine)
            if not shared.wait:
                return None
            result = flight.result()
            if result is not _LEADER_LEFT:
                return result

    def _lead(self, shared: Shared[Any], flight: "Future[Any]") -> Any:
        try:
            result = run(shared.make())
        except BaseException as error:
            self._flights.pop(shared.key, None)
            if isinstance(error, Exception):
                flight.set_exception(error)
            else:
                flight.set_result(_LEADER_LEFT)  # this thread must end, but the others need not
            raise
        self._flights.pop(shared.key, None)
        flight.set_result(result)
        return result

    def _lead_alone(self, shared: Shared[Any], flight: "Future[Any]") -> None:
        try:
            self._lead(shared, flight)
        except Exception:
            logger.exception("a flow in the background failed")

    def close(self) -> None:
        """Close the client; the next question opens it again."""
        while self._clients:
            self._clients.popitem()[1].close()

    async def aclose(self) -> None:
        """Close the client; nothing needs to be awaited."""
        self.close()


def _opened(channel: Channel) -> ProcessState:
    process = os.getpid()
    opened = channel.opened.get(process)
    if opened is None:
        opened = channel.opened.setdefault(process, ProcessState(channel))
        for key, other in list(channel.opened.items()):
            if isinstance(other, ProcessState) and key != process:
                # The client belongs to the parent process. Closing the child's copies of its sockets does not
                # end the connections.
                del channel.opened[key]
                other.close()
    if not isinstance(opened, ProcessState):
        raise TypeError("a process has opened something else")
    return opened


def _fetch(question: Fetch) -> Response:
    """Fetch in a separate thread, because only then can a slow server or resolver be abandoned."""
    client = question.channel.client
    if client is None:
        client = _opened(question.channel).client()
    elif is_async(client.request):
        raise NeedsEventLoopError(
            "this server has no event loop: give HTTPOptions an httpx.Client, not an AsyncClient"
        )
    outcome: Future[Response] = Future()
    try:
        Thread(target=_fetch_into, args=(outcome, client, question), daemon=True).start()
    except RuntimeError:  # the system has no more threads for now
        return fetch_with(client, question)
    try:
        return outcome.result(question.timeout)
    except TimeoutError as error:
        raise too_late(question) from error


def _fetch_into(outcome: "Future[Response]", client: "httpx.Client", question: Fetch) -> None:
    try:
        outcome.set_result(fetch_with(client, question))
    except Exception as error:
        outcome.set_exception(error)


def fetch_with(client: "httpx.Client", question: Fetch) -> Response:
    """Fetch with a blocking client.

    Raises:
        FetchFailedError: if no complete answer arrives in time.
    """
    started = time.monotonic()
    try:
        with client.stream(**request_options(question)) as response:
            body = Body(question, response)
            for chunk in () if body.is_whole else response.iter_raw():
                body.add(chunk)
                if time.monotonic() - started > question.timeout:
                    raise too_late(question)
            return body.answer(started)
    except failures() as error:
        raise failure(error, started) from None
