"""Events of requests to the OAuth endpoints that are refused before their use case."""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.support import ISSUER, PASSWORD, service_at

pytestmark = pytest.mark.one_database

TOKEN, INTROSPECT, REVOKE = "/v1/oauth/token", "/v1/oauth/introspect", "/v1/oauth/revoke"
BOTH_WAYS = {"client_id": "a", "client_secret": "b"}
BASIC = {"authorization": "Basic YTpi"}


@pytest.fixture(name="heard")
def _heard(url):
    """Yield a client, the service, and the list of its events."""
    events = []
    with service_at(url, hook=events.append) as service:
        yield TestClient(Identity(service), base_url=ISSUER), service, events


@pytest.mark.parametrize(
    ("path", "form", "event"),
    [
        (TOKEN, {"grant_type": "client_credentials"}, ("client_credentials", "invalid_client")),
        (TOKEN, {"grant_type": "urn:example:other"}, ("client", "unsupported_grant_type")),
        (TOKEN, {}, ("client", "invalid_request")),
        (TOKEN, {"grant_type": "refresh_token"}, ("refresh", "invalid_request")),
        (TOKEN, {"grant_type": "password", "username": "ann"}, ("login", "invalid_request")),
        (TOKEN, {"grant_type": "password", "scope": "read"}, ("login", "invalid_scope")),
        (INTROSPECT, {"token": "x"}, ("introspect", "invalid_client")),
        (INTROSPECT, {}, ("introspect", "invalid_request")),
        (REVOKE, {"token_type_hint": "access_token"}, ("revoke", "invalid_request")),
    ],
)
def test_a_refused_request_is_one_event(heard, path, form, event):
    """A request without a client, a grant or a field leaves one failure with the error and the address."""
    client, _, events = heard
    answer = client.post(path, data=form)
    assert answer.json()["error"] == event[1]
    assert [(each.name, each.reason, each.succeeded, each.address) for each in events] == [
        (*event, False, "testclient")
    ]


@pytest.mark.parametrize(
    ("path", "name"), [(TOKEN, "client"), (INTROSPECT, "introspect"), (REVOKE, "revoke")]
)
@pytest.mark.parametrize("kind", ["JSON", "large", "two ways"])
def test_a_body_that_cannot_be_read(heard, path, name, kind):
    """A body that is no form, a large one and two ways of authentication leave a failure."""
    client, _, events = heard
    if kind == "JSON":
        client.post(path, json={"token": "x"})
    elif kind == "large":
        client.post(path, data={"token": "x" * 70_000})
    else:
        client.post(path, data=BOTH_WAYS, headers=BASIC)
    reason = "payload_too_large" if kind == "large" else "invalid_request"
    assert [(each.name, each.reason, each.succeeded) for each in events] == [(name, reason, False)]


def test_no_failure_is_recorded_twice(heard):
    """A failure that a use case has recorded leaves no second event, and a success no failure."""
    client, service, events = heard
    registered, secret = service.clients.create("Reports", frozenset({"read"}))
    own, wrong = (registered.id, secret), (registered.id, "wrong")
    requests = [
        ({"grant_type": "client_credentials"}, wrong, ("client", "invalid_client")),
        (
            {"grant_type": "client_credentials", "scope": "admin"},
            own,
            ("client_credentials", "invalid_scope"),
        ),
        ({"grant_type": "refresh_token", "refresh_token": "rt_x"}, own, ("refresh", "invalid_token")),
        ({"grant_type": "password", "username": "ann", "password": PASSWORD}, own, ("login", "unknown")),
        ({"grant_type": "client_credentials"}, own, ("client_credentials", "")),
    ]
    for form, auth, expected in requests:
        events.clear()
        client.post(TOKEN, data=form, auth=auth)
        assert [(each.name, each.reason) for each in events] == [expected]
