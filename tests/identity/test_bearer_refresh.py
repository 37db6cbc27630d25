"""Exchange of an access token for a new one: the callers, the limit of time and the events."""

import pytest

from authguard import ConfigurationError
from authguard.errors import InvalidTokenError
from authguard.identity import Identity
from authguard.identity.model import Caller
from identity.support import ANN, CALLER, ISSUER, PASSWORD, browser, service_at, settings

pytestmark = pytest.mark.one_database  # the presentation of a token does not depend on the database

DAY = 86_400


def principal_of(service, tokens):
    """Return the principal of tokens."""
    return service.clients._verify(tokens.access_token, service.own_tokens)


def prolong_daily(service, clock, tokens, days):
    """Exchange the token three times a day, and return the last tokens."""
    for _ in range(days * 3):
        clock.go_on(DAY / 3 - 1)
        tokens = service.sessions.prolong(principal_of(service, tokens), CALLER)
    return tokens


@pytest.mark.slow
@pytest.mark.parametrize(("given", "days"), [({}, 30), ({"bearer_refresh_lifetime": DAY}, 1)])
def test_no_later_than_the_setting(url, clock, given, days):
    """A token is prolonged until `bearer_refresh_lifetime` after the sign-in, and not later."""
    with service_at(url, clock=clock, **given) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        last = prolong_daily(service, clock, tokens, days)
        clock.go_on(days * 3)  # the seconds that the steps above have left out
        with pytest.raises(InvalidTokenError):
            service.sessions.prolong(principal_of(service, last), CALLER)


def test_it_can_be_switched_off(url):
    """With a lifetime of 0 no access token is exchanged, and a refresh token still is."""
    with service_at(url, bearer_refresh_lifetime=0) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        with pytest.raises(InvalidTokenError):
            service.sessions.prolong(principal_of(service, tokens), CALLER)
        assert service.sessions.refresh(tokens.refresh_token, CALLER)


@pytest.mark.parametrize("value", [-1, True, "30", 1.5, None])
def test_the_setting_is_checked(value):
    """A lifetime that is no number of seconds is refused when the settings are built."""
    with pytest.raises(ConfigurationError, match="bearer_refresh_lifetime"):
        settings("sqlite:///x.db", bearer_refresh_lifetime=value)


def test_not_by_a_cookie(app, ann):
    """A token in a cookie is not exchanged, because a script would read the new token."""
    answer = ann.post("/v1/auth/refresh", headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 401
    assert "access_token" not in answer.text


def test_by_the_field_with_the_same_token(app, ann):
    """The same token in the field Authorization is exchanged."""
    token = ann.cookies["access_token"]
    answer = browser(app).post("/v1/auth/refresh", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.json()["access_token"]


def test_not_for_the_session_of_a_client(service):
    """An access token of a client's session is not exchanged."""
    service.accounts.create(ANN["email"], PASSWORD)
    client, _ = service.clients.create("the application")
    tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER, client_id=client.id)
    with pytest.raises(InvalidTokenError):
        service.sessions.prolong(principal_of(service, tokens), CALLER)


def test_each_exchange_is_an_event(url):
    """An exchange leaves an event with the session and the address of the caller."""
    events = []
    with service_at(url, hook=events.append) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        service.sessions.prolong(principal_of(service, tokens), Caller("198.51.100.9", "curl"))
        (event,) = [each for each in events if each.name == "prolong"]
        assert (event.succeeded, event.session_id, event.address) == (True, tokens.session_id, "198.51.100.9")


def test_a_refused_exchange_is_an_event(url):
    """A refused exchange leaves an event."""
    events = []
    with service_at(url, hook=events.append, bearer_refresh_lifetime=0) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        with pytest.raises(InvalidTokenError):
            service.sessions.prolong(principal_of(service, tokens), CALLER)
        assert [event.succeeded for event in events if event.name == "prolong"] == [False]


@pytest.mark.slow
def test_mounted_without_pages_it_is_refused_too(url):
    """A service without pages refuses to exchange the token of a cookie too."""
    with service_at(url, pages=False) as service:
        tokens = service.accounts.issue_tokens(service.accounts.create(ANN["email"], PASSWORD).id)
        client = browser(Identity(service))
        client.cookies.set(service.settings.cookie_name, tokens.access_token, domain=ISSUER.split("/")[2])
        assert client.post("/v1/auth/refresh").status_code == 401
