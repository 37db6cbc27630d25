"""Credentials at the endpoints of API keys, and the endpoints that refuse keys."""

import pytest
from starlette.testclient import TestClient

from authguard.identity.storage.database import Database
from identity.keys import bearer, create_key, is_problem, key_field, register, stored_keys

pytestmark = pytest.mark.one_database  # requests and answers do not depend on the database

KEYS, PAIRS = "/v1/api-keys", "/v1/auth/api-keys"


@pytest.fixture
def client(app):
    return TestClient(app)


@pytest.fixture
def ann(client):
    return register(client)


@pytest.fixture
def key(client, ann):
    """Return a key of Ann's."""
    return create_key(client, ann)


def endpoints(key_id):
    """Return the requests to all endpoints of API keys."""
    return [
        ("POST", KEYS, {"name": "n"}),
        ("GET", KEYS, None),
        ("DELETE", f"{KEYS}/{key_id}", None),
        ("POST", f"{KEYS}/{key_id}/rotations", {}),
        ("POST", PAIRS, {}),
        ("GET", PAIRS, None),
        ("DELETE", f"{PAIRS}/{key_id}", None),
        ("GET", "/v1/auth/usage", None),
    ]


def assert_refused(client, service, key_id, headers):
    """Check that each endpoint answers 401 with a problem document, and that no key changes."""
    before = stored_keys(service)
    for method, path, body in endpoints(key_id):
        response = client.request(method, path, headers=headers, json=body)
        assert response.status_code == 401, (method, path)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["cache-control"] == "no-store"
        assert "www-authenticate" in response.headers
    assert stored_keys(service) == before


def bent(text):
    """Return texts that differ from a key."""
    other = "A" if text[-1] != "A" else "B"
    return [
        text[:-1], text + "x", text[:-1] + other, text.upper(), text.replace("sk_live_", "sk_test_"),
        text[8:], "sk_live_x", "sk_live_abcdef1234567890wxyz", "claw_xxxx", "x" * 600,
        "sk_live_" + "a" * 4000, "\xe9" * 20, text.replace("_", "-"), text[:20] + " " + text[20:],
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("way", ["X-API-Key", "Bearer"])
def test_a_malformed_key(client, service, key, way):
    """A text that differs from a key in any character is refused at each endpoint."""
    for text in bent(key["api_key"]):
        if way == "X-API-Key":
            assert_refused(client, service, key["id"], {"X-API-Key": text.encode("latin-1")})
        elif " " not in text and text.isascii():  # others are no Bearer tokens, and get 400
            assert_refused(client, service, key["id"], bearer(text))


def test_no_credential(client, service, key):
    """A request without a credential is refused at each endpoint."""
    assert_refused(client, service, key["id"], {})


@pytest.mark.parametrize("end", ["expired", "revoked", "disabled owner"])
def test_a_bootstrap_key_that_has_ended(client, service, clock, ann, key, end):
    """A key that has expired, was revoked, or whose owner is disabled is refused at each endpoint."""
    if end == "expired":
        clock.go_on(90 * 86_400)
    elif end == "revoked":
        client.delete(f"{KEYS}/{key['id']}", headers=ann)
    else:
        service.accounts.disable(service.accounts.find("ann@example.com").id)
    assert_refused(client, service, key["id"], key_field(key["api_key"]))


@pytest.mark.parametrize("second", ["X-API-Key", "Authorization"])
def test_two_credentials(client, service, ann, key, second):
    """A request with two credentials is 400, and no key changes."""
    other = ann["Authorization"] if second == "Authorization" else key["api_key"]
    headers = [("X-API-Key", key["api_key"]), (second, other)]
    before = stored_keys(service)
    response = client.post(KEYS, headers=headers, json={"name": "n"})
    assert is_problem(response, 400, "invalid_request")
    assert stored_keys(service) == before


@pytest.mark.parametrize("place", ["?api_key={}", "?X-API-Key={}", "?key={}"])
def test_a_key_in_the_query(client, key, place):
    """A key in the query is not read."""
    assert client.get(KEYS + place.format(key["api_key"])).status_code == 401


@pytest.mark.parametrize("name", ["X_API_Key", "X-Api-Key2", "Api-Key", "Cookie"])
def test_a_key_in_another_field(client, key, name):
    """A key in another field, or in a cookie, is not read."""
    value = f"X-API-Key={key['api_key']}" if name == "Cookie" else key["api_key"]
    assert client.get(KEYS, headers={name: value}).status_code == 401


INTERACTIVE = [
    ("POST", "/v1/auth/change-password", {"current_password": "x", "new_password": "y"}),
    ("POST", "/v1/auth/change-email", {"new_email": "x", "password": "y"}),
    ("POST", "/v1/auth/delete-account", {"password": "x"}),
    ("POST", "/v1/auth/logout", None),
    ("POST", "/v1/auth/logout-all", None),
    ("POST", "/v1/auth/refresh", None),
    ("GET", "/v1/users/me/sessions", None),
    ("DELETE", "/v1/users/me/sessions/x", None),
    ("GET", "/v1/users/me/identities", None),
    ("DELETE", "/v1/users/me/identities/github", None),
    ("GET", "/account", None),
    ("POST", "/account/password", None),
    ("POST", "/account/email", None),
    ("POST", "/account/delete", None),
]


@pytest.mark.parametrize(("method", "path", "body"), INTERACTIVE, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("way", ["X-API-Key", "Bearer"])
def test_a_key_is_no_person(client, service, key, method, path, body, way):
    """Endpoints for signed-in users refuse each key, also a valid one."""
    headers = key_field(key["api_key"]) if way == "X-API-Key" else bearer(key["api_key"])
    response = client.request(method, path, headers=headers, json=body, follow_redirects=False)
    assert response.status_code == 403, response.text
    assert client.get("/v1/users/me", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/v1/users/me", "/v1/auth/me", "/api/v1/users/me"])
@pytest.mark.parametrize("way", ["X-API-Key", "Bearer"])
def test_a_key_reads_its_owner(client, key, path, way):
    """The profile of the owner can be read with a key."""
    headers = key_field(key["api_key"]) if way == "X-API-Key" else bearer(key["api_key"])
    assert client.get(path, headers=headers).json()["email"] == "ann@example.com"


@pytest.mark.parametrize("way", ["bearer", "key"])
def test_an_outage_is_503(client, service, ann, key, way):
    """While the database is down each endpoint is 503 with Retry-After, and afterwards the key is valid."""
    headers = ann if way == "bearer" else key_field(key["api_key"])
    database = service.database
    here = database._readers, database._writers
    away = Database("sqlite:////nowhere/at/all.db")
    database._readers, database._writers = away._readers, away._writers
    for method, path, body in [*endpoints(key["id"]), ("GET", "/v1/users/me", None)]:
        response = client.request(method, path, headers=headers, json=body)
        assert is_problem(response, 503, "unavailable"), (method, path)
        assert response.headers["retry-after"]
    database._readers, database._writers = here
    assert client.get("/v1/users/me", headers=headers).status_code == 200


def test_a_write_that_fails_shows_no_key(client, service, ann):
    """A key that could not be stored is not shown."""
    database, before = service.database, stored_keys(service)
    here, database._writers = database._writers, Database("sqlite:////nowhere/at/all.db")._writers
    for path, body in ((KEYS, {"name": "n"}), (PAIRS, {})):
        response = client.post(path, headers=ann, json=body)
        assert is_problem(response, 503, "unavailable")
        assert "sk_live_" not in response.text and "claw_" not in response.text
    database._writers = here
    assert stored_keys(service) == before


@pytest.mark.parametrize("days", [{"expires_in_days": 365}, {}], ids=["longer", "default"])
def test_a_key_creates_no_key_that_outlives_it(client, ann, days):
    """A key that another key creates expires with that key at the latest."""
    short = create_key(client, ann, expires_in_days=1, scopes=["read", "write"])
    longer = create_key(client, key_field(short["api_key"]), **days)
    assert longer["expires_at"] == short["expires_at"]
    shorter = create_key(client, ann, expires_in_days=2, scopes=["read", "write"])
    assert (
        create_key(client, key_field(shorter["api_key"]), expires_in_days=1)["expires_at"]
        < shorter["expires_at"]
    )
