"""The refresh token before the newest: accepted again after a lost answer, refused for a copy."""

from dataclasses import replace

import pytest
from alembic import command
from sqlalchemy import select

from authguard.errors import ConfigurationError, InvalidTokenError
from authguard.identity import Identity, upgrade
from authguard.identity.model import Caller
from authguard.identity.storage.database import Database
from authguard.identity.storage.migrations import _config
from authguard.identity.storage.schema import sessions
from authguard.identity.usecases.grace import MAX_REPEATS, network_of
from authguard.identity.usecases.refresh import RefreshRequest
from identity.support import ANN, PASSWORD, browser, service_at, set_cookies, settings, together

HOUR, DAY = 3_600, 86_400
HOME = Caller("192.0.2.1", "Firefox on Linux")
MOBILE = Caller("198.51.100.7", "Firefox on Linux")  # the same device in another network
OTHER_TAB = Caller("192.0.2.77", "Firefox on Linux")
SAME_ROOM = Caller("192.0.2.9", "Safari on iPhone")
THIEF = Caller("203.0.113.5", "curl/8.5")


def login(service, caller=HOME):
    """Return the tokens of a new session."""
    if service.accounts.find(ANN["email"]) is None:
        service.accounts.create(ANN["email"], PASSWORD)
    return service.accounts.login(ANN["email"], PASSWORD, caller)


def refresh(service, tokens, caller=HOME):
    """Use the refresh token of these tokens."""
    return service.sessions.refresh(tokens.refresh_token, caller)


def is_over(service, *many):
    """Return whether each of these tokens is refused, at the owner's address."""
    for tokens in many:
        with pytest.raises(InvalidTokenError):
            refresh(service, tokens)
    return True


@pytest.fixture
def events():
    return []


@pytest.fixture
def service(url, clock, events):
    with service_at(url, clock=clock, hook=events.append) as service:
        yield service


@pytest.mark.one_database  # the rule; other tests check the stored values on both databases
@pytest.mark.parametrize("caller", [HOME, OTHER_TAB, MOBILE, SAME_ROOM])
@pytest.mark.parametrize("later", [0, 29, 31, HOUR, 8 * HOUR, 2 * DAY, 3 * DAY - 1])
def test_lost_answer_is_given_again(service, clock, caller, later):
    """The token before the newest gets the newest for days, from the known network or the known agent."""
    tokens = login(service)
    lost = refresh(service, tokens)
    clock.go_on(later)
    again = refresh(service, tokens, caller)
    assert again.refresh_token == lost.refresh_token
    assert refresh(service, again, caller).session_id == tokens.session_id


@pytest.mark.parametrize("later", [0, 29, 31, 2 * DAY])
def test_thief_who_follows_from_elsewhere(service, clock, events, later):
    """A used token from another network with another agent ends the session, with an event of reuse."""
    tokens = login(service)
    newest = refresh(service, tokens)
    clock.go_on(later)
    with pytest.raises(InvalidTokenError):
        refresh(service, tokens, THIEF)
    assert events[-1].name == "refresh"
    assert events[-1].reason == "reuse"
    assert is_over(service, tokens, newest)


@pytest.mark.parametrize("later", [0, 29, HOUR])
def test_thief_who_was_first(service, clock, later):
    """After a thief has refreshed, the owner's next refresh ends the session for both."""
    tokens = login(service)
    stolen = refresh(service, tokens, THIEF)
    clock.go_on(later)
    with pytest.raises(InvalidTokenError):
        refresh(service, tokens)
    with pytest.raises(InvalidTokenError):
        refresh(service, stolen, THIEF)


@pytest.mark.parametrize("later", [0, 1, 31, HOUR])
def test_successor_that_was_used(service, clock, later):
    """Once the newest token is used, a use of the token before it ends the session at any time."""
    tokens = login(service)
    second = refresh(service, tokens)
    third = refresh(service, second)
    clock.go_on(later)
    with pytest.raises(InvalidTokenError):
        refresh(service, tokens)
    assert is_over(service, second, third)


def test_bound_of_lost_answers(service, clock):
    """After three days the token before the newest is refused."""
    tokens = login(service)
    newest = refresh(service, tokens)
    clock.go_on(3 * DAY)
    assert is_over(service, tokens, newest)


@pytest.mark.parametrize(("given", "good", "bad"), [
    ({"lost_answer_lifetime": 0}, 29, 30),
    ({"lost_answer_lifetime": 10}, 29, 30),
    ({"lost_answer_lifetime": HOUR}, HOUR - 1, HOUR),
    ({"lost_answer_lifetime": HOUR, "refresh_grace": 1}, HOUR - 1, HOUR),
])  # fmt: skip
def test_bound_is_a_setting(url, clock, given, good, bad):
    """The longer one of `lost_answer_lifetime` and `refresh_grace` is the limit."""
    with service_at(url, clock=clock, **given) as service:
        tokens, other = login(service), login(service)
        refresh(service, tokens)
        refresh(service, other)
        clock.go_on(good)
        refresh(service, tokens)
        clock.go_on(bad - good)
        assert is_over(service, other)


@pytest.mark.parametrize("later", [0, HOUR])
def test_without_a_grace(url, clock, later):
    """With a grace of 0 a refresh token is accepted once."""
    with service_at(url, clock=clock, refresh_grace=0) as service:
        tokens = login(service)
        newest = refresh(service, tokens)
        clock.go_on(later)
        assert is_over(service, tokens, newest)


@pytest.mark.parametrize("value", [-1, 30 * DAY + 1, "60", True, None, 1.5])
def test_setting_is_checked(value):
    """A lost_answer_lifetime that is out of range or no whole number is refused."""
    with pytest.raises(ConfigurationError, match="lost_answer_lifetime"):
        settings("sqlite:///x.db", lost_answer_lifetime=value)


def test_repeats_are_events(service, events):
    """A repeat leaves an event with its reason, the session and the address."""
    tokens = login(service)
    refresh(service, tokens)
    refresh(service, tokens, OTHER_TAB)
    event = events[-1]
    assert (event.name, event.succeeded, event.reason) == ("refresh", True, "repeat")
    assert (event.session_id, event.address) == (tokens.session_id, OTHER_TAB.address)
    assert service.audit.counts()["refresh", "repeat"] == 1
    assert service.audit.counts()["refresh", "success"] == 1


def share(service, clock, owner, other, most):
    """Return the generations that an owner and a follower share, until the session ends."""
    mine = login(service, owner)
    for generation in range(most):
        try:
            newest = refresh(service, mine, owner)
            clock.go_on(60)
            assert refresh(service, mine, other).refresh_token == newest.refresh_token
        except InvalidTokenError:
            return generation
        clock.go_on(60)
        mine = newest
    return most


@pytest.mark.parametrize("follower", [HOME, MOBILE, SAME_ROOM])
def test_copy_that_follows_for_ever(service, clock, follower):
    """A copy with the owner's agent or network is accepted for five generations at most."""
    assert share(service, clock, HOME, follower, 20) == 5


def test_copy_that_follows_at_once(service, clock):
    """Within the grace, repeats from another network with the same agent are limited to five generations."""
    mine = login(service)
    for _ in range(5):
        newest = refresh(service, mine)
        refresh(service, mine, MOBILE)
        mine = newest
    refresh(service, mine)
    assert refused(service, mine, MOBILE)
    assert refused(service, mine, HOME)


def refused(service, tokens, caller):
    """Return whether a refresh is refused."""
    try:
        refresh(service, tokens, caller)
    except InvalidTokenError:
        return True
    return False


def test_copy_that_changes_places(service, clock):
    """Two holders of a session who take turns in being first are refused after five generations."""
    tokens = login(service)
    for turn in range(20):
        first, second = (HOME, MOBILE) if turn % 2 else (MOBILE, HOME)
        newest = refresh(service, tokens, first)
        clock.go_on(60)
        if refused(service, tokens, second):
            break
        tokens = newest
    assert turn == 5


@pytest.mark.slow
def test_generation_without_a_repeat(service, clock):
    """A generation without a repeat resets the count of repeats from another network."""
    tokens = login(service)
    for number in range(40):
        newest = refresh(service, tokens, MOBILE)
        clock.go_on(HOUR)
        if number % 5:
            refresh(service, tokens, HOME)
        tokens = newest
    assert refresh(service, tokens)


@pytest.mark.slow
def test_retries_of_one_generation(service, clock):
    """Repeats of one generation are counted once, and a client may repeat them for hours."""
    tokens = login(service)
    newest = refresh(service, tokens)
    for _ in range(20):
        clock.go_on(HOUR)
        answers = [refresh(service, tokens, MOBILE) for _ in range(20)]
        assert {answer.refresh_token for answer in answers} == {newest.refresh_token}
    assert rows(service)[0].repeated == 200


@pytest.mark.slow
def test_tabs_that_refresh_together(service):
    """Tabs that share a token stay signed in for hundreds of generations, up to MAX_REPEATS."""
    tokens = login(service)
    for _ in range(300):
        newest = refresh(service, tokens)
        refresh(service, tokens, OTHER_TAB)
        tokens = newest
    (row,) = rows(service)
    assert row.repeats + row.repeated == 300
    set_row(service, repeats=MAX_REPEATS - 1)
    refresh(service, tokens)
    assert refused(service, tokens, OTHER_TAB)


@pytest.mark.slow
def test_threads_count_a_repeat_once(service):
    """A thousand repeats at the same time are counted as one generation."""
    tokens = login(service)
    refresh(service, tokens)
    assert not any(
        isinstance(each, Exception)
        for each in together(20, lambda _: [refresh(service, tokens) for _ in range(50)])
    )
    assert rows(service)[0].repeated == 1


def test_repeats_in_one_transaction(service):
    """Repeats that are decided in one transaction are counted one after the other."""
    tokens = login(service)
    requests = [RefreshRequest(tokens.refresh_token, caller) for caller in (HOME, OTHER_TAB, MOBILE, THIEF)]
    answers = service.sessions.refresher.refresh_all(requests)
    assert [isinstance(answer, InvalidTokenError) for answer in answers] == [False, False, False, True]
    assert is_over(service, answers[0])


def test_sessions_of_a_client(service):
    """The repeat of a client's refresh is accepted for that client only."""
    service.accounts.create(ANN["email"], PASSWORD)
    client, _ = service.clients.create("the application")
    tokens = service.accounts.login(ANN["email"], PASSWORD, HOME, client_id=client.id)
    newest = service.sessions.refresh(tokens.refresh_token, HOME, client_id=client.id)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, HOME)
    again = service.sessions.refresh(tokens.refresh_token, HOME, client_id=client.id)
    assert again.refresh_token == newest.refresh_token
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, THIEF, client_id=client.id)


def test_one_generation_that_the_database_has_lost(service):
    """After the database has lost one refresh, the token of that refresh is accepted."""
    tokens = login(service)
    second = refresh(service, tokens)
    set_row(service, generation=0)
    assert refresh(service, refresh(service, second)).session_id == tokens.session_id


@pytest.mark.parametrize("steps", [2, 3, 10])
def test_more_generations_that_the_database_has_lost(service, steps):
    """After the database has lost several refreshes, their last token is refused."""
    tokens = newest = login(service)
    for _ in range(steps):
        newest = refresh(service, newest)
    set_row(service, generation=0)
    assert is_over(service, newest)
    assert refresh(service, tokens), "the stored generation is not touched by that"


@pytest.mark.parametrize("caller", [HOME, MOBILE, THIEF])
def test_session_of_an_older_version(service, caller):
    """A session that was refreshed before networks were stored accepts one repeat from any caller."""
    tokens = login(service)
    newest = refresh(service, tokens)
    set_row(service, refreshed_network=None, refreshed_agent=None)
    assert refresh(service, tokens, caller).refresh_token == newest.refresh_token


@pytest.mark.parametrize(("address", "network"), [
    ("192.0.2.77", "192.0.2.0/24"),
    ("::ffff:192.0.2.77", "192.0.2.0/24"),
    ("2001:db8:1:2::5", "2001:db8:1::/48"),
    ("2001:DB8:1:ffff:1:2:3:4", "2001:db8:1::/48"),
    ("fe80::1%eth0", "fe80::/48"),
    ("", ""),
    ("testclient", "testclient"),
    ("x" * 100, "x" * 64),
])  # fmt: skip
def test_network_of_an_address(address, network):
    """The network of an address is that of one customer, and other text is its own network."""
    assert network_of(Caller(address)) == network


@pytest.mark.parametrize("agent", ["", "a" * 5_000, "tab\there", "\x1b[31m", "ünïcode"])
def test_odd_agents(service, agent):
    """An agent of any length, with any characters, is compared in its stored form."""
    caller = replace(THIEF, user_agent=agent)
    tokens = login(service, caller)
    newest = refresh(service, tokens, caller)
    assert refresh(service, tokens, replace(caller, address="192.0.2.1")).session_id == newest.session_id


def test_pages_of_a_thief(app, ann):
    """The refresh cookie of a browser is refused with another network and agent, and its session ends."""
    stolen = ann.cookies["refresh_token"]
    del ann.cookies["access_token"]
    assert "refresh_token" in set_cookies(ann.get("/login"))
    thief = browser(Elsewhere(app), **{"user-agent": "curl/8.5"})
    thief.cookies.set("refresh_token", stolen)
    assert "refresh_token" not in set_cookies(thief.get("/login"))
    del ann.cookies["access_token"]
    assert "refresh_token" not in set_cookies(ann.get("/login"))


class Elsewhere:
    """The application, as it is reached from another network."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        """Serve a request from another network."""
        await self._app(scope | {"client": ("203.0.113.5", 1)}, receive, send)


def test_api_of_a_thief(service):
    """Over the API, a used token from another network and agent is refused, and then its successor."""
    app = Identity(service)
    service.accounts.create(ANN["email"], PASSWORD)
    owner = browser(app, **{"user-agent": "Firefox"})
    first = owner.post("/v1/auth/login", json=ANN).json()["refresh_token"]
    second = owner.post("/v1/auth/refresh", json={"refresh_token": first}).json()["refresh_token"]
    thief = browser(Elsewhere(app), **{"user-agent": "curl"})
    assert thief.post("/v1/auth/refresh", json={"refresh_token": first}).status_code == 401
    assert owner.post("/v1/auth/refresh", json={"refresh_token": second}).status_code == 401


@pytest.mark.slow
def test_sessions_outlive_the_migration(tmp_path, clock):
    """A session of older tables, and the repeat of its lost answer, are accepted after the migration."""
    url = f"sqlite:///{tmp_path}/old.db"
    database = Database(url)
    upgrade(database)
    with service_at(url, clock=clock) as service:
        tokens = login(service)
        refresh(service, tokens)
    with database.write() as connection:
        command.downgrade(_config(connection), "0002")
    upgrade(database)
    database.close()
    with service_at(url, clock=clock) as service:
        assert refresh(service, refresh(service, tokens, THIEF), THIEF)


def rows(service):
    """Return the rows of sessions."""
    with service.database.read() as connection:
        return connection.execute(select(sessions)).all()


def set_row(service, **values):
    """Change the rows of sessions."""
    with service.database.write() as connection:
        connection.execute(sessions.update().values(**values))
