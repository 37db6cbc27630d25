"""A function whose result contains no answer yet lets nobody pass: that result is always true."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from application_functions import TOKEN, WAYS, Application, guard
from authguard import APIKeyVerifier, ConfigurationError, Guard, JWTVerifier, Quota
from authguard._core.answer.decision import Deny
from support import AUDIENCE, SECRET, bearer

VERIFIER = APIKeyVerifier(lambda digest: None)


def yielding(argument: Any) -> Iterator[Any]:
    """A dependency of FastAPI."""
    yield argument


async def streaming(argument: Any) -> AsyncIterator[Any]:
    """An async dependency of FastAPI."""
    yield argument


class Yielding:
    """A callable object."""

    def __call__(self, argument: Any) -> Iterator[Any]:
        yield argument


GENERATORS = pytest.mark.parametrize(
    "function", [yielding, streaming, Yielding(), functools.partial(yielding), Yielding().__call__]
)
OPTIONS: dict[str, Callable[[Any], object]] = {
    "user_loader": lambda function: Guard(VERIFIER, user_loader=function),
    "keys": APIKeyVerifier,
    "issuer": lambda function: JWTVerifier(SECRET, algorithms=["HS256"], issuer=function, audience=AUDIENCE),
    "is_revoked of revocations": lambda function: Guard(
        VERIFIER, revocations=SimpleNamespace(is_revoked=function)
    ),
    "take of quota_store": lambda function: Guard(
        VERIFIER, quotas=[Quota(1, 60)], quota_store=SimpleNamespace(take=function, give_back=function)
    ),
}


@GENERATORS
@pytest.mark.parametrize("option", OPTIONS)
def test_a_generator_is_refused(option: str, function: Any) -> None:
    """A generator is true for every caller, also for one that it has no user for."""
    with pytest.raises(ConfigurationError, match=f"{option} must be a function that returns, got a gen"):
        OPTIONS[option](function)


def unanswered() -> list[Any]:
    """Results of functions that forget to call, to await or to iterate."""
    return [
        yielding(1),
        streaming(1),
        yielding,
        Application("plain").decide,
        functools.partial(yielding),
        filter(None, []),
        map(str, []),
    ]


@WAYS
@pytest.mark.parametrize("number", range(len(unanswered())))
def test_a_user_that_is_no_answer_is_a_500(way: str, number: int) -> None:
    """Nobody is let in by it, on the first request and as a known caller."""
    application = Application(way)
    one = guard(application)
    for user in (unanswered()[number], "the user", unanswered()[number]):
        application.user = user
        decision = application.decide(one, bearer(TOKEN))
        if user == "the user":
            assert decision.user == user
        else:
            assert isinstance(decision, Deny)
            assert decision.refusal.status == 500


@WAYS
@pytest.mark.parametrize("number", range(len(unanswered())))
def test_a_revocation_that_is_no_answer_is_a_500(way: str, number: int) -> None:
    """A good token is not called revoked because the server is at fault."""
    application = Application(way)
    application.revoked = unanswered()[number]
    assert application.decide(guard(application), bearer(TOKEN)).refusal.status == 500


def test_accepts_of_a_verifier_is_plain() -> None:
    """A coroutine is true for each credential, also for those of the other verifiers."""

    async def accepts(credential: Any) -> bool:
        return False

    verifier = SimpleNamespace(verify=lambda credential: None, accepts=accepts)
    with pytest.raises(ConfigurationError, match="a verifier must have a plain accepts, got an async one"):
        Guard(verifier)
