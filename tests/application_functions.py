"""Define functions of an application that note their calls, and a guard that asks them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from authguard import APIKey, APIKeyVerifier, Guard, JWTVerifier, MemoryQuotas, Principal, Rule, in_memory
from authguard.drivers import asynchronous, blocking
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, claims, make_token

TOKEN = make_token(claims(scope="read"))
KEY = "sk_live_0123456789"
WAYS = pytest.mark.parametrize("way", ["plain", "async", "declared"])
WAITING = pytest.mark.parametrize("known", [False, True], ids=["first request", "known caller"])


class Application:
    """Define functions of an application, which note their calls, and return the set answers.

    Attributes:
        revoked: the value that `is_revoked` returns, or raises.
        user: the value that `load` returns, or raises; by subject, if it is a dict.
        calls: the names of the functions, in the order of the calls.
    """

    def __init__(self, way: str = "plain") -> None:
        self.way = way
        self.revoked: Any = False
        self.user: Any = "the user"
        self.calls: list[str] = []
        self.before: Callable[[], object] = list  # `load` calls this function

    @property
    def revocations(self) -> Any:
        class Store:
            is_revoked = staticmethod(self._as_it_is(self._is_revoked))

        return Store()

    @property
    def user_loader(self) -> Any:
        function = self._as_it_is(self._load)
        return in_memory(function) if self.way == "declared" else function

    def _as_it_is(self, function: Callable[[Principal], Any]) -> Any:
        async def coroutine(principal: Principal) -> Any:
            await asyncio.sleep(0)
            return function(principal)

        return coroutine if self.way == "async" else function

    def _is_revoked(self, principal: Principal) -> Any:
        self.calls.append("is_revoked")
        return _answered(self.revoked)

    def _load(self, principal: Principal) -> Any:
        self.calls.append("load")
        self.before()
        user = self.user[principal.subject] if isinstance(self.user, dict) else self.user
        return _answered(user)

    def decide(self, guard: Guard, request: FakeRequest, now: float = NOW) -> Any:
        """Return the decision of the driver that fits the functions; record only this request's calls."""
        self.calls.clear()
        key = (request.method, request.path, request.root_path)
        arguments = (guard, lambda *_: request, None, request.presented, key, now)
        if self.way != "async":
            return blocking.decide(*arguments)
        return asyncio.run(asynchronous.decide(*arguments))


class Waiting:
    """Count in a store of quotas that must be awaited, and that uses another store."""

    def __init__(self) -> None:
        self._store = MemoryQuotas(monotonic=lambda: NOW, clock=lambda: NOW)

    def take(self, takes: Any) -> Any:
        """Take from the other store."""
        return self._store.take(takes)

    def give_back(self, taken: Any) -> None:
        """Give back."""
        self._store.give_back(taken)


def _answered(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def guard(application: Application, *rules: Rule, revocations: Any = True, **options: Any) -> Guard:
    """Return a guard that asks the application; `revocations` may be False for no store, or a store."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    if revocations:
        options["revocations"] = application.revocations if revocations is True else revocations
    options.setdefault("user_loader", application.user_loader)
    keys = options.pop("keys", {KEY: APIKey("bob")})
    return Guard(jwt, APIKeyVerifier(keys), protected_paths=["/", *rules], **options)


def refusal_of(way: str, user: Any, *, known: bool) -> Any:
    """Return the refusal of a request whose loader returns this user; a known token has passed before."""
    application = Application(way)
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = {claims()["sub"]: user}
    return application.decide(own_guard, bearer(TOKEN)).refusal
