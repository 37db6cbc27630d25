"""Let the core ask questions without I/O.

A flow is a generator. It asks with `answer = yield from Question(...)` and returns its result. A driver
(authguard.drivers) answers, throws failures into the flow, and always closes it. So each rule is written
once, for servers with and without an event loop.
"""

from collections.abc import Awaitable, Callable, Generator, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from authguard._core.callbacks import Callback, note_source
from authguard._core.hosts import Origin, origin_of

Result = TypeVar("Result")
Answer = TypeVar("Answer")

Flow: TypeAlias = Generator["Question[Any]", Any, Result]


class Question(Generic[Answer]):
    """Ask a question that needs I/O or a callback; `yield from` it, and the answer has its type."""

    __slots__ = ()

    def __iter__(self) -> Generator["Question[Answer]", Answer, Answer]:
        return (yield self)


class Call(Question[Answer]):
    """Call a user's function, which may be `async`, and may block if it is not.

    Args:
        function: the function; a driver with an event loop runs it in a worker thread unless it is a
            coroutine function, or declared `in_memory`. A function that is called often is a `Callback`.
        arguments: its arguments.

    Attributes:
        callback: the function, and how to call it.
        arguments: its arguments.
    """

    __slots__ = ("arguments", "callback")

    def __init__(
        self,
        function: Callable[..., Answer | Awaitable[Answer]] | Callback[Answer],
        *arguments: Any,
    ) -> None:
        self.callback = function if isinstance(function, Callback) else Callback(function)
        self.arguments = arguments

    def __iter__(self) -> Generator[Question[Answer], Answer, Answer]:
        try:
            return (yield self)
        except Exception as error:
            note_source(error, self.callback.option, self.callback.function)
            raise


class Opened(Protocol):
    """Hold the resources that a driver has opened for a channel, in one event loop or one process."""

    def close(self) -> None:
        """Close it from outside an event loop, or let its loop close it soon."""

    async def aclose(self) -> None:
        """Close it inside an event loop."""


@dataclass(eq=False, slots=True)
class Channel:
    """Describe the connection to one remote: its settings, and the resources opened by drivers.

    Attributes:
        tls: the `ssl.SSLContext`, or None for a client of the user's.
        proxy: the URL of a proxy, or None.
        client: the user's own httpx client, which is never closed here, or None.
        headers: fields to send to `origins`, and nowhere else.
        origins: as `origin_of` gives them.
        agent: the `User-Agent` for other origins.
        opened: resources by event loop or process, stored by drivers; a resource is used only where it was
            opened.
    """

    tls: Any = None
    proxy: str | None = field(default=None, repr=False)  # it may contain a password
    client: Any = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    origins: frozenset[Origin] = frozenset()
    agent: str = "authguard"
    opened: dict[Any, Opened] = field(default_factory=dict, repr=False)

    def headers_for(self, url: str) -> dict[str, str]:
        """Return the fields for a request to a URL: the user's fields only for their origins."""
        return dict(self.headers) if origin_of(url) in self.origins else {"user-agent": self.agent}


@dataclass(frozen=True, slots=True)
class Response:
    """Hold the complete answer to a `Fetch`.

    Attributes:
        status: the status code.
        headers: the fields, by their names in lower case.
        body: the body, unchanged.
        took: seconds from the question to the answer.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    took: float = 0.0


#: `connect`: nothing was sent. `broken`: the connection ended before the answer did.
Failure: TypeAlias = Literal["connect", "tls", "timeout", "broken", "too_large"]


class FetchFailedError(Exception):
    """Report the failure of a `Fetch` without an answer.

    Args:
        kind: the kind of failure.
        reason: the reason, without secrets.

    Attributes:
        took: seconds from the question to the failure.
    """

    def __init__(self, kind: Failure, reason: str, took: float = 0.0) -> None:
        self.kind = kind
        self.took = took
        super().__init__(reason)


class Fetch(Question[Response]):
    """Send one HTTP request; redirects are answers, and not followed.

    Args:
        channel: the connection to the server.
        method: `GET` or `POST`.
        url: the URL.
        headers: fields, in addition to those of the channel.
        body: the body.
        timeout: seconds for the whole request.
        connect_timeout: seconds to connect.
        max_bytes: the greatest size of the answer's body.

    Raises:
        FetchFailedError: is thrown into the flow if no complete answer arrives in time.
    """

    __slots__ = ("body", "channel", "connect_timeout", "headers", "max_bytes", "method", "timeout", "url")

    def __init__(
        self,
        channel: Channel,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float,
        connect_timeout: float,
        max_bytes: int,
    ) -> None:
        self.channel = channel
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.max_bytes = max_bytes


class Pace:
    """Count the work that may still be done at once, before the event loop has to turn.

    The count has no lock: at worst, threads count one call too few.

    Args:
        most: the most work, in units of which a signature with a secret costs 1.

    Attributes:
        remaining: the rest; if none is left, work is asked for by `Later`.
    """

    __slots__ = ("_most", "remaining")

    def __init__(self, most: int) -> None:
        self._most = most
        self.remaining = most

    def begin(self) -> None:
        """Reset the count, because nothing waits."""
        self.remaining = self._most


class Later(Question[Answer]):
    """Call a function in one of the next turns of the event loop, after all earlier calls.

    Without an event loop the call is made at once.

    Args:
        pace: is reset when nothing waits.
        cost: the work, in units of the pace.
        work: returns the answer; it neither raises nor waits.
    """

    __slots__ = ("cost", "pace", "work")

    def __init__(self, pace: Pace, cost: int, work: Callable[[], Answer]) -> None:
        self.pace = pace
        self.cost = cost
        self.work = work


class Shared(Question[Answer]):
    """Run a flow once for all simultaneous callers; all get its result.

    It does not belong to the first caller: if that request is cancelled, the others are not affected. Its
    result is data; it should not raise.

    Args:
        channel: the channel, whose event loop or process runs it; keys are compared within a channel.
        key: the key; callers with equal keys share the flow.
        make: creates the flow, if it is not running.
        wait: False starts the flow in the background, and the answer is None at once.
    """

    __slots__ = ("channel", "key", "make", "wait")

    def __init__(
        self, channel: Channel, key: Hashable, make: Callable[[], Flow[Answer]], *, wait: bool = True
    ) -> None:
        self.channel = channel
        self.key = key
        self.make = make
        self.wait = wait
