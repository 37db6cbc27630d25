"""Define the cheapest solutions for the same: they are no guards, but the rows are compared with them.

The middleware that stores digests is `benchmarks.floor`; here it also calls a function for each request: in
the same thread, by awaiting it, or in another thread in the cheapest way of Python.
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
    """Add a user from an awaited function to the floor.

    Args:
        app: the application.
        issuer: of the tokens.
        load: returns the user for the claims.
    """

    def __init__(self, app: Any, issuer: Issuer, load: Ask) -> None:
        super().__init__(app, floor.check(issuer), lambda value: sha256(value).digest())
        self.load = load
        self.inner, self.app = self.app, self._with_user

    async def _with_user(self, scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = scope["state"]["user"] = await self.load(scope["user"])
        await self.inner(scope, receive, send)


async def load(claims: Any) -> Any:
    """Return the user, as a coroutine function."""
    return USERS.get(claims["sub"])


def load_now(claims: Any) -> Any:
    """Return the user, as a plain function."""
    return USERS.get(claims["sub"])


class Thread:
    """Run calls from a queue in a thread, with one queue and one wake-up of the loop for each call.

    Unlike asgiref and anyio, it ignores limits, context variables, cancelled callers and errors.
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
    """Return the user by a call in the loop's own pool of threads."""
    return await asyncio.get_running_loop().run_in_executor(None, load_now, claims)


class LeastOnWSGI:
    """Look up the digest of the field: the floor of WSGI.

    Args:
        app: the application.
        issuer: of the tokens.
        load: returns the user for the claims; None uses the claims.
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
    """Wait for a coroutine in a running loop: the cheapest way in a thread without a loop."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __call__(self, claims: Any) -> Any:
        return self._runner.get_loop().run_until_complete(load(claims))

    def close(self) -> None:
        self._runner.close()
