"""Counts of requests with API keys by rule and outcome, and their limits against attacks."""

from collections.abc import Iterator
from typing import Any

import pytest

from authguard import Principal, Quota, Rule
from authguard._core.deciding.outcomes import recount
from authguard.identity import IdentityService, NewAPIKey, SQLAPIKeys, SQLRevocations
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.keys import usage as usage_module
from authguard.identity.keys.texts import KeyTexts
from authguard.identity.keys.usage import UsageRecorder
from authguard.identity.storage.usage_levels import MINUTE
from identity.api_key_support import create, guarded, owner, rows, update, verify
from identity.support import CALLER, Clock
from identity.usage_support import table, uses

pytestmark = pytest.mark.slow_on_postgresql

DAY = 86_400


@pytest.fixture(name="ann")
def _ann(service: IdentityService) -> Principal:
    return owner(service)


@pytest.fixture(name="made")
def _made(service: IdentityService, ann: Principal) -> NewAPIKey:
    return create(service, ann)


@pytest.fixture(name="verifier")
def _verifier(service: IdentityService) -> Iterator[SQLAPIKeys]:
    """Return a verifier of another application on the same database, which remembers no key."""
    verifier = SQLAPIKeys(service.database, cache_ttl=0)
    yield verifier
    verifier.close()


def send(client: Any, key_text: str, path: str = "/me", times: int = 1) -> list[int]:
    """Return the statuses of requests with a key."""
    return [client.get(path, headers={"x-api-key": key_text}).status_code for _ in range(times)]


def counted(service: IdentityService, verifier: SQLAPIKeys) -> dict[tuple[int, str, str], int]:
    """Return the counts of the minutes, by generation, rule and outcome."""
    assert verifier.recorder is not None
    verifier.recorder.flush()
    return {cell[2:]: count for cell, count in uses(table(service.database, MINUTE)).items()}


def other_secret(service: IdentityService, made: NewAPIKey) -> str:
    """Return a text with the id of a key and another secret."""
    return KeyTexts(service.settings).make("sk_live_", made.key.readable_id).text


@pytest.mark.parametrize("ttl", [0, 30])
def test_outcomes_of_one_key(service: IdentityService, ann: Principal, clock: Clock, ttl: int) -> None:
    """Each outcome is counted by its rule, also while the key or its refusal is remembered."""
    verifier = SQLAPIKeys(service.database, cache_ttl=ttl)
    made = create(service, ann, expires_in_days=1)
    rules = ["/", Rule("/me", quota=Quota(3, 60)), Rule("/admin", scopes=["admin"])]
    client = guarded(verifier, clock, protected_paths=rules, quotas=[Quota(5, "day")])
    assert send(client, made.text, times=4) == [200, 200, 200, 429]
    assert send(client, made.text, "/other", 3) == [404, 404, 429]
    assert send(client, made.text, "/admin", 2) == [403, 403]
    assert send(client, other_secret(service, made), times=2) == [401, 401]
    update(service, "UPDATE api_keys SET disabled_at = 1")
    clock.go_on(60)
    assert send(client, made.text, times=2) == [401, 401]
    update(service, "UPDATE api_keys SET disabled_at = NULL")
    clock.go_on(DAY)
    assert send(client, made.text, times=2) == [401, 401]
    update(service, "UPDATE api_keys SET revoked_at = 1")
    clock.go_on(60)
    assert send(client, made.text, times=2) == [401, 401]
    assert counted(service, verifier) == {
        (1, "/me", "ok"): 3,
        (1, "/me", "rate_limited"): 1,
        (1, "/", "ok"): 2,
        (1, "/", "quota_exceeded"): 1,
        (1, "/admin", "forbidden"): 2,
        (0, "/me", "invalid"): 2,
        (1, "/me", "disabled"): 2,
        (1, "/me", "expired"): 2,
        (1, "/me", "revoked"): 2,
    }
    assert service.api_keys.list(owner(service, "bob@example.com")) == []
    assert rows(service, "api_keys")[0].usage_count == 5
    verifier.close()


def test_an_address_that_is_denied(
    service: IdentityService, ann: Principal, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """A valid key from a denied address is counted as ip_denied."""
    made = create(service, ann, networks=["192.0.2.0/24"])
    assert send(guarded(verifier, clock), made.text) == [403]
    assert counted(service, verifier) == {(1, "(default)", "ip_denied"): 1}


@pytest.mark.slow
def test_a_revocation_that_a_guard_learns_from_the_log(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """A remembered key that the log revokes is counted as revoked."""
    verifier, revocations = SQLAPIKeys(service.database), SQLRevocations(service.database, clock=clock)
    client = guarded(verifier, clock, revocations=revocations)
    assert send(client, made.text) == [200]
    service.api_keys.revoke(ann, made.key.id, CALLER)
    for _ in range(20):  # seconds until it reads the log
        if send(client, made.text) == [401]:
            break
        clock.go_on(1)
    outcomes = {outcome for _, _, outcome in counted(service, verifier)}
    assert outcomes == {"ok", "revoked"}
    verifier.close()
    revocations.close()


def test_a_secret_that_has_ended_for_long_is_invalid(
    service: IdentityService, ann: Principal, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """A secret that has ended long ago is counted as invalid, and one after its grace as expired."""
    client = guarded(verifier, clock)
    newer = service.api_keys.rotate(ann, made.key.id, CALLER)
    service.api_keys.rotate(ann, made.key.id, CALLER, grace_seconds=60)
    clock.go_on(61)
    assert send(client, made.text) + send(client, newer.text) == [401, 401]
    assert counted(service, verifier) == {(0, "(default)", "invalid"): 1, (2, "(default)", "expired"): 1}


@pytest.mark.slow
def test_strangers_fill_no_table(
    service: IdentityService, ann: Principal, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """Texts of no key are not counted, and any number of wrong secrets of a key is one row."""
    client = guarded(verifier, clock)
    texts = KeyTexts(service.settings)
    for number in range(50):
        assert send(client, texts.make("sk_live_", f"{number:016}").text) == [401]
        assert send(client, "sk_live_nonsense") == [401]
    assert counted(service, verifier) == {}
    for _ in range(50):
        assert send(client, other_secret(service, made)) == [401]
    assert counted(service, verifier) == {(0, "(default)", "invalid"): 50}
    (key,) = service.api_keys.list(ann)
    assert (key.usage_count, key.last_used_at, key.last_used_address) == (0, None, None)


def test_odd_paths_make_no_more_rules(
    service: IdentityService, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """Odd paths add no names of rules to the counts."""
    rules = [f"/{name}" for name in "abc"]
    client = guarded(verifier, clock, protected_paths=rules, public_paths=["/open"])
    paths = [
        "/a",
        "/A",
        "/a/b",
        "/%2561/b",
        "/a;x/b",
        "//a",
        "/a/%2e%2e/b",
        "/c/./b",
        "/B/%5cA",
        "/x",
        "/open/a",
    ]
    for path in paths * 2:
        send(client, made.text, path)
    results = {rule for _, rule, _ in counted(service, verifier)}
    assert results <= {*rules, "/open", "(default)", "(odd path)"}


def test_nothing_is_counted_where_that_is_off(
    service: IdentityService, made: NewAPIKey, clock: Clock
) -> None:
    """With counting off, no request is counted."""
    verifier = SQLAPIKeys(service.database, count=False)
    client = guarded(verifier, clock, protected_paths=["/", Rule("/admin", scopes=["admin"])])
    assert send(client, made.text) + send(client, made.text, "/admin") == [200, 403]
    assert send(client, other_secret(service, made)) == [401]
    assert rows(service, "api_key_usage_minutes") == []


def test_what_the_service_has_not_written_is_shown(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """Counts that are not written yet are shown together with the stored ones."""
    recorder = service.api_key_verifier.recorder
    assert recorder is not None
    counter = recorder.counter(made.key.id, 1)
    for _ in range(2):
        counter.count(clock.now, None, "/me", "ok")
        counter.count(clock.now + 60, None, "/me", "ok")
        recorder.flush()
        counter.count(clock.now, None, "/me", "revoked")
    result = service.api_keys.usage_of(ann, made.key.id, MINUTE, begin=clock.now, end=clock.now + 120)
    assert [(period.start - clock.now, period.outcome, period.uses) for period in result] == [
        (0, "ok", 2),
        (0, "revoked", 2),
        (60, "ok", 2),
    ]


def test_a_refusal_after_the_count_is_moved(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """A request that is refused after it was counted is counted as forbidden, also after a write."""
    recorder = UsageRecorder(service.database, seconds=3_600, clock=clock)
    counter = recorder.counter(made.key.id, 1)
    for flushes in (False, True):
        counter.count(clock.now, None, "/me", "ok")
        counter.count(clock.now, None, "/me", "ok")
        if flushes:
            recorder.flush()
        recount(counter.count, "/me", "forbidden", clock.now)
    recorder.close()
    assert {cell[2:]: n for cell, n in uses(table(service.database, MINUTE)).items()} == {
        (1, "/me", "ok"): 2,
        (1, "/me", "forbidden"): 2,
    }
    (key,) = service.api_keys.list(ann)
    assert (key.usage_count, key.last_used_at) == (2, clock.now)


def test_all_refused_afterwards_is_no_use(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """A key whose requests are all refused afterwards has no last use."""
    recorder = UsageRecorder(service.database, seconds=3_600, clock=clock)
    counter = recorder.counter(made.key.id, 1)
    counter.count(clock.now, None, "/me", "ok")
    recount(counter.count, "/me", "forbidden", clock.now)
    recorder.close()
    assert list(uses(table(service.database, MINUTE)).values()) == [1]
    assert service.api_keys.list(ann)[0].last_used_at is None


@pytest.mark.one_database
def test_counts_that_cannot_be_written_stay_small(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts that cannot be written are merged by hour and day, and keep their number."""
    monkeypatch.setattr(usage_module, "MAX_WAITING", 30)
    recorder = UsageRecorder(service.database, seconds=3_600, clock=clock)
    counter = recorder.counter(made.key.id, 1)
    midnight = clock.now // DAY * DAY

    def fail(*_: object) -> None:
        raise StoreUnavailableError("down")

    with monkeypatch.context() as patch:
        patch.setattr(usage_module, "add_batch", fail)
        for minute in range(3_000):
            counter.count(midnight + 60 * minute, None, "/me", "ok")
            if minute % 20 == 0:
                with pytest.raises(StoreUnavailableError):
                    recorder.flush()
        assert len(recorder.pending([made.key.id])) < 60
    recorder.close()
    assert sum(uses(table(service.database, MINUTE)).values()) == 3_000
    assert service.api_keys.list(ann)[0].usage_count == 3_000


@pytest.mark.one_database
def test_a_batch_that_the_database_refuses_is_dropped(
    service: IdentityService,
    ann: Principal,
    made: NewAPIKey,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A batch that the database refuses five times is dropped with an error in the log."""
    recorder = UsageRecorder(service.database, seconds=3_600, clock=clock)
    counter = recorder.counter(made.key.id, 1)
    counter.count(clock.now, None, "/me", "ok")

    def refuse(*_: object) -> None:
        raise ValueError("made of nothing that it takes")

    with monkeypatch.context() as patch:
        patch.setattr(usage_module, "add_batch", refuse)
        for _ in range(5):
            assert len(recorder.pending([made.key.id])) == 1
            with pytest.raises(ValueError, match="nothing"):
                recorder.flush()
    assert recorder.pending([made.key.id]) == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    counter.count(clock.now, None, "/me", "ok")
    recorder.close()
    assert service.api_keys.list(ann)[0].usage_count == 1


def test_a_verified_key_names_its_error(
    service: IdentityService, made: NewAPIKey, verifier: SQLAPIKeys
) -> None:
    """The error about a wrong secret names the key, and shows nothing of the text."""
    wrong = other_secret(service, made)
    with pytest.raises(Exception, match="unknown") as refused:
        verify(service, wrong, verifier)
    assert refused.value.key_id == made.key.id
    assert wrong[26:60] not in repr(refused.value) + str(vars(refused.value))
