"""The least that anybody could do for the same: no guards, but what a row is measured against.

The middleware that keeps digests is `benchmarks.floor`; here it asks one function more for each request: in the
same thread, by awaiting it, or in another thread, as cheaply as Python hands a call over.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from queue import SimpleQueue
from typing import Any

from benchmarks import floor
from benchmarks.configured.world import USERS
from benchmarks.tokens import Issuer

Ask = Callable[[Any], Any]


class Least(floor.Floor):
    """The floor with a user from a function that is awaited.

    Args:
        app: the application.
        issuer: of the tokens.
        load: gives the user by the claims.
    """

    def __init__(self, app: Any, issuer: Issuer, load: Ask) -> None:
        super().__init__(app, floor.check(issuer), lambda value: sha256(value).digest())
        self.load = load
        self.inner, self.app = self.app, self._with_user

    async def _with_user(self, scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = scope["state"]["user"] = await self.load(scope["user"])
        await self.inner(scope, receive, send)


async def load(claims: Any) -> Any:
    """A coroutine function that gives the user."""
    return USERS.get(claims["sub"])


def load_now(claims: Any) -> Any:
    """A plain one."""
    return USERS.get(claims["sub"])


class Thread:
    """A thread that takes calls from a queue: one queue and one wake-up of the loop for each call, and no more.

    It knows no limits, context variables, cancelled callers or errors; what asgiref and anyio do is that, too.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def __call__(self, claims: Any) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._calls.put((loop, future, claims))
        return future

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            loop, future, claims = call
            loop.call_soon_threadsafe(future.set_result, load_now(claims))

    def close(self) -> None:
        self._calls.put(None)


async def by_executor(claims: Any) -> Any:
    """The same by the loop's own pool of threads."""
    return await asyncio.get_running_loop().run_in_executor(None, load_now, claims)


class LeastOnWSGI:
    """The floor of WSGI: the digest of the field is looked up.

    Args:
        app: the application.
        issuer: of the tokens.
        load: gives the user by the claims; None keeps the claims.
    """

    def __init__(self, app: Any, issuer: Issuer, load: Ask | None = None) -> None:
        self.app = app
        self.check = floor.check(issuer)
        self.load = load
        self.known: dict[bytes, Any] = {}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        value = environ["HTTP_AUTHORIZATION"].encode("latin-1")
        digest = sha256(value).digest()
        claims = self.known.get(digest)
        if claims is None:
            claims = self.known[digest] = floor.verified(value, self.check)
        if claims["exp"] <= time.time():
            raise ValueError("expired")
        environ["least.user"] = claims if self.load is None else self.load(claims)
        return self.app(environ, start_response)


class KeptLoop:
    """Wait for a coroutine in a loop that is kept: the least that a thread without one can do."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __call__(self, claims: Any) -> Any:
        return self._runner.get_loop().run_until_complete(load(claims))

    def close(self) -> None:
        self._runner.close()
