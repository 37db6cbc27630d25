"""Run flows in servers with an event loop, of asyncio or of trio, without blocking it."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from authguard._core.answer.decision import Decision, Known, Prepared
from authguard._core.answer.denials import as_refused
from authguard._core.callbacks import is_async, is_awaitable
from authguard._core.deciding.asking import AskAbout
from authguard._core.deciding.callers import AskFirst, Refused
from authguard._core.deciding.straight_path import Open
from authguard._core.flow import Call, Channel, Fetch, Flow, Later, Question, Response, Shared
from authguard._core.guard import Guard
from authguard._core.request import HANDSHAKE, SITE_FIELD, Presented, RequestKey, RequestView
from authguard.drivers.blocking import fetch_with
from authguard.drivers.clients import fetch_by
from authguard.drivers.http import client_options, too_late
from authguard.drivers.loops import trio_run
from authguard.drivers.threads import call_in_thread
from authguard.drivers.turns import answer_later

if TYPE_CHECKING:
    import httpx

    from authguard.drivers.on_trio import TrioState

Result = TypeVar("Result")
Source = TypeVar("Source")

logger = logging.getLogger("authguard")

# waiting callers that are resumed in one turn; each may then have to verify a signature
MAX_WOKEN_AT_ONCE = 20


async def decide(  # noqa: PLR0917 (each request passes here, and names would cost it)
    guard: Guard,
    make_request: Callable[[Source, Guard, Presented], RequestView],
    source: Source,
    presented: Presented,
    request_key: RequestKey,
    now: float,
) -> Decision:
    """Return the guard's decision about an HTTP request.

    Args:
        guard: the rules.
        make_request: builds the `RequestView`, which is not needed for known callers.
        source: the source of the request: an ASGI scope, or a WSGI environ.
        presented: the credential fields, as in `RequestView`.
        request_key: as in `RequestView`, but with the HTTP method as the server passes it.
        now: seconds since the epoch.
    """
    recalled = guard.recall(presented, request_key, now)
    if recalled.is_decision:  # pyright does not narrow by the truth of a constant, as mypy does
        return recalled  # pyright: ignore
    return await complete(guard, make_request, source, presented, request_key, now, recalled)  # pyright: ignore


async def complete(  # noqa: PLR0917 (as above)
    guard: Guard,
    make_request: Callable[[Source, Guard, Presented], RequestView],
    source: Source,
    presented: Presented,
    request_key: RequestKey,
    now: float,
    recalled: Open,
) -> Decision:
    """Return the guard's decision about an HTTP request that `Guard.recall` has left undecided.

    Args:
        guard: see `decide`.
        make_request: see `decide`.
        source: see `decide`.
        presented: see `decide`.
        request_key: see `decide`.
        now: see `decide`.
        recalled: the result of `Guard.recall`.
    """
    if isinstance(recalled, AskFirst):
        # Many callers may wait here, so each waits for a future instead of running a flow; afterwards the
        # credential is known.
        try:
            outcome: Any = await ask(recalled.question)
        # the flow handles the error: an outage of the driver is not a fault of the caller
        except Exception as error:
            outcome = Refused(as_refused(error))
        recalled = outcome
        # a refusal is not remembered, so another `recall` would verify the credential again
        if isinstance(outcome, Known):
            again = guard.recall(presented, request_key, now)
            if again.is_decision:
                return again  # pyright: ignore
            if isinstance(again, Prepared | AskAbout):
                recalled = again
    while isinstance(recalled, AskAbout):
        callback = recalled.callback
        try:
            # an async function without the call of `ask`, which returns the same
            answer = await (callback.function(*recalled.arguments) if callback.is_async else ask(recalled))
        except Exception as error:
            recalled = recalled.answered(None, error)
            break
        confirmed = guard.confirm(recalled, answer, request_key, now)
        if confirmed.is_decision:
            return confirmed  # pyright: ignore
        recalled = confirmed  # pyright: ignore
    if isinstance(recalled, Prepared):
        return guard.present(make_request(source, guard, presented), recalled, now)
    return await run(guard.decide(make_request(source, guard, presented), now, recalled))


async def decide_handshake(guard: Guard, request: RequestView, now: float) -> Decision:
    """Return the guard's decision about the handshake of a websocket.

    Args:
        guard: the rules.
        request: the handshake.
        now: seconds since the epoch.
    """
    # The flow considers the charges of an outer guard in its store of quotas.
    if not request.presented or (guard.quotas is not None and request.outer is not None):
        return await run(guard.decide(request, now))
    fields = request.presented
    if guard.cookie is not None:
        fields = [*fields, *((SITE_FIELD, value) for value in request.fields(SITE_FIELD))]
    key = cast("RequestKey", (HANDSHAKE, *request.request_key[1:]))
    recalled = guard.recall(fields, key, now)
    if recalled.is_decision is True:
        return recalled
    if isinstance(recalled, AskAbout):
        return await complete(guard, lambda *_: request, None, request.presented, key, now, recalled)
    # A prepared answer is one to an HTTP request, and does not fit a handshake.
    return await run(guard.decide(request, now, None if isinstance(recalled, Prepared) else recalled))


async def run(flow: Flow[Result]) -> Result:
    """Run a flow in the event loop, without blocking it.

    If a request is cancelled, its flow is closed, and gets no exception.
    """
    try:
        question = next(flow)
        while True:
            try:
                answer = await ask(question)
            except Exception as error:
                question = flow.throw(error)
            else:
                question = flow.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        flow.close()


def ask(question: Question[Any]) -> Awaitable[Any]:
    """Answer one question in the event loop."""
    if isinstance(question, Call):
        callback = question.callback
        # the future is returned without a coroutine around it, which would cost each known caller more
        if callback.is_async:
            awaitable: Awaitable[Any] = callback.function(*question.arguments)
            return awaitable
        return _call(question)
    if isinstance(question, Shared):
        return _opened(question.channel).share(question)
    if isinstance(question, Fetch):
        return _fetch(question)
    if isinstance(question, Later):
        return _later(question)
    raise TypeError(f"no driver can answer {type(question).__name__}")


async def _call(call: Call[Any]) -> Any:
    if trio_run() is not None:
        from authguard.drivers import on_trio

        return await on_trio.call(call)
    callback = call.callback
    if callback.may_block:
        answer = await call_in_thread(callback.function, call.arguments)
    else:
        answer = callback.function(*call.arguments)
    return await answer if is_awaitable(answer) else answer


def _later(question: Later[Any]) -> Awaitable[Any]:
    if trio_run() is not None:
        from authguard.drivers import on_trio

        return on_trio.later(question)
    return answer_later(question)


class _Flight:
    """Hold a running flow, and its waiting callers."""

    __slots__ = ("shared", "task", "waiters")

    def __init__(self, shared: Shared[Any], task: "asyncio.Task[Any]") -> None:
        self.shared = shared
        self.task = task
        self.waiters: list[asyncio.Future[Any]] = []


class LoopState:
    """Hold the resources of one event loop for a channel: a client, and running flows."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._flights: dict[Hashable, _Flight] = {}
        self._client: httpx.AsyncClient | None = None
        self._keeper: AsyncGenerator[None, None] | None = None

    async def client(self) -> "httpx.AsyncClient":
        """Return the client of the loop."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(**client_options(self._channel))
            # asyncio.run, servers and test clients close asynchronous generators before a loop ends, so the
            # client is closed without a notification.
            self._keeper = self._keep(self._client)
            await anext(self._keeper)
        return self._client

    async def _keep(self, client: "httpx.AsyncClient") -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._client is client:
                self._client = None
            await client.aclose()

    def share(self, shared: Shared[Any]) -> "asyncio.Future[Any]":
        """Run the flow in its own task, and wait for it.

        Each caller waits for its own future, so that one of them can be cancelled. A coroutine for each
        caller would be much more work for the garbage collector.
        """
        waiter: asyncio.Future[Any] = self._loop.create_future()
        flight = self._flights.get(shared.key) or self._start(shared)
        if shared.wait:
            flight.waiters.append(waiter)
        else:
            waiter.set_result(None)
        return waiter

    def _start(self, shared: Shared[Any]) -> _Flight:
        flight = self._flights[shared.key] = _Flight(shared, _start_task(run(shared.make()), self._loop))
        flight.task.add_done_callback(lambda _: self._landed(flight))
        return flight

    def _landed(self, flight: _Flight) -> None:
        del self._flights[flight.shared.key]
        if flight.task.cancelled():
            if self._channel.opened.get(self._loop) is self:
                # A client of the application has raised the error. A new attempt would repeat that without
                # end.
                self._fail(flight, ConnectionError("the request to another server was cancelled"))
                return
            # This object is closed; the next object that is opened answers the waiting callers.
            for waiter in flight.waiters:
                if not waiter.done():
                    _opened_by_loop(self._channel).share(flight.shared).add_done_callback(
                        partial(_pass_on, waiter)
                    )
            return
        error = flight.task.exception()
        if error is not None and not flight.waiters:
            logger.error("a flow in the background failed", exc_info=error)
        self._wake(flight)

    @staticmethod
    def _fail(flight: _Flight, error: Exception) -> None:
        for waiter in flight.waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _wake(self, flight: _Flight) -> None:
        """Resume some of the waiting callers, and the others in the next turns of the loop.

        If a thousand callers were resumed in one turn, they would block the loop for a long time.
        """
        woken, flight.waiters = flight.waiters[:MAX_WOKEN_AT_ONCE], flight.waiters[MAX_WOKEN_AT_ONCE:]
        for waiter in woken:
            _pass_on(waiter, flight.task)
        if flight.waiters:
            self._loop.call_soon(self._wake, flight)

    def close(self) -> None:
        """Let the loop close the client, if it is still running."""
        self._channel.opened.pop(self._loop, None)
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop)

    async def aclose(self) -> None:
        """Close the client, if this is its loop; the next question opens it again."""
        if self._loop is asyncio.get_running_loop():
            self._channel.opened.pop(self._loop, None)
            await self._shut()
        else:
            self.close()

    async def _shut(self) -> None:
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.aclose()


def _start_task(
    coroutine: Coroutine[Any, Any, Result], loop: asyncio.AbstractEventLoop
) -> "asyncio.Task[Result]":
    """Start a task, if possible at once, so that it does not queue behind many others."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)


def _pass_on(waiter: "asyncio.Future[Any]", answered: "asyncio.Future[Any]") -> None:
    """Give a waiting caller the answer, unless it has been cancelled."""
    if waiter.done():
        return
    error = answered.exception()
    if error is None:
        waiter.set_result(answered.result())
    else:
        waiter.set_exception(error)


def _opened(channel: Channel) -> "LoopState | TrioState":
    if trio_run() is not None:
        from authguard.drivers import on_trio

        return on_trio.opened(channel, run)
    return _opened_by_loop(channel)


def _opened_by_loop(channel: Channel) -> LoopState:
    loop = asyncio.get_running_loop()
    opened = channel.opened.get(loop)
    if opened is None:
        for key in list(channel.opened):
            if isinstance(key, asyncio.AbstractEventLoop) and key.is_closed():
                channel.opened.pop(key, None)
        opened = channel.opened[loop] = LoopState(channel, loop)
    if not isinstance(opened, LoopState):
        raise TypeError("an event loop has opened something else")
    return opened


async def _fetch(question: Fetch) -> Response:
    if trio_run() is not None:
        from authguard.drivers import on_trio

        return await on_trio.fetch(question, run)
    client = question.channel.client
    if client is not None and not is_async(client.request):
        sending = asyncio.to_thread(fetch_with, client, question)
    else:
        sending = fetch_by(client or await _opened_by_loop(question.channel).client(), question)
    try:
        async with asyncio.timeout(question.timeout):
            return await sending
    except TimeoutError as error:
        raise too_late(question) from error
