"""An answer of a function of the application that cannot be used is a 500, whose log line names what came."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from application_functions import TOKEN
from authguard import APIKeyVerifier, Guard, JWTVerifier
from authguard.drivers import asynchronous
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer

BY_KEY = FakeRequest(headers=[("x-api-key", "sk_live_0123456789abcdef")])
BY_TOKEN = bearer(TOKEN)
ANONYMOUS = FakeRequest()


class Store:
    """Revocations, or a verifier, with one function."""

    def __init__(self, function: Any) -> None:
        self.is_revoked = self.verify = function


def jwt(**options: Any) -> JWTVerifier:
    """A verifier for TOKEN."""
    return JWTVerifier(SECRET, algorithms=["HS256"], audience=AUDIENCE, **{"issuer": ISSUER, **options})


PLACES: dict[str, tuple[Callable[[Any], Guard], FakeRequest, str]] = {
    "revocations": (
        lambda function: Guard(jwt(), revocations=Store(function)),
        BY_TOKEN,
        "is_revoked() must return whether the principal is revoked",
    ),
    "verifier": (
        lambda function: Guard(Store(function)),
        BY_TOKEN,
        "verify() must return a Principal, or raise InvalidTokenError",
    ),
    "keys": (
        lambda function: Guard(APIKeyVerifier(function)),
        BY_KEY,
        "the function for API keys must return an APIKey or None",
    ),
    "issuer": (
        lambda function: Guard(jwt(issuer=function)),
        BY_TOKEN,
        "the function of issuer= must return True or False",
    ),
    "on_error": (
        lambda function: Guard(jwt(), on_error=lambda *_: function(None)),
        ANONYMOUS,
        "on_error must return a Refusal",
    ),
}


async def nothing() -> None:
    """Be a coroutine that is not awaited."""


async def forgets(argument: Any) -> Any:
    """Return a coroutine in the place of its result."""
    return nothing()


def reason(place: str, function: Any) -> str:
    """Return what the log says of the answer of a function, which is a 500."""
    make, request, _ = PLACES[place]
    key = (request.method, request.path, request.root_path)
    decision: Any = asyncio.run(
        asynchronous.decide(make(function), lambda *_: request, None, request.presented, key, NOW)
    )
    assert decision.refusal.status == 500
    return str(decision.error.__cause__)


@pytest.mark.parametrize("place", PLACES)
def test_a_coroutine_that_was_not_awaited_is_named(place: str) -> None:
    """Taken for a result, the one of `is_revoked` would refuse every caller with 401."""
    assert reason(place, forgets) == f"{PLACES[place][2]}, got coroutine: await it"


@pytest.mark.parametrize("place", [place for place in PLACES if place != "revocations"])
def test_an_answer_of_another_type_is_named(place: str) -> None:
    """By its type alone, because its contents may be secret."""
    assert reason(place, lambda _: {"secret": "s"}) == f"{PLACES[place][2]}, got dict"
