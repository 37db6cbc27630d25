"""Callbacks of the application are called once for each request of a remembered caller."""

import asyncio
from typing import Any

import pytest

from application_functions import KEY, TOKEN, WAYS, Application, Waiting, guard
from authguard import (
    APIKey,
    DecisionEvent,
    Guard,
    MemoryQuotas,
    MemoryRevocations,
    Principal,
    Quota,
    Rule,
    VerificationUnavailableError,
)
from authguard._core.answer.decision import Prepared
from authguard._core.deciding.asking import AskAbout
from authguard.errors import InvalidTokenError, RevokedTokenError
from authguard.testing import override
from support import NOW, FakeRequest, bearer, claims, make_token


def knows(guard: Guard, request: FakeRequest, now: float = NOW) -> bool:
    """Return whether the straight path knows the caller, and has only the callbacks left to call."""
    key = (request.method, request.path, request.root_path)
    return isinstance(guard.recall(request.presented, key, now), AskAbout)


@WAYS
def test_a_known_caller_passes(way: str) -> None:
    """Each request of a known caller calls `is_revoked` first, and then the user loader."""
    application = Application(way)
    own_guard = guard(application)
    for _ in range(3):
        decision = application.decide(own_guard, bearer(TOKEN))
        assert (decision.user, decision.auth.principal.subject) == ("the user", "ann")
        assert application.calls == ["is_revoked", "load"]
        assert knows(own_guard, bearer(TOKEN))


@WAYS
@pytest.mark.parametrize(
    ("revoked", "status"),
    [
        (True, 401),
        (1, 401),
        ("yes", 500),
        ("", 500),
        ([], 500),
        (None, 500),
        (RuntimeError("a bug"), 500),
        (StopIteration("a bug"), 500),
        (ConnectionError("down"), 503),
        (TimeoutError("slow"), 503),
        (VerificationUnavailableError("down"), 503),
        (RevokedTokenError("by itself"), 401),
    ],
    ids=repr,
)
def test_each_other_answer_of_revocations(way: str, revoked: Any, status: int) -> None:
    """A known caller gets the status that a new caller would get, and no user is loaded."""
    application = Application(way)
    own_guard = guard(application)
    assert application.decide(own_guard, bearer(TOKEN)).reaches_app
    if way == "async" and isinstance(revoked, StopIteration):
        revoked = StopAsyncIteration("a bug")  # a coroutine cannot raise StopIteration
    application.revoked = revoked
    denied = application.decide(own_guard, bearer(TOKEN))
    assert (denied.refusal.status, application.calls) == (status, ["is_revoked"])
    application.revoked = False
    assert application.decide(own_guard, bearer(TOKEN)).reaches_app


@WAYS
def test_the_zero_of_a_database_lets_pass(way: str) -> None:
    """A known caller passes if `is_revoked` returns 0, the false of some databases."""
    application = Application(way)
    own_guard = guard(application)
    application.decide(own_guard, bearer(TOKEN))
    application.revoked = 0
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"
    assert application.calls == ["is_revoked", "load"]


@WAYS
@pytest.mark.parametrize(
    ("user", "status"),
    [
        (None, 401),
        (RuntimeError("a bug"), 500),
        (ConnectionError("down"), 503),
        (InvalidTokenError("closed"), 401),
    ],
    ids=repr,
)
@pytest.mark.parametrize("revocations", [True, False])
def test_each_other_answer_of_the_loader(way: str, user: Any, status: int, *, revocations: bool) -> None:
    """A known caller whose user is missing gets a 401; each callback is called once."""
    application = Application(way)
    own_guard = guard(application, revocations=revocations)
    assert application.decide(own_guard, bearer(TOKEN)).reaches_app
    application.user = user
    denied = application.decide(own_guard, bearer(TOKEN))
    assert denied.refusal.status == status
    assert application.calls == ["is_revoked", "load"] if revocations else ["load"]


@WAYS
def test_revocations_of_this_process_beside_a_loader(way: str) -> None:
    """No user is loaded for a caller that the revocations in memory refuse."""
    application = Application(way)
    store = MemoryRevocations(clock=lambda: NOW)
    own_guard = guard(application, revocations=store)
    assert application.decide(own_guard, bearer(TOKEN)).reaches_app
    store.revoke(subject="ann", until=NOW + 600)
    assert application.decide(own_guard, bearer(TOKEN)).refusal.status == 401
    assert application.calls == []


@WAYS
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_token_that_was_never_seen(way: str, *, in_memory: bool) -> None:
    """The revocations of a first-seen token are checked once, and no user is loaded if it is revoked."""
    application = Application(way)
    store = MemoryRevocations(clock=lambda: NOW)
    own_guard = guard(application, revocations=store if in_memory else True)
    assert application.decide(own_guard, bearer(make_token(claims(jti="first")))).user == "the user"
    assert application.calls == ["load"] if in_memory else ["is_revoked", "load"]
    store.revoke(subject="ann", until=NOW + 600)
    application.revoked = True
    assert application.decide(own_guard, bearer(make_token(claims(jti="second")))).refusal.status == 401
    assert application.calls == [] if in_memory else ["is_revoked"]


@WAYS
def test_a_scope_is_missing(way: str) -> None:
    """A revoked caller gets a 401, not a 403; no user is loaded for a caller without the scope."""
    application = Application(way)
    own_guard = guard(application, Rule("/admin", scopes=["admin"]))
    assert application.decide(own_guard, bearer(TOKEN)).reaches_app
    assert application.decide(own_guard, bearer(TOKEN, "/admin")).refusal.status == 403
    assert application.calls == ["is_revoked"]
    application.revoked = True
    assert application.decide(own_guard, bearer(TOKEN, "/admin")).refusal.status == 401


@WAYS
@pytest.mark.parametrize(("optional", "passes"), [("lenient", True), ("strict", False)])
def test_an_optional_path(way: str, optional: Any, *, passes: bool) -> None:
    """On an optional path a caller without a user is anonymous (lenient) or refused (strict)."""
    application = Application(way)
    own_guard = guard(application, Rule("/greet", optional=optional))
    assert application.decide(own_guard, bearer(TOKEN, "/greet")).user == "the user"
    application.user = None
    decision = application.decide(own_guard, bearer(TOKEN, "/greet"))
    assert application.calls == ["is_revoked", "load"]
    assert decision.reaches_app is passes
    if passes:
        assert not decision.user.is_authenticated


@WAYS
def test_an_expired_token(way: str) -> None:
    """No callback is called for an expired credential."""
    application = Application(way)
    own_guard = guard(application)
    assert application.decide(own_guard, bearer(TOKEN)).reaches_app
    assert application.decide(own_guard, bearer(TOKEN), NOW + 10_000).refusal.status == 401
    assert application.calls == []


@WAYS
def test_quotas_are_taken_last(way: str) -> None:
    """A request whose user is missing takes nothing from the quotas."""
    application = Application(way)
    store = MemoryQuotas(monotonic=lambda: NOW, clock=lambda: NOW)
    own_guard = guard(application, quotas=[Quota(2, 60)], quota_store=store)
    assert application.decide(own_guard, bearer(TOKEN)).reaches_app
    application.user = None
    assert [application.decide(own_guard, bearer(TOKEN)).refusal.status for _ in range(3)] == [401] * 3
    application.user = "the user"
    assert application.decide(own_guard, bearer(TOKEN)).charge.taken.admitted
    assert application.decide(own_guard, bearer(TOKEN)).refusal.status == 429
    assert application.calls == ["is_revoked", "load"]


@WAYS
def test_quotas_that_have_to_be_waited_for(way: str) -> None:
    """Each callback is called once, although the flow has to wait for the quota store."""
    application = Application(way)
    own_guard = guard(application, quotas=[Quota(2, 60)], quota_store=Waiting())
    for expected in (True, True, False):
        decision = application.decide(own_guard, bearer(TOKEN))
        assert decision.reaches_app is expected
        assert application.calls == ["is_revoked", "load"]


@WAYS
def test_a_path_without_quotas(way: str) -> None:
    """Nothing is taken on a path without quotas, even if another path has quotas in a slow store."""
    application = Application(way)
    own_guard = guard(application, Rule("/dear", quota=Quota(1, 60)), quota_store=Waiting())
    for _ in range(3):
        assert application.decide(own_guard, bearer(TOKEN)).reaches_app
        assert application.calls == ["is_revoked", "load"]
    dear = [application.decide(own_guard, bearer(TOKEN, "/dear")).reaches_app for _ in range(2)]
    assert dear == [True, False]


@WAYS
def test_a_key_that_is_another_subject_s_by_now(way: str) -> None:
    """A key that now belongs to another subject gets the user of that subject."""
    application = Application(way)
    application.user = {"bob": "Bob", "carl": "Carl", "dave": "Dave"}
    subjects = {KEY: "bob"}
    own_guard = guard(
        application,
        keys=lambda digest: APIKey(subjects[KEY]),
        quotas=[Quota(100, 60)],
        quota_store=Waiting(),
        cache_size=2,
    )
    by_key = FakeRequest(headers={"x-api-key": KEY})
    assert application.decide(own_guard, by_key).user == "Bob"

    def hand_over() -> None:
        """Give the key to another subject while the user of the first one is loaded."""
        application.before = list
        subjects[KEY] = "carl"
        for memory in own_guard._straight_path.own_callers._memories.values():
            memory.young.clear()

    application.before = hand_over
    decision = application.decide(own_guard, by_key)
    assert (decision.auth.principal.subject, decision.user) == ("carl", "Carl")
    assert application.calls == ["is_revoked", "load", "is_revoked", "load"]


@WAYS
def test_a_key_that_is_revoked_is_looked_up_again(way: str) -> None:
    """A revoked API key is looked up again, and its principal is checked for revocation again."""
    application = Application(way)
    own_guard = guard(application)
    by_key = FakeRequest(headers={"x-api-key": KEY})
    assert application.decide(own_guard, by_key).reaches_app
    application.revoked = True
    assert application.decide(own_guard, by_key).refusal.status == 401
    assert application.calls == ["is_revoked", "is_revoked"]


@WAYS
def test_each_decision_is_told_once(way: str) -> None:
    """Each decision has one event, which has the result after the callbacks."""
    application = Application(way)
    events: list[DecisionEvent] = []
    own_guard = guard(application, on_decision=events.append)
    for user in ("the user", "the user", None):
        application.user = user
        application.decide(own_guard, bearer(TOKEN))
    results = [(event.allowed, event.status, event.subject, event.remembered) for event in events]
    assert results == [(True, None, "ann", False), (True, None, "ann", True), (False, 401, "ann", True)]


@WAYS
def test_an_override_of_tests(way: str) -> None:
    """No callback is called for a request under an override."""
    application = Application(way)
    own_guard = guard(application)
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"
    with override(own_guard, "another", principal=Principal("other")):
        assert application.decide(own_guard, bearer(TOKEN)).user == "another"
        assert application.calls == []
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"


@WAYS
@pytest.mark.parametrize(("revoked", "user"), [(True, "the user"), (False, None)])
def test_outside_of_requests(way: str, revoked: bool, user: Any) -> None:
    """`verify` refuses a known token that is revoked, or whose user is missing."""
    application = Application(way)
    own_guard = guard(application)
    assert application.decide(own_guard, bearer(TOKEN)).reaches_app

    def verify() -> Principal:
        return (
            own_guard.verify(TOKEN, now=NOW)
            if way == "plain"
            else asyncio.run(own_guard.averify(TOKEN, now=NOW))
        )

    assert verify().subject == "ann"
    application.revoked, application.user = revoked, user
    with pytest.raises(InvalidTokenError):
        verify()


def test_a_bad_token_is_refused_without_a_flow() -> None:
    """No callback is called for a token with a wrong signature, and no flow is started."""
    application = Application()
    own_guard = guard(application)
    request = bearer(make_token(key="x" * 40))
    key = (request.method, request.path, request.root_path)
    assert isinstance(own_guard.recall(request.presented, key, NOW), Prepared)
    assert application.decide(own_guard, request).refusal.status == 401
    assert application.calls == []
