"""The OAuth 2 endpoints: tokens, introspection, revocation, metadata; and guards that verify the tokens."""

import base64
import json

import pytest
from starlette.testclient import TestClient

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import Identity
from authguard.identity.limits import DEFAULT_LIMITS
from identity.support import CALLER, ISSUER, NOW, PASSWORD, SECRET, Clock, service_at
from identity.test_sessions import principal_of, register

pytestmark = pytest.mark.slow_on_postgresql

TOKEN, INTROSPECT, REVOKE = "/v1/oauth/token", "/v1/oauth/introspect", "/v1/oauth/revoke"
USER = {"username": "ann@example.com", "password": PASSWORD}


@pytest.fixture
def client(service):
    return TestClient(Identity(service))


@pytest.fixture
def tokens(service):
    return register(service)


@pytest.fixture
def machine(service):
    created, secret = service.clients.create("reports", frozenset({"read", "write"}))
    return created.id, secret


def basic(machine):
    value = base64.b64encode(f"{machine[0]}:{machine[1]}".encode()).decode()
    return {"Authorization": f"Basic {value}"}


def is_error(response, status, error):
    return (response.status_code, response.json()["error"]) == (status, error)


def test_password_grant(client, tokens):
    """The password grant returns an access token and a refresh token."""
    response = client.post(TOKEN, data={"grant_type": "password", **USER})
    assert list(response.json()) == ["access_token", "refresh_token", "token_type", "expires_in"]
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.slow
def test_password_grant_can_be_switched_off(url):
    """With `password_grant` off the grant is refused, and the metadata does not list it."""
    with service_at(url, password_grant=False) as service:
        client = TestClient(Identity(service))
        register(service)
        response = client.post(TOKEN, data={"grant_type": "password", **USER})
        assert is_error(response, 400, "unsupported_grant_type")
        metadata = client.get("/.well-known/oauth-authorization-server").json()
        assert "password" not in metadata["grant_types_supported"]


def test_refresh_grant(client, tokens):
    """The refresh grant returns a new refresh token."""
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
    assert client.post(TOKEN, data=form).json()["refresh_token"] != tokens.refresh_token


@pytest.mark.parametrize("in_form", [False, True])
def test_client_credentials(client, machine, in_form):
    """A client gets a token for itself, with its scopes, by Basic or by the form."""
    form = {"grant_type": "client_credentials"}
    if in_form:
        form |= {"client_id": machine[0], "client_secret": machine[1]}
    response = client.post(TOKEN, data=form, headers={} if in_form else basic(machine))
    assert response.json()["scope"] == "read write"


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"x": "y"}, 400, "invalid_request"),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", **USER, "password": "wrong"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "ann@example.com"}, 400, "invalid_request"),
        ({"grant_type": "password", **USER, "scope": "admin"}, 400, "invalid_scope"),
        ({"grant_type": "refresh_token", "refresh_token": "rt_x"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"grant_type": "password", **USER, "client_id": "x"}, 401, "invalid_client"),
        ({"grant_type": "password", **USER, "client_id": "x", "client_secret": "y"}, 401, "invalid_client"),
    ],
)
def test_token_endpoint_refuses(client, tokens, form, status, error):
    """Refusals have the error codes of RFC 6749 section 5.2."""
    assert is_error(client.post(TOKEN, data=form), status, error)


def test_wrong_secret_of_a_client(client, machine):
    """A known client with a wrong secret is refused."""
    form = {"grant_type": "client_credentials"}
    response = client.post(TOKEN, data=form, headers=basic((machine[0], machine[1][::-1])))
    assert is_error(response, 401, "invalid_client")


def test_client_asks_for_fewer_scopes(client, machine):
    """A client may ask for some of its scopes, and is refused others."""
    form = {"grant_type": "client_credentials", "scope": "read"}
    assert client.post(TOKEN, data=form, headers=basic(machine)).json()["scope"] == "read"
    form["scope"] = "read admin"
    assert is_error(client.post(TOKEN, data=form, headers=basic(machine)), 400, "invalid_scope")


@pytest.mark.one_database
def test_parameter_sent_twice(client):
    """A parameter that came twice is refused (RFC 6749 section 3.2)."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = client.post(TOKEN, content="grant_type=password&grant_type=password", headers=headers)
    assert is_error(response, 400, "invalid_request")


@pytest.mark.one_database
def test_form_is_a_form(client):
    """A JSON body at the token endpoint is refused."""
    assert is_error(client.post(TOKEN, json={"grant_type": "password"}), 400, "invalid_request")


@pytest.mark.one_database
def test_client_proves_itself_in_one_way(client, machine):
    """A client with Basic and a secret in the form is refused."""
    form = {"grant_type": "client_credentials", "client_id": machine[0], "client_secret": machine[1]}
    assert is_error(client.post(TOKEN, data=form, headers=basic(machine)), 400, "invalid_request")


@pytest.mark.one_database
@pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Basic eA==", "Bearer x"])
def test_odd_client_authentication(client, value):
    """Client authentication that is not valid HTTP Basic is 401 with a challenge."""
    form = {"grant_type": "client_credentials"}
    response = client.post(TOKEN, data=form, headers={"Authorization": value})
    assert is_error(response, 401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic")


@pytest.mark.slow
def test_wrong_client_secrets_are_limited(url):
    """After 60 wrong client secrets in a minute the address gets 429 with Retry-After."""
    with service_at(url, limits=DEFAULT_LIMITS) as service:
        client = TestClient(Identity(service))
        form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}
        statuses = [client.post(TOKEN, data=form).status_code for _ in range(61)]
        assert statuses == [401] * 60 + [429]
        assert client.post(TOKEN, data=form).headers["retry-after"]


def introspect(client, machine, token):
    return client.post(INTROSPECT, data={"token": token}, headers=basic(machine)).json()


def test_introspection_of_an_access_token(client, machine, tokens):
    """The introspection of an active access token has its claims."""
    result = introspect(client, machine, tokens.access_token)
    assert (result["active"], result["sub"], result["token_type"]) == (True, tokens.user.id, "Bearer")
    assert (result["iss"], result["aud"], result["role"], result["username"]) == (
        ISSUER,
        ISSUER,
        "USER",
        "ann@example.com",
    )


def test_introspection_of_a_refresh_token(client, machine, service, tokens):
    """A refresh token is active for its own client, with the token type `refresh_token`."""
    own = service.accounts.login("ann@example.com", PASSWORD, CALLER, client_id=machine[0])
    result = introspect(client, machine, own.refresh_token)
    assert (result["active"], result["token_type"]) == (True, "refresh_token")
    assert (result["client_id"], result["sid"]) == (machine[0], own.session_id)
    assert (result["sub"], result["username"], result["iss"]) == (own.user.id, "ann@example.com", ISSUER)
    assert result["exp"] - result["iat"] == service.settings.refresh_lifetime


def test_introspection_of_refresh_tokens_of_others(client, machine, service, tokens):
    """A refresh token of another client, or of no client, is inactive."""
    other, _ = service.clients.create("another one")
    theirs = service.accounts.login("ann@example.com", PASSWORD, CALLER, client_id=other.id)
    for token in (theirs.refresh_token, tokens.refresh_token):
        assert introspect(client, machine, token) == {"active": False}


@pytest.mark.parametrize("endpoint", [INTROSPECT, "/v1/oauth/token", "/v1/oauth/revoke"])
def test_two_client_ids_are_none(client, machine, service, endpoint):
    """Basic for one client with the id of another one in the form is refused."""
    other, _ = service.clients.create("another one")
    form = {"client_id": other.id, "token": "x", "grant_type": "client_credentials"}
    answer = client.post(endpoint, data=form, headers=basic(machine))
    assert is_error(answer, 401, "invalid_client")
    form["client_id"] = machine[0]
    assert client.post(endpoint, data=form, headers=basic(machine)).status_code == 200


@pytest.mark.parametrize("verified", [True, False])
def test_tokens_say_whether_the_address_is_verified(client, machine, service, verified):
    """A token and its introspection say whether the address is verified."""
    user = service.accounts.create("eve@example.com", PASSWORD, verified=verified)
    result = introspect(client, machine, service.accounts.issue_tokens(user.id).access_token)
    assert (result["email"], result["email_verified"]) == ("eve@example.com", verified)
    token = service.accounts.issue_tokens(user.id).access_token
    claims = principal_of(service, token).claims
    assert (claims["email"], claims["email_verified"]) == ("eve@example.com", verified)


def test_introspection_of_dead_tokens(client, machine, tokens, service, clock):
    """Malformed, superseded, expired and disabled tokens are inactive, without further members."""
    newer = service.sessions.refresh(tokens.refresh_token, CALLER)
    assert introspect(client, machine, tokens.refresh_token) == {"active": False}
    assert introspect(client, machine, "garbage") == {"active": False}
    assert introspect(client, machine, newer.access_token)["active"]
    service.accounts.disable(tokens.user.id)
    assert introspect(client, machine, newer.access_token) == {"active": False}
    assert introspect(client, machine, newer.refresh_token) == {"active": False}
    other = register(service, "bob@example.com")
    clock.go_on(28_800)
    assert introspect(client, machine, other.access_token) == {"active": False}


def test_introspection_is_for_clients(client, tokens):
    """Introspection without a client is refused."""
    assert is_error(client.post(INTROSPECT, data={"token": tokens.access_token}), 401, "invalid_client")


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revocation_ends_the_session(client, tokens, machine, which):
    """Revoking the access token or the refresh token ends both."""
    assert client.post(REVOKE, data={"token": getattr(tokens, which)}).status_code == 200
    assert introspect(client, machine, tokens.access_token) == {"active": False}
    assert introspect(client, machine, tokens.refresh_token) == {"active": False}


def test_revocation_of_garbage_is_fine(client):
    """Revoking an unknown token is 200, and an unknown hint is ignored (RFC 7009 section 2.2)."""
    assert client.post(REVOKE, data={"token": "garbage", "token_type_hint": "x"}).status_code == 200


def test_revocation_of_a_clients_token(client, machine, service):
    """A client revokes its own token, and is refused for the token of another client."""
    form = {"grant_type": "client_credentials"}
    token = client.post(TOKEN, data=form, headers=basic(machine)).json()["access_token"]
    assert introspect(client, machine, token)["scope"] == "read write"
    other, secret = service.clients.create("other")
    refused = client.post(REVOKE, data={"token": token}, headers=basic((other.id, secret)))
    assert is_error(refused, 400, "unauthorized_client")
    assert client.post(REVOKE, data={"token": token}, headers=basic(machine)).status_code == 200
    assert introspect(client, machine, token) == {"active": False}


def test_session_of_a_client_is_refreshed_by_that_client_only(client, machine, tokens):
    """A refresh token is accepted from the client that got it, and refused otherwise."""
    form = {"grant_type": "password", **USER}
    token = client.post(TOKEN, data=form, headers=basic(machine)).json()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert is_error(client.post(TOKEN, data=form), 400, "invalid_grant")
    assert client.post("/v1/auth/refresh", json={"refresh_token": token}).status_code == 401
    assert client.post(TOKEN, data=form, headers=basic(machine)).status_code == 200


def test_clients_token_opens_no_account(client, machine):
    """The token of a client is refused at the profile."""
    form = {"grant_type": "client_credentials"}
    token = client.post(TOKEN, data=form, headers=basic(machine)).json()["access_token"]
    assert client.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 403


def test_client_secret_is_not_stored(service, machine):
    """The database has no client secret."""
    with service.database.read() as connection:
        row = connection.exec_driver_sql("SELECT * FROM clients").first()
    assert machine[1] not in str(row)


@pytest.mark.one_database
def test_metadata(client):
    """The metadata has the exact issuer, endpoints below it, no empty members, and no unneeded key set."""
    document = client.get("/.well-known/oauth-authorization-server").json()
    assert document["issuer"] == ISSUER
    assert document["token_endpoint"] == f"{ISSUER}/api/v1/oauth/token"
    assert "jwks_uri" not in document
    assert all(document.values())
    assert client.get("/.well-known/openid-configuration").status_code == 404  # it is no OpenID provider
    assert client.get("/.well-known/jwks.json").json() == {"keys": []}


@pytest.mark.slow
@pytest.mark.one_database
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_another_guard_verifies_by_the_key_set(url, algorithm):
    """A guard that has only the published key set accepts the tokens."""
    with service_at(url, algorithm=algorithm) as service:
        client = TestClient(Identity(service))
        token = client.post("/v1/auth/register", json={"email": "a@example.com", "password": PASSWORD}).json()
        uri = client.get("/.well-known/oauth-authorization-server").json()["jwks_uri"]
        keys = client.get(uri.removeprefix(ISSUER))
        assert keys.headers["cache-control"] == "public, max-age=300"
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        assert client.get("/v1/users/me", headers=headers).status_code == 200
    assert not any(set(key) & {"d", "p", "q", "k"} for key in keys.json()["keys"])
    verifier = JWTVerifier(keys.text, algorithms=[algorithm], issuer=ISSUER, audience=ISSUER)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["user"].subject.encode()})

    other = TestClient(AuthGuardMiddleware(app, guard=Guard(verifier), clock=Clock()))
    assert other.get("/", headers=headers).text == token["id"]


__all__ = ["NOW", "SECRET", "json"]
