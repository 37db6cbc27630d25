"""A user loader in memory is called on the straight path, with the same answers as in the flow."""

from collections.abc import Awaitable
from typing import Any

import pytest

from application_functions import TOKEN, Application, Waiting, guard
from authguard import (
    AccessCookie,
    DecisionEvent,
    Guard,
    MemoryQuotas,
    MemoryRevocations,
    Principal,
    Quota,
    Rule,
    in_memory,
)
from authguard.errors import InvalidTokenError
from support import NOW, FakeRequest, bearer

COOKIE = FakeRequest(headers={"cookie": f"theme=dark; access_token={TOKEN}"})


def declared(*rules: Rule, revocations: Any = False, **options: Any) -> tuple[Application, Guard]:
    """Return an application with a declared loader, and a guard without other questions for each request."""
    application = Application("declared")
    return application, guard(application, *rules, revocations=revocations, **options)


def recall(guard: Guard, request: FakeRequest) -> Any:
    """Return the outcome of the straight path for a request."""
    return guard.recall(request.presented, (request.method, request.path, request.root_path), NOW)


@pytest.mark.parametrize("request_", [bearer(TOKEN), COOKIE], ids=["bearer", "cookie"])
def test_the_straight_path_decides(request_: FakeRequest) -> None:
    """The straight path decides with a declared loader, for the first request with the token too."""
    application, own_guard = declared(cookie=AccessCookie(secure=False))
    application.decide(own_guard, request_)
    for number in range(2):
        decision = recall(own_guard, request_)
        assert (decision.is_decision, decision.user) == (True, "the user")
        assert application.calls == ["load"] * (number + 2)


def test_a_revoked_caller_is_refused_before_its_user_is_loaded() -> None:
    """A caller that the revocations in memory refuse is refused before its user is loaded."""
    store = MemoryRevocations(clock=lambda: NOW)
    application, own_guard = declared(revocations=store)
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"
    store.revoke(subject="ann", until=NOW + 600)
    assert application.decide(own_guard, bearer(TOKEN)).refusal.status == 401
    assert application.calls == []


def test_no_user_is_loaded_for_a_caller_without_a_scope() -> None:
    """No user is loaded for a caller without the scope."""
    application, own_guard = declared(Rule("/admin", scopes=["admin"]))
    application.decide(own_guard, bearer(TOKEN))
    assert application.decide(own_guard, bearer(TOKEN, "/admin")).refusal.status == 403
    assert application.calls == []


def test_no_user_is_loaded_for_nobody() -> None:
    """No user is loaded for an anonymous caller."""
    application, own_guard = declared(public_paths=["/open"])
    assert not recall(own_guard, FakeRequest(path="/open")).user.is_authenticated
    assert application.calls == []


@pytest.mark.parametrize(
    ("user", "status"),
    [(None, 401), (False, 500), ([], 500), (RuntimeError("a bug"), 500), (TimeoutError("slow"), 503)],
    ids=repr,
)
@pytest.mark.parametrize("is_known", [True, False])
def test_each_other_answer(user: Any, status: int, *, is_known: bool) -> None:
    """The loader is called once for each refusal, for a known token and for a first-seen one."""
    application, own_guard = declared()
    if is_known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = user
    assert application.decide(own_guard, bearer(TOKEN)).refusal.status == status
    assert application.calls == ["load"]


@pytest.mark.parametrize("store", [MemoryQuotas(monotonic=lambda: NOW, clock=lambda: NOW), Waiting()])
def test_quotas_are_taken_once_and_last(store: Any) -> None:
    """A request whose user is missing takes nothing from the quotas, and each user is loaded once."""
    application, own_guard = declared(quotas=[Quota(2, 60)], quota_store=store)
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"
    application.user = None
    assert application.decide(own_guard, bearer(TOKEN)).refusal.status == 401
    application.user = "the user"
    assert application.decide(own_guard, bearer(TOKEN)).charge.taken.admitted
    assert application.calls == ["load"]
    assert application.decide(own_guard, bearer(TOKEN)).refusal.status == 429
    assert application.calls == ["load"]


@pytest.mark.parametrize(("optional", "passes"), [("lenient", True), ("strict", False)])
def test_a_user_that_is_gone_on_an_optional_path(optional: Any, *, passes: bool) -> None:
    """On an optional path a caller without a user is anonymous or refused."""
    application, own_guard = declared(Rule("/greet", optional=optional))
    application.user = None
    decision = application.decide(own_guard, bearer(TOKEN, "/greet"))
    assert decision.reaches_app is passes
    assert not passes or not decision.user.is_authenticated


def test_each_decision_is_told_with_its_user_known() -> None:
    """Each decision has one event, as allowed or as refused."""
    events: list[DecisionEvent] = []
    application, own_guard = declared(on_decision=events.append)
    for user in ("the user", None):
        application.user = user
        application.decide(own_guard, bearer(TOKEN))
    assert [(event.allowed, event.status, event.subject) for event in events] == [
        (True, None, "ann"),
        (False, 401, "ann"),
    ]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_user_that_is_gone_is_refused_outside_of_requests(*, is_known: bool) -> None:
    """`verify` refuses a caller without a user, also with a known token."""
    application, own_guard = declared()
    if is_known:
        assert own_guard.verify(TOKEN, now=NOW).subject == "ann"
        assert application.calls == ["load"]
    application.user = None
    with pytest.raises(InvalidTokenError):
        own_guard.verify(TOKEN, now=NOW)


@pytest.mark.parametrize(("user", "status"), [("the user", None), (None, 401)])
def test_what_is_to_be_awaited_all_the_same(user: Any, status: int | None) -> None:
    """An awaitable that a declared loader returns is awaited for the user."""

    class Query:
        def __await__(self) -> Any:
            return user
            yield

    def load(principal: Principal) -> Awaitable[Any]:
        return Query()

    application, own_guard = declared(user_loader=in_memory(load))
    decision = application.decide(own_guard, bearer(TOKEN))
    assert (decision.refusal.status if status else decision.user) == (status or user)
