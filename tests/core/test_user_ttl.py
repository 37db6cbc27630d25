"""With `user_ttl` the user of a remembered credential is kept, and all other checks are made."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from application_functions import KEY, TOKEN, WAYS, Application, guard
from authguard import (
    AccessCookie,
    ConfigurationError,
    DecisionEvent,
    Guard,
    JWTVerifier,
    MemoryQuotas,
    MemoryRevocations,
    Principal,
    Quota,
    Rule,
)
from authguard._core.answer.decision import Known
from authguard._core.policy.rules import Requirement
from authguard.drivers import run
from authguard.errors import InvalidTokenError, RevokedTokenError
from authguard.testing import override
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, claims, make_token

TTL = 60


def kept(application: Application, *rules: Rule, **options: Any) -> Guard:
    """Return a guard that keeps users, by default without revocations."""
    return guard(application, *rules, **{"revocations": False, "user_ttl": TTL, **options})


def recalled(own_guard: Guard, request: FakeRequest, now: float = NOW) -> Any:
    return own_guard.recall(request.presented, (request.method, request.path, request.root_path), now)


@WAYS
def test_the_user_is_loaded_once(way: str) -> None:
    """The user is loaded once in `user_ttl`, and again afterwards."""
    application = Application(way)
    own_guard = kept(application)
    application.user = user = object()
    assert application.decide(own_guard, bearer(TOKEN)).user is user
    assert application.calls == ["load"]
    for now in (NOW, NOW + 1, NOW + TTL - 0.1):
        assert application.decide(own_guard, bearer(TOKEN), now).user is user
        assert application.calls == []
        assert isinstance(recalled(own_guard, bearer(TOKEN), now), Known)
    application.user = another = object()
    assert application.decide(own_guard, bearer(TOKEN), NOW + TTL).user is another
    assert application.calls == ["load"]


@WAYS
def test_without_seconds_each_request_loads_the_user(way: str) -> None:
    """By default the user is loaded for each request."""
    application = Application(way)
    for each in (guard(application, revocations=False), kept(application, user_ttl=0)):
        for _ in range(3):
            application.decide(each, bearer(TOKEN))
            assert application.calls == ["load"]


@WAYS
@pytest.mark.parametrize(("user", "status"), [(None, 401), (ConnectionError("down"), 503)], ids=repr)
def test_no_user_is_not_kept(way: str, user: Any, status: int) -> None:
    """A missing user, or a failure of the loader, is not kept."""
    application = Application(way)
    own_guard = kept(application)
    application.user = user
    for _ in range(2):
        assert application.decide(own_guard, bearer(TOKEN)).refusal.status == status
        assert application.calls == ["load"]
    application.user = "the user"
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"
    application.user = user
    assert application.decide(own_guard, bearer(TOKEN), NOW + TTL).refusal.status == status


@WAYS
def test_revocations_are_asked_all_the_same(way: str) -> None:
    """`is_revoked` is called for each request, and a revocation drops the kept user."""
    application = Application(way)
    own_guard = kept(application, revocations=True)
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"
    assert application.calls == ["is_revoked"]
    application.revoked = True
    assert application.decide(own_guard, bearer(TOKEN)).refusal.status == 401
    application.revoked, application.user = False, "another"
    assert application.decide(own_guard, bearer(TOKEN)).user == "another"
    assert application.calls == ["is_revoked", "load"]


@WAYS
def test_revocations_in_memory_are_looked_up_all_the_same(way: str) -> None:
    """A revocation in memory is found for each request, also on the straight path."""
    application = Application(way)
    store = MemoryRevocations(clock=lambda: NOW)
    own_guard = kept(application, revocations=store)
    application.decide(own_guard, bearer(TOKEN))
    assert isinstance(recalled(own_guard, bearer(TOKEN)), Known)
    store.revoke(subject="ann", until=NOW + 600)
    assert not recalled(own_guard, bearer(TOKEN)).is_decision
    assert application.decide(own_guard, bearer(TOKEN)).refusal.status == 401
    assert application.calls == []


@WAYS
def test_an_expired_credential(way: str) -> None:
    """A user is kept no longer than its credential is valid."""
    application = Application(way)
    own_guard = kept(application, user_ttl=3600)
    application.decide(own_guard, bearer(TOKEN))
    assert application.decide(own_guard, bearer(TOKEN), NOW + 629).user == "the user"
    assert application.decide(own_guard, bearer(TOKEN), NOW + 630).refusal.status == 401


@WAYS
def test_a_clock_that_is_set_back(way: str) -> None:
    """The user is loaded again after the clock was set back."""
    application = Application(way)
    own_guard = kept(application)
    application.decide(own_guard, bearer(TOKEN))
    application.decide(own_guard, bearer(TOKEN), NOW - 1)
    assert application.calls == ["load"]


@WAYS
def test_each_credential_has_its_own(way: str) -> None:
    """Each credential has a kept user of its own."""
    application = Application(way)
    own_guard = kept(application)
    application.decide(own_guard, bearer(TOKEN))
    application.user = "another"
    assert application.decide(own_guard, bearer(make_token(claims(jti="second")))).user == "another"
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"


@WAYS
def test_what_is_no_longer_remembered(way: str) -> None:
    """The user is dropped with the remembered credential."""
    application = Application(way)
    own_guard = kept(application, cache_size=2)
    application.decide(own_guard, bearer(TOKEN))
    for number in range(3):
        application.decide(own_guard, bearer(make_token(claims(jti=str(number)))))
    application.decide(own_guard, bearer(TOKEN))
    assert application.calls == ["load"]


@WAYS
def test_quotas_count_each_request(way: str) -> None:
    """A request with a kept user takes from the quotas."""
    application = Application(way)
    store = MemoryQuotas(monotonic=lambda: NOW, clock=lambda: NOW)
    own_guard = kept(application, quotas=[Quota(3, 60)], quota_store=store)
    decisions = [application.decide(own_guard, bearer(TOKEN)) for _ in range(4)]
    assert [decision.reaches_app for decision in decisions] == [True, True, True, False]
    assert {decision.user for decision in decisions[:3]} == {"the user"}
    assert decisions[3].refusal.status == 429


@WAYS
def test_rules_are_asked_of_the_principal(way: str) -> None:
    """A missing scope or an old sign-in is refused with a kept user."""
    application = Application(way)
    rules = [Rule("/admin", scopes=["admin"]), Rule("/fresh", max_age=10)]
    own_guard = kept(application, *rules)
    request = bearer(make_token(claims(auth_time=NOW)), "/fresh")
    assert application.decide(own_guard, request).user == "the user"
    assert application.decide(own_guard, request, NOW + 5).user == "the user"
    assert application.calls == []
    assert application.decide(own_guard, request, NOW + 50).refusal.status == 401
    assert application.decide(own_guard, bearer(TOKEN, "/")).user == "the user"
    assert application.decide(own_guard, bearer(TOKEN, "/admin")).refusal.status == 403


@WAYS
def test_each_decision_is_told(way: str) -> None:
    """Each decision with a kept user has an event with the subject of the principal."""
    application = Application(way)
    events: list[DecisionEvent] = []
    own_guard = kept(application, on_decision=events.append)
    for _ in range(3):
        application.decide(own_guard, bearer(TOKEN))
    assert [(event.allowed, event.subject, event.remembered) for event in events] == [
        (True, "ann", False),
        (True, "ann", True),
        (True, "ann", True),
    ]


@WAYS
def test_an_override_of_tests(way: str) -> None:
    """An override is used instead of the kept user, and is not kept."""
    application = Application(way)
    own_guard = kept(application)
    application.decide(own_guard, bearer(TOKEN))
    with override(own_guard, "another", principal=Principal("other")):
        assert application.decide(own_guard, bearer(TOKEN)).user == "another"
    assert application.decide(own_guard, bearer(TOKEN)).user == "the user"
    assert application.calls == []


@WAYS
def test_outside_of_requests(way: str) -> None:
    """`verify` loads a user that is not kept, and checks revocations each time."""
    application = Application(way)
    own_guard = kept(application, revocations=True)

    def verify(now: float) -> Principal:
        application.calls.clear()
        return (
            own_guard.verify(TOKEN, now=now)
            if way == "plain"
            else asyncio.run(own_guard.averify(TOKEN, now=now))
        )

    assert [verify(NOW).subject, list(application.calls)] == ["ann", ["is_revoked", "load"]]
    assert [verify(NOW).subject, list(application.calls)] == ["ann", ["is_revoked"]]
    application.user = None
    with pytest.raises(InvalidTokenError):
        verify(NOW + TTL)
    application.user, application.revoked = "the user", True
    with pytest.raises(RevokedTokenError):
        verify(NOW)


def test_an_open_websocket() -> None:
    """A recheck uses the kept user, and closes the connection when no user is found after `user_ttl`."""
    application = Application()
    own_guard = kept(application)
    request = FakeRequest(method="WEBSOCKET", headers={"authorization": f"Bearer {TOKEN}"})
    decision = run(own_guard.decide(request, NOW))
    application.user = None
    assert run(own_guard.recheck(request, decision.auth, NOW + TTL - 1)) is None
    ended = run(own_guard.recheck(request, decision.auth, NOW + TTL))
    assert ended is not None
    assert ended.refusal.status == 401


@WAYS
def test_a_decorator(way: str) -> None:
    """A decorator with a kept user checks the scopes of the principal."""
    application = Application(way)
    own_guard = kept(application)
    _, allowed = (application.decide(own_guard, bearer(TOKEN)) for _ in range(2))
    assert run(own_guard.authorize(bearer(TOKEN), allowed.auth, None, Requirement(["read"]), NOW)) is None
    denied = run(own_guard.authorize(bearer(TOKEN), allowed.auth, None, Requirement(["admin"]), NOW))
    assert denied is not None
    assert denied.refusal.status == 403


@WAYS
@pytest.mark.parametrize(
    "fields",
    [{"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}, {"cookie": f"__Host-access_token={TOKEN}"}],
    ids=["key", "key as Bearer", "cookie"],
)
def test_other_credentials(way: str, fields: dict[str, str]) -> None:
    """The user of an API key or a cookie is kept too."""
    application = Application(way)
    own_guard = kept(application, cookie=AccessCookie())
    request = FakeRequest(headers=fields)
    first, second = (application.decide(own_guard, request) for _ in range(2))
    assert (first.user, second.user, application.calls) == ("the user", "the user", [])
    assert first.response_fields == second.response_fields


@pytest.mark.parametrize("seconds", [1, 0.5, 3600, timedelta(minutes=1), timedelta(0), 0], ids=repr)
def test_seconds_that_are_taken(seconds: Any) -> None:
    """Numbers and timedeltas up to an hour are accepted."""
    kept(Application(), user_ttl=seconds)


@pytest.mark.parametrize(
    "seconds", [-1, 3601, True, "60", None, float("nan"), float("inf"), timedelta(days=1)], ids=repr
)
def test_seconds_that_are_refused(seconds: Any) -> None:
    """A `user_ttl` out of range or of another type is refused."""
    with pytest.raises(ConfigurationError, match="user_ttl must be between 0 and 3600 seconds, got"):
        kept(Application(), user_ttl=seconds)


def test_nothing_to_keep() -> None:
    """`user_ttl` without a user loader is refused."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(ConfigurationError, match="user_ttl must be left out where no user is loaded, got 60"):
        Guard(jwt, user_ttl=60)
