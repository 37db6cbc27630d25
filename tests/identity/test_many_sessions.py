"""Accounts with many sessions: the maximum of sessions, and the cost of ending all of them."""

import contextlib

import pytest
from sqlalchemy import event

from authguard.identity.usecases.sessions import MAX_SESSIONS
from identity.many import add_sessions
from identity.support import ANN, CALLER, PASSWORD

pytestmark = pytest.mark.slow_on_postgresql


@pytest.fixture
def user(service):
    """Return the account of Ann."""
    return service.accounts.create(ANN["email"], PASSWORD)


def sign_in(service):
    """Sign in with the password, and return the tokens."""
    return service.accounts.login(ANN["email"], PASSWORD, CALLER)


def principal_of(service, tokens):
    """Return the principal of tokens."""
    return service.clients._verify(tokens.access_token, service.own_tokens)


def is_alive(service, tokens):
    """Return whether a session has not ended."""
    return service.sessions.authenticate(principal_of(service, tokens)) is not None


@contextlib.contextmanager
def counted(service):
    """Record the statements that are sent to the database."""
    statements = []

    def note(connection, cursor, statement, *rest):
        statements.append(statement)

    event.listen(service.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(service.database.engine, "before_cursor_execute", note)


@pytest.mark.slow
def test_the_oldest_session_ends_when_there_would_be_one_too_many(service, user, clock):
    """A sign-in beyond the maximum of sessions ends the oldest session only."""
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


@pytest.mark.slow
def test_a_session_that_was_ended_for_a_newer_one_is_revoked(service, user, clock):
    """A session that a newer one has ended is revoked."""
    first = sign_in(service)
    principal = principal_of(service, first)
    clock.go_on(1)
    for _ in range(MAX_SESSIONS):
        last = service.accounts.issue_tokens(user.id)
    assert service.revocations.is_revoked(principal)
    assert not service.revocations.is_revoked(principal_of(service, last))


def test_other_accounts_keep_theirs(service, user):
    """Sessions of another account do not count."""
    bob = service.accounts.create("bob@example.com", PASSWORD)
    tokens = service.accounts.issue_tokens(bob.id)
    add_sessions(service, user.id, MAX_SESSIONS)
    sign_in(service)
    assert is_alive(service, tokens)


@pytest.mark.parametrize("count", [0, 1, 50, 2_000])
def test_ending_all_takes_as_many_statements_for_few_as_for_many(service, user, count):
    """Ending all sessions takes the same number of statements for any number of sessions."""
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
    assert len(changes) == (12 if service.database.is_sqlite else 13)
    assert not is_alive(service, tokens)
    assert service.revocations.is_revoked(principal)
    assert service.sessions.list(principal) == []


@pytest.mark.parametrize("count", [1, 2_000])
def test_a_sign_in_after_many_takes_no_more_statements(service, user, count):
    """A sign-in after thousands of sessions ends them with a constant number of statements."""
    sign_in(service)
    add_sessions(service, user.id, count)
    with counted(service) as statements:
        tokens = sign_in(service)
    assert len(statements) <= 21
    assert len(service.sessions.list(principal_of(service, tokens))) == min(MAX_SESSIONS, count + 2)


def test_the_own_session_goes_on_after_a_change_of_the_password(service, user):
    """A change of the password keeps the session that makes it."""
    tokens = sign_in(service)
    add_sessions(service, user.id, 10)
    service.accounts.change_password(principal_of(service, tokens), PASSWORD, "An0ther-Password!", CALLER)
    assert [each.id for each in service.sessions.list(principal_of(service, tokens))] == [tokens.session_id]
