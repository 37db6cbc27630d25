"""Share the HTTP parts of both drivers: client options, requests, and the meaning of failures."""

import ssl
import time
from typing import TYPE_CHECKING, Any

from authguard._connecting.proxies import check_environment_proxies
from authguard._core.flow import Channel, Failure, Fetch, FetchFailedError, Response
from authguard.drivers.reasons import causes_of, words_for
from authguard.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

MAX_CONNECTIONS = 100
MAX_KEEPALIVE_CONNECTIONS = 20
KEEPALIVE_SECONDS = 30.0


def client_options(channel: Channel) -> dict[str, Any]:
    """Return the options of the package's own httpx clients.

    Raises:
        FetchFailedError: if httpx cannot use the proxies of the environment, which may have changed.
    """
    import httpx

    from authguard._cookiejar import NoCookies

    if channel.proxy is None:
        try:
            check_environment_proxies()
        except ConfigurationError as error:
            raise FetchFailedError("connect", str(error)) from None
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
    """Return the options of a request, for the package's own client or the user's."""
    import httpx

    headers = {
        "accept-encoding": "identity",  # no compression, so that a small body cannot become a large one
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
    """Collect a body, up to its limit.

    Attributes:
        is_whole: whether the body was already read, by a transport of tests or by a hook of the user's
            client.
    """

    def __init__(self, question: Fetch, response: "httpx.Response") -> None:
        self._max_bytes = question.max_bytes
        self._data = bytearray()
        self._response = response
        self._check(response.headers.get("content-length", ""))
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise FetchFailedError(
                "broken", "the answer is compressed, although the request did not allow it"
            )
        self.is_whole = response.is_stream_consumed
        if self.is_whole:
            self.add(response.content)

    def _check(self, length: str) -> None:
        if length.isascii() and length.isdigit() and int(length[:20]) > self._max_bytes:
            raise FetchFailedError("too_large", f"the answer is larger than {self._max_bytes} bytes")

    def add(self, chunk: bytes) -> None:
        """Add the next chunk."""
        self._data += chunk
        self._check(str(len(self._data)))

    def answer(self, started: float) -> Response:
        """Return the complete answer; `started` is a time of the monotonic clock."""
        headers = {name.lower(): value for name, value in self._response.headers.items()}
        took = time.monotonic() - started
        return Response(self._response.status_code, headers, bytes(self._data), took)


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of a request that are faults of the network or the server."""
    import httpx

    # RuntimeError: a closed client of the user's. UnicodeError: a host that is not a valid DNS name.
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
    """Return the error for an answer that did not arrive in time."""
    return FetchFailedError("timeout", f"no answer within {question.timeout:g} seconds", question.timeout)


def failure(error: Exception, started: float) -> FetchFailedError:
    """Return the error for an exception of httpx, in words, without its text."""
    import httpx

    if isinstance(error, FetchFailedError):
        return error

    took = time.monotonic() - started
    if isinstance(error, httpx.ConnectTimeout):
        return FetchFailedError("connect", "connect: the server does not answer in time", took)
    kind: Failure = "broken"
    if _is_tls(error):
        kind = "tls"
    elif isinstance(error, httpx.ConnectError):
        kind = "connect"
    elif isinstance(error, httpx.TimeoutException):
        kind = "timeout"
    words = words_for(error) if kind in ("tls", "connect") else type(error).__name__
    return FetchFailedError(kind, f"{kind}: {words}", took)


def _is_tls(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in causes_of(error))
