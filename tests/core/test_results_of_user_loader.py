"""What a `user_loader` returns by mistake lets nobody pass."""

import pytest

from application_functions import TOKEN, WAYS, Application, guard
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
