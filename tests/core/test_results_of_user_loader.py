"""What a `user_loader` returns by mistake lets nobody pass."""

import pytest

from application_functions import TOKEN, WAYS, Application, guard
from authguard._core.options import got
from support import bearer

WAITING = pytest.mark.parametrize("known", [False, True], ids=["first request", "known caller"])


@WAYS
@WAITING
@pytest.mark.parametrize("answer", [False, True])
def test_yes_and_no_are_no_users(way: str, answer: bool, known: bool) -> None:
    """An answer in the place of a user is a 500, whose reason says what to return."""
    application = Application(way)
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = answer
    refusal = application.decide(own_guard, bearer(TOKEN)).refusal
    assert refusal.status == 500
    reason = f"user_loader must return a user, got {answer} (bool): return None to refuse the request"
    assert refusal.error.reason == reason


@WAYS
@WAITING
@pytest.mark.parametrize("answer", [[], (), set(), frozenset()], ids=repr)
def test_a_query_without_a_row_is_no_user(way: str, answer: object, known: bool) -> None:
    """A loader that returns `query.all()` would otherwise admit users who no longer exist."""
    application = Application(way)
    one = guard(application)
    if known:
        application.decide(one, bearer(TOKEN))
    application.user = answer
    refusal = application.decide(one, bearer(TOKEN)).refusal
    assert refusal.status == 500
    assert refusal.error.reason == (
        f"user_loader must return a user, got {got(answer)}: return None to refuse the request"
    )


@WAYS
@pytest.mark.parametrize("answer", [["ann"], ("ann", 7), "", 0], ids=repr)
def test_another_built_in_value_may_be_a_user(way: str, answer: object) -> None:
    """Such as the row of a database as a tuple, or a number that is the key of a user."""
    application = Application(way)
    application.user = answer
    assert application.decide(guard(application), bearer(TOKEN)).user == answer


@WAYS
def test_a_user_of_the_application_may_be_false(way: str) -> None:
    """The truth of an object of another class has a meaning of its own, such as that of an empty basket."""
    application = Application(way)
    application.user = Basket()
    assert application.decide(guard(application), bearer(TOKEN)).user is application.user


class Basket:
    """A user whose length is that of a basket."""

    def __len__(self) -> int:
        return 0


@WAITING
def test_a_coroutine_that_was_not_awaited_is_no_user(known: bool) -> None:
    """An `async` function that forgets an `await` would let everybody pass."""
    application = Application("async")
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = nobody()
    refusal = application.decide(own_guard, bearer(TOKEN)).refusal
    assert refusal.status == 500
    reason = "user_loader must return a user, got coroutine: await it, or return None to refuse the request"
    assert refusal.error.reason == reason


async def nobody() -> None:
    """Return no user."""
