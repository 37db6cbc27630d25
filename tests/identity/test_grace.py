"""The refresh token before the newest: answered again for a lost answer, refused for a copy."""

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
    """The tokens of a new session."""
    if service.accounts.find(ANN["email"]) is None:
        service.accounts.create(ANN["email"], PASSWORD)
    return service.accounts.login(ANN["email"], PASSWORD, caller)


def refresh(service, tokens, caller=HOME):
    """Use the refresh token of these tokens."""
    return service.sessions.refresh(tokens.refresh_token, caller)


def is_over(service, *many):
    """Whether none of these tokens refreshes anything, from where its owner is."""
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


@pytest.mark.one_database  # the rule; what is stored for it is tested over both
@pytest.mark.parametrize("caller", [HOME, OTHER_TAB, MOBILE, SAME_ROOM])
@pytest.mark.parametrize("later", [0, 29, 31, HOUR, 8 * HOUR, 2 * DAY, 3 * DAY - 1])
def test_lost_answer_is_given_again(service, clock, caller, later):
    """The token before the newest gets the newest, at once or days later, from the network or agent known."""
    tokens = login(service)
    lost = refresh(service, tokens)
    clock.go_on(later)
    again = refresh(service, tokens, caller)
    assert again.refresh_token == lost.refresh_token
    assert refresh(service, again, caller).session_id == tokens.session_id


@pytest.mark.parametrize("later", [0, 29, 31, 2 * DAY])
def test_thief_who_follows_from_elsewhere(service, clock, events, later):
    """Another network with another agent is reuse at any time: the session ends, with an event."""
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
    """If a thief has refreshed, the owner's next refresh ends the session of both."""
    tokens = login(service)
    stolen = refresh(service, tokens, THIEF)
    clock.go_on(later)
    with pytest.raises(InvalidTokenError):
        refresh(service, tokens)
    with pytest.raises(InvalidTokenError):
        refresh(service, stolen, THIEF)


@pytest.mark.parametrize("later", [0, 1, 31, HOUR])
def test_successor_that_was_used(service, clock, later):
    """Once the newest token has been used, the one before it is proof of a copy, at any time."""
    tokens = login(service)
    second = refresh(service, tokens)
    third = refresh(service, second)
    clock.go_on(later)
    with pytest.raises(InvalidTokenError):
        refresh(service, tokens)
    assert is_over(service, second, third)


def test_bound_of_lost_answers(service, clock):
    """After three days, the token before the newest is no lost answer any more."""
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
    """The longer of both settings counts."""
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
    """With a grace of 0, a refresh token is good once, whatever was lost."""
    with service_at(url, clock=clock, refresh_grace=0) as service:
        tokens = login(service)
        newest = refresh(service, tokens)
        clock.go_on(later)
        assert is_over(service, tokens, newest)


@pytest.mark.parametrize("value", [-1, 30 * DAY + 1, "60", True, None, 1.5])
def test_setting_is_checked(value):
    """A number that cannot be meant is refused when the settings are built."""
    with pytest.raises(ConfigurationError, match="lost_answer_lifetime"):
        settings("sqlite:///x.db", lost_answer_lifetime=value)


def test_repeats_are_events(service, events):
    """Each repeat leaves an event that says so, with the session and where it came from."""
    tokens = login(service)
    refresh(service, tokens)
    refresh(service, tokens, OTHER_TAB)
    event = events[-1]
    assert (event.name, event.succeeded, event.reason) == ("refresh", True, "repeat")
    assert (event.session_id, event.address) == (tokens.session_id, OTHER_TAB.address)
    assert service.audit.counts()["refresh", "repeat"] == 1
    assert service.audit.counts()["refresh", "success"] == 1


def share(service, clock, owner, other, most):
    """Generations that two holders share, the other one following by a minute, until the session ends."""
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
    """A thief who has the owner's agent or network follows for five generations, and not for ever."""
    assert share(service, clock, HOME, follower, 20) == 5


def test_copy_that_follows_at_once(service, clock):
    """Within the grace, another network is counted as much, though the agent is the same."""
    mine = login(service)
    for _ in range(5):
        newest = refresh(service, mine)
        refresh(service, mine, MOBILE)
        mine = newest
    refresh(service, mine)
    assert refused(service, mine, MOBILE)
    assert refused(service, mine, HOME)


def refused(service, tokens, caller):
    """Whether a refresh is refused."""
    try:
        refresh(service, tokens, caller)
    except InvalidTokenError:
        return True
    return False


def test_copy_that_changes_places(service, clock):
    """Two holders who take turns in being first are noticed as well."""
    tokens = login(service)
    for turn in range(20):
        first, second = (HOME, MOBILE) if turn % 2 else (MOBILE, HOME)
        newest = refresh(service, tokens, first)
        clock.go_on(60)
        if refused(service, tokens, second):
            break
        tokens = newest
    assert turn == 5


def test_generation_without_a_repeat(service, clock):
    """A bad network loses four answers in a row, again and again: one that arrives begins the count anew."""
    tokens = login(service)
    for number in range(40):
        newest = refresh(service, tokens, MOBILE)
        clock.go_on(HOUR)
        if number % 5:
            refresh(service, tokens, HOME)
        tokens = newest
    assert refresh(service, tokens)


def test_retries_of_one_generation(service, clock):
    """A client that wakes up with 20 requests at once, or tries for hours, is counted once a generation."""
    tokens = login(service)
    newest = refresh(service, tokens)
    for _ in range(20):
        clock.go_on(HOUR)
        answers = [refresh(service, tokens, MOBILE) for _ in range(20)]
        assert {answer.refresh_token for answer in answers} == {newest.refresh_token}
    assert rows(service)[0].repeated == 200


def test_tabs_that_refresh_together(service):
    """Tabs with copies of one token stay signed in for hundreds of generations, though not without end."""
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
    """Repeats that are decided together are counted one after the other."""
    tokens = login(service)
    requests = [RefreshRequest(tokens.refresh_token, caller) for caller in (HOME, OTHER_TAB, MOBILE, THIEF)]
    answers = service.sessions.refresher.refresh_all(requests)
    assert [isinstance(answer, InvalidTokenError) for answer in answers] == [False, False, False, True]
    assert is_over(service, answers[0])


def test_sessions_of_a_client(service):
    """The session of a client follows the same rule, for that client only."""
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
    """After a power cut that took one refresh back, the token that was given for it is good."""
    tokens = login(service)
    second = refresh(service, tokens)
    set_row(service, generation=0)
    assert refresh(service, refresh(service, second)).session_id == tokens.session_id


@pytest.mark.parametrize("steps", [2, 3, 10])
def test_more_generations_that_the_database_has_lost(service, steps):
    """A token of many generations later cannot be told from one that was replaced: sign in again."""
    tokens = newest = login(service)
    for _ in range(steps):
        newest = refresh(service, newest)
    set_row(service, generation=0)
    assert is_over(service, newest)
    assert refresh(service, tokens), "the stored generation is not touched by that"


@pytest.mark.parametrize("caller", [HOME, MOBILE, THIEF])
def test_session_of_an_older_version(service, caller):
    """A session that was refreshed before networks were stored has nothing to compare with, once."""
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
    """Networks are those that one customer has; what is no address stands for itself."""
    assert network_of(Caller(address)) == network


@pytest.mark.parametrize("agent", ["", "a" * 5_000, "tab\there", "\x1b[31m", "ünïcode"])
def test_odd_agents(service, agent):
    """An agent of any length and any characters is compared as it is stored."""
    caller = replace(THIEF, user_agent=agent)
    tokens = login(service, caller)
    newest = refresh(service, tokens, caller)
    assert refresh(service, tokens, replace(caller, address="192.0.2.1")).session_id == newest.session_id


def test_pages_of_a_thief(app, ann):
    """The cookie of a browser follows the same rule: elsewhere it is nobody's, and the session is over."""
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
        """Serve a request from elsewhere."""
        await self._app(scope | {"client": ("203.0.113.5", 1)}, receive, send)


def test_api_of_a_thief(service):
    """By the API as well, a token that was used is refused elsewhere, and its successor then."""
    app = Identity(service)
    service.accounts.create(ANN["email"], PASSWORD)
    owner = browser(app, **{"user-agent": "Firefox"})
    first = owner.post("/v1/auth/login", json=ANN).json()["refresh_token"]
    second = owner.post("/v1/auth/refresh", json={"refresh_token": first}).json()["refresh_token"]
    thief = browser(Elsewhere(app), **{"user-agent": "curl"})
    assert thief.post("/v1/auth/refresh", json={"refresh_token": first}).status_code == 401
    assert owner.post("/v1/auth/refresh", json={"refresh_token": second}).status_code == 401


def test_sessions_outlive_the_migration(tmp_path, clock):
    """A session of the tables before goes on, and so does its lost answer."""
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
    """The rows of sessions."""
    with service.database.read() as connection:
        return connection.execute(select(sessions)).all()


def set_row(service, **values):
    """Change the rows of sessions."""
    with service.database.write() as connection:
        connection.execute(sessions.update().values(**values))
