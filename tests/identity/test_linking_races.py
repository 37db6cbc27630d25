"""Proofs of an address at the same moment as sign-ins: nothing that has ended goes on."""

import pytest

from authguard.identity import SocialIdentity
from authguard.identity.errors import InvalidCredentialsError, LinkRefusedError
from authguard.identity.model import Tokens
from identity.people import EMAIL, NEW
from identity.support import CALLER, PASSWORD, together
from identity.test_sessions import is_alive, principal_of


def identity(subject, email, *, verified):
    return SocialIdentity("github", subject, email, email_verified=verified)


def living(service, answers):
    """Those of the tokens that still let in."""
    return [
        answer for answer in answers if isinstance(answer, Tokens) and is_alive(service, answer.access_token)
    ]


@pytest.mark.parametrize("round_", range(5))
def test_sign_ins_beside_a_reset_leave_no_session(service, postbox, round_):
    """Of sign-ins by an unverified provider at the moment of the reset, none is alive afterwards."""
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
    assert answers[3] is None
    assert {type(answer) for answer in answers} <= {type(None), Tokens, LinkRefusedError}
    assert living(service, answers) == []


@pytest.mark.parametrize("round_", range(5))
def test_logins_beside_a_join_leave_no_session(service, round_):
    """Of logins with an unproven password at the moment when a provider joins, none is alive afterwards."""
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
    """Of logins at the moment when the account is closed, none is alive afterwards."""
    email = f"ann{round_}@example.com"
    service.accounts.register(email, PASSWORD, "", CALLER)
    assert service.outbox.flush()
    token = postbox.token()

    def act(index):
        if index == 3:
            return service.links.decline_registration(token, CALLER)
        return service.accounts.login(email, PASSWORD, CALLER)

    answers = together(7, act)
    assert answers[3] is None
    assert {type(answer) for answer in answers} <= {type(None), Tokens, InvalidCredentialsError}
    assert living(service, answers) == []


def test_two_unlinkings_at_once_leave_a_way_in(service):
    """Of two providers that are unlinked at the same moment, one stays."""
    tokens = service.sign_in_with(identity("1", EMAIL, verified=True))
    service.sign_in_with(SocialIdentity("other", "2", EMAIL, email_verified=True))
    me = principal_of(service, tokens.access_token)
    answers = together(2, lambda index: service.linking.unlink(me, ("github", "other")[index], CALLER))
    assert sorted(type(answer).__name__ for answer in answers) == ["LastSignInError", "NoneType"]
