"""An access token that is exchanged for a new one: for whom, for how long, and how it is noted."""

import pytest

from authguard import ConfigurationError
from authguard.errors import InvalidTokenError
from authguard.identity import Identity
from authguard.identity.model import Caller
from identity.support import ANN, CALLER, ISSUER, PASSWORD, browser, service_at, settings

pytestmark = pytest.mark.one_database  # how a request presents its token

DAY = 86_400


def principal_of(service, tokens):
    """The caller with these tokens."""
    return service.clients._verify(tokens.access_token)


def prolong_daily(service, clock, tokens, days):
    """Exchange the token three times a day; the last tokens."""
    for _ in range(days * 3):
        clock.go_on(DAY / 3 - 1)
        tokens = service.sessions.prolong(principal_of(service, tokens), CALLER)
    return tokens


@pytest.mark.parametrize(("given", "days"), [({}, 30), ({"bearer_refresh_lifetime": DAY}, 1)])
def test_no_later_than_the_setting(url, clock, given, days):
    """A stolen token is prolonged no further than so many days after the sign-in."""
    with service_at(url, clock=clock, **given) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        last = prolong_daily(service, clock, tokens, days)
        clock.go_on(days * 3)  # what the steps above have left out
        with pytest.raises(InvalidTokenError):
            service.sessions.prolong(principal_of(service, last), CALLER)


def test_it_can_be_switched_off(url):
    """With 0 an access token is exchanged for nothing, and a refresh token goes on to be."""
    with service_at(url, bearer_refresh_lifetime=0) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        with pytest.raises(InvalidTokenError):
            service.sessions.prolong(principal_of(service, tokens), CALLER)
        assert service.sessions.refresh(tokens.refresh_token, CALLER)


@pytest.mark.parametrize("value", [-1, True, "30", 1.5, None])
def test_the_setting_is_checked(value):
    """What is no number of seconds is refused when the settings are built."""
    with pytest.raises(ConfigurationError, match="bearer_refresh_lifetime"):
        settings("sqlite:///x.db", bearer_refresh_lifetime=value)


def test_not_by_a_cookie(app, ann):
    """A script that runs on a page gets no token by the cookie that it cannot read."""
    answer = ann.post("/v1/auth/refresh", headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 401
    assert "access_token" not in answer.text


def test_by_the_field_with_the_same_token(app, ann):
    """The same token in the Authorization field is exchanged, as the document has it."""
    token = ann.cookies["access_token"]
    answer = browser(app).post("/v1/auth/refresh", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.json()["access_token"]


def test_not_for_the_session_of_a_client(service):
    """A client's session is refreshed by the client only."""
    service.accounts.create(ANN["email"], PASSWORD)
    client, _ = service.clients.create("the application")
    tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER, client_id=client.id)
    with pytest.raises(InvalidTokenError):
        service.sessions.prolong(principal_of(service, tokens), CALLER)


def test_each_exchange_is_an_event(url):
    """The operator sees which session was prolonged, and from where."""
    events = []
    with service_at(url, hook=events.append) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        service.sessions.prolong(principal_of(service, tokens), Caller("198.51.100.9", "curl"))
        (event,) = [each for each in events if each.name == "prolong"]
        assert (event.succeeded, event.session_id, event.address) == (True, tokens.session_id, "198.51.100.9")


def test_a_refused_exchange_is_an_event(url):
    """So is one that was refused."""
    events = []
    with service_at(url, hook=events.append, bearer_refresh_lifetime=0) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        with pytest.raises(InvalidTokenError):
            service.sessions.prolong(principal_of(service, tokens), CALLER)
        assert [event.succeeded for event in events if event.name == "prolong"] == [False]


def test_mounted_without_pages_it_is_refused_too(url):
    """The bound does not depend on the pages."""
    with service_at(url, pages=False) as service:
        tokens = service.accounts.issue_tokens(service.accounts.create(ANN["email"], PASSWORD).id)
        client = browser(Identity(service))
        client.cookies.set(service.settings.cookie_name, tokens.access_token, domain=ISSUER.split("/")[2])
        assert client.post("/v1/auth/refresh").status_code == 401
