"""Send the requests of a flow to the identity service, with and without an event loop."""

from collections.abc import Generator
from contextlib import aclosing, closing, suppress
from typing import Any, TypeAlias

import httpx

from authguard._connecting.certificates import check_environment_certificates
from authguard._connecting.proxies import check_environment_proxies
from authguard._cookiejar import NoCookies

#: A flow yields requests to the service, and receives the response, or None if none came.
Flow: TypeAlias = Generator[httpx.Request, httpx.Response | None, str]

#: Bytes of a token response; real ones are much shorter.
_MAX_BODY_BYTES = 64 * 1024
#: The fields that say when to send a request again. The others are left out: with `Content-Encoding`, httpx
#: would decompress the body.
_FIELDS = ("Retry-After", "Date", "RateLimit")


# A separate client, because the application's might follow a redirect with the password.
def run(flow: Flow, **options: Any) -> str:
    """Send the requests of a flow, and return its result.

    Args:
        flow: the flow.
        options: those of `httpx.Client`.

    Raises:
        ConfigurationError: if httpx cannot use the proxies or the certificates of the environment.
    """
    _check_environment(options)
    with httpx.Client(follow_redirects=False, cookies=NoCookies(), **options) as client:
        response = None
        while True:
            try:
                request = flow.send(response)
            except StopIteration as ended:
                return str(ended.value)
            response = None
            with suppress(httpx.HTTPError), closing(client.send(request, stream=True)) as streamed:
                body = b""
                for chunk in streamed.iter_raw():
                    body = _extended(body, chunk)
                response = _read(streamed, body)


async def arun(flow: Flow, **options: Any) -> str:
    """Send the requests of a flow in an event loop, and return its result.

    Args:
        flow: the flow.
        options: those of `httpx.AsyncClient`.

    Raises:
        ConfigurationError: see `run`.
    """
    _check_environment(options)
    async with httpx.AsyncClient(follow_redirects=False, cookies=NoCookies(), **options) as client:
        response = None
        while True:
            try:
                request = flow.send(response)
            except StopIteration as ended:
                return str(ended.value)
            response = None
            with suppress(httpx.HTTPError):
                async with aclosing(await client.send(request, stream=True)) as streamed:
                    body = b""
                    async for chunk in streamed.aiter_raw():
                        body = _extended(body, chunk)
                    response = _read(streamed, body)


def _check_environment(options: dict[str, Any]) -> None:
    """Check the variables that httpx reads: its own errors would show the password of a proxy."""
    check_environment_proxies()
    if options.get("verify", True) is True:
        check_environment_certificates()


def _extended(body: bytes, chunk: bytes) -> bytes:
    """Return the body with one more chunk; raise an error if it is too large."""
    if len(body) + len(chunk) > _MAX_BODY_BYTES:
        raise httpx.DecodingError("the answer is too large")
    return body + chunk


def _read(streamed: httpx.Response, body: bytes) -> httpx.Response:
    fields = {name: streamed.headers[name] for name in _FIELDS if name in streamed.headers}
    return httpx.Response(streamed.status_code, headers=fields, content=body)
