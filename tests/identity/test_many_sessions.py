"""Accounts with many sessions: how many live, and what ending all of them costs."""

import contextlib

import pytest
from sqlalchemy import event

from authguard.identity.usecases.sessions import MAX_SESSIONS
from identity.many import add_sessions
from identity.support import ANN, CALLER, PASSWORD


@pytest.fixture
def user(service):
    """The account of Ann."""
    return service.accounts.create(ANN["email"], PASSWORD)


def sign_in(service):
    """Sign in with the password; the tokens."""
    return service.accounts.login(ANN["email"], PASSWORD, CALLER)


def principal_of(service, tokens):
    """The caller with these tokens."""
    return service.clients._verify(tokens.access_token)


def is_alive(service, tokens):
    """Tell a session that has not ended."""
    return service.sessions.authenticate(principal_of(service, tokens)) is not None


@contextlib.contextmanager
def counted(service):
    """The statements that are sent to the database."""
    statements = []

    def note(connection, cursor, statement, *rest):
        statements.append(statement)

    event.listen(service.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(service.database.engine, "before_cursor_execute", note)


def test_the_oldest_session_ends_when_there_would_be_one_too_many(service, user, clock):
    """Of 101 sign-ins the first one has ended, and the second one goes on."""
    first = sign_in(service)
    clock.go_on(1)
    second = sign_in(service)
    clock.go_on(1)
    for _ in range(MAX_SESSIONS - 2):
        service.accounts.issue_tokens(user.id)
    assert is_alive(service, first)
    last = sign_in(service)
    assert not is_alive(service, first)
    assert is_alive(service, second)
    assert is_alive(service, last)
    assert len(service.sessions.list(principal_of(service, last))) == MAX_SESSIONS


def test_a_session_that_was_ended_for_a_newer_one_is_revoked(service, user, clock):
    """Guards that ask for revocations refuse its access token, and its refresh token is refused."""
    first = sign_in(service)
    principal = principal_of(service, first)
    clock.go_on(1)
    for _ in range(MAX_SESSIONS):
        last = service.accounts.issue_tokens(user.id)
    assert service.revocations.is_revoked(principal)
    assert not service.revocations.is_revoked(principal_of(service, last))


def test_other_accounts_keep_theirs(service, user):
    """A session of another account does not count."""
    bob = service.accounts.create("bob@example.com", PASSWORD)
    tokens = service.accounts.issue_tokens(bob.id)
    add_sessions(service, user.id, MAX_SESSIONS)
    sign_in(service)
    assert is_alive(service, tokens)


@pytest.mark.parametrize("count", [0, 1, 50, 2_000])
def test_ending_all_takes_as_many_statements_for_few_as_for_many(service, user, count):
    """One statement ends all sessions, and one revokes their tokens; ten more keep the log."""
    tokens = sign_in(service)
    add_sessions(service, user.id, count)
    principal = principal_of(service, tokens)
    with counted(service) as statements:
        service.sessions.log_out_everywhere(principal, CALLER)
    changes = [
        statement
        for statement in statements
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE", "SELECT")
    ]
    assert len(changes) == (11 if service.database.is_sqlite else 12)
    assert not is_alive(service, tokens)
    assert service.revocations.is_revoked(principal)
    assert service.sessions.list(principal) == []


@pytest.mark.parametrize("count", [1, 2_000])
def test_a_sign_in_after_many_takes_no_more_statements(service, user, count):
    """An older version's thousands of sessions are ended by the next sign-in, together."""
    sign_in(service)
    add_sessions(service, user.id, count)
    with counted(service) as statements:
        tokens = sign_in(service)
    assert len(statements) <= 21
    assert len(service.sessions.list(principal_of(service, tokens))) == min(MAX_SESSIONS, count + 2)


def test_the_own_session_goes_on_after_a_change_of_the_password(service, user):
    """Ending all the others leaves the one that asks."""
    tokens = sign_in(service)
    add_sessions(service, user.id, 10)
    service.accounts.change_password(principal_of(service, tokens), PASSWORD, "An0ther-Password!", CALLER)
    assert [each.id for each in service.sessions.list(principal_of(service, tokens))] == [tokens.session_id]
