"""Callbacks that return a generator, a function, a class or an iterator, each of which is always true."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Depends, Header, Security

from application_functions import TOKEN, WAYS, Application, guard
from authguard import APIKeyVerifier, ConfigurationError, Guard, JWTVerifier, Quota
from authguard._core.answer.decision import Deny
from support import AUDIENCE, SECRET, bearer

VERIFIER = APIKeyVerifier(lambda digest: None)


def yielding(argument: Any) -> Iterator[Any]:
    """Yield the argument, as a dependency of FastAPI."""
    yield argument


async def streaming(argument: Any) -> AsyncIterator[Any]:
    """Yield the argument, as an async dependency of FastAPI."""
    yield argument


class Yielding:
    """Be a callable object that yields."""

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
    """A generator function is refused, because its result is true for every caller."""
    with pytest.raises(ConfigurationError, match=f"{option} must be a function that returns, got a gen"):
        OPTIONS[option](function)


def session() -> str:
    """Return a session, as a dependency."""
    return "a session"


def with_dependency(principal: Any, db: str = Depends(session)) -> str:
    """Return text, with a parameter in the form of a dependency."""
    return f"{principal} of {db}"


async def with_security(principal: Any, *, db: str = Security(session)) -> str:
    """Return text, with a parameter for a name in the form of a dependency."""
    return f"{principal} of {db}"


class Loading:
    """Be a callable object with a parameter in the form of a dependency."""

    def __call__(self, principal: Any, header: str = Header()) -> str:
        return f"{principal} of {header}"


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (with_dependency, r"db with Depends\("),
        (with_security, r"db with Security\("),
        (Loading(), r"header with Header\("),
        (functools.partial(with_dependency), r"db with Depends\("),
    ],
)
@pytest.mark.parametrize("option", ["user_loader", "keys", "issuer", "is_revoked of revocations"])
def test_a_parameter_that_only_fastapi_fills_is_refused(option: str, function: Any, named: str) -> None:
    """A parameter that only FastAPI fills is refused, because the guard calls the function itself."""
    with pytest.raises(ConfigurationError, match=f"{option} must be a function that the guard can.* {named}"):
        OPTIONS[option](function)


@pytest.mark.parametrize(
    "function", [functools.partial(with_dependency, db="x"), lambda principal, db="x": db]
)
def test_a_parameter_with_a_value_is_accepted(function: Any) -> None:
    """A parameter with a default value is accepted."""
    assert Guard(VERIFIER, user_loader=function)


def unanswered() -> list[Any]:
    """Return the results of functions that forget to call, to await or to iterate."""
    return [
        yielding(1),
        streaming(1),
        yielding,
        Application("plain").decide,
        functools.partial(yielding),
        filter(None, []),
        map(str, []),
        SimpleNamespace,
        Sequence,  # its class is not `type`
    ]


@WAYS
@pytest.mark.parametrize("number", range(len(unanswered())))
def test_a_user_that_is_no_answer_is_a_500(way: str, number: int) -> None:
    """A user that is a generator, a function, a class or an iterator is a 500, also for a known caller."""
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
    """An answer of `is_revoked` that is a generator, a function, a class or an iterator is a 500."""
    application = Application(way)
    application.revoked = unanswered()[number]
    assert application.decide(guard(application), bearer(TOKEN)).refusal.status == 500


def test_accepts_of_a_verifier_is_plain() -> None:
    """An async `accepts` of a verifier is refused, because its coroutine is always true."""

    async def accepts(credential: Any) -> bool:
        return False

    verifier = SimpleNamespace(verify=lambda credential: None, accepts=accepts)
    with pytest.raises(ConfigurationError, match="a verifier must have a plain accepts, got an async one"):
        Guard(verifier)
