"""Answer the questions of flows under trio, as `asynchronous` does under asyncio."""

import logging
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from authguard._core.callbacks import is_async, is_awaitable
from authguard._core.flow import Call, Channel, Fetch, Flow, Later, Response, Shared
from authguard.drivers.blocking import fetch_with
from authguard.drivers.clients import fetch_by
from authguard.drivers.http import client_options, too_late

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger("authguard")

#: Run a flow in the event loop: `asynchronous.run`, which imports this module.
Run: TypeAlias = Callable[[Flow[Any]], Coroutine[Any, Any, Any]]


async def call(question: Call[Any]) -> Any:
    """Call a user's function; in its own thread, if it may block."""
    callback = question.callback
    if callback.may_block:
        # The result is put into a list, because trio refuses a function that returns an awaitable.
        (answer,) = await trio.to_thread.run_sync(
            lambda: [callback.function(*question.arguments)], abandon_on_cancel=True
        )
    else:
        answer = callback.function(*question.arguments)
    return await answer if is_awaitable(answer) else answer


async def fetch(question: Fetch, run: Run) -> Response:
    """Fetch with the client of the channel, in time.

    Raises:
        FetchFailedError: if no complete answer arrives in time.
    """
    client = question.channel.client
    try:
        with trio.fail_after(question.timeout):
            if client is not None and not is_async(client.request):
                fetch_it = partial(fetch_with, client, question)
                return await trio.to_thread.run_sync(fetch_it, abandon_on_cancel=True)
            return await fetch_by(client or opened(question.channel, run).client(), question)
    except trio.TooSlowError as error:
        raise too_late(question) from error


_one_by_one: trio.lowlevel.RunVar[trio.Lock] = trio.lowlevel.RunVar("authguard_one_by_one")


async def later(question: Later[Any]) -> Any:
    """Make one call in each turn of the run, in the order of the calls."""
    try:
        lock = _one_by_one.get()
    except LookupError:
        lock = trio.Lock()
        _one_by_one.set(lock)
    async with lock:  # other tasks run here, even if the lock is free
        answer = question.work()
    if not lock.statistics().tasks_waiting:
        question.pace.begin()
    return answer


class _Flight:
    """Hold a running flow, and its outcome for all waiting callers."""

    __slots__ = ("error", "landed", "result", "scope", "shared", "waiters")

    def __init__(self, shared: Shared[Any]) -> None:
        self.shared = shared
        self.scope = trio.CancelScope()
        self.landed = trio.Event()
        self.waiters = 0
        self.result: Any = None
        self.error: Exception | None = None


class TrioState:
    """Hold the resources of one trio run for a channel: a client, and running flows.

    Args:
        channel: the channel.
        token: the token of the run.
        run: runs a flow in it.
    """

    def __init__(self, channel: Channel, token: Any, run: Run) -> None:
        self._channel = channel
        self._token = token
        self._run = run
        self._flights: dict[Hashable, _Flight] = {}
        self._client: httpx.AsyncClient | None = None
        self._scope = trio.CancelScope()
        self._closed = trio.Event()
        # The client ends with the run, without a notification.
        trio.lowlevel.spawn_system_task(self._until_closed, name="authguard")

    def client(self) -> "httpx.AsyncClient":
        """Return the client of the run."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(**client_options(self._channel))
        return self._client

    async def share(self, shared: Shared[Any]) -> Any:
        """Run the flow in its own task, and wait for it."""
        flight = self._flights.get(shared.key) or self._start(shared)
        if not shared.wait:
            return None
        flight.waiters += 1
        await flight.landed.wait()
        if flight.scope.cancelled_caught:
            # This object is closed; the next object that is opened answers the waiting callers.
            return await opened(self._channel, self._run).share(shared)
        if flight.error is not None:
            raise flight.error
        return flight.result

    def _start(self, shared: Shared[Any]) -> _Flight:
        flight = self._flights[shared.key] = _Flight(shared)
        trio.lowlevel.spawn_system_task(self._fly, flight, name="authguard", context=copy_context())
        return flight

    async def _fly(self, flight: _Flight) -> None:
        try:
            with flight.scope:
                flight.result = await self._run(flight.shared.make())
        except Exception as error:
            flight.error = error
            if not flight.waiters:
                logger.error("a flow in the background failed", exc_info=error)
        finally:
            self._flights.pop(flight.shared.key, None)
            flight.landed.set()

    async def _until_closed(self) -> None:
        try:
            with self._scope:
                await trio.sleep_forever()
        finally:
            self._forget()
            for flight in self._flights.values():
                flight.scope.cancel()
            client, self._client = self._client, None
            if client is not None:
                with trio.CancelScope(shield=True):
                    await client.aclose()
            self._closed.set()

    def _forget(self) -> None:
        """Remove this object from the channel, if it is still there, so that others open a new one."""
        if self._channel.opened.get(self._token) is self:
            del self._channel.opened[self._token]

    def close(self) -> None:
        """Let the run close the client, if it is still running."""
        self._forget()
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._scope.cancel)

    async def aclose(self) -> None:
        """Close the client, if this is its run; the next question opens it again."""
        if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is self._token:
            self._forget()
            self._scope.cancel()
            await self._closed.wait()
        else:
            self.close()


def opened(channel: Channel, run: Run) -> TrioState:
    """Return the resources of this thread's trio run for a channel."""
    token = trio.lowlevel.current_trio_token()
    state = channel.opened.get(token)
    if state is None:
        state = channel.opened[token] = TrioState(channel, token, run)
    if not isinstance(state, TrioState):
        raise TypeError("a run of trio has opened something else")
    return state
