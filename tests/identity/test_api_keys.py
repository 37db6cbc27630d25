"""Creation, listing, revocation and verification of API keys, on both databases."""

import random
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

from authguard import Principal
from authguard.errors import (
    Cause,
    InsufficientScopeError,
    InvalidAPIKeyError,
    InvalidTokenError,
    RateLimitedError,
)
from authguard.identity import Event, IdentityService, SQLAPIKeys
from authguard.identity.errors import InvalidFieldsError, NotFoundError, TooManyKeysError
from authguard.identity.keys.generations import END_SECONDS
from authguard.identity.keys.texts import KeyTexts
from authguard.identity.limits import Limit
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage.usage_levels import LEVELS
from authguard.identity.usecases.api_keys import MAX_DEAD_KEYS, MAX_KEYS
from authguard.stores import PostgresStore, SQLiteStore
from identity.api_key_support import create, guarded, owner, rows, update, verify
from identity.support import CALLER, GENEROUS, Clock, service_at, together
from sizes import size

pytestmark = pytest.mark.slow_on_postgresql

DAY = 86_400


@pytest.fixture(name="ann")
def _ann(service: IdentityService) -> Principal:
    return owner(service)


@pytest.fixture(name="admin")
def _admin(service: IdentityService) -> Principal:
    return owner(service, "root@example.com", "ADMIN")


# Creating


def test_a_new_key_authenticates_its_owner(service: IdentityService, ann: Principal) -> None:
    """A new key authenticates its owner with the key's scopes and id, and the owner's role."""
    made = create(service, ann, name="Production", scopes=["read", "write"])
    principal = verify(service, made.text)
    assert principal.subject == ann.subject
    assert principal.scopes == {"read", "write"}
    assert principal.roles == {"USER"}
    assert (principal.key_id, principal.method, principal.tier) == (made.key.id, "api_key", "free")


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("kind", "key_id"),
    [
        ("sk_live", r"key_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("sk_test", r"key_[0-9a-f-]{36}"),
        ("claw", r"[0-9a-f]{24}"),
    ],
)
def test_ids_and_texts_are_as_documented(
    service: IdentityService, ann: Principal, kind: str, key_id: str
) -> None:
    """Ids and texts of keys have the documented forms, and lists show the first twelve characters."""
    made = create(service, ann, kind=kind)
    assert re.fullmatch(key_id, made.key.id)
    assert made.text.startswith(f"{kind}_")
    assert made.key.shown == made.text[:12]
    assert made.key.readable_id in made.text


@pytest.mark.one_database
def test_a_pair_has_a_client_secret(service: IdentityService, ann: Principal) -> None:
    """A claw_ key has a client secret, and an sk_ key has none."""
    assert str(create(service, ann, kind="claw").secret).startswith("clsk_")
    assert create(service, ann).secret is None


def test_only_digests_are_stored(service: IdentityService, ann: Principal) -> None:
    """The database has neither the text of a key nor its client secret."""
    made = create(service, ann, kind="claw")
    stored = str(rows(service, "api_keys")) + str(rows(service, "api_key_secrets"))
    assert made.text not in stored
    assert str(made.secret) not in stored
    assert made.key.readable_id in stored


@pytest.mark.one_database
def test_the_text_shows_itself_nowhere(service: IdentityService, ann: Principal) -> None:
    """The repr of a new key has neither its text nor its client secret."""
    made = create(service, ann, kind="claw")
    assert made.text not in repr(made)
    assert str(made.secret) not in repr(made)


def test_a_key_expires_after_90_days(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """A key expires after 90 days by default, and is refused from then on."""
    made = create(service, ann)
    assert made.key.expires_at == clock.now + 90 * DAY
    clock.go_on(90 * DAY - 1)
    verify(service, made.text)
    clock.go_on(1)
    with pytest.raises(InvalidAPIKeyError) as refused:
        verify(service, made.text)
    assert refused.value.cause == Cause.EXPIRED


@pytest.mark.one_database
def test_a_key_may_expire_earlier(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """A key expires after the requested number of days."""
    assert create(service, ann, expires_in_days=1).key.expires_at == clock.now + DAY


@pytest.mark.one_database
def test_states(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """A key is active, expiring in its last 30 days, expired, disabled or revoked."""
    key = create(service, ann).key
    assert key.state(clock.now) == "active"
    assert key.state(key.expires_at - 30 * DAY) == "expiring"
    assert key.state(key.expires_at) == "expired"
    assert replace(key, disabled_at=clock.now).state(clock.now) == "disabled"
    assert replace(key, disabled_at=clock.now, revoked_at=clock.now).state(key.expires_at) == "revoked"


WRONG = {
    "name": ["", " ", "x" * 201, "two\nlines", "nul\x00", "\ud800", 7, None],
    "scopes": [["a b"], ["x" * 65], ["é"], [""], [7], "read", None, ["s"] * 65],
    "kind": ["sk", "sk_live_", "", None, 7],
    "expires_in_days": [0, -1, 3_651, 1.5, "90", True],
    "tier": ["gold", "", 7],
    "metadata": [
        {"a": "x" * 2_041},
        {"a": "\ud83d"},
        {1: 2},
        ["a"],
        "a",
        {"a": float("nan")},
        {"a": object()},
    ],
    "networks": [["10.0.0.1/8"], ["everywhere"], [""], [7], "10.0.0.0/8", ["10.0.0.1"] * 33],
}


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("field", "index"), [(field, index) for field, values in WRONG.items() for index in range(len(values))]
)
def test_a_wrong_field_is_named(service: IdentityService, ann: Principal, field: str, index: int) -> None:
    """A wrong field is refused by its name, and no key is stored."""
    with pytest.raises(InvalidFieldsError) as refused:
        create(service, ann, **{field: WRONG[field][index]})
    assert list(refused.value.fields) == [field]
    assert rows(service, "api_keys") == []


@pytest.mark.one_database
def test_metadata_may_have_two_kibibytes(service: IdentityService, ann: Principal) -> None:
    """Metadata may have 2,048 bytes of JSON without spaces."""
    create(service, ann, metadata={"a": "x" * 2_040})


@pytest.mark.one_database
def test_deep_metadata_is_refused(service: IdentityService, ann: Principal) -> None:
    """Metadata that is nested 100,000 times is refused, so that it cannot exhaust the stack."""
    nested: object = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InvalidFieldsError):
        create(service, ann, metadata={"a": nested})


def test_odd_text_is_stored_as_it_is(service: IdentityService, ann: Principal) -> None:
    """Unicode, quotes and NUL in names and metadata are stored and returned unchanged."""
    metadata = {"ключ": "\x00 🐱 ' \"", "n": [1, None, True]}
    create(service, ann, name="Schlüssel 🔑 '; --", metadata=metadata)
    (key,) = service.api_keys.list(ann)
    assert (key.name, key.metadata) == ("Schlüssel 🔑 '; --", metadata)


# Scopes, networks and tiers that a key may get


def test_an_owner_without_the_role_cannot_give_admin(service: IdentityService, ann: Principal) -> None:
    """A user without the role of admins cannot give a key the scope admin, nor an unknown scope."""
    for scope in ("admin", "invoices:read"):
        with pytest.raises(InsufficientScopeError):
            create(service, ann, scopes=["read", scope])
    assert rows(service, "api_keys") == []


def test_an_admin_gives_admin(service: IdentityService, admin: Principal) -> None:
    """An admin can give a key the scope admin."""
    made = create(service, admin, scopes=["read", "write", "admin"])
    assert made.key.permissions == ["read", "write", "admin"]
    assert "admin" in verify(service, made.text).scopes


def test_admin_ends_with_the_role_of_the_owner(service: IdentityService, admin: Principal) -> None:
    """A key of a former admin loses the scope admin at the next look-up."""
    made = create(service, admin, scopes=["read", "admin"])
    update(service, "UPDATE users SET role = 'USER' WHERE id = :id", id=admin.subject)
    assert verify(service, made.text).scopes == {"read"}


@pytest.mark.one_database
def test_a_key_without_admin_has_no_role_of_admins(service: IdentityService, admin: Principal) -> None:
    """A key without the scope admin has no role of admins, for applications that check only roles."""
    assert verify(service, create(service, admin, scopes=["read"]).text).roles == frozenset()
    assert verify(service, create(service, admin, scopes=["admin"]).text).roles == {"ADMIN"}


@pytest.mark.one_database
def test_a_scope_that_is_taken_out_of_the_settings_is_not_granted(url: str, clock: Clock) -> None:
    """A scope that is removed from the settings is no longer granted to existing keys."""
    with service_at(url, clock=clock, api_key_scopes=["invoices:read"]) as service:
        made = create(service, owner(service), scopes=["read", "invoices:read"])
        assert verify(service, made.text).scopes == {"read", "invoices:read"}
    with service_at(url, clock=clock) as service:
        assert verify(service, made.text).scopes == {"read"}


def test_a_key_makes_keys_that_have_no_more_than_itself(service: IdentityService, admin: Principal) -> None:
    """A key creates keys with no more scopes than its own, although its owner has more."""
    maker = verify(service, create(service, admin, scopes=["read", "write"]).text)
    made = create(service, maker, scopes=["read"])
    assert made.key.created_by == maker.key_id
    assert made.key.user_id == admin.subject
    with pytest.raises(InsufficientScopeError):
        create(service, maker, scopes=["read", "admin"])


def test_the_principal_is_not_trusted_for_scopes(service: IdentityService, ann: Principal) -> None:
    """The scopes of a new key are checked against the stored key, and not against the principal."""
    maker = verify(service, create(service, ann).text)
    forged = replace(maker, scopes=frozenset({"read", "write", "admin"}))
    with pytest.raises(InsufficientScopeError):
        create(service, forged, scopes=["admin"])


@pytest.mark.one_database
def test_a_key_that_may_only_read_manages_no_keys(service: IdentityService, ann: Principal) -> None:
    """A key with the scope read lists keys, and cannot create or revoke them."""
    reader = verify(service, create(service, ann, scopes=["read"]).text)
    other = create(service, ann)
    assert len(service.api_keys.list(reader)) == 2
    with pytest.raises(InsufficientScopeError):
        create(service, reader, scopes=["read"])
    with pytest.raises(InsufficientScopeError):
        service.api_keys.revoke(reader, other.key.id, CALLER)


@pytest.mark.one_database
def test_keys_manage_no_keys_if_the_setting_says_so(url: str, clock: Clock) -> None:
    """With `api_keys_manage_keys` off, a key lists keys, and cannot create or revoke them."""
    with service_at(url, clock=clock, api_keys_manage_keys=False) as service:
        ann = owner(service)
        made = create(service, ann)
        key = verify(service, made.text)
        with pytest.raises(InsufficientScopeError):
            create(service, key)
        with pytest.raises(InsufficientScopeError):
            service.api_keys.revoke(key, made.key.id, CALLER)
        assert len(service.api_keys.list(key)) == 1


@pytest.mark.one_database
def test_there_are_no_keys_if_the_setting_says_so(url: str, clock: Clock) -> None:
    """With `api_keys` off, creating a key raises NotFoundError."""
    with service_at(url, clock=clock, api_keys=False) as service, pytest.raises(NotFoundError):
        create(service, owner(service))


@pytest.mark.one_database
def test_networks_are_handed_down(service: IdentityService, ann: Principal) -> None:
    """A key with a list of networks creates only keys that are limited to these networks."""
    maker = verify(service, create(service, ann, networks=["10.0.0.0/8", "2001:db8::/32"]).text)
    assert create(service, maker).key.networks == ("10.0.0.0/8", "2001:db8::/32")
    assert create(service, maker, networks=["10.1.0.0/16"]).key.networks == ("10.1.0.0/16",)
    for networks in (["0.0.0.0/0"], ["10.1.0.0/16", "192.0.2.1"], ["::/0"]):
        with pytest.raises(InsufficientScopeError):
            create(service, maker, networks=networks)


@pytest.mark.one_database
def test_a_tier_is_the_operators_to_give(service: IdentityService, ann: Principal, admin: Principal) -> None:
    """A user gives keys the default tier only, and an admin any tier."""
    assert create(service, ann).key.tier == "free"
    assert create(service, ann, tier="free").key.tier == "free"
    with pytest.raises(InsufficientScopeError):
        create(service, ann, tier="enterprise")
    assert create(service, admin, tier="enterprise").key.tier == "enterprise"


@pytest.mark.one_database
def test_a_key_hands_its_tier_down(service: IdentityService, admin: Principal) -> None:
    """A key without the scope admin gives its own tier to new keys, and no other."""
    maker = verify(service, create(service, admin, tier="pro").text)
    assert create(service, maker).key.tier == "pro"
    with pytest.raises(InsufficientScopeError):
        create(service, maker, tier="enterprise")


def fill(service: IdentityService, principal: Principal, count: int, *, revoked: bool = False) -> None:
    """Give an owner a number of keys."""
    key = create(service, principal).key
    revoked_at = service.clock() if revoked else None
    with service.database.write() as connection:
        for number in range(count - 1):
            copy = replace(
                key, id=f"{key.id[:20]}-{number}", created_at=key.created_at - number, revoked_at=revoked_at
            )
            key_store.insert_key(connection, copy)
        key_store.update_key(connection, key.id, revoked_at=revoked_at)


def test_an_owner_has_a_bounded_number_of_keys(service: IdentityService, ann: Principal) -> None:
    """An owner with the maximum of keys creates another only after one is revoked."""
    fill(service, ann, MAX_KEYS - 1)
    made = create(service, ann)
    with pytest.raises(TooManyKeysError):
        create(service, ann)
    service.api_keys.revoke(ann, made.key.id, CALLER)
    create(service, ann)


def test_revoked_keys_are_not_kept_without_bound(service: IdentityService, ann: Principal) -> None:
    """The oldest revoked keys beyond the maximum are deleted when a key is created."""
    fill(service, ann, MAX_DEAD_KEYS + 7, revoked=True)
    made = create(service, ann)
    keys = service.api_keys.list(ann)
    assert len(keys) == MAX_DEAD_KEYS + 1
    assert made.key in keys


def test_parallel_creations_do_not_pass_the_bound(service: IdentityService, ann: Principal) -> None:
    """Of parallel creations only one gets the last free place."""
    fill(service, ann, MAX_KEYS - 1)
    results = together(5, lambda _: create(service, ann))
    assert sum(isinstance(result, TooManyKeysError) for result in results) == 4


@pytest.mark.one_database
def test_creations_are_limited(url: str, clock: Clock) -> None:
    """Creations are limited for each account."""
    with service_at(url, clock=clock, limits={**GENEROUS, "api_key": Limit(2, DAY)}) as service:
        ann = owner(service)
        create(service, ann)
        create(service, ann)
        with pytest.raises(RateLimitedError):
            create(service, ann)
        create(service, owner(service, "bob@example.com"))


# Listing and revoking


def test_an_owner_sees_own_keys_alone(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """An owner sees only own keys, the newest first, whether a session or a key has created them."""
    first = create(service, ann, name="first")
    clock.go_on(1)
    create(service, verify(service, first.text), name="second", kind="claw")
    bob = owner(service, "bob@example.com")
    create(service, bob, name="bob's")
    assert [key.name for key in service.api_keys.list(ann)] == ["second", "first"]
    assert [key.name for key in service.api_keys.list(verify(service, first.text))] == ["second", "first"]
    assert [key.name for key in service.api_keys.list(bob)] == ["bob's"]


def test_a_revoked_key_is_refused(service: IdentityService, ann: Principal) -> None:
    """A revoked key is refused at once, and is listed as revoked."""
    made = create(service, ann)
    service.api_keys.revoke(ann, made.key.id, CALLER)
    with pytest.raises(InvalidAPIKeyError) as refused:
        verify(service, made.text)
    assert (refused.value.cause, refused.value.key_id) == (Cause.REVOKED, made.key.id)
    (key,) = service.api_keys.list(ann)
    assert key.revoked_at is not None


def test_revoking_twice_changes_nothing(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """A second revocation changes nothing, and the time of the first one remains."""
    made = create(service, ann)
    service.api_keys.revoke(ann, made.key.id, CALLER)
    (before,) = service.api_keys.list(ann)
    clock.go_on(5)
    service.api_keys.revoke(ann, made.key.id, CALLER)
    assert service.api_keys.list(ann) == [before]


@pytest.mark.parametrize(
    "key_id", ["key_123", "", "x" * 5_000, "nul\x00", "ключ", "\ud800", "665f1a2b3c4d5e6f7a8b9c0d"]
)
def test_an_unknown_key_is_not_found(service: IdentityService, ann: Principal, key_id: str) -> None:
    """Revoking an unknown or malformed id raises NotFoundError."""
    with pytest.raises(NotFoundError):
        service.api_keys.revoke(ann, key_id, CALLER)


def test_another_owners_key_is_not_found(service: IdentityService, ann: Principal) -> None:
    """Revoking another owner's key raises NotFoundError, and the key remains valid."""
    made = create(service, owner(service, "bob@example.com"))
    with pytest.raises(NotFoundError):
        service.api_keys.revoke(ann, made.key.id, CALLER)
    verify(service, made.text)


def test_a_key_may_revoke_itself(service: IdentityService, ann: Principal) -> None:
    """A key can revoke itself, and is refused for each use afterwards."""
    made = create(service, ann)
    key = verify(service, made.text)
    service.api_keys.revoke(key, made.key.id, CALLER)
    for attempt in (
        lambda: create(service, key),
        lambda: service.api_keys.list(key),
        lambda: service.api_keys.revoke(key, made.key.id, CALLER),
    ):
        with pytest.raises(InvalidTokenError):
            attempt()


@pytest.mark.slow
def test_revocations_are_in_the_log(service: IdentityService, ann: Principal, url: str) -> None:
    """A revocation is in the log of revocations as soon as the service has answered."""
    path = make_url(url).database or ""
    store = SQLiteStore(path) if url.startswith("sqlite") else PostgresStore(url)
    made = create(service, ann)
    principal = verify(service, made.text)
    assert not store.revocations.is_revoked(principal)
    service.api_keys.revoke(ann, made.key.id, CALLER)
    assert store.revocations.is_known_revoked(principal)
    store.close()


# Owners


def test_the_keys_of_a_disabled_owner_are_refused(service: IdentityService, ann: Principal) -> None:
    """The keys of a disabled owner are refused until the account is enabled again."""
    made = create(service, ann)
    service.accounts.disable(ann.subject)
    with pytest.raises(InvalidAPIKeyError) as refused:
        verify(service, made.text)
    assert refused.value.cause == Cause.DISABLED
    service.accounts.disable(ann.subject, disabled=False)
    verify(service, made.text)


def test_the_keys_of_an_owner_who_is_gone_are_gone(service: IdentityService, ann: Principal) -> None:
    """A deleted account leaves no keys and no secrets."""
    made = create(service, ann)
    update(service, "DELETE FROM users WHERE id = :id", id=ann.subject)
    with pytest.raises(InvalidAPIKeyError):
        verify(service, made.text)
    assert rows(service, "api_keys") == rows(service, "api_key_secrets") == []


def test_a_session_that_has_ended_manages_no_keys(service: IdentityService, ann: Principal) -> None:
    """A session that has ended, and a token without a session, cannot create keys."""
    service.sessions.log_out(ann, CALLER)
    with pytest.raises(InvalidTokenError):
        create(service, ann)
    with pytest.raises(InvalidTokenError):
        create(service, Principal(ann.subject))


# Events


@pytest.fixture(name="events")
def _events(url: str, clock: Clock) -> Iterator[tuple[IdentityService, list[Event]]]:
    events: list[Event] = []
    with service_at(url, clock=clock, hook=events.append) as service:
        yield service, events


@pytest.mark.one_database
def test_events_name_both_keys(events: tuple[IdentityService, list[Event]]) -> None:
    """Events name the affected key, and the key that made the request."""
    service, seen = events
    ann = owner(service)
    first = create(service, ann)
    key = verify(service, first.text)
    second = create(service, key)
    service.api_keys.revoke(key, second.key.id, CALLER)
    told = [(event.name, event.key_id, event.actor_key_id) for event in seen[-3:]]
    assert told == [
        ("api_key_create", first.key.id, None),
        ("api_key_create", second.key.id, first.key.id),
        ("api_key_revoke", second.key.id, first.key.id),
    ]
    assert all(event.user_id == ann.subject for event in seen[-3:])


@pytest.mark.one_database
def test_failures_are_recorded(events: tuple[IdentityService, list[Event]]) -> None:
    """A failed creation of a key leaves an event with its reason."""
    service, seen = events
    with pytest.raises(InsufficientScopeError):
        create(service, owner(service), scopes=["admin"])
    assert (seen[-1].name, seen[-1].succeeded, seen[-1].reason) == (
        "api_key_create",
        False,
        "insufficient_scope",
    )


# Networks


def test_networks_hold_in_other_applications(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """Other applications check the networks of a key for each request, also while the key is remembered."""
    made = create(service, ann, networks=["192.0.2.0/24", "::ffff:198.51.100.7"])
    client = guarded(SQLAPIKeys(service.database, count=False), clock, proxies=["10.0.0.1"])
    addresses = ["192.0.2.1", "198.51.100.7", "198.51.100.8", "192.0.2.2", "nonsense"]
    fields = [{"x-api-key": made.text, "x-forwarded-for": address} for address in addresses]
    client._transport.client = ("10.0.0.1", 1)
    assert [client.get("/me", headers=each).status_code for each in fields] == [200, 200, 403, 200, 403]
    client._transport.client = ("10.0.0.2", 1)
    assert client.get("/me", headers=fields[0]).status_code == 403


@pytest.mark.one_database
def test_networks_that_cannot_be_read_are_not_left_out(service: IdentityService, ann: Principal) -> None:
    """Stored networks that cannot be parsed raise ValueError, instead of an unlimited key."""
    made = create(service, ann, networks=["192.0.2.0/24"])
    update(service, "UPDATE api_keys SET networks = '192.0.2.0/24 nonsense' WHERE id = :id", id=made.key.id)
    with pytest.raises(ValueError, match="cannot be read"):
        verify(service, made.text)


def test_a_first_use_from_elsewhere_takes_nothing_over(
    service: IdentityService, ann: Principal, clock: Clock
) -> None:
    """A refused first use from another network leaves the old secret valid."""
    made = create(service, ann, networks=["192.0.2.0/24"])
    newer = service.api_keys.rotate(ann, made.key.id, CALLER, activate="first_use")
    client = guarded(SQLAPIKeys(service.database, count=False), clock)
    client._transport.client = ("198.51.100.1", 1)
    assert client.get("/me", headers={"x-api-key": newer.text}).status_code == 403
    verify(service, made.text)
    client._transport.client = ("192.0.2.1", 1)
    assert client.get("/me", headers={"x-api-key": newer.text}).status_code == 200
    with pytest.raises(InvalidAPIKeyError):
        verify(service, made.text)


# Garbage


@pytest.mark.one_database
def test_garbage_asks_the_database_nothing(service: IdentityService, ann: Principal) -> None:
    """Keys with one wrong character, and random strings of their form, are refused without a query."""
    statements: list[str] = []
    event.listen(service.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    texts = KeyTexts(service.settings)
    rng = random.Random(17)
    for _ in range(size(300, 100_000)):
        text = texts.keys.make(rng.choice(service.settings.key_prefixes))
        place = rng.randrange(len(text))
        near = rng.randrange(len(text) - 1)
        changed = text[:place] + rng.choice("AZaz09_".replace(text[place], "")) + text[place + 1 :]
        swapped = text[:near] + text[near + 1] + text[near] + text[near + 2 :]
        for mistyped in {
            changed,
            text[:place] + text[place + 1 :],
            text[: place + 1] + text[place:],
            swapped,
        }:
            if mistyped != text:
                assert is_malformed(service, mistyped)
    for _ in range(size(1_000, 1_000_000)):
        body = "".join(rng.choices(string.ascii_letters + string.digits, k=65))
        assert is_malformed(service, f"claw_{body[:16]}_{body[16:59]}_{body[59:]}")
    assert statements == []
    verify(service, create(service, ann).text)
    assert statements


def is_malformed(service: IdentityService, key_text: str) -> bool:
    """Return whether a text is refused as malformed."""
    try:
        verify(service, key_text)
    except InvalidAPIKeyError as error:
        return error.cause == Cause.MALFORMED
    return False


@pytest.mark.one_database
def test_a_bad_key_is_asked_about_once_in_a_while(
    service: IdentityService, ann: Principal, clock: Clock
) -> None:
    """An application that remembers keys looks up a revoked key only once in ten seconds."""
    verifier = SQLAPIKeys(service.database, count=False)
    made = create(service, ann)
    service.api_keys.revoke(ann, made.key.id, CALLER)
    statements: list[str] = []
    event.listen(service.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for _ in range(5):
        with pytest.raises(InvalidAPIKeyError):
            verify(service, made.text, verifier)
    assert len(statements) == 1
    clock.go_on(10)
    with pytest.raises(InvalidAPIKeyError):
        verify(service, made.text, verifier)
    assert len(statements) == 2


@pytest.mark.one_database
def test_a_disabled_key_is_good_again_at_once(service: IdentityService, ann: Principal) -> None:
    """A disabled key is accepted at once after it is enabled again."""
    verifier = SQLAPIKeys(service.database, count=False)
    made = create(service, ann)
    update(service, "UPDATE api_keys SET disabled_at = 1 WHERE id = :id", id=made.key.id)
    with pytest.raises(InvalidAPIKeyError) as refused:
        verify(service, made.text, verifier)
    assert refused.value.cause == Cause.DISABLED
    update(service, "UPDATE api_keys SET disabled_at = NULL WHERE id = :id", id=made.key.id)
    verify(service, made.text, verifier)


@pytest.mark.one_database
def test_a_second_revocation_tells_guards_again(
    service: IdentityService, ann: Principal, clock: Clock
) -> None:
    """A second revocation marks the key again within the time in which guards may remember the key."""
    made, told = create(service, ann), []
    service.database.after_marks = lambda marks, sequence: told.append([mark.name for mark in marks])
    for _ in range(2):
        service.api_keys.revoke(ann, made.key.id, CALLER)
    assert told == [[made.key.id] * 2] * 2
    clock.go_on(END_SECONDS)
    service.api_keys.revoke(ann, made.key.id, CALLER)
    assert len(told) == 2


def test_requests_read_by_indexes_alone(service: IdentityService, ann: Principal) -> None:
    """The statements of requests use indexes alone, so that their cost does not grow with the tables."""
    made = create(service, ann)
    assert service.outbox.flush()  # another thread writes about mails
    seen: list[tuple[str, Any]] = []

    def note(*args: Any) -> None:
        seen.append((args[2], args[3]))

    event.listen(service.database.engine, "before_cursor_execute", note)
    verify(service, made.text)
    service.api_keys.list(ann)
    service.api_keys.usage(ann)
    for level in LEVELS:
        service.api_keys.usage_of(ann, made.key.id, level, begin=0, end=service.clock())
    with pytest.raises(InvalidAPIKeyError):  # an id of a key, with the secret of another
        verify(service, KeyTexts(service.settings).make("sk_live_", made.key.readable_id).text)
    event.remove(service.database.engine, "before_cursor_execute", note)
    assert len(seen) > 5
    with service.database.read() as connection:
        if not service.database.is_sqlite:
            connection.exec_driver_sql("SET enable_seqscan = off")  # a scan is cheaper for a row or two
        for statement, values in seen:
            plan = "EXPLAIN QUERY PLAN" if service.database.is_sqlite else "EXPLAIN"
            lines = str(connection.exec_driver_sql(f"{plan} {statement}", values).all())
            assert "SCAN" not in lines.replace("SCAN CONSTANT ROW", "")
            assert "Seq Scan" not in lines
        if not service.database.is_sqlite:
            connection.exec_driver_sql("RESET enable_seqscan")
