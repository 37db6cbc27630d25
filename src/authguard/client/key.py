"""Send an API key, and wait as the server's limits require."""

import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

import anyio
import httpx

from authguard._core.jose.secret import check_not_place, check_unwrapped
from authguard._core.options import (
    Duration,
    check_clock,
    check_function,
    check_plain_function,
    check_seconds,
    check_text,
    check_whole,
    is_async_function,
    named_options,
)
from authguard._core.options.pickles import NeverPickled
from authguard.client.keyed_headers import KeyedHeaders
from authguard.client.origins import CredentialOrigin
from authguard.client.waiting import RequestPacer, seconds_to_wait
from authguard.errors import ConfigurationError

_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")
_FIELD_NAME = re.compile(r"[-_]*[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_MAX_REDIRECTS = 5  # redirects within the origin; each of them drops the key


@dataclass(frozen=True, slots=True)
class _Pause:
    """Wait before the next request, after a response that must be read first."""

    seconds: float
    response: httpx.Response | None = None


#: A flow yields requests and receives their responses; it also yields pauses, and receives None.
_Steps: TypeAlias = Generator[httpx.Request | _Pause, httpx.Response | None, None]


@named_options
class APIKeyAuth(NeverPickled, httpx.Auth):
    """Send an API key to one origin, and wait when the server answers 429.

    One object may be shared by threads, tasks and event loops, which then share `requests_per_minute`.

    Args:
        base_url: the URL of the API; the key is sent only to its origin.
        key: the API key.
        header: the field that carries it.
        requests_per_minute: the greatest number of requests in any 60 seconds; further requests wait. None
            for no limit.
        max_wait: seconds, or a timedelta, that one request may wait in total because of 429. If the wait
            would be longer, such as for a daily limit, the 429 is returned at once. 0 to never wait.
        clock: seconds of a monotonic clock.
        sleep: a plain function that sleeps in a thread.
        async_sleep: an async function that sleeps in an event loop; None for `anyio.sleep`, which works with
            asyncio and trio.

    Raises:
        ConfigurationError: if the URL is not https (except on loopback) or has a query, if the key is not
            printable ASCII, or if a function to sleep is async where a plain one is needed, or the reverse.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        header: str = "X-API-Key",
        requests_per_minute: int | None = None,
        max_wait: float | Duration = 90.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        async_sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        self._origin = CredentialOrigin(base_url, "APIKeyAuth")
        must = "be printable ASCII without spaces"
        self._key = check_text(key, "key", pattern=_VISIBLE, must=must, secret=True)
        check_not_place(key, "key", chosen_here=False)
        check_unwrapped(key, "key")
        self._header = check_text(
            header, "header", pattern=_FIELD_NAME, must="be the name of a field, such as X-API-Key"
        )
        if requests_per_minute is not None:
            check_whole(requests_per_minute, "requests_per_minute")
        self._max_wait = check_seconds(max_wait, "max_wait", inf)
        check_clock(clock, "time.monotonic")
        check_plain_function(sleep, "sleep", "give the async function as async_sleep", "seconds")
        check_function(async_sleep, "async_sleep", "async_sleep=asyncio.sleep", takes="seconds")
        if async_sleep is not None and not is_async_function(async_sleep):
            raise ConfigurationError(
                "async_sleep must be an async function, got a plain one: write async def async_sleep(seconds)"
            )
        self._sleep, self._async_sleep = sleep, async_sleep or anyio.sleep
        self._pacer = None if requests_per_minute is None else RequestPacer(requests_per_minute, clock)

    def __repr__(self) -> str:
        return f"APIKeyAuth({self._origin.base!r})"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the key; send it again after a 429, and after a redirect within the origin that dropped it."""
        steps = self._steps(request)
        answer: httpx.Response | None = None
        while (step := _next(steps, answer)) is not None:
            answer = None
            if isinstance(step, httpx.Request):
                answer = yield step
                continue
            if step.response is not None:
                step.response.read()  # reading the response returns the connection to the pool
            self._sleep(step.seconds)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the key; send it again after a 429, and after a redirect within the origin that dropped it."""
        steps = self._steps(request)
        answer: httpx.Response | None = None
        while (step := _next(steps, answer)) is not None:
            answer = None
            if isinstance(step, httpx.Request):
                answer = yield step
                continue
            if step.response is not None:
                await step.response.aread()
            await self._async_sleep(step.seconds)

    def _steps(self, request: httpx.Request) -> _Steps:
        request.headers.pop(self._header, None)
        if not self._origin.gets(request.url):
            self._origin.log_other(request.url)
            yield request
            return
        redirects, waited = 0, 0.0
        while True:
            if self._pacer is not None and (turn := self._pacer.reserve()) > 0:
                yield _Pause(turn)
            response = yield self._keyed(request)
            assert response is not None  # noqa: S101 (for the type: the driver sends one for a request)
            previous, request = request, response.request
            if not self._origin.gets(request.url):
                return
            if response.status_code == 401 and request is not previous and redirects < _MAX_REDIRECTS:
                redirects += 1
                continue
            pause = seconds_to_wait(response)
            if pause is None or waited + pause > self._max_wait or not _can_be_sent_again(request):
                return
            waited += pause
            yield _Pause(pause, response)

    def _keyed(self, request: httpx.Request) -> httpx.Request:
        request.headers = KeyedHeaders(request.headers, self._header, self._key)
        return request


def _next(steps: _Steps, answer: httpx.Response | None) -> httpx.Request | _Pause | None:
    try:
        return steps.send(answer)
    except StopIteration:
        return None


def _can_be_sent_again(request: httpx.Request) -> bool:
    # Other streams can be read only once, or may not fit into memory.
    return isinstance(request.stream, httpx.ByteStream)
