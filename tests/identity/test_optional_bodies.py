"""Endpoints whose body is optional: an empty body, an object without fields, and bodies of another type."""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.model import SocialIdentity
from identity.keys import create_key, is_problem, key_field, register
from identity.support import ANN, ISSUER, PASSWORD, browser

pytestmark = pytest.mark.one_database  # bodies of requests do not depend on the database

REFRESH = "/v1/auth/refresh"
JSON = {"content-type": "application/json"}
OTHER_TYPES = ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data", ""]


def bearer(token):
    """Return the field with an access token."""
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def client(app):
    """Return a client without cookies."""
    return TestClient(app, base_url=ISSUER)


@pytest.fixture
def tokens(client):
    """Return the tokens of an account."""
    assert client.post("/v1/auth/register", json=ANN).status_code == 201
    return client.post("/v1/auth/login", json=ANN).json()


@pytest.mark.parametrize("media_type", OTHER_TYPES)
@pytest.mark.parametrize("has_bearer", [True, False])
def test_a_refresh_token_in_another_type(client, tokens, media_type, has_bearer):
    """A refresh token in a body of another type is 415, also beside an access token."""
    fields = {"content-type": media_type} | (bearer(tokens["access_token"]) if has_bearer else {})
    body = f'{{"refresh_token": "{tokens["refresh_token"]}"}}'
    answer = client.post(REFRESH, content=body, headers=fields)
    assert is_problem(answer, 415, "unsupported_media_type")
    again = client.post(REFRESH, json={"refresh_token": tokens["refresh_token"]})
    assert again.json()["refresh_token"]


def chunks(*texts):
    """Yield the parts of a body, which then has no Content-Length."""
    yield from texts


@pytest.mark.parametrize("body", [b"", b"{}", b" {} ", chunks()], ids=["empty", "{}", "spaces", "chunked"])
def test_by_bearer_with_the_type_of_json(client, tokens, body):
    """An empty body or object of the type of JSON is a refresh by the access token."""
    answer = client.post(REFRESH, content=body, headers=bearer(tokens["access_token"]) | JSON)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}


def test_by_bearer_without_a_content_length(app, client, tokens):
    """A request of the type of JSON with neither body nor Content-Length is a refresh by the access token."""
    fields = bearer(tokens["access_token"]) | JSON
    request = client.build_request("POST", REFRESH, headers=fields)
    del request.headers["content-length"]
    assert client.send(request).status_code == 200


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_an_empty_body_of_another_type(client, tokens, media_type):
    """An empty body of another type, as `curl -d ''` sends it, is a refresh by the access token."""
    fields = bearer(tokens["access_token"]) | {"content-type": media_type}
    assert client.post(REFRESH, content=b"", headers=fields).status_code == 200


def test_an_expired_bearer_with_an_empty_object(client, tokens, clock):
    """An empty object beside an access token that has expired is 401, as without a body."""
    clock.go_on(tokens["expires_in"] + 1)
    answer = client.post(REFRESH, json={}, headers=bearer(tokens["access_token"]))
    assert is_problem(answer, 401, "invalid_token")


def test_nothing_at_all(client):
    """Without credentials an empty body is 401, and an object without the token is 422."""
    assert is_problem(client.post(REFRESH), 401, "missing_credentials")
    assert is_problem(client.post(REFRESH, content=b"", headers=JSON), 401, "missing_credentials")
    answer = client.post(REFRESH, json={})
    assert is_problem(answer, 422, "invalid_fields")
    assert answer.json()["errors"] == [{"field": "refresh_token", "message": "is required"}]


@pytest.mark.parametrize("value", [None, "", 5])
def test_an_unusable_token_is_not_dropped(client, tokens, value):
    """An unusable refresh token beside an access token is 422, so that it is not dropped in silence."""
    answer = client.post(REFRESH, json={"refresh_token": value}, headers=bearer(tokens["access_token"]))
    assert is_problem(answer, 422, "invalid_fields")


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, JSON], ids=["no type", "JSON"])
def test_a_key_is_rotated_without_a_body(client, fields):
    """A rotation and a new key pair need no body, because none of their fields is required."""
    ann = register(client)
    key = create_key(client, ann)
    path = f"/v1/api-keys/{key['id']}/rotations"
    assert client.post(path, headers=ann | fields).status_code == 201
    assert client.get("/v1/users/me", headers=key_field(key["api_key"])).status_code == 401
    made = client.post("/v1/auth/api-keys", headers=ann | fields)
    assert (made.status_code, made.json()["name"]) == (201, "Default Key")


@pytest.mark.parametrize("fields", [{}, JSON], ids=["no type", "JSON"])
def test_an_account_without_a_password_is_deleted_without_a_body(client, service, fields):
    """An account without a password needs no body to be deleted, and one with a password is asked for it."""
    tokens = service.sign_in_with(SocialIdentity("op", "1", "bob@example.com", True))
    path = "/v1/auth/delete-account"
    assert client.post(path, headers=bearer(tokens.access_token) | fields).status_code == 200
    ann = client.post("/v1/auth/register", json=ANN).json()["access_token"]
    answer = client.post(path, headers=bearer(ann) | fields)
    assert answer.json()["errors"] == [{"field": "password", "message": "is required"}]


def test_another_site_deletes_nothing(service):
    """A form of another site without a body deletes no account of a signed-in browser."""
    app = Identity(service)
    ann = browser(app)
    tokens = service.sign_in_with(SocialIdentity("op", "1", "bob@example.com", True))
    ann.cookies.set(service.settings.cookie_name, tokens.access_token, domain="127.0.0.1")
    for site in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": ""}):
        assert ann.post("/v1/auth/delete-account", headers=site).status_code == 403
    assert service.accounts.find("bob@example.com") is not None


@pytest.mark.parametrize("media_type", OTHER_TYPES)
def test_a_password_in_another_type_is_not_dropped(client, tokens, media_type):
    """A body of another type is 415 where the body is optional, and nothing is changed."""
    fields = bearer(tokens["access_token"]) | {"content-type": media_type}
    for path in ("/v1/auth/delete-account", "/v1/auth/api-keys", "/v1/api-keys/key_0/rotations"):
        answer = client.post(path, content=f'{{"password": "{PASSWORD}"}}', headers=fields)
        assert is_problem(answer, 415, "unsupported_media_type")
