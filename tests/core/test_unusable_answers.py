"""An answer of the application's function of a wrong type is a 500 with a log line about the type."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from application_functions import TOKEN
from authguard import APIKeyVerifier, Credential, Guard, JWTVerifier, Principal
from authguard.drivers import asynchronous
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer

BY_KEY = FakeRequest(headers=[("x-api-key", "sk_live_0123456789abcdef")])
BY_TOKEN = bearer(TOKEN)
ANONYMOUS = FakeRequest()


class Store:
    """Be revocations, or a verifier, with one function."""

    def __init__(self, function: Any) -> None:
        self.is_revoked = self.verify = function


def jwt(**options: Any) -> JWTVerifier:
    """Return a verifier for TOKEN."""
    return JWTVerifier(SECRET, algorithms=["HS256"], audience=AUDIENCE, **{"issuer": ISSUER, **options})


PLACES: dict[str, tuple[Callable[[Any], Guard], FakeRequest, str]] = {
    "revocations": (
        lambda function: Guard(jwt(), revocations=Store(function)),
        BY_TOKEN,
        "is_revoked() must return True or False",
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
    """Return nothing, as a coroutine that is not awaited."""


async def forgets(argument: Any) -> Any:
    """Return a coroutine instead of its result."""
    return nothing()


def decided(guard: Guard, request: FakeRequest) -> Any:
    """Return the decision of a guard."""
    key = (request.method, request.path, request.root_path)
    return asyncio.run(asynchronous.decide(guard, lambda *_: request, None, request.presented, key, NOW))


def reason(place: str, function: Any) -> str:
    """Return the logged cause of the 500 that the answer of a function makes."""
    make, request, _ = PLACES[place]
    decision = decided(make(function), request)
    assert decision.refusal.status == 500
    return str(decision.error.__cause__)


@pytest.mark.parametrize("place", PLACES)
def test_a_coroutine_that_was_not_awaited_is_named(place: str) -> None:
    """A coroutine that was not awaited is a 500, and the log names it."""
    assert reason(place, forgets) == f"{PLACES[place][2]}, got coroutine: await it"


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_of_another_type_is_named(place: str) -> None:
    """An answer of a wrong type is a 500, and the log has its type without its contents."""
    assert reason(place, lambda _: {"secret": "s"}) == f"{PLACES[place][2]}, got dict"


class Chooses:
    """Choose credentials by a fixed answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def accepts(self, credential: Credential) -> Any:
        return self.answer

    def verify(self, credential: Credential) -> Principal:
        return Principal("ann")


#: Values whose truth in Python is not their likely meaning.
DOUBTFUL = pytest.mark.parametrize("answer", [None, "no", "", b"0", 2, [], {"revoked": False}], ids=repr)


@DOUBTFUL
@pytest.mark.parametrize("place", ["revocations", "issuer"])
def test_a_question_of_yes_or_no_is_answered_by_that(place: str, answer: object) -> None:
    """An answer that is no boolean is a 500, because its truth could be the opposite of its meaning."""
    expected = f"{PLACES[place][2]}, got {type(answer).__name__}"
    assert reason(place, lambda _: answer) == expected


@pytest.mark.parametrize(("answer", "status"), [(1, 401), (0, None), (True, 401), (False, None)])
def test_a_number_of_a_database_is_an_answer(answer: object, status: int | None) -> None:
    """The numbers 1 and 0, which databases have for True and False, are accepted."""
    decision = decided(Guard(jwt(), revocations=Store(lambda _: answer)), BY_TOKEN)
    assert (decision.refusal.status if decision.error else None) == status


@DOUBTFUL
def test_a_verifier_says_yes_or_no_to_a_credential(answer: object) -> None:
    """An answer of `accepts` that is no boolean is a 500."""
    decision = decided(Guard(Chooses(answer)), BY_TOKEN)
    assert decision.refusal.status == 500
    assert (
        str(decision.error.__cause__) == f"accepts() must return True or False, got {type(answer).__name__}"
    )
