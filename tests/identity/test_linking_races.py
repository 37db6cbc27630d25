"""Proofs of an address at the moment of sign-ins: ended credentials stay ended."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from authguard.identity import SocialIdentity
from authguard.identity.errors import (
    InvalidCredentialsError,
    InvalidLinkError,
    KeyNotActiveError,
    LinkRefusedError,
)
from authguard.identity.keys.generations import revoke_keys_of
from authguard.identity.model import Tokens, User
from authguard.identity.storage import queries as store
from identity.api_key_support import create, owner
from identity.people import EMAIL, NEW
from identity.support import CALLER, PASSWORD, empty, kept_connection, service_at, together
from identity.test_sessions import is_alive, principal_of
from remote.servers import until

SECONDS = 10  # the limit for a thread that no longer waits


def identity(subject, email, *, verified):
    return SocialIdentity("github", subject, email, email_verified=verified)


def living(service, answers):
    """Return the accepted tokens of the answers."""
    return [
        answer for answer in answers if isinstance(answer, Tokens) and is_alive(service, answer.access_token)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(5))
def test_sign_ins_beside_a_reset_leave_no_session(service, postbox, round_):
    """A sign-in by an unverified provider at the moment of a reset leaves no valid session."""
    email = f"ann{round_}@example.com"
    service.sign_in_with(identity(email, email, verified=False))
    assert service.outbox.flush()
    service.links.request_password_reset(email, CALLER)
    assert service.outbox.flush()
    token = postbox.token()

    def act(index):
        if index == 3:
            return service.links.reset_password(token, NEW, CALLER)
        return service.sign_in_with(identity(email, email, verified=False))

    answers = together(7, act)
    assert isinstance(answers[3], str)
    assert {type(answer) for answer in answers} <= {str, Tokens, LinkRefusedError}
    assert living(service, answers) == []


@pytest.mark.parametrize("round_", range(5))
def test_logins_beside_a_join_leave_no_session(service, round_):
    """A login with an unproven password at the moment when a provider is linked leaves no valid session."""
    email = f"ann{round_}@example.com"
    service.accounts.register(email, PASSWORD, "", CALLER)

    def act(index):
        if index == 3:
            return service.sign_in_with(identity(email, email, verified=True))
        return service.accounts.login(email, PASSWORD, CALLER)

    answers = together(7, act)
    assert living(service, answers) == [answers[3]]


@pytest.mark.parametrize("round_", range(5))
def test_logins_beside_a_closing_leave_no_session(service, postbox, round_):
    """A login at the moment when the registration is declined leaves no valid session."""
    email = f"ann{round_}@example.com"
    service.accounts.register(email, PASSWORD, "", CALLER)
    assert service.outbox.flush()
    token = postbox.token()

    def act(index):
        if index == 3:
            return service.links.decline_registration(token, CALLER)
        return service.accounts.login(email, PASSWORD, CALLER)

    answers = together(7, act)
    assert isinstance(answers[3], User)
    assert {type(answer) for answer in answers} <= {User, Tokens, InvalidCredentialsError}
    assert living(service, answers) == []


def test_two_unlinkings_at_once_leave_a_way_in(service):
    """Of two providers that are unlinked at the same moment, one stays linked."""
    tokens = service.sign_in_with(identity("1", EMAIL, verified=True))
    service.sign_in_with(SocialIdentity("other", "2", EMAIL, email_verified=True))
    me = principal_of(service, tokens.access_token)
    answers = together(2, lambda index: service.linking.unlink(me, ("github", "other")[index], CALLER))
    assert sorted(type(answer).__name__ for answer in answers) == ["LastSignInError", "NoneType"]


@pytest.mark.parametrize("change", ["rotate", "revoke", "disable"])
def test_a_change_of_a_key_waits_for_one_of_its_account(postgres_url, clock, change):
    """A change of a key waits for a change of its account, instead of a deadlock."""
    empty(postgres_url)
    with service_at(postgres_url, clock=clock) as service, ThreadPoolExecutor(1) as pool:
        me = owner(service)
        key = create(service, me, name="a key").key
        act = {
            "rotate": service.api_keys.rotate,
            "revoke": service.api_keys.revoke,
            "disable": service.api_keys.disable,
        }[change]
        with service.database.write() as connection:
            store.lock_account(connection, me.subject)
            changed = pool.submit(act, me, key.id, CALLER)
            until(lambda: kept_connection(postgres_url).execute(WAITING).fetchone())
            revoke_keys_of(connection, me.subject, clock())
        if change == "revoke":
            assert changed.result(SECONDS) is None
        else:
            with pytest.raises(KeyNotActiveError):
                changed.result(SECONDS)


def test_a_mail_waits_for_a_deletion_of_its_account(postgres_url, clock, postbox, caplog):
    """A mail waits for the deletion of its account, instead of a deadlock."""
    empty(postgres_url)
    with service_at(postgres_url, clock=clock, postbox=postbox) as service, ThreadPoolExecutor(1) as pool:
        user = service.accounts.create(EMAIL, PASSWORD)
        postbox.broken = True
        service.links.request_password_reset(EMAIL, CALLER)
        assert service.outbox.flush()
        service.links.request_password_reset(EMAIL, CALLER)
        with service.database.write() as connection:
            store.lock_account(connection, user.id)
            sent = pool.submit(service.outbox.flush)
            until(lambda: kept_connection(postgres_url).execute(WAITING).fetchone())
            store.delete_user(connection, user.id)
        assert sent.result(SECONDS)
    assert "waited for each other" not in caplog.text


WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("button", ["verify", "verify and set a password", "decline", "reset"])
def test_a_link_waits_for_a_change_of_its_account(postgres_url, clock, postbox, button):
    """The use of a link waits for a change of its account, instead of a deadlock, and is refused then."""
    empty(postgres_url)
    with service_at(postgres_url, clock=clock, postbox=postbox) as service:
        user = service.accounts.register(EMAIL, PASSWORD, "", CALLER).user
        if button == "reset":
            service.links.request_password_reset(EMAIL, CALLER)
        assert service.outbox.flush()
        token, links = postbox.token(), service.links
        press = {
            "verify": partial(links.confirm_email, token, CALLER),
            "verify and set a password": partial(links.confirm_email_with_new_password, token, NEW, CALLER),
            "decline": partial(links.decline_registration, token, CALLER),
            "reset": partial(links.reset_password, token, NEW, CALLER),
        }[button]
        with ThreadPoolExecutor(1) as pool:
            with service.database.write() as connection:
                store.lock_account(connection, user.id)
                pressed = pool.submit(press)
                until(lambda: kept_connection(postgres_url).execute(WAITING).fetchone())
                store.delete_one_time_tokens(connection, user.id)
            with pytest.raises(InvalidLinkError):
                pressed.result(SECONDS)
