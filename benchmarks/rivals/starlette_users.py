"""Use Starlette with a backend that calls PyJWT and a function for the user: `async`, or in a thread."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials
from starlette.concurrency import run_in_threadpool

from benchmarks.rivals.starlette_pyjwt import Backend, guarded
from benchmarks.tokens import Issuer


class WithUsers(Backend):
    def __init__(self, issuer: Issuer, load: Callable[[Any], Any]) -> None:
        super().__init__(issuer)
        self.load = load

    async def authenticate(self, conn: Any) -> Any:
        result = await super().authenticate(conn)
        if result is None:
            return None
        credentials, simple = result
        user = await self.load(simple.username)
        return None if user is None else (AuthCredentials(credentials.scopes), user)


def build(issuer: Issuer, load: Callable[[Any], Any]) -> Starlette:
    """Return an application whose function is `async`."""
    return guarded(WithUsers(issuer, load))


def build_in_thread(issuer: Issuer, load: Callable[[Any], Any]) -> Starlette:
    """Return an application whose function is plain, and runs in a thread, like plain endpoints."""

    async def load_in_thread(subject: Any) -> Any:
        return await run_in_threadpool(load, subject)

    return guarded(WithUsers(issuer, load_in_thread))
