"""Sessions: refresh tokens rotate, reuse ends the session, and a lost answer does not."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from authguard._core.model import Credential
from authguard._core.options import MAX_LEEWAY
from authguard.errors import ConfigurationError, InvalidTokenError
from authguard.identity.errors import NotFoundError, StoreUnavailableError
from authguard.identity.storage.database import Database
from authguard.identity.storage.queries import delete_user
from authguard.identity.storage.schema import marks, sessions, users
from authguard.identity.storage.session_queries import find_sessions
from authguard.identity.usecases.refresh import ProlongRequest, RefreshRequest
from authguard.stores.log import KEEP_SECONDS
from authguard.testing import issue_token
from identity.support import CALLER, ISSUER, NOW, PASSWORD, SECRET, service_at, together
from support import judge

pytestmark = pytest.mark.slow_on_postgresql


def register(service, email="ann@example.com"):
    return service.accounts.register(email, PASSWORD, "Ann", CALLER)


def principal_of(service, access_token):
    credential = Credential(access_token, "bearer")
    return judge(service.own_tokens, credential, service.clock()).principal


def is_alive(service, access_token):
    return service.sessions.authenticate(principal_of(service, access_token)) is not None


def test_refresh_gives_new_tokens(service):
    """A refresh gives another refresh token, and an access token of the same session."""
    tokens = register(service)
    again = service.sessions.refresh(tokens.refresh_token, CALLER)
    assert again.refresh_token != tokens.refresh_token
    assert again.access_token != tokens.access_token
    assert again.session_id == tokens.session_id


def test_refresh_token_before_the_newest_is_answered_within_the_grace(service, clock):
    """The refresh token before the newest gets the same successor for 30 seconds."""
    tokens = register(service)
    first = service.sessions.refresh(tokens.refresh_token, CALLER)
    clock.go_on(29)
    assert service.sessions.refresh(tokens.refresh_token, CALLER).refresh_token == first.refresh_token


def test_reuse_ends_the_session(service, clock):
    """A refresh token that is used again later ends the session."""
    tokens = register(service)
    newest = service.sessions.refresh(tokens.refresh_token, CALLER)
    newest = service.sessions.refresh(newest.refresh_token, CALLER)
    clock.go_on(31)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, CALLER)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(newest.refresh_token, CALLER)
    assert not is_alive(service, newest.access_token)


def test_reuse_of_an_older_generation_ends_the_session_at_once(service):
    """A refresh token of two generations before ends the session at once."""
    tokens = register(service)
    second = service.sessions.refresh(tokens.refresh_token, CALLER)
    third = service.sessions.refresh(second.refresh_token, CALLER)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, CALLER)
    assert not is_alive(service, third.access_token)


@pytest.mark.slow
def test_many_concurrent_refreshes_give_one_generation(service):
    """A thousand simultaneous uses of one refresh token make one generation, and all succeed."""
    tokens = register(service)

    def refresh(_):
        return [service.sessions.refresh(tokens.refresh_token, CALLER) for _ in range(20)]

    answers = [each for batch in together(50, refresh) for each in batch]
    assert len(answers) == 1000
    assert len({each.refresh_token for each in answers}) == 1
    with service.database.read() as connection:
        assert connection.execute(select(sessions.c.generation)).scalars().all() == [1]
    assert is_alive(service, answers[-1].access_token)
    service.sessions.refresh(answers[-1].refresh_token, CALLER)


@pytest.mark.slow
def test_refresh_that_was_overtaken_looks_again(service):
    """A refresh of a session that changes meanwhile is decided by its new state."""
    tokens = register(service)
    answers = []

    def refresh():
        try:
            answers.append(service.sessions.refresh(tokens.refresh_token, CALLER))
        except InvalidTokenError as error:
            answers.append(error)

    with service.database.write() as connection:
        connection.execute(sessions.update().values(generation=2))
        thread = threading.Thread(target=refresh)
        thread.start()
        # Until the thread waits: for the row in PostgreSQL, for the only writer in SQLite.
        thread.join(0.3)
        assert thread.is_alive()
    thread.join()
    assert isinstance(answers[0], InvalidTokenError)


def test_refreshes_together_are_decided_one_by_one(service, clock):
    """Refreshes that are stored together are answered like single ones."""
    good, reused, other = register(service), register(service, "bob@example.com"), register(service, "c@d.ef")
    second = service.sessions.refresh(reused.refresh_token, CALLER)
    service.sessions.refresh(second.refresh_token, CALLER)
    clock.go_on(31)
    tokens = [good.refresh_token, "rt_garbage", reused.refresh_token, other.refresh_token, good.refresh_token]
    client = [None, None, None, "somebody's", None]
    answers = service.sessions.refresher.refresh_all(
        [RefreshRequest(token, CALLER, client_id) for token, client_id in zip(tokens, client, strict=True)]
    )
    assert [isinstance(answer, InvalidTokenError) for answer in answers] == [False, True, True, True, False]
    assert answers[0].session_id == good.session_id
    assert answers[4].refresh_token == answers[0].refresh_token
    assert not is_alive(service, reused.access_token)
    assert is_alive(service, other.access_token)


def test_refresh_token_is_good_once_for_those_who_refresh_together(url, clock):
    """Without a grace, the second use of a token in one transaction ends the session."""
    with service_at(url, clock=clock, refresh_grace=0) as service:
        tokens = register(service)
        first, second = service.sessions.refresher.refresh_all(
            [RefreshRequest(tokens.refresh_token, CALLER)] * 2
        )
        assert isinstance(second, InvalidTokenError)
        assert not is_alive(service, first.access_token)


def test_sessions_are_prolonged_together(service):
    """Of sessions that are prolonged together, the ended ones are refused."""
    ended, alive = register(service), register(service, "bob@example.com")
    principals = [principal_of(service, each.access_token) for each in (ended, alive)]
    service.sessions.log_out(principals[0], CALLER)
    first, second = service.sessions.refresher.prolong_all(
        [ProlongRequest(principal, CALLER) for principal in principals]
    )
    assert isinstance(first, InvalidTokenError)
    assert second.session_id == alive.session_id


def test_callers_are_found_together(service):
    """Several callers are found at once, and one without a session of its own is not found."""
    ann, bob = register(service), register(service, "bob@example.com")
    principals = [principal_of(service, each.access_token) for each in (ann, bob)]
    mixed = replace(principals[0], claims=principals[1].claims)
    nobody = replace(principals[0], claims={})
    result = service.sessions.authenticate_all([*principals, mixed, nobody, principals[0]])
    assert result == [ann.user, bob.user, None, None, ann.user]


def test_there_is_one_row_for_each_session(service):
    """A session that is refreshed several times stays one row."""
    token = register(service).refresh_token
    for _ in range(5):
        token = service.sessions.refresh(token, CALLER).refresh_token
    with service.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(sessions)).scalar() == 1


def test_generation_that_the_database_has_lost_is_accepted(service):
    """A refresh token of a generation that the database has lost is accepted."""
    tokens = register(service)
    newest = service.sessions.refresh(tokens.refresh_token, CALLER)
    with service.database.write() as connection:
        connection.execute(sessions.update().values(generation=0))
    again = service.sessions.refresh(newest.refresh_token, CALLER)
    assert service.sessions.refresh(again.refresh_token, CALLER).session_id == tokens.session_id


@pytest.mark.parametrize("change", ["prefix", "tail", "middle", "short", "long", "empty", "unicode"])
def test_garbage_is_refused_without_the_database(service, change):
    """A malformed refresh token is refused without a query of the database."""
    good = register(service).refresh_token
    bad = {
        "prefix": "rx" + good[2:],
        "tail": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "middle": good[:30] + ("A" if good[30] != "A" else "B") + good[31:],
        "short": good[:-4],
        "long": good + "AAAA",
        "empty": "",
        "unicode": good[:-1] + "é",
    }[change]
    service.database.close()
    service.database.read = None
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(bad, CALLER)


def test_refresh_token_of_another_secret_is_refused(service, url):
    """A refresh token of another secret is refused."""
    tokens = register(service)
    with (
        service_at(url, secret=SECRET[::-1]) as other,
        pytest.raises(InvalidTokenError),
    ):
        other.sessions.refresh(tokens.refresh_token, CALLER)


def test_session_ends_when_it_is_not_refreshed(service, clock):
    """A session ends after 30 days without a refresh."""
    tokens = register(service)
    clock.go_on(30 * 86_400)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, CALLER)


def test_session_ends_in_any_case(url, clock):
    """A session ends at its absolute end, regardless of refreshes, and so do its access tokens."""
    with service_at(url, clock=clock, refresh_lifetime=600, session_lifetime=1000) as service:
        token = register(service).refresh_token
        clock.go_on(500)
        again = service.sessions.refresh(token, CALLER)
        assert again.expires_in == 500
        clock.go_on(500)
        with pytest.raises(InvalidTokenError):
            service.sessions.refresh(again.refresh_token, CALLER)


def test_access_token_prolongs_its_session(service, clock):
    """An access token prolongs its session, and the refresh token remains valid."""
    tokens = register(service)
    clock.go_on(29 * 86_400)
    again = service.sessions.prolong(principal_of_at(service, tokens), CALLER)
    clock.go_on(29 * 86_400)
    assert again.session_id == tokens.session_id
    assert service.sessions.refresh(tokens.refresh_token, CALLER).session_id == tokens.session_id


def principal_of_at(service, tokens):
    """Return the principal, as the guard saw it when the token was new."""
    credential = Credential(tokens.access_token, "bearer")
    return judge(service.own_tokens, credential, service.clock() - 29 * 86_400).principal


def test_a_session_that_is_deleted_during_a_refresh_is_refused(service):
    """A refresh of a session that is deleted meanwhile is refused, and is no outage."""
    tokens = register(service)
    refresher = service.sessions.refresher
    token = refresher._base.refresh_tokens.parse(tokens.refresh_token)
    with service.database.write() as connection:
        rows = find_sessions(connection, [token.session_id])
        delete_user(connection, tokens.user.id)
        request = RefreshRequest(tokens.refresh_token, CALLER)
        assert refresher._advance(connection, rows, token, request).step == "refuse"


def test_logout_ends_access_and_refresh(service):
    """A logout ends both tokens of the session, and no other session."""
    first, second = register(service), service.accounts.login("ann@example.com", PASSWORD, CALLER)
    service.sessions.log_out(principal_of(service, first.access_token), CALLER)
    assert not is_alive(service, first.access_token)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(first.refresh_token, CALLER)
    with pytest.raises(InvalidTokenError):
        service.sessions.prolong(principal_of(service, first.access_token), CALLER)
    assert is_alive(service, second.access_token)


def test_a_second_logout_writes_nothing(service):
    """A second logout writes nothing to the database, and leaves no second event."""
    tokens = register(service)
    principal = principal_of(service, tokens.access_token)
    service.sessions.log_out(principal, CALLER)
    kept = service.database._writers
    service.database._writers = Database("sqlite:////nowhere/at/all.db")._writers
    service.sessions.log_out(principal, CALLER)
    service.database._writers = kept
    assert service.audit.counts()["logout", "success"] == 1


@pytest.mark.slow
def test_logout_holds_for_another_process(service, url, clock):
    """A logout is known at once to another service on the same database, and to its revocations."""
    tokens = register(service)
    with service_at(url, clock=clock) as other:
        principal = principal_of(other, tokens.access_token)
        assert not other.revocations.is_revoked(principal)
        service.sessions.log_out(principal, CALLER)
        assert other.revocations.is_revoked(principal)
        assert other.sessions.authenticate(principal) is None


def test_logout_everywhere(service):
    """A logout everywhere ends all sessions of the account, and none of another account."""
    first, second = register(service), service.accounts.login("ann@example.com", PASSWORD, CALLER)
    other = register(service, "bob@example.com")
    service.sessions.log_out_everywhere(principal_of(service, first.access_token), CALLER)
    assert [is_alive(service, each.access_token) for each in (first, second, other)] == [False, False, True]


def test_sessions_are_listed(service, clock):
    """The list has the sessions that have not ended, the newest first."""
    first = register(service)
    clock.go_on(1)
    second = service.accounts.login("ann@example.com", PASSWORD, CALLER)
    results = service.sessions.list(principal_of(service, first.access_token))
    assert [session.id for session in results] == [second.session_id, first.session_id]
    assert results[0].address == CALLER.address


def test_one_session_is_ended(service):
    """Ending another own session keeps the current one."""
    first, second = register(service), service.accounts.login("ann@example.com", PASSWORD, CALLER)
    service.sessions.end(principal_of(service, first.access_token), second.session_id, CALLER)
    assert [is_alive(service, each.access_token) for each in (first, second)] == [True, False]


@pytest.mark.parametrize("session_id", ["\x00", "a\x00b", "\ud800", "é" * 300, ""])
def test_a_session_of_an_odd_name_is_not_there(service, session_id):
    """A session id that a database cannot store is not found."""
    principal = principal_of(service, register(service).access_token)
    with pytest.raises(NotFoundError):
        service.sessions.end(principal, session_id, CALLER)


def test_nobody_ends_the_session_of_another(service):
    """A session of another account is not found."""
    ann, bob = register(service), register(service, "bob@example.com")
    with pytest.raises(NotFoundError):
        service.sessions.end(principal_of(service, ann.access_token), bob.session_id, CALLER)
    assert is_alive(service, bob.access_token)


def test_marks_are_forgotten(service, clock):
    """The marks of a logout are deleted once no token of the session can be valid."""
    first, second = register(service), register(service, "bob@example.com")
    service.sessions.log_out(principal_of(service, first.access_token), CALLER)
    clock.go_on(28_800 + 300 + KEEP_SECONDS - 1)
    later = service.accounts.login("bob@example.com", PASSWORD, CALLER)
    service.sessions.log_out(principal_of(service, later.access_token), CALLER)
    assert names(service) == {first.session_id, later.session_id}
    clock.go_on(1)
    again = service.accounts.login("bob@example.com", PASSWORD, CALLER)
    service.sessions.log_out(principal_of(service, again.access_token), CALLER)
    assert names(service) == {later.session_id, again.session_id}
    assert second.session_id not in names(service)


def names(service):
    with service.database.read() as connection:
        return set(connection.execute(select(marks.c.name)).scalars())


@pytest.mark.parametrize("kind", ["token_id", "subject", "session"])
def test_revocations_of_each_kind(service, kind, clock):
    """A token, a session, and the issued tokens of a subject can be revoked."""
    tokens = register(service)
    principal = principal_of(service, tokens.access_token)
    name = {"token_id": principal.token_id, "subject": principal.subject, "session": tokens.session_id}[kind]
    service.revocations.revoke(**{kind: name}, until=clock() + 60)
    assert service.revocations.is_revoked(principal)
    clock.go_on(1)
    later = service.accounts.login("ann@example.com", PASSWORD, CALLER)
    assert not service.revocations.is_revoked(principal_of(service, later.access_token))
    clock.go_on(60 + MAX_LEEWAY)
    assert not service.revocations.is_revoked(principal)


@pytest.mark.parametrize("named", [{}, {"token_id": "a", "session": "b"}])
def test_revocation_names_one_thing(service, named):
    """A revocation without exactly one thing to revoke is refused."""
    with pytest.raises(ConfigurationError):
        service.revocations.revoke(**named, until=0)


def test_disabled_account_is_out_even_if_a_session_was_left(service):
    """A disabled account is refused, although its session has not ended."""
    tokens = register(service)
    with service.database.write() as connection:
        connection.execute(users.update().values(disabled=True))
    assert not is_alive(service, tokens.access_token)
    for refused in (
        lambda: service.sessions.refresh(tokens.refresh_token, CALLER),
        lambda: service.sessions.prolong(principal_of(service, tokens.access_token), CALLER),
    ):
        with pytest.raises(InvalidTokenError):
            refused()


def test_session_belongs_to_its_subject(service):
    """A token of another subject with the id of the session is refused."""
    tokens = register(service)
    token = issue_token(
        SECRET, subject="other", now=NOW, iss=ISSUER, aud=ISSUER, jti="x", sid=tokens.session_id
    )
    assert not is_alive(service, token)


def test_disabled_account_is_out_at_once(service):
    """Disabling an account ends its sessions, and enabling it does not bring them back."""
    tokens = register(service)
    service.accounts.disable(tokens.user.id)
    assert not is_alive(service, tokens.access_token)
    service.accounts.disable(tokens.user.id, disabled=False)
    assert not is_alive(service, tokens.access_token)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, CALLER)


def test_logout_that_cannot_be_stored_is_an_outage(service):
    """A logout that cannot be stored raises an error, and the session continues."""
    tokens = register(service)
    principal = principal_of(service, tokens.access_token)
    with service.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE authguard_marks RENAME TO gone")
    try:
        with pytest.raises(Exception) as raised:
            service.sessions.log_out(principal, CALLER)
    finally:
        with service.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO authguard_marks")
    assert not isinstance(raised.value, AssertionError)
    assert is_alive(service, tokens.access_token)


def test_database_that_is_away_is_an_outage(url):
    """A database that cannot be reached raises StoreUnavailableError, for reads and writes."""
    away = (
        "sqlite:////nowhere/at/all.db" if url.startswith("sqlite") else "postgresql://postgres@127.0.0.1:1/x"
    )
    with service_at(away) as service:
        with pytest.raises(StoreUnavailableError):
            service.accounts.find("ann@example.com")
        with pytest.raises(StoreUnavailableError):
            service.accounts.create("ann@example.com", PASSWORD)
