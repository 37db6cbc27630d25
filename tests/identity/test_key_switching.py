"""Disabled keys: refused by each guard within the bound, and accepted at once when they are enabled."""

import time
from typing import Any

import pytest

from authguard import JWTVerifier, Principal
from authguard.errors import Cause, InsufficientScopeError, InvalidAPIKeyError
from authguard.identity import IdentityService, SQLAPIKeys, SQLRevocations
from authguard.identity.audit import Event
from authguard.identity.errors import KeyLockedError, KeyNotActiveError, NotFoundError, TooManyKeysError
from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.model import Operator
from authguard.identity.usecases import api_keys
from identity.api_key_support import create, guarded, owner, rows, update, verify
from identity.keys import bearer
from identity.support import CALLER, ISSUER, SECRET, Clock, service_at

pytestmark = pytest.mark.slow_on_postgresql


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def service(url, clock, postbox, events):
    """Run a service whose events are kept."""
    with service_at(url, clock=clock, postbox=postbox, hook=events.append) as service:
        yield service


@pytest.fixture
def ann(service: IdentityService) -> Principal:
    return owner(service)


def switch(service: IdentityService, by: Any, key_id: str, *, off: bool) -> None:
    """Disable or enable a key."""
    (service.api_keys.disable if off else service.api_keys.enable)(by, key_id, CALLER)


# --- effects of a disabled key


def test_a_disabled_key_is_refused_and_an_enabled_one_good(service, ann):
    """A disabled key is refused at once, and an enabled one is accepted with the scopes of before."""
    made = create(service, ann)
    assert service.api_keys.disable(ann, made.key.id, CALLER).state(service.clock()) == "disabled"
    with pytest.raises(InvalidAPIKeyError) as refused:
        verify(service, made.text)
    assert refused.value.cause == Cause.DISABLED
    assert service.api_keys.enable(ann, made.key.id, CALLER).state(service.clock()) == "active"
    assert verify(service, made.text).scopes == made.key.scopes


@pytest.fixture
def real(url):
    """Run a service on the real time, and an application with a guard that remembers keys."""
    with service_at(url, clock=time.time) as service:
        database = service.settings.database
        keys = SQLAPIKeys(database, issuer=ISSUER, cache_ttl=300, count=False)
        revocations = SQLRevocations(database)
        tokens = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=ISSUER)
        yield service, guarded(keys, time.time, revocations=revocations, verifiers=[tokens])
        revocations.close()
        keys.close()


def status(client: Any, headers: dict[str, str]) -> int:
    """Return the status of a request to the application."""
    return int(client.get("/me", headers=headers).status_code)


def operator_of(service: IdentityService) -> Operator:
    """Return the operator, for the only account."""
    (user,) = service.accounts.list(1)
    return Operator(user.id)


def test_guards_that_remember_a_key_follow(real):
    """A guard that remembers a key refuses it as soon as it is disabled, and accepts it once enabled."""
    service, client = real
    made = create(service, owner(service))
    field = {"X-API-Key": made.text}
    for _ in range(3):
        assert status(client, field) == 200
        switch(service, operator_of(service), made.key.id, off=True)
        assert status(client, field) == 401
        switch(service, operator_of(service), made.key.id, off=False)
        assert status(client, field) == 200


def test_an_old_secret_in_its_grace_follows(real):
    """Both generations of a key are refused while it is disabled, and accepted afterwards."""
    service, client = real
    ann = owner(service)
    made = create(service, ann)
    newer = service.api_keys.rotate(ann, made.key.id, CALLER, grace_seconds=600)
    fields = [{"X-API-Key": each.text} for each in (made, newer)]
    for off, answer in ((False, 200), (True, 401), (False, 200)):
        switch(service, ann, made.key.id, off=off)
        assert [status(client, field) for field in fields] == [answer, answer]


def test_tokens_of_a_disabled_key_are_refused_for_good(real):
    """Tokens from before a key was disabled stay refused, and later ones are accepted."""
    service, client = real
    made = create(service, owner(service), kind="claw")

    def token() -> dict[str, str]:
        return bearer(service.api_keys.issue_token(made.text, made.secret, None, CALLER)["access_token"])

    old = token()
    assert status(client, old) == 200
    switch(service, operator_of(service), made.key.id, off=True)
    assert status(client, old) == 401
    with pytest.raises(Exception, match="invalid_client"):
        token()
    switch(service, operator_of(service), made.key.id, off=False)
    new = token()
    assert [status(client, each) for each in (old, new)] == [401, 200]
    asker, _ = service.clients.create("introspector")
    texts = [each["Authorization"].removeprefix("Bearer ") for each in (old, new)]
    assert [service.clients.introspect(text, asker)["active"] for text in texts] == [False, True]
    service.api_keys.revoke(operator_of(service), made.key.id, CALLER)
    assert status(client, new) == 401


def test_a_disabled_account_ends_tokens_of_a_key_that_was_off(real):
    """Disabling the account ends the tokens of a key that was disabled and enabled before."""
    service, client = real
    ann = owner(service)
    made = create(service, ann, kind="claw")
    switch(service, ann, made.key.id, off=True)
    switch(service, ann, made.key.id, off=False)
    token = bearer(service.api_keys.issue_token(made.text, made.secret, None, CALLER)["access_token"])
    assert status(client, token) == 200
    service.accounts.disable(ann.subject)
    assert status(client, token) == 401
    # A mark of the session ends these tokens too, for as long as the token is valid.
    sessions = {row.name for row in rows(service, "authguard_marks") if row.kind == "session"}
    assert {made.key.id, f"{made.key.id}.1"} <= sessions


def test_a_disabled_key_gets_no_new_secret(service, ann):
    """A disabled key is not rotated, and a secret that waits for its first use is refused."""
    made = create(service, ann)
    waiting = service.api_keys.rotate(ann, made.key.id, CALLER, activate="first_use")
    switch(service, ann, made.key.id, off=True)
    with pytest.raises(KeyNotActiveError):
        service.api_keys.rotate(ann, made.key.id, CALLER)
    with pytest.raises(InvalidAPIKeyError):
        verify(service, waiting.text)
    switch(service, ann, made.key.id, off=False)
    assert verify(service, waiting.text).key_id == made.key.id


# --- permissions


def test_what_is_done_twice_changes_nothing(service, ann, events):
    """Disabling a disabled key, or enabling an enabled one, changes nothing and leaves no event."""
    key_id = create(service, ann).key.id
    before = len(events)
    for off in (False, True, True, False, False):
        switch(service, ann, key_id, off=off)
    # Another thread may send the mail about the key meanwhile.
    later = [each for each in events[before:] if each.name != "mail"]
    told = [(each.name, each.reason, each.key_id) for each in later]
    assert told == [("api_key_disable", "owner", key_id), ("api_key_enable", "owner", key_id)]
    assert sorted(row.name for row in rows(service, "api_key_events")) == ["created", "disabled", "enabled"]


@pytest.mark.parametrize("off", [True, False])
def test_a_key_that_has_ended_is_not_switched(service, ann, clock: Clock, off):
    """A key that has expired or was revoked is neither disabled nor enabled."""
    revoked, expired = create(service, ann).key.id, create(service, ann, expires_in_days=1).key.id
    service.api_keys.revoke(ann, revoked, CALLER)
    clock.go_on(86_400)
    for key_id in (revoked, expired):
        with pytest.raises(KeyNotActiveError):
            switch(service, ann, key_id, off=off)


def test_an_owner_does_not_enable_what_the_operator_has_disabled(service, ann):
    """An owner cannot enable a key that the operator or a statement has disabled."""
    key_id = create(service, ann).key.id
    operator = Operator(ann.subject)
    for disabling in ([operator], [ann, operator], [operator, ann]):
        for by in disabling:
            switch(service, by, key_id, off=True)
        with pytest.raises(KeyLockedError):
            switch(service, ann, key_id, off=False)
        switch(service, operator, key_id, off=False)
    update(service, "UPDATE api_keys SET disabled_at = 1")
    with pytest.raises(KeyLockedError):
        switch(service, ann, key_id, off=False)
    switch(service, operator, key_id, off=False)


def test_a_key_does_not_undo_what_a_person_has_done(service, ann):
    """A key enables keys that a key has disabled, but not those that their owner has disabled."""
    manager = create(service, ann)
    key_id = create(service, ann).key.id
    key = verify(service, manager.text)
    for by, off in ((key, True), (key, False), (key, True), (ann, False), (ann, True)):
        switch(service, by, key_id, off=off)
    with pytest.raises(KeyLockedError):
        switch(service, key, key_id, off=False)


def test_a_key_enables_none_that_has_more(service, ann):
    """A key cannot enable a key with more scopes than its own."""
    update(service, "UPDATE users SET role = 'ADMIN'")
    manager = create(service, ann, scopes=["read", "write"])
    key_id = create(service, ann, scopes=["read", "admin"]).key.id
    key = verify(service, manager.text)
    switch(service, key, key_id, off=True)
    with pytest.raises(InsufficientScopeError):
        switch(service, key, key_id, off=False)


@pytest.mark.parametrize("off", [True, False])
def test_a_key_needs_write(service, ann, off):
    """A key without the scope write cannot disable or enable itself."""
    reader = create(service, ann, scopes=["read"])
    with pytest.raises(InsufficientScopeError):
        switch(service, verify(service, reader.text), reader.key.id, off=off)


@pytest.mark.one_database
def test_keys_do_not_switch_where_they_manage_none(url, clock):
    """With `api_keys_manage_keys` off, a key cannot disable or enable keys."""
    with service_at(url, clock=clock, api_keys_manage_keys=False) as service:
        made = create(service, owner(service))
        for off in (True, False):
            with pytest.raises(InsufficientScopeError):
                switch(service, verify(service, made.text), made.key.id, off=off)


@pytest.mark.parametrize("off", [True, False])
def test_another_owner_has_no_such_key(service, ann, off, events):
    """Another owner's key is answered as an unknown one, and the failure leaves an event."""
    key_id = create(service, ann).key.id
    bob = owner(service, "bob@example.com")
    with pytest.raises(NotFoundError):
        switch(service, bob, key_id, off=off)
    assert (events[-1].name, events[-1].succeeded) == (f"api_key_{'disable' if off else 'enable'}", False)


@pytest.mark.slow
@pytest.mark.one_database
def test_enabling_is_limited_and_disabling_is_not(url, clock):
    """Enabling is limited, and disabling is always possible."""
    with service_at(url, clock=clock, limits=None) as service:
        ann = owner(service)
        key_id, most = create(service, ann).key.id, DEFAULT_LIMITS["api_key"].count
        with pytest.raises(Exception, match="api_key"):
            for _ in range(most + 1):
                switch(service, ann, key_id, off=True)
                switch(service, ann, key_id, off=False)
        switch(service, ann, key_id, off=True)


def test_a_key_that_is_off_counts_as_one_that_there_is(service, ann, monkeypatch):
    """A disabled key counts against the maximum of keys."""
    monkeypatch.setattr(api_keys, "MAX_KEYS", 1)
    switch(service, ann, create(service, ann).key.id, off=True)
    with pytest.raises(TooManyKeysError):
        create(service, ann)
