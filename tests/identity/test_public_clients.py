"""Public clients, blank fields and stale tokens at the OAuth endpoints; metadata for ordinary clients."""

import base64

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.errors import InvalidFieldsError, NotFoundError
from identity.support import PASSWORD, service_at
from identity.test_oauth import INTROSPECT, REVOKE, TOKEN, basic, is_error
from identity.test_sessions import register

pytestmark = pytest.mark.slow_on_postgresql

USER = {"username": "ann@example.com", "password": PASSWORD}
LOGIN = {"grant_type": "password", **USER}


@pytest.fixture
def client(service):
    register(service)
    return TestClient(Identity(service))


@pytest.fixture
def page(service):
    """Return the id of a public client."""
    return service.clients.create("a page", public=True)[0].id


@pytest.fixture
def machine(service):
    created, secret = service.clients.create("reports", frozenset({"read"}))
    return created.id, secret


def test_a_public_client_signs_in_and_refreshes(client, page):
    """A public client signs users in by its id alone, and its sessions belong to it."""
    tokens = client.post(TOKEN, data={**LOGIN, "client_id": page}).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert is_error(client.post(TOKEN, data=refresh), 400, "invalid_grant")
    assert client.post(TOKEN, data={**refresh, "client_id": page}).status_code == 200


def test_a_public_client_revokes(client, page):
    """A public client revokes its own sessions only."""
    token = client.post(TOKEN, data={**LOGIN, "client_id": page}).json()["refresh_token"]
    other = client.post(TOKEN, data=LOGIN).json()["refresh_token"]
    assert is_error(client.post(REVOKE, data={"token": token}), 400, "unauthorized_client")
    assert client.post(REVOKE, data={"token": token, "client_id": page}).status_code == 200
    assert client.post(REVOKE, data={"token": other, "client_id": page}).status_code == 200
    refresh = {"grant_type": "refresh_token", "refresh_token": token, "client_id": page}
    assert is_error(client.post(TOKEN, data=refresh), 400, "invalid_grant")


def test_a_public_client_gets_nothing_for_itself(client, page):
    """A public client gets no tokens of its own, and no introspection (RFC 6749 section 4.4)."""
    form = {"grant_type": "client_credentials", "client_id": page}
    assert is_error(client.post(TOKEN, data=form), 400, "unauthorized_client")
    assert is_error(client.post(INTROSPECT, data={"token": "x", "client_id": page}), 401, "invalid_client")


@pytest.mark.parametrize("secret", ["x", " "])
def test_a_public_client_has_no_secret(client, page, secret):
    """A public client with any secret is refused."""
    assert is_error(client.post(TOKEN, data=LOGIN, headers=basic((page, secret))), 401, "invalid_client")


def test_a_client_with_a_secret_is_never_taken_for_a_public_one(client, machine):
    """The id of a client with a secret is refused with an empty secret or without one."""
    for form, fields in (({"client_id": machine[0]}, {}), ({}, basic((machine[0], "")))):
        assert is_error(client.post(TOKEN, data={**LOGIN, **form}, headers=fields), 401, "invalid_client")


def test_a_disabled_public_client_is_refused(client, service, page):
    """A disabled public client is refused until it is enabled."""
    form = {**LOGIN, "client_id": page}
    service.clients.disable(page)
    assert is_error(client.post(TOKEN, data=form), 401, "invalid_client")
    service.clients.disable(page, disabled=False)
    assert client.post(TOKEN, data=form).status_code == 200


def test_an_api_key_is_no_public_client(client, service):
    """The text of an API key without its secret is refused as a client."""
    assert is_error(client.post(TOKEN, data={**LOGIN, "client_id": "claw_x"}), 401, "invalid_client")


def test_blank_fields_of_swagger(client, page):
    """The blank client fields of Swagger UI, `Basic Og==` or an id without a secret, are accepted."""
    blank = {"authorization": "Basic " + base64.b64encode(b":").decode()}
    assert blank["authorization"] == "Basic Og=="
    assert (
        client.post(TOKEN, data={**LOGIN, "client_id": "", "client_secret": ""}, headers=blank).status_code
        == 200
    )
    assert client.post(TOKEN, data=LOGIN, headers=basic((page, ""))).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "DPoP"])
def test_a_stale_token_is_no_client(client, page, scheme):
    """An access token in the field Authorization is ignored for a client without a secret."""
    stale = {"authorization": f"{scheme} eyJ.stale.token"}
    for form in ({}, {"client_id": page}):
        tokens = client.post(TOKEN, data={**LOGIN, **form}, headers=stale)
        assert tokens.status_code == 200
        token = tokens.json()["refresh_token"]
        assert client.post(REVOKE, data={"token": token, **form}, headers=stale).status_code == 200


def test_a_stale_token_proves_no_client(client, machine):
    """An access token is no client authentication, and is refused together with one."""
    stale, form = {"authorization": "Bearer x"}, {"grant_type": "client_credentials"}
    assert is_error(client.post(TOKEN, data=form, headers=stale), 401, "invalid_client")
    assert is_error(client.post(INTROSPECT, data={"token": "x"}, headers=stale), 401, "invalid_client")
    form |= {"client_id": machine[0], "client_secret": machine[1]}
    assert is_error(client.post(TOKEN, data=form, headers=stale), 400, "invalid_request")


def test_a_new_secret_ends_the_old_one(client, service, machine):
    """After a rotation the new secret of a client is accepted, and the old one is not."""
    secret = service.clients.rotate(machine[0])
    form = {"grant_type": "client_credentials"}
    assert is_error(client.post(TOKEN, data=form, headers=basic(machine)), 401, "invalid_client")
    assert client.post(TOKEN, data=form, headers=basic((machine[0], secret))).status_code == 200


@pytest.mark.parametrize(
    ("name", "scopes", "public"),
    [
        ("", (), False),
        ("a\nb", (), False),
        ("x" * 201, (), False),
        ("x", ("a b",), False),
        ("x", ("a",), True),
    ],
)
def test_registration_is_checked(service, name, scopes, public):
    """A registration with a wrong name or scope, or with scopes of a public client, is refused."""
    with pytest.raises(InvalidFieldsError):
        service.clients.create(name, frozenset(scopes), public=public)


def test_unknown_clients_are_named_so(service, page):
    """Unknown clients raise NotFoundError, and a public client has no secret to rotate."""
    with pytest.raises(NotFoundError):
        service.clients.disable("nobody")
    with pytest.raises(NotFoundError):
        service.clients.rotate("nobody")
    with pytest.raises(InvalidFieldsError):
        service.clients.rotate(page)


@pytest.mark.slow
@pytest.mark.one_database
@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_metadata_are_what_authlib_takes(url, algorithm):
    """All checks of Authlib for RFC 8414 pass, with a key set and without."""
    with service_at(url, algorithm=algorithm, issuer="https://auth.example.com") as service:
        document = TestClient(Identity(service)).get("/.well-known/oauth-authorization-server").json()
    AuthorizationServerMetadata(document).validate()
    assert document["token_endpoint_auth_methods_supported"][-1] == "none"


@pytest.mark.slow
@pytest.mark.one_database
def test_metadata_of_an_issuer_with_a_path(url):
    """The metadata of an issuer with a path are at the paths of RFC 8414 section 3.1."""
    path = "/.well-known/oauth-authorization-server/id"
    with service_at(url, issuer="https://example.com/id") as service:
        identity = Identity(service)
        alone = TestClient(identity).get(path)
        around = Starlette(routes=[*identity.well_known_routes(), Mount("/id", identity)])
        mounted = TestClient(around).get(path, headers={"origin": "https://x.example"})
        inside = TestClient(around).get("/id/.well-known/oauth-authorization-server")
    assert alone.json() == mounted.json() == inside.json()
    assert mounted.json()["issuer"] == "https://example.com/id"
    assert mounted.headers["access-control-allow-origin"] == "*"


@pytest.mark.one_database
def test_an_issuer_without_a_path_needs_no_route(app):
    """An issuer without a path needs no route outside of the mount."""
    assert app.well_known_routes() == []
