"""Tokens of client_credentials at the service itself: 403, because another token would be refused, too."""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.keys import bearer, create_pair, is_problem, key_field, register
from identity.support import ANN, CALLER, ISSUER, PASSWORD, service_at

pytestmark = pytest.mark.one_database  # the kind of a token does not depend on the database

FOR_OWNERS = ["/v1/users/me", "/api/v1/auth/me", "/v1/api-keys", "/v1/auth/api-keys", "/v1/auth/usage"]
FOR_PEOPLE = ["/v1/users/me/sessions", "/v1/users/me/identities"]


@pytest.fixture
def client(app):
    """Return a client without cookies."""
    return TestClient(app, base_url=ISSUER)


def token_of(client, client_id, secret):
    """Return a token that a client gets for itself."""
    answer = client.post(
        "/v1/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret)
    )
    return answer.json()["access_token"]


@pytest.fixture(params=["key", "client"])
def token(request, client, service):
    """Return the token of an API key, or of an OAuth client."""
    if request.param == "key":
        pair = create_pair(client, register(client, "bob@example.com"))
        return token_of(client, pair["key"], pair["secret"])
    registered, secret = service.clients.create("Reports", frozenset({"read"}))
    return token_of(client, registered.id, secret)


def ends_here(path, request):
    """Return whether the path ends the token, which is that of an API key."""
    return path == "/v1/auth/logout" and request.node.callspec.params["token"] == "key"


@pytest.mark.parametrize("path", FOR_OWNERS + FOR_PEOPLE)
def test_it_is_refused_for_good(client, token, path):
    """A token of a program is 403 with the code for API keys, and the answer names the remedy."""
    answer = client.get(path, headers=bearer(token))
    assert is_problem(answer, 403, "interactive_only")
    assert "client_credentials" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/auth/logout", "/v1/auth/refresh", "/v1/auth/logout-all"])
def test_it_ends_and_prolongs_no_session(client, token, service, path, request):
    """At the endpoints that look no account up it is 403, too, also a second time, and it stays active."""
    if ends_here(path, request):
        pytest.skip("it ends the token, see test_api_key_tokens.py")
    for _ in range(2):
        answer = client.post(path, headers=bearer(token))
        assert is_problem(answer, 403, "interactive_only")
        assert "client_credentials" in answer.json()["detail"]
    machine, secret = service.clients.create("Introspector")
    asked = client.post("/v1/oauth/introspect", data={"token": token}, auth=(machine.id, secret))
    assert asked.json()["active"] is True


@pytest.mark.parametrize("path", ["/v1/auth/logout", "/v1/auth/refresh"])
def test_as_a_cookie_it_is_no_session(client, token, path, request):
    """In the cookie of a session it is 401, as everywhere, so that a browser signs in again."""
    if ends_here(path, request):
        pytest.skip("it ends the token, see test_api_key_tokens.py")
    fields = {"cookie": f"access_token={token}", "sec-fetch-site": "same-origin", "origin": ISSUER}
    assert is_problem(client.post(path, headers=fields), 401, "invalid_token")


def test_a_refresh_token_beside_it_is_accepted(client, token):
    """A refresh token in the body is used, and not the token in the field."""
    client.post("/v1/auth/register", json=ANN)
    refresh_token = client.post("/v1/auth/login", json=ANN).json()["refresh_token"]
    answer = client.post("/v1/auth/refresh", json={"refresh_token": refresh_token}, headers=bearer(token))
    assert answer.status_code == 200


@pytest.mark.slow
def test_without_api_keys(url):
    """The answer is the same for a client's token if API keys are switched off."""
    with service_at(url, api_keys=False) as service:
        client = TestClient(Identity(service), base_url=ISSUER)
        registered, secret = service.clients.create("Reports", frozenset({"read"}))
        answer = client.get("/v1/users/me", headers=bearer(token_of(client, registered.id, secret)))
    assert is_problem(answer, 403, "interactive_only")


def test_it_prevents_no_sign_in(client, token):
    """A token of a program beside the fields of a sign-in or a registration makes no difference."""
    assert client.post("/v1/auth/register", json=ANN, headers=bearer(token)).status_code == 201
    assert client.post("/v1/auth/login", json=ANN, headers=bearer(token)).status_code == 200


def test_the_key_itself_is_accepted(client):
    """The key that gets such tokens is accepted itself."""
    pair = create_pair(client, register(client))
    assert client.get("/v1/users/me", headers=key_field(pair["key"])).status_code == 200


@pytest.mark.slow
def test_the_token_of_a_client_for_a_user_is_accepted(client, service):
    """A token that a user has got through a client is that of a user; after the logout it is 401."""
    service.accounts.create(ANN["email"], PASSWORD)
    registered, _ = service.clients.create("Page", public=True)
    tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER, client_id=registered.id)
    fields = bearer(tokens.access_token)
    assert client.get("/v1/users/me", headers=fields).status_code == 200
    assert client.post("/v1/auth/logout-all", headers=fields).status_code == 200
    assert is_problem(client.get("/v1/users/me", headers=fields), 401, "invalid_token")


def test_an_expired_token_is_no_token(client, token, clock):
    """An expired token of a program is 401, as each expired token."""
    clock.go_on(86_401)
    assert is_problem(client.get("/v1/users/me", headers=bearer(token)), 401, "invalid_token")
