"""Share between both drivers how a client is made, what is sent, and what a failure means."""

import ssl
import time
from typing import TYPE_CHECKING, Any

from authguard._core.flow import Channel, Failure, Fetch, FetchFailedError, Response

if TYPE_CHECKING:
    import httpx

MAX_CONNECTIONS = 100
MAX_KEEPALIVE_CONNECTIONS = 20
KEEPALIVE_SECONDS = 30.0


def client_options(channel: Channel) -> dict[str, Any]:
    """Return what an httpx client of ours is made with."""
    import httpx

    from authguard._cookiejar import NoCookies

    return {
        "verify": channel.tls if channel.tls is not None else True,
        "proxy": channel.proxy,
        "follow_redirects": False,
        "cookies": NoCookies(),
        "limits": httpx.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_KEEPALIVE_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
    }


def request_options(question: Fetch) -> dict[str, Any]:
    """Return what a request is made with, be the client ours or the user's."""
    import httpx

    headers = {
        "accept-encoding": "identity",  # nothing that a small body could be inflated from
        **question.channel.headers_for(question.url),
        **question.headers,
    }
    return {
        "method": question.method,
        "url": question.url,
        "headers": headers,
        "content": question.body or None,
        "timeout": httpx.Timeout(question.timeout, connect=question.connect_timeout),
        "follow_redirects": False,
    }


class Body:
    """Collect a body, and stop at its limit.

    Attributes:
        is_whole: whether there is nothing left to collect: a transport of tests or a hook of the user's
            client has read it already.
    """

    def __init__(self, question: Fetch, response: "httpx.Response") -> None:
        self._max_bytes = question.max_bytes
        self._data = bytearray()
        self._response = response
        self._check(response.headers.get("content-length", ""))
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise FetchFailedError("broken", "the answer is compressed, which was not asked for")
        self.is_whole = response.is_stream_consumed
        if self.is_whole:
            self.add(response.content)

    def _check(self, length: str) -> None:
        if length.isascii() and length.isdigit() and int(length[:20]) > self._max_bytes:
            raise FetchFailedError("too_large", f"the answer is larger than {self._max_bytes} bytes")

    def add(self, chunk: bytes) -> None:
        """Take some more of it."""
        self._data += chunk
        self._check(str(len(self._data)))

    def answer(self, started: float) -> Response:
        """Return the whole answer; `started` is a time of the monotonic clock."""
        headers = {name.lower(): value for name, value in self._response.headers.items()}
        took = time.monotonic() - started
        return Response(self._response.status_code, headers, bytes(self._data), took)


def failures() -> tuple[type[Exception], ...]:
    """Return what a request may raise that is the network's fault, or the server's."""
    import httpx

    # RuntimeError: a client of the user's that has been closed. UnicodeError: a host that is no name in DNS.
    return (
        FetchFailedError,
        httpx.HTTPError,
        httpx.InvalidURL,
        httpx.StreamError,
        OSError,
        RuntimeError,
        UnicodeError,
    )


def too_late(question: Fetch) -> FetchFailedError:
    """Return the error for an answer that did not come in time."""
    return FetchFailedError("timeout", f"no answer within {question.timeout:g} seconds", question.timeout)


def failure(error: Exception, started: float) -> FetchFailedError:
    """Return what an error of httpx means; its text stays out of it, for it may show what was sent."""
    import httpx

    if isinstance(error, FetchFailedError):
        return error

    kind: Failure = "broken"
    if _is_tls(error):
        kind = "tls"
    elif isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        kind = "connect"
    elif isinstance(error, httpx.TimeoutException):
        kind = "timeout"
    return FetchFailedError(kind, f"{kind}: {type(error).__name__}", time.monotonic() - started)


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
