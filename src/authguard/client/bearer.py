"""Sign in with a password, and send access tokens that are refreshed."""

import asyncio
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, field
from math import inf, isfinite
from ssl import SSLContext
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from authguard._cookiejar import NoCookies
from authguard._core.options import (
    Duration,
    check_function,
    check_object,
    check_seconds,
    check_text,
    named_options,
)
from authguard._core.strict_json import parse_object_bytes
from authguard.client.origins import check_base_url, origin_of
from authguard.errors import LoginError

#: The seconds before the expiry of a token at which it is refreshed, as in the AINative guide.
_REFRESH_AHEAD_SECONDS = 300.0
#: Seconds to wait after a refresh that failed because of an outage.
_PAUSE_SECONDS = 30.0
#: Seconds for which a refused password is not sent again: three attempts in the 15 minutes in which the
#: identity service allows ten.
_REFUSAL_SECONDS = 300.0
#: Bytes of a token response; real ones are much shorter.
_MAX_BODY_BYTES = 64 * 1024
_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Hold the tokens of a login or refresh."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    refresh_at: float
    expires_at: float


#: A flow yields requests to the service, and receives the response, or None if none came.
_Flow = Generator[httpx.Request, httpx.Response | None, str]


@named_options
class BearerAuth(httpx.Auth):
    """Sign in with a password, and send access tokens that are refreshed before they expire.

    One object may be shared by threads, tasks and event loops. Request bodies are read into memory, because a
    request that gets a 401 is sent once more.

    Args:
        base_url: the URL of the API with its prefix, such as `https://auth.example.com/v1`. Tokens are sent
            only to its origin.
        email: the address of the account.
        password: its password.
        timeout: seconds, or a timedelta, for each step of signing in or refreshing.
        verify: the trusted certificates for signing in; None for the default ones.
        clock: returns the seconds since the epoch.

    Raises:
        ConfigurationError: if the URL is not https (except on loopback), or the timeout is not a positive
            number.
    """

    def __init__(
        self,
        base_url: str,
        email: str,
        password: str,
        *,
        timeout: float | Duration = 10.0,
        verify: SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base, self._origin = check_base_url(base_url)
        self._email = check_text(email, "email", must="be the address of the account")
        self._password = check_text(password, "password", secret=True)
        seconds = check_seconds(timeout, "timeout", inf, exclusive=True)
        check_object(verify, "verify", SSLContext, "verify=ssl.create_default_context(cafile=…)")
        check_function(clock, "clock", "clock=time.time", or_none=False)
        self._options: dict[str, Any] = {"timeout": seconds, "verify": True if verify is None else verify}
        self._clock = clock
        self._tokens: _Tokens | None = None
        self._not_before = 0.0
        # The status, and the time until which it is remembered.
        self._refusal: tuple[int, float] | None = None
        self._lock = threading.Lock()
        self._alocks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"BearerAuth({self._base!r})"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token; if it is refused, send the request once more with a new token."""
        if origin_of(request.url) != self._origin:
            self._strip(request)
            yield request
            return
        request.read()
        token = self._get(None)
        response = yield _bearing(request, token)
        if self._refused(response):
            response.read()
            yield _bearing(request, self._get(token))

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the token; if it is refused, send the request once more with a new token."""
        if origin_of(request.url) != self._origin:
            self._strip(request)
            yield request
            return
        await request.aread()
        token = await self._aget(None)
        response = yield _bearing(request, token)
        if self._refused(response):
            await response.aread()
            yield _bearing(request, await self._aget(token))

    def logout(self) -> None:
        """End the session at the service; the next request signs in again.

        Raises:
            LoginError: if the service did not answer or could not store the logout. The tokens are kept.
        """
        with self._lock:
            self._run(self._logout())

    async def alogout(self) -> None:
        """End the session at the service, in an event loop; see `logout`.

        Raises:
            LoginError: if the service did not answer or could not store the logout. The tokens are kept.
        """
        async with self._alock():
            await self._arun(self._logout())

    def _refused(self, response: httpx.Response) -> bool:
        # After a redirect, the 401 may come from another server, which has not received the token.
        return response.status_code == 401 and origin_of(response.request.url) == self._origin

    def _strip(self, request: httpx.Request) -> None:
        tokens = self._tokens
        if tokens and request.headers.get("Authorization") == f"Bearer {tokens.access}":
            del request.headers["Authorization"]

    def _at_hand(self, refused: str | None) -> str | None:
        """Return the current token; None if it must be replaced."""
        tokens, now = self._tokens, self._clock()
        if tokens is None or tokens.access == refused or now >= tokens.expires_at:
            return None
        return tokens.access if now < tokens.refresh_at or now < self._not_before else None

    def _get(self, refused: str | None) -> str:
        if token := self._at_hand(refused):
            return token
        with self._lock:  # another caller may have fetched a new token during the wait
            return self._at_hand(refused) or self._run(self._renew(refused))

    async def _aget(self, refused: str | None) -> str:
        if token := self._at_hand(refused):
            return token
        async with self._alock():
            return self._at_hand(refused) or await self._arun(self._renew(refused))

    def _alock(self) -> asyncio.Lock:
        with self._lock_of_locks:
            return self._alocks.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    #: The lock is held only for a look-up.
    _lock_of_locks = threading.Lock()

    # A separate client, because the application's might follow a redirect with the password.
    def _run(self, flow: _Flow) -> str:
        with httpx.Client(follow_redirects=False, cookies=NoCookies(), **self._options) as client:
            request = next(flow)
            while True:
                response = None
                with suppress(httpx.HTTPError), closing(client.send(request, stream=True)) as streamed:
                    body = b""
                    for chunk in streamed.iter_raw():
                        body = _extended(body, chunk)
                    response = httpx.Response(streamed.status_code, content=body)
                try:
                    request = flow.send(response)
                except StopIteration as ended:
                    return str(ended.value)

    async def _arun(self, flow: _Flow) -> str:
        async with httpx.AsyncClient(follow_redirects=False, cookies=NoCookies(), **self._options) as client:
            request = next(flow)
            while True:
                response = None
                with suppress(httpx.HTTPError):
                    async with aclosing(await client.send(request, stream=True)) as streamed:
                        body = b""
                        async for chunk in streamed.aiter_raw():
                            body = _extended(body, chunk)
                        response = httpx.Response(streamed.status_code, content=body)
                try:
                    request = flow.send(response)
                except StopIteration as ended:
                    return str(ended.value)

    def _renew(self, refused: str | None) -> _Flow:
        tokens = self._tokens
        if tokens is not None and tokens.refresh is not None:
            response = yield self._post("refresh", {"refresh_token": tokens.refresh})
            if response is not None and response.status_code == 200:
                return self._keep("refresh", response)
            if response is None or response.status_code == 429 or response.status_code >= 500:
                now = self._clock()
                if tokens.access == refused or now >= tokens.expires_at:
                    raise _failure("refresh", response)
                self._not_before = now + _PAUSE_SECONDS
                return tokens.access
            self._tokens = None  # refused: the session has ended
        return (yield from self._login())

    def _login(self) -> _Flow:
        now = self._clock()
        if self._refusal is not None and now < self._refusal[1]:
            raise _refusal("login", self._refusal[0])
        response = yield self._post("login", {"email": self._email, "password": self._password})
        if response is not None and response.status_code in (401, 403):
            self._refusal = (response.status_code, now + _REFUSAL_SECONDS)
        if response is None or response.status_code != 200:
            raise _failure("login", response)
        self._refusal = None
        return self._keep("login", response)

    def _logout(self) -> _Flow:
        tokens = self._tokens
        if tokens is not None:
            response = yield _bearing(self._post("logout", None), tokens.access)
            # 401: the session had ended before.
            if response is None or response.status_code not in (200, 204, 401):
                raise _failure("logout", response)
        self._tokens = None
        return ""

    def _post(self, name: str, body: dict[str, str] | None) -> httpx.Request:
        # An uncompressed body is no larger than the bytes received.
        plain = {"Accept-Encoding": "identity"}
        return httpx.Request("POST", f"{self._base}/auth/{name}", json=body, headers=plain)

    def _keep(self, name: str, response: httpx.Response) -> str:
        now = self._clock()
        try:
            data = parse_object_bytes(response.content)
            access, refresh, lifetime = data["access_token"], data.get("refresh_token"), data["expires_in"]
            lifetime = float(lifetime)
        except (ValueError, KeyError, TypeError, OverflowError):
            raise _failure(name, response) from None  # an unreadable answer may contain a token
        # The error of the library that refuses to send such text would contain it.
        if not isinstance(access, str) or not _VISIBLE.match(access) or not isinstance(refresh, str | None):
            raise _failure(name, response)
        if not isfinite(lifetime):
            raise _failure(name, response)
        # Half of a short lifetime, so that such tokens are not refreshed with each request.
        ahead = min(_REFRESH_AHEAD_SECONDS, lifetime / 2)
        self._tokens = _Tokens(access, refresh, now + lifetime - ahead, now + lifetime)
        self._not_before = 0.0
        return access


def _bearing(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _extended(body: bytes, chunk: bytes) -> bytes:
    """Return the body with one more chunk; raise an error if it is too large."""
    if len(body) + len(chunk) > _MAX_BODY_BYTES:
        raise httpx.DecodingError("the answer is too large")
    return body + chunk


def _failure(name: str, response: httpx.Response | None) -> LoginError:
    if response is None:
        return LoginError(f"{name}: the service cannot be reached, or its answer cannot be read")
    return _refusal(name, response.status_code)


def _refusal(name: str, status: int) -> LoginError:
    remedy = ": base_url must have the prefix of the API, such as https://auth.example.com/v1"
    return LoginError(f"{name}: the service answered {status}{remedy if status == 404 else ''}", status)
