"""Sign in with a password, and send access tokens that are refreshed."""

import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from math import inf
from ssl import SSLContext
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import httpx
from anyio.lowlevel import RunVar

from authguard._core.options import (
    Duration,
    check_clock,
    check_object,
    check_seconds,
    check_text,
    named_options,
)
from authguard.client.challenges import is_about_token
from authguard.client.exchange import arun, run
from authguard.client.origins import CredentialOrigin
from authguard.client.session import Session

#: The locks of an event loop, of asyncio or trio.
_loop_locks: RunVar[WeakKeyDictionary["BearerAuth", anyio.Lock]] = RunVar("authguard_client_locks")


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
        ConfigurationError: if the URL is not https (except on loopback) or has a query, or if the timeout is
            not a positive number.
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
        self._origin = CredentialOrigin(base_url, "BearerAuth")
        check_text(email, "email", must="be the address of the account")
        check_text(password, "password", secret=True)
        seconds = check_seconds(timeout, "timeout", inf, exclusive=True)
        check_object(verify, "verify", SSLContext, "verify=ssl.create_default_context(cafile=…)")
        check_clock(clock)
        self._options: dict[str, Any] = {"timeout": seconds, "verify": True if verify is None else verify}
        self._session = Session(self._origin.base, email, password, clock)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"BearerAuth({self._origin.base!r})"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token; if the service refuses it, send the request once more with a new token.

        Raises:
            LoginError: if no token can be obtained.
        """
        if not self._origin.gets(request.url):
            yield self._without_token(request)
            return
        request.read()
        token = self._get(None)
        response = yield _bearing(request, token)
        if self._is_refused(response) and self._session.can_replace(token):
            response.read()
            response = yield _bearing(request, self._get(token))
            if self._is_refused(response):
                self._session.note_refused_again()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the token; if the service refuses it, send the request once more with a new token.

        Raises:
            LoginError: if no token can be obtained.
        """
        if not self._origin.gets(request.url):
            yield self._without_token(request)
            return
        await request.aread()
        token = await self._aget(None)
        response = yield _bearing(request, token)
        if self._is_refused(response) and self._session.can_replace(token):
            await response.aread()
            response = yield _bearing(request, await self._aget(token))
            if self._is_refused(response):
                self._session.note_refused_again()

    def logout(self) -> None:
        """End the session at the service; the next request signs in again.

        Raises:
            LoginError: if the service did not answer or could not store the logout. The tokens are kept.
        """
        with self._lock:
            run(self._session.logout(), **self._options)

    async def alogout(self) -> None:
        """End the session at the service, in an event loop; see `logout`.

        Raises:
            LoginError: if the service did not answer or could not store the logout. The tokens are kept.
        """
        async with self._loop_lock():
            await arun(self._session.logout(), **self._options)

    def _is_refused(self, response: httpx.Response) -> bool:
        """Return whether the service has refused the token."""
        # After a redirect, the 401 may come from another server, which has not received the token.
        is_own = response.status_code == 401 and self._origin.gets(response.request.url)
        return is_own and is_about_token(response)

    def _without_token(self, request: httpx.Request) -> httpx.Request:
        """Return a request to another origin, without the token of this object."""
        if self._session.is_own(request.headers.get("Authorization")):
            del request.headers["Authorization"]
        self._origin.log_other(request.url)
        return request

    def _get(self, refused: str | None) -> str:
        if token := self._session.current(refused):
            return token
        with self._lock:  # another caller may have got a new token, or have failed, during the wait
            return self._session.current(refused) or run(self._session.renew(refused), **self._options)

    async def _aget(self, refused: str | None) -> str:
        if token := self._session.current(refused):
            return token
        async with self._loop_lock():
            token = self._session.current(refused)
            return token or await arun(self._session.renew(refused), **self._options)

    def _loop_lock(self) -> anyio.Lock:
        """Return the lock of the running event loop."""
        locks = _loop_locks.get(None)
        if locks is None:
            locks = WeakKeyDictionary()
            _loop_locks.set(locks)
        return locks.setdefault(self, anyio.Lock())


def _bearing(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request
