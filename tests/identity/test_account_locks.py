"""Changes of an account while another request waits for its lock: the request then sees the new state."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from authguard._core.encoding import sha256_hex
from authguard.errors import InvalidTokenError
from authguard.identity import SocialIdentity
from authguard.identity.errors import (
    DisabledAccountError,
    EmailNotVerifiedError,
    LinkRefusedError,
    StoreUnavailableError,
)
from authguard.identity.keys.generations import end_keys_of
from authguard.identity.mail.addresses import email_key
from authguard.identity.model import Operator, User
from authguard.identity.scanning.matches import Match
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage import queries as store
from authguard.identity.storage.addresses.queries import replace_address
from authguard.identity.usecases.social import sign_in
from identity.api_key_support import create, owner, rows
from identity.people import EMAIL
from identity.support import CALLER, PASSWORD, Clock, empty, kept_connection, service_at, together
from identity.test_sessions import principal_of
from remote.servers import until

SECONDS = 10  # the limit for a thread that no longer waits
OTHER = "other@example.com"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture(name="locking")
def _locking(postgres_url, postbox):
    """Return a service on PostgreSQL, where a transaction locks single rows."""
    empty(postgres_url)
    clock = Clock()
    url = "http://127.0.0.1:1/keys"  # no test checks a signature
    scanning = {"secret_scanning": True, "secret_scanning_keys_url": url}
    with service_at(postgres_url, clock=clock, postbox=postbox, **scanning) as service:
        yield service


@contextmanager
def waiting(service, url, act, user_id=None):
    """Run an action that waits for a transaction; yield the transaction and the future result.

    Args:
        service: the service.
        url: its database.
        act: the action.
        user_id: the account that the transaction locks; None if the action waits for another row.
    """
    with ThreadPoolExecutor(1) as pool, service.database.write() as connection:
        if user_id is not None:
            store.lock_account(connection, user_id)
        yield connection, lambda: begin(pool, url, act)


def begin(pool, url, act):
    """Begin an action in a thread, and wait until it waits for a lock."""
    result = pool.submit(act)
    until(lambda: kept_connection(url).execute(WAITING).fetchone())
    return result


def identity(subject="1", email=EMAIL, *, verified=True, provider="github"):
    return SocialIdentity(provider, subject, email, email_verified=verified)


def new_user(service, email):
    """Return an account that is not stored yet."""
    return User(f"id-of-{email}"[:36], email, True, "", "USER", False, service.clock())


def links(service):
    """Return the account and the subject of each link."""
    return {(row.user_id, row.subject) for row in rows(service, "linked_identities")}


# --- the first sign-in with a provider, for the address of an existing account


@pytest.mark.slow
def test_a_first_sign_in_beside_a_disabling(locking, postgres_url):
    """An account that is disabled meanwhile gets no session, no link and no tokens."""
    user = locking.accounts.create(EMAIL, PASSWORD, role="ADMIN")
    act = partial(locking.sign_in_with, identity(), CALLER)
    with waiting(locking, postgres_url, act, user.id) as (connection, start):
        result = start()
        store.update_user(connection, user.id, disabled=True)
    with pytest.raises(DisabledAccountError):
        result.result(SECONDS)
    assert (links(locking), rows(locking, "sessions")) == (set(), [])


@pytest.mark.slow
def test_a_first_sign_in_beside_a_disabling_that_waits_as_well(locking, postgres_url):
    """The operator and the sign-in wait for the same account; no token of it is accepted afterwards."""
    user = locking.accounts.create(EMAIL, PASSWORD, role="ADMIN")
    with ThreadPoolExecutor(2) as pool:
        with locking.database.write() as connection:
            store.lock_account(connection, user.id)
            disabled = begin(pool, postgres_url, lambda: locking.accounts.disable(user.id))
            signed_in = pool.submit(locking.sign_in_with, identity(), CALLER)
            two = f"SELECT 1 FROM ({WAITING}) AS waiting HAVING count(*) = 2"
            until(lambda: kept_connection(postgres_url).execute(two).fetchone())
        disabled.result(SECONDS)
        assert isinstance(signed_in.exception(SECONDS), (type(None), DisabledAccountError))
    assert all(row.ended_at is not None for row in rows(locking, "sessions"))


def test_a_first_sign_in_beside_a_loss_of_roles(locking, postgres_url):
    """The tokens have the roles that the account has meanwhile."""
    user = locking.accounts.create(EMAIL, PASSWORD, role="ADMIN")
    act = partial(locking.sign_in_with, identity(), CALLER)
    with waiting(locking, postgres_url, act, user.id) as (connection, start):
        result = start()
        store.update_user(connection, user.id, **store.right_values(["USER", "EDITOR"], ["read"]))
    tokens = result.result(SECONDS)
    assert (tokens.user.id, tokens.user.roles, tokens.user.scopes) == (user.id, ("USER", "EDITOR"), ("read",))
    assert principal_of(locking, tokens.access_token).roles == {"USER", "EDITOR"}


@pytest.mark.slow
@pytest.mark.parametrize("change", ["address", "deletion"])
def test_a_first_sign_in_beside_the_end_of_an_address(locking, postgres_url, change):
    """If the account gives up the address meanwhile, the holder of the address gets a new account."""
    user = locking.accounts.create(EMAIL, PASSWORD)
    act = partial(locking.sign_in_with, identity(), CALLER)
    with waiting(locking, postgres_url, act, user.id) as (connection, start):
        result = start()
        if change == "address":
            replace_address(connection, user.id, OTHER)
        else:
            store.delete_user(connection, user.id)
    tokens = result.result(SECONDS)
    assert (tokens.user.email, tokens.user.id != user.id) == (EMAIL, True)
    assert links(locking) == {(tokens.user.id, "1")}


def test_a_first_sign_in_beside_a_move_of_an_address(locking, postgres_url):
    """If another account gets the address meanwhile, the identity is linked to that account."""
    user = locking.accounts.create(EMAIL, PASSWORD)
    heir = locking.accounts.create(OTHER, PASSWORD)
    act = partial(locking.sign_in_with, identity(), CALLER)
    with waiting(locking, postgres_url, act, user.id) as (connection, start):
        result = start()
        replace_address(connection, user.id, "third@example.com")
        replace_address(connection, heir.id, EMAIL)
    assert result.result(SECONDS).user.id == heir.id
    assert links(locking) == {(heir.id, "1")}


def test_the_linking_begins_again_a_few_times(locking, postgres_url, monkeypatch):
    """If accounts change during each attempt, the sign-in is refused for now, and nothing is stored."""
    monkeypatch.setattr(sign_in, "MAX_ATTEMPTS", 1)
    user = locking.accounts.create(EMAIL, PASSWORD)
    act = partial(locking.sign_in_with, identity(), CALLER)
    with waiting(locking, postgres_url, act, user.id) as (connection, start):
        result = start()
        replace_address(connection, user.id, OTHER)
    with pytest.raises(StoreUnavailableError):
        result.result(SECONDS)
    assert links(locking) == set()


# --- the link of an identity


def test_a_sign_in_beside_a_link_to_another_account(locking, postgres_url):
    """An identity that is linked meanwhile signs in to the account of the link, and creates none."""
    act = partial(locking.sign_in_with, identity(), CALLER)
    with waiting(locking, postgres_url, act) as (connection, start):
        first = new_user(locking, OTHER)
        store.insert_user(connection, first, email_key(OTHER), None)
        linking_store.insert_link(connection, identity(), first.id, locking.clock())
        result = start()
    assert result.result(SECONDS).user.id == first.id
    assert [row.id for row in rows(locking, "users")] == [first.id]


def test_a_sign_in_beside_the_same_first_sign_in(locking, postgres_url, postbox):
    """If the same identity gets its account meanwhile, the sign-in is one to this account, without a mail."""
    new = identity(verified=False)
    act = partial(locking.sign_in_with, new, CALLER)
    with waiting(locking, postgres_url, act) as (connection, start):
        first = replace(new_user(locking, EMAIL), email_verified=False)
        store.insert_user(connection, first, email_key(EMAIL), None)
        linking_store.insert_link(connection, new, first.id, locking.clock())
        result = start()
    assert result.result(SECONDS).user.id == first.id
    assert locking.outbox.flush() and postbox.mails == []


@pytest.mark.parametrize("linked", [None, "2"])
def test_a_first_sign_in_beside_a_registration_of_its_address(locking, postgres_url, postbox, linked):
    """If another person gets the address meanwhile, the identity is refused, and the address gets a mail."""
    act = partial(locking.sign_in_with, identity(verified=False), CALLER)
    with waiting(locking, postgres_url, act) as (connection, start):
        other = new_user(locking, EMAIL)
        store.insert_user(connection, other, email_key(EMAIL), None)
        if linked is not None:
            linking_store.insert_link(connection, identity(linked), other.id, locking.clock())
        result = start()
    with pytest.raises(LinkRefusedError):
        result.result(SECONDS)
    assert locking.outbox.flush()
    assert [mail.to for mail in postbox.mails] == [EMAIL]


@pytest.mark.slow
@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("round_", range(3))
def test_simultaneous_first_sign_ins_with_an_identity(locking, postbox, verified, round_):
    """Each of several simultaneous first sign-ins with an identity gets tokens of the one new account."""
    new = identity(verified=verified)
    answers = together(8, lambda _: locking.sign_in_with(new, CALLER))
    (user,) = rows(locking, "users")
    assert [getattr(getattr(answer, "user", answer), "id", answer) for answer in answers] == [user.id] * 8
    assert locking.outbox.flush()
    # The new account gets one mail; a refused link would add another.
    assert len(postbox.mails) == 1, [mail.subject for mail in postbox.mails]


@pytest.mark.slow
def test_simultaneous_first_sign_ins_are_answered_alike(postgres_url, postbox):
    """With `enumeration_safe`, each of them is told to verify the address, and gets no other mail."""
    empty(postgres_url)
    with service_at(postgres_url, postbox=postbox, enumeration_safe=True) as service:
        new = identity(verified=False)
        answers = together(8, lambda _: service.sign_in_with(new, CALLER))
        assert {type(answer) for answer in answers} == {EmailNotVerifiedError}
        assert service.outbox.flush()
        assert {mail.subject for mail in postbox.mails} == {postbox.mails[0].subject}
        assert postbox.token()


def test_a_sign_in_beside_a_move_of_its_link(locking, postgres_url):
    """An identity whose link moves to another account meanwhile signs in to that one."""
    before = locking.sign_in_with(identity(), CALLER).user
    after = locking.accounts.create(OTHER, PASSWORD)
    act = partial(locking.sign_in_with, identity(email=OTHER), CALLER)
    with waiting(locking, postgres_url, act, before.id) as (connection, start):
        result = start()
        linking_store.delete_identities(connection, before.id, "github")
        linking_store.insert_link(connection, identity(), after.id, locking.clock())
    assert result.result(SECONDS).user.id == after.id


# --- changes that a session proves


def end_sessions(service, connection, user_id):
    service.sessions.end_sessions_of(connection, user_id)


@pytest.mark.slow
def test_a_wish_for_another_address_beside_the_end_of_its_session(locking, postgres_url):
    """A session that ends meanwhile changes nothing in an account without a password.

    Another person may have created the account; the provider of the owner has ended that person's session.
    """
    squatter = SocialIdentity("hub", "2", EMAIL, email_verified=False, auth_time=locking.clock())
    for change in ("ask", "delete"):
        me = principal_of(locking, locking.sign_in_with(squatter, CALLER).access_token)
        act = {
            "ask": partial(locking.address_changes.ask, me, OTHER, None, CALLER),
            "delete": partial(locking.deletion.delete, me, None, CALLER),
        }[change]
        with waiting(locking, postgres_url, act, me.subject) as (connection, start):
            result = start()
            end_sessions(locking, connection, me.subject)
        with pytest.raises(InvalidTokenError):
            result.result(SECONDS)
    assert rows(locking, "address_changes") == []
    assert len(rows(locking, "users")) == 1


def test_a_change_of_address_beside_the_end_of_its_session(locking, postgres_url, postbox):
    """A link for another address needs a session that is still active when the account is locked."""
    me = owner(locking)
    locking.address_changes.ask(me, OTHER, PASSWORD, CALLER)
    assert locking.outbox.flush()
    token = next(mail for mail in postbox.mails if mail.to == OTHER).text.partition("token=")[2].split()[0]
    act = partial(locking.address_changes.change, token, CALLER, principal=me)
    with waiting(locking, postgres_url, act, me.subject) as (connection, start):
        result = start()
        end_sessions(locking, connection, me.subject)
    with pytest.raises(InvalidTokenError):
        result.result(SECONDS)
    assert locking.accounts.find_by_id(me.subject).email == EMAIL
    assert locking.address_changes.find(token) is not None


def test_an_unlinking_beside_the_end_of_its_session(locking, postgres_url):
    """A session that ends meanwhile unlinks no provider."""
    locking.accounts.create(EMAIL, PASSWORD)
    me = principal_of(locking, locking.sign_in_with(identity(), CALLER).access_token)
    act = partial(locking.linking.unlink, me, "github", CALLER)
    with waiting(locking, postgres_url, act, me.subject) as (connection, start):
        result = start()
        end_sessions(locking, connection, me.subject)
    with pytest.raises(InvalidTokenError):
        result.result(SECONDS)
    assert links(locking) == {(me.subject, "1")}


@pytest.mark.parametrize("change", ["rotate", "revoke", "disable", "enable"])
@pytest.mark.parametrize("event", ["session", "account"])
def test_a_change_of_a_key_beside_the_end_of_its_session(locking, postgres_url, change, event):
    """A session that ends meanwhile, or an account that is disabled, changes no key."""
    me = owner(locking)
    keys = locking.api_keys
    key = create(locking, me, name="a key").key
    if change == "enable":
        keys.disable(me, key.id, CALLER)
    before = [rows(locking, table) for table in ("api_keys", "api_key_secrets")]
    act = partial(getattr(keys, change), me, key.id, CALLER)
    with waiting(locking, postgres_url, act, me.subject) as (connection, start):
        result = start()
        if event == "session":
            end_sessions(locking, connection, me.subject)
        else:
            store.update_user(connection, me.subject, disabled=True)
    with pytest.raises(InvalidTokenError):
        result.result(SECONDS)
    assert [rows(locking, table) for table in ("api_keys", "api_key_secrets")] == before


@pytest.mark.slow
def test_a_new_tier_beside_a_disabling(locking, postgres_url):
    """An operator changes the key of an account that is disabled meanwhile."""
    me = owner(locking)
    key = create(locking, me, name="a key").key
    tier = next(iter(locking.settings.api_key_tiers), key.tier)
    act = partial(locking.api_keys.set_tier, Operator(me.subject), key.id, tier, CALLER)
    with waiting(locking, postgres_url, act, me.subject) as (connection, start):
        result = start()
        store.update_user(connection, me.subject, disabled=True)
    assert result.result(SECONDS).tier == tier


@pytest.mark.parametrize("change", ["disable", "delete"])
def test_a_report_of_a_leak_beside_a_change_of_the_account(locking, postgres_url, change):
    """A report waits for the account before it locks the keys, which the other transaction locks last."""
    me = owner(locking)
    text = create(locking, me, name="a key").text
    reports, digest = locking.leak_reports, sha256_hex(text)
    matches = {digest: Match(text, "a_type", "", "commit", digest)}
    act = partial(reports.revoke, matches, reports.find(list(matches.values())), CALLER)
    with waiting(locking, postgres_url, act, me.subject) as (connection, start):
        result = start()
        if change == "disable":
            end_keys_of(connection, me.subject, locking.clock())
        else:
            store.delete_user(connection, me.subject)
    assert result.result(SECONDS) is None
    assert len(rows(locking, "api_key_exposures")) == (1 if change == "disable" else 0)


# --- links in mails


def test_a_disabling_beside_a_new_link(locking, postgres_url):
    """Disabling an account also ends a link that is being stored at the same time."""
    user = locking.accounts.create(EMAIL, PASSWORD)
    act = partial(locking.accounts.disable, user.id)
    with waiting(locking, postgres_url, act) as (connection, start):
        store.upsert_one_time_token(connection, user.id, "reset", "0" * 64, locking.clock() + 600)
        result = start()
    assert result.result(SECONDS) is None
    assert rows(locking, "one_time_tokens") == []


@pytest.mark.slow
def test_a_change_of_a_key_by_an_active_session(locking, postgres_url):
    """A change by a session that stays active is stored after the wait."""
    me = owner(locking)
    key = create(locking, me, name="a key").key
    act = partial(locking.api_keys.rotate, me, key.id, CALLER)
    with waiting(locking, postgres_url, act, me.subject) as (_, start):
        result = start()
    assert result.result(SECONDS).key.generation == key.generation + 1
