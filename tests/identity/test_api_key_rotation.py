"""Rotation of API keys: two generations of one key, as the service and other applications see them."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from authguard import Credential, Principal
from authguard.errors import InsufficientScopeError, InvalidAPIKeyError, InvalidTokenError
from authguard.identity import IdentityService, NewAPIKey, SQLAPIKeys
from authguard.identity.errors import InvalidFieldsError, KeyNotActiveError, NotFoundError
from authguard.identity.model import ROTATE_SELF
from authguard.stores import PostgresStore, SQLiteStore
from identity.api_key_support import create, guarded, owner, rows, verify
from identity.support import CALLER, Clock, service_at, together

pytestmark = pytest.mark.slow_on_postgresql

DAY = 86_400


@pytest.fixture(name="ann")
def _ann(service: IdentityService) -> Principal:
    return owner(service)


@pytest.fixture(name="made")
def _made(service: IdentityService, ann: Principal) -> NewAPIKey:
    return create(service, ann, kind="claw")


def rotate(service: IdentityService, principal: Principal, key_id: str, **how: Any) -> NewAPIKey:
    """Rotate a key, and return its new generation."""
    return service.api_keys.rotate(principal, key_id, CALLER, **how)


def is_good(service: IdentityService, made: NewAPIKey) -> bool:
    """Return whether the service accepts a key."""
    try:
        verify(service, made.text)
    except InvalidAPIKeyError:
        return False
    return True


# As the service sees it


def test_rotation_keeps_the_key(service: IdentityService, ann: Principal, made: NewAPIKey) -> None:
    """A rotation keeps id, name and first characters, and replaces the text and the client secret."""
    newer = rotate(service, ann, made.key.id)
    assert (newer.key.id, newer.key.name, newer.key.shown) == (made.key.id, made.key.name, made.key.shown)
    assert newer.key.generation == 2
    assert newer.text != made.text
    assert newer.secret != made.secret
    assert verify(service, newer.text).key_id == made.key.id
    assert len(service.api_keys.list(ann)) == 1


def test_without_grace_the_old_secret_ends_at_once(
    service: IdentityService, ann: Principal, made: NewAPIKey
) -> None:
    """Without a grace the old secret is refused at once."""
    newer = rotate(service, ann, made.key.id)
    assert (is_good(service, made), is_good(service, newer)) == (False, True)


def test_with_grace_both_are_good_for_a_while(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """With a grace of 60 seconds the old secret is accepted for exactly that time."""
    newer = rotate(service, ann, made.key.id, grace_seconds=60)
    clock.go_on(59.9)
    assert (is_good(service, made), is_good(service, newer)) == (True, True)
    clock.go_on(0.1)
    assert (is_good(service, made), is_good(service, newer)) == (False, True)


def test_grace_never_outlives_the_key(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """A grace beyond the expiry of the key ends with the key."""
    made = create(service, ann, expires_in_days=1)
    rotate(service, ann, made.key.id, grace_seconds=30 * DAY)
    assert verify(service, made.text).expires_at == made.key.expires_at
    clock.go_on(DAY)
    assert not is_good(service, made)


def test_the_first_use_takes_over(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """With activation by first use, the grace of the old secret begins at that use."""
    newer = rotate(service, ann, made.key.id, activate="first_use", grace_seconds=60)
    clock.go_on(10 * DAY)
    assert is_good(service, made)
    use(service, newer, clock)
    clock.go_on(59)
    assert (is_good(service, made), is_good(service, newer)) == (True, True)
    clock.go_on(1)
    assert (is_good(service, made), is_good(service, newer)) == (False, True)


def use(service: IdentityService, made: NewAPIKey, clock: Clock) -> Any:
    """Send a request with a key to an application that asks the database each time."""
    client = guarded(SQLAPIKeys(service.database, cache_ttl=0, count=False), clock)
    return client.get("/me", headers={"x-api-key": made.text})


def test_a_second_rotation_cancels_one_that_waits(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """A second rotation ends a secret that was never used, and the current one remains valid."""
    lost = rotate(service, ann, made.key.id, activate="first_use")
    newer = rotate(service, ann, made.key.id, activate="first_use", grace_seconds=60)
    assert not is_good(service, lost)
    assert is_good(service, made)
    assert use(service, newer, clock).status_code == 200
    assert newer.key.generation == 3
    assert len(rows(service, "api_key_secrets")) == 2


def test_two_generations_are_good_at_most(service: IdentityService, ann: Principal, made: NewAPIKey) -> None:
    """A third generation ends the first one, regardless of its grace."""
    second = rotate(service, ann, made.key.id, grace_seconds=DAY)
    third = rotate(service, ann, made.key.id, grace_seconds=DAY)
    assert [is_good(service, each) for each in (made, second, third)] == [False, True, True]


def test_parallel_first_uses_activate_once(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """Of parallel first uses all are accepted, and the grace of the old secret begins once."""
    newer = rotate(service, ann, made.key.id, activate="first_use", grace_seconds=60)
    answers = together(8, lambda _: use(service, newer, clock).status_code)
    assert answers == [200] * 8
    old, new = sorted(rows(service, "api_key_secrets"), key=lambda row: row.generation)
    assert (old.expires_at, new.active_from) == (clock.now + 60, clock.now)
    clock.go_on(30)
    assert use(service, newer, clock).status_code == 200
    assert sorted(rows(service, "api_key_secrets"), key=lambda row: row.generation) == [old, new]


def test_a_first_use_of_a_rotation_that_was_cancelled_meanwhile_is_refused(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """A secret that a rotation has replaced between its look-up and its first use is refused."""
    lost = rotate(service, ann, made.key.id, activate="first_use")
    verifier = SQLAPIKeys(service.database, count=False)
    flow = verifier.flow(Credential(lost.text, "api_key", "x-api-key"), clock.now)
    row = verifier.find(next(flow).arguments[0])
    rotate(service, ann, made.key.id, activate="first_use")
    with pytest.raises(InvalidAPIKeyError):
        verifier.begin(row, clock.now)
    assert is_good(service, made)


def test_parallel_rotations_leave_one_newest(
    service: IdentityService, ann: Principal, made: NewAPIKey
) -> None:
    """Parallel rotations get different generations, and only the last one is accepted."""
    results = together(6, lambda _: rotate(service, ann, made.key.id))
    assert sorted(result.key.generation for result in results) == [2, 3, 4, 5, 6, 7]
    assert [result.key.generation for result in results if is_good(service, result)] == [7]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("activate", "later"),
        ("activate", None),
        ("activate", ["now"]),
        ("grace_seconds", -1),
        ("grace_seconds", 30 * DAY + 1),
        ("grace_seconds", 1.5),
        ("grace_seconds", True),
        ("grace_seconds", "60"),
    ],
)
def test_a_wrong_field_is_named(
    service: IdentityService, ann: Principal, made: NewAPIKey, field: str, value: Any
) -> None:
    """A rotation with a wrong field is refused with its name, and the key does not change."""
    with pytest.raises(InvalidFieldsError) as refused:
        rotate(service, ann, made.key.id, **{field: value})
    assert list(refused.value.fields) == [field]
    assert is_good(service, made)


@pytest.mark.one_database
def test_a_key_that_has_ended_is_not_rotated(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """A key that has expired or was revoked is not rotated."""
    revoked, expired = create(service, ann), create(service, ann, expires_in_days=1)
    service.api_keys.revoke(ann, revoked.key.id, CALLER)
    clock.go_on(DAY)
    clock.go_on(-1)
    fresh = owner_again(service, clock)
    clock.go_on(1)
    for made in (revoked, expired):
        with pytest.raises(KeyNotActiveError):
            rotate(service, fresh, made.key.id)


def owner_again(service: IdentityService, clock: Clock) -> Principal:
    """Return the principal of the owner in another session."""
    from authguard import Credential
    from support import judge

    (user, *_) = service.accounts.list()
    tokens = service.accounts.issue_tokens(user.id)
    return judge(service.own_tokens, Credential(tokens.access_token, "bearer"), clock.now).principal


@pytest.mark.one_database
def test_a_key_that_is_not_the_owners_is_not_found(service: IdentityService, made: NewAPIKey) -> None:
    """A key of another user and an unknown key get the same refusal."""
    bob = owner(service, "bob@example.com")
    for key_id in (made.key.id, "key_0", "\ud800"):
        with pytest.raises(NotFoundError):
            rotate(service, bob, key_id)


# By keys


@pytest.mark.one_database
def test_a_key_rotates_itself_with_the_scope_for_it(service: IdentityService, ann: Principal) -> None:
    """A key rotates itself only with the scope for it; the scope to write is not enough."""
    made = create(service, ann, scopes=["read", ROTATE_SELF])
    newer = rotate(service, verify(service, made.text), made.key.id, activate="first_use")
    assert newer.key.generation == 2
    other = create(service, ann, scopes=["read", "write"])
    with pytest.raises(InsufficientScopeError):
        rotate(service, verify(service, other.text), other.key.id)


@pytest.mark.one_database
def test_self_rotation_outlives_the_setting_for_management(url: str, clock: Clock) -> None:
    """A key rotates itself although `api_keys_manage_keys` is off, which concerns other keys."""
    with service_at(url, clock=clock, api_keys_manage_keys=False) as service:
        made = create(service, owner(service), scopes=["write", ROTATE_SELF])
        other = create(service, owner_again(service, clock))
        key = verify(service, made.text)
        with pytest.raises(InsufficientScopeError):
            rotate(service, key, other.key.id)
        rotate(service, key, made.key.id)


@pytest.mark.one_database
def test_a_key_does_not_rotate_one_that_may_more(service: IdentityService) -> None:
    """A key does not rotate a key with scopes, networks or a tier that it lacks itself."""
    root = owner(service, "root@example.com", "ADMIN")
    key = verify(service, create(service, root, networks=["10.0.0.0/8"]).text)
    for wishes in (
        {"scopes": ["read", "admin"], "networks": ["10.0.0.1"]},
        {"networks": ["192.0.2.1"]},
        {},
        {"networks": ["10.0.0.1"], "tier": "pro"},
    ):
        stronger = create(service, root, **wishes)
        with pytest.raises(InsufficientScopeError):
            rotate(service, key, stronger.key.id)
        assert is_good(service, stronger)
    rotate(service, key, create(service, root, networks=["10.0.0.1"]).key.id)


@pytest.mark.one_database
def test_a_secret_that_ends_manages_no_keys(service: IdentityService, ann: Principal) -> None:
    """A secret in its grace, which may be leaked, creates and rotates no keys."""
    made = create(service, ann, scopes=["read", "write", ROTATE_SELF])
    newer = rotate(service, ann, made.key.id, grace_seconds=DAY)
    ending = verify(service, made.text)
    with pytest.raises(InsufficientScopeError):
        rotate(service, ending, made.key.id)
    with pytest.raises(InsufficientScopeError):
        create(service, ending)
    assert is_good(service, newer)


@pytest.mark.one_database
def test_a_revoked_key_rotates_nothing(service: IdentityService, ann: Principal) -> None:
    """A revoked key rotates nothing, even if its request was verified before the revocation."""
    made = create(service, ann, scopes=["read", ROTATE_SELF])
    key = verify(service, made.text)
    service.api_keys.revoke(ann, made.key.id, CALLER)
    with pytest.raises(InvalidTokenError):
        rotate(service, key, made.key.id)


# As another application sees it, which remembers keys


@pytest.fixture(name="store")
def _store(url: str) -> Iterator[Any]:
    path = make_url(url).database or ""
    store = SQLiteStore(path) if url.startswith("sqlite") else PostgresStore(url)
    yield store
    store.close()


class Asking:
    """A store that is asked with each request, and remembers nothing."""

    def __init__(self, store: Any) -> None:
        self._revocations = store.revocations

    def is_revoked(self, principal: Principal) -> bool:
        """Ask the store."""
        return self._revocations.is_revoked(principal)


@pytest.fixture(name="client", params=["follows the log", "asks each time"])
def _client(request: pytest.FixtureRequest, url: str, clock: Clock, store: Any) -> Iterator[Any]:
    verifier = SQLAPIKeys(url, count=False)
    follows = request.param == "follows the log"
    yield guarded(verifier, clock, revocations=store.revocations if follows else Asking(store))
    verifier.close()


def get(client: Any, made: NewAPIKey) -> Any:
    """Send a request with a key."""
    return client.get("/me", headers={"x-api-key": made.text})


def test_a_remembered_secret_stays_good_in_its_grace(
    service: IdentityService, ann: Principal, made: NewAPIKey, client: Any, clock: Clock
) -> None:
    """A remembered secret in its grace is accepted with the field API-Key-Expires, and refused after it."""
    assert "api-key-expires" not in get(client, made).headers
    newer = rotate(service, ann, made.key.id, grace_seconds=20)
    answer = get(client, made)
    assert answer.status_code == 200
    assert answer.headers["api-key-expires"] == "Fri, 15 Jan 2027 08:00:20 GMT"
    assert "api-key-expires" not in get(client, newer).headers
    clock.go_on(19.9)
    assert get(client, made).status_code == 200
    clock.go_on(0.1)
    assert get(client, made).status_code == 401
    assert get(client, newer).status_code == 200


def test_a_remembered_secret_ends_with_a_rotation_without_grace(
    service: IdentityService, ann: Principal, made: NewAPIKey, client: Any
) -> None:
    """A remembered secret is refused at the first request after a rotation without grace."""
    assert get(client, made).status_code == 200
    newer = rotate(service, ann, made.key.id)
    assert get(client, made).status_code == 401
    assert get(client, newer).status_code == 200


def test_a_first_use_elsewhere_ends_a_remembered_secret(
    service: IdentityService, ann: Principal, made: NewAPIKey, client: Any, clock: Clock
) -> None:
    """A remembered secret is refused after the first use of the new one in another application."""
    newer = rotate(service, ann, made.key.id, activate="first_use")
    assert get(client, made).status_code == 200
    assert use(service, newer, clock).status_code == 200
    assert get(client, made).status_code == 401


def test_a_third_generation_ends_a_remembered_first_one(
    service: IdentityService, ann: Principal, made: NewAPIKey, client: Any
) -> None:
    """A remembered first generation is refused after a third one begins, although its grace was longer."""
    rotate(service, ann, made.key.id, grace_seconds=DAY)
    assert get(client, made).status_code == 200
    rotate(service, ann, made.key.id, grace_seconds=DAY)
    assert get(client, made).status_code == 401


def test_a_revoked_key_is_refused_although_it_is_remembered(
    service: IdentityService, ann: Principal, made: NewAPIKey, client: Any
) -> None:
    """A revoked key is refused at the next request in all its generations, although they are remembered."""
    newer = rotate(service, ann, made.key.id, grace_seconds=DAY)
    assert [get(client, each).status_code for each in (made, newer)] == [200, 200]
    service.api_keys.revoke(ann, made.key.id, CALLER)
    assert [get(client, each).status_code for each in (made, newer)] == [401, 401]


def test_the_key_of_a_disabled_owner_is_refused_although_it_is_remembered(
    service: IdentityService, ann: Principal, made: NewAPIKey, client: Any
) -> None:
    """A remembered key is refused at the first request after its owner was disabled."""
    assert get(client, made).status_code == 200
    service.accounts.disable(ann.subject)
    assert get(client, made).status_code == 401


def test_without_a_log_a_remembered_secret_ends_within_the_ttl(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """Without a log, a remembered secret is refused after `cache_ttl`."""
    client = guarded(SQLAPIKeys(service.database, cache_ttl=5, count=False), clock)
    assert get(client, made).status_code == 200
    rotate(service, ann, made.key.id)
    clock.go_on(5)
    assert get(client, made).status_code == 401
