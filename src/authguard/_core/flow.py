"""Let the core ask the world without touching it.

A flow is a generator. It asks with `answer = yield from Question(...)` and returns its result;
a driver (authguard.drivers) answers, throws failures in, and closes it in every case. So each
rule is written once, for servers with an event loop and for servers without one.
"""

from collections.abc import Awaitable, Callable, Generator, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from authguard._core.hosts import Origin, origin_of

Result = TypeVar("Result")
Answer = TypeVar("Answer")

Flow: TypeAlias = Generator["Question[Any]", Any, Result]


class Question(Generic[Answer]):
    """Ask what only the world can answer; `yield from` it, and the answer has its type."""

    __slots__ = ()

    def __iter__(self) -> Generator["Question[Answer]", Answer, Answer]:
        return (yield self)


class Call(Question[Answer]):
    """Call a user's function, which may be `async`, and may block if it is not.

    Args:
        function: what to call; a driver with an event loop runs it in a worker thread unless
            it is a coroutine function.
        arguments: what to call it with.
    """

    __slots__ = ("arguments", "function")

    def __init__(self, function: Callable[..., Answer | Awaitable[Answer]], *arguments: Any) -> None:
        self.function = function
        self.arguments = arguments


class Opened(Protocol):
    """Hold what a driver has opened for a channel, in one event loop or in one process."""

    def close(self) -> None:
        """Close it from outside of an event loop, or have its loop close it soon."""

    async def aclose(self) -> None:
        """Close it from inside of an event loop."""


@dataclass(eq=False, slots=True)
class Channel:
    """Say how one remote is reached: settings, and what drivers have opened by them.

    Attributes:
        tls: the `ssl.SSLContext`, or None for a client of the user's.
        proxy: the URL of a proxy, or None.
        client: the user's own httpx client, which is never closed here, or None.
        headers: fields to send to `origins`, and nowhere else.
        origins: as `origin_of` gives them.
        agent: the `User-Agent` for other origins.
        opened: by event loop or process, filled by drivers: nothing opened in one is used in
            another.
    """

    tls: Any = None
    proxy: str | None = None
    client: Any = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    origins: frozenset[Origin] = frozenset()
    agent: str = "authguard"
    opened: dict[Any, Opened] = field(default_factory=dict, repr=False)

    def headers_for(self, url: str) -> dict[str, str]:
        """Return the fields to send to a URL: those of the user only to the origins they are for."""
        return dict(self.headers) if origin_of(url) in self.origins else {"user-agent": self.agent}


@dataclass(frozen=True, slots=True)
class Response:
    """Hold the whole answer to a `Fetch`.

    Attributes:
        status: the status code.
        headers: the fields, by their names in lower case.
        body: what was sent, as it was sent.
        took: seconds from the question to the answer.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    took: float = 0.0


#: `connect`: nothing was sent. `broken`: the connection ended before the answer did.
Failure: TypeAlias = Literal["connect", "tls", "timeout", "broken", "too_large"]


class FetchFailedError(Exception):
    """Say why there is no answer to a `Fetch`.

    Args:
        kind: what failed.
        reason: in words without secrets.

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
        channel: how to reach the server.
        method: `GET` or `POST`.
        url: where to.
        headers: fields, besides those of the channel.
        body: what to send.
        timeout: seconds for all of it.
        connect_timeout: seconds to connect.
        max_bytes: bytes that the answer's body may have.

    Raises:
        FetchFailedError: is thrown in if there is no whole answer in time.
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
    """Count what may still be worked out at once, before an event loop has to turn.

    Without a lock: threads can at worst count one too few.

    Args:
        most: how many.

    Attributes:
        left: how many are left; what comes after these is asked for by `Later`.
    """

    __slots__ = ("_most", "left")

    def __init__(self, most: int) -> None:
        self._most = most
        self.left = most

    def begin(self) -> None:
        """Count anew: nothing waits any more."""
        self.left = self._most


class Later(Question[Answer]):
    """Answer in one of the next turns of the event loop, after all that has waited for longer.

    Without an event loop it is done at once.

    Args:
        pace: to be told when nothing waits any more.
        work: returns the answer; it does not raise, and does not wait.
    """

    __slots__ = ("pace", "work")

    def __init__(self, pace: Pace, work: Callable[[], Answer]) -> None:
        self.pace = pace
        self.work = work


class Shared(Question[Answer]):
    """Run a flow once for all who ask for the same now; all get its result.

    It does not belong to the one who asked first: if that request is cancelled, the others do
    not notice. What it returns is data; it should not raise.

    Args:
        channel: whose event loop or process runs it; keys are compared within a channel.
        key: what makes two askers ask the same.
        make: makes the flow, if nobody has yet.
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
