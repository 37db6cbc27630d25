"""Ends of sessions by a process whose `access_lifetime` is not that of the tokens."""

import pytest

from authguard.identity import Identity
from authguard.identity.storage.old_rows.lifetimes import find_longest_lifetime
from identity.api_key_support import rows
from identity.people import EMAIL
from identity.support import CALLER, PASSWORD, Clock, service_at, together
from identity.test_sessions import principal_of

SHORT, DEFAULT, WEEK = 60, 28_800, 7 * 86_400
LEEWAY, HOUR, DAY = 300, 3_600, 86_400


@pytest.fixture(name="short")
def _short(url, clock):
    """Return a service with the shortest lifetime."""
    with service_at(url, clock=clock, access_lifetime=SHORT) as service:
        yield service


def lifetimes(service):
    """Return the rows of the table: seconds, and when a service last had them."""
    return {row.seconds: row.seen_at for row in rows(service, "access_lifetimes")}


def longest(service):
    with service.database.read() as connection:
        return find_longest_lifetime(connection, service.settings.access_lifetime, service.clock())


def caller_of(url, clock, lifetime, **given):
    """Return the caller with a token of a service that has stopped since, with this lifetime."""
    with service_at(url, clock=clock, access_lifetime=lifetime, **given) as service:
        user = service.accounts.find(EMAIL) or service.accounts.create(EMAIL, PASSWORD)
        return principal_of(service, service.accounts.issue_tokens(user.id).access_token)


ENDS = {
    "logout": lambda service, me: service.sessions.log_out(me, CALLER),
    "everywhere": lambda service, me: service.sessions.log_out_everywhere(me, CALLER),
    "one": lambda service, me: service.sessions.end(me, me.claims["sid"], CALLER),
    "disabled": lambda service, me: service.accounts.disable(me.subject),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_logout_of_a_token_from_before_a_shorter_lifetime(url, clock, short, end):
    """A token of 8 hours stays revoked for as long, although the service now issues tokens for a minute."""
    me = caller_of(url, clock, DEFAULT)
    clock.go_on(HOUR)
    ENDS[end](short, me)
    for seconds in (SHORT + LEEWAY + 1, 6 * HOUR, DEFAULT + LEEWAY - 7 * HOUR - SHORT - LEEWAY - 2):
        clock.go_on(seconds)
        assert short.revocations.is_revoked(me)
    assert clock() == me.expires_at + LEEWAY - 1


def test_a_logout_of_a_token_of_a_longer_service(url, clock, short):
    """A service that starts later, and issues tokens for a week, lengthens the marks of all services."""
    user = short.accounts.create(EMAIL, PASSWORD)
    short.accounts.issue_tokens(user.id)
    clock.go_on(DAY)
    me = caller_of(url, clock, WEEK)
    short.sessions.log_out(me, CALLER)
    (mark,) = rows(short, "authguard_marks")
    assert mark.until == me.expires_at + LEEWAY


def test_a_lifetime_is_noted_once_in_an_hour_while_tokens_are_issued(short, clock):
    """A service notes its lifetime with the first token, and then once in an hour."""
    start = clock()
    user = short.accounts.create(EMAIL, PASSWORD)
    tokens = short.accounts.issue_tokens(user.id)
    seen = []
    for _ in range(5):
        clock.go_on(HOUR / 2)
        tokens = short.sessions.refresh(tokens.refresh_token, CALLER)
        seen.append(lifetimes(short)[SHORT] - start)
    assert seen == [0, HOUR, HOUR, 2 * HOUR, 2 * HOUR]


def test_a_lifetime_is_noted_again_after_the_clock_was_set_back(short, clock):
    """A clock that was a day ahead does not stop the notes."""
    user = short.accounts.create(EMAIL, PASSWORD)
    short.accounts.issue_tokens(user.id)
    clock.go_on(-DAY)
    short.accounts.issue_tokens(user.id)
    assert lifetimes(short)[SHORT] == clock()


@pytest.mark.slow
def test_a_lifetime_counts_until_its_tokens_have_expired(url, clock, short):
    """A lifetime that no service has any more counts for two hours and itself, and is then deleted."""
    Identity(short)
    caller_of(url, clock, WEEK)
    clock.go_on(WEEK + 2 * HOUR - 1)
    short.purge.run()
    assert (longest(short), set(lifetimes(short))) == (WEEK, {WEEK})
    clock.go_on(1)
    assert longest(short) == SHORT
    short.purge.run()
    assert lifetimes(short) == {}


def test_a_new_database_has_the_lifetime_of_its_service(short):
    """The first service of a new database notes its own lifetime alone, when it starts."""
    Identity(short)
    assert (lifetimes(short), longest(short)) == ({SHORT: short.clock()}, SHORT)


@pytest.mark.slow
def test_tokens_of_an_earlier_release_count_as_those_of_the_default(url, clock, short):
    """If sessions are older than the table, tokens of 8 hours are assumed until these have expired."""
    me = caller_of(url, clock, DEFAULT)
    with short.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM access_lifetimes")
    assert longest(short) == DEFAULT
    Identity(short)
    assert set(lifetimes(short)) == {SHORT, DEFAULT}
    clock.go_on(2 * HOUR)
    short.sessions.log_out(me, CALLER)
    (mark,) = rows(short, "authguard_marks")
    assert mark.until == clock() + DEFAULT + LEEWAY
    clock.go_on(DEFAULT)
    assert longest(short) == SHORT


@pytest.mark.parametrize("remove", ["purge", "sign_in"])
def test_an_expired_session_is_kept_until_its_tokens_have_expired(url, clock, short, remove):
    """A session that cannot be refreshed any more can still be ended by a service of a shorter lifetime."""
    me = caller_of(url, clock, WEEK, refresh_lifetime=DAY)
    clock.go_on(2 * DAY)
    if remove == "purge":
        assert short.purge.run().sessions == 0
    else:
        short.accounts.login(EMAIL, PASSWORD, CALLER)
    short.accounts.disable(me.subject)
    assert short.revocations.is_revoked(me)


def test_a_signing_key_is_kept_until_its_tokens_have_expired(url, clock):
    """A rotation after a shorter lifetime deletes no key of tokens that are still valid."""
    given = {"access_lifetime": SHORT, "algorithm": "ES256"}
    with service_at(url, clock=clock, algorithm="ES256") as before:
        user = before.accounts.create(EMAIL, PASSWORD)
        token = before.accounts.issue_tokens(user.id).access_token
    with service_at(url, clock=clock, **given) as after:
        for _ in range(3):
            after.keys.rotate(clock())
            clock.go_on(HOUR)
        assert principal_of(after, token).subject == user.id


@pytest.mark.slow
def test_services_that_start_together_note_their_lifetimes(url):
    """Services of several lifetimes that start at the same time all note theirs."""
    clock = Clock()
    with service_at(url, clock=clock) as before:
        user = before.accounts.create(EMAIL, PASSWORD)
        before.accounts.issue_tokens(user.id)

    def start(index):
        with service_at(url, clock=clock, access_lifetime=SHORT + index % 3) as service:
            service.sessions.note_lifetime()
            return lifetimes(service)

    notes = together(9, start)
    assert not [note for note in notes if isinstance(note, Exception)]
    with service_at(url, clock=clock) as after:
        assert set(lifetimes(after)) == {SHORT, SHORT + 1, SHORT + 2, DEFAULT}
