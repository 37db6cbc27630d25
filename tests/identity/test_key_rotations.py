"""Rotations of API keys over HTTP: the id stays, and two generations of the secret can be valid."""

from email.utils import parsedate_to_datetime

import pytest
from starlette.testclient import TestClient

from identity.keys import create_key, create_pair, is_problem, key_field, register

pytestmark = pytest.mark.one_database  # requests and answers do not depend on the database

KEYS = "/v1/api-keys"


@pytest.fixture
def client(app):
    return TestClient(app)


@pytest.fixture
def ann(client):
    return register(client)


@pytest.fixture
def key(client, ann):
    return create_key(client, ann, scopes=["read", "write", "apikeys:rotate:self"])


def rotate(client, headers, key_id, **body):
    """Rotate a key, and return the answer."""
    return client.post(f"{KEYS}/{key_id}/rotations", headers=headers, json=body)


def status(client, text):
    """Return the status of the profile for a key."""
    return client.get("/v1/users/me", headers=key_field(text)).status_code


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_the_id_stays(client, ann, key, prefix):
    """The answer to a rotation has the fields and the id of the key, and the old secret is refused."""
    response = client.post(f"{prefix}/api-keys/{key['id']}/rotations", headers=ann, json={})
    document = response.json()
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    assert list(document) == list(key)
    assert {**document, "api_key": ""} == {**key, "api_key": ""}
    assert document["api_key"] != key["api_key"]
    assert (status(client, document["api_key"]), status(client, key["api_key"])) == (200, 401)


def test_the_old_secret_has_a_grace(client, clock, ann, key):
    """In the grace both secrets are accepted, and the answer to the old one has the field API-Key-Expires."""
    new = rotate(client, ann, key["id"], grace_seconds=600).json()
    old = client.get("/v1/users/me", headers=key_field(key["api_key"]))
    assert old.status_code == 200
    assert parsedate_to_datetime(old.headers["api-key-expires"]).timestamp() == int(clock.now) + 600
    assert "api-key-expires" not in client.get("/v1/users/me", headers=key_field(new["api_key"])).headers
    clock.go_on(600)
    assert (status(client, key["api_key"]), status(client, new["api_key"])) == (401, 200)


def test_a_first_use_ends_the_old_secret(client, ann, key):
    """With `first_use` the old secret is accepted until the new one is used."""
    new = rotate(client, ann, key["id"], activate="first_use").json()
    assert status(client, key["api_key"]) == 200
    assert status(client, new["api_key"]) == 200
    assert status(client, key["api_key"]) == 401


def test_a_second_rotation_cancels_a_pending_one(client, ann, key):
    """A second rotation ends the new secret of a pending one."""
    first = rotate(client, ann, key["id"], activate="first_use").json()
    second = rotate(client, ann, key["id"], activate="first_use").json()
    assert status(client, first["api_key"]) == 401
    assert status(client, second["api_key"]) == 200


def test_a_key_rotates_itself(client, key):
    """A key with the scope for it rotates itself."""
    new = rotate(client, key_field(key["api_key"]), key["id"]).json()
    assert (status(client, new["api_key"]), status(client, key["api_key"])) == (200, 401)


def test_a_key_without_the_scopes_does_not(client, ann):
    """A key with the scope read rotates neither itself nor another key."""
    reader, other = create_key(client, ann, scopes=["read"]), create_key(client, ann)
    for key_id in (reader["id"], other["id"]):
        assert is_problem(rotate(client, key_field(reader["api_key"]), key_id), 403, "insufficient_scope")


def test_a_pair_gets_both_anew(client, ann):
    """The rotation of a key with a client secret replaces both."""
    pair = create_pair(client, ann)
    new = rotate(client, ann, pair["id"]).json()
    assert new["api_key"].startswith("claw_") and new["secret"].startswith("clsk_")
    assert new["secret"] != pair["secret"]


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_key_that_has_ended_is_not_rotated(client, clock, ann, key, end):
    """A key that has expired or was revoked is not rotated, and is still refused."""
    if end == "revoked":
        client.delete(f"{KEYS}/{key['id']}", headers=ann)
    else:
        clock.go_on(90 * 86_400)
        ann = register(client, "again@example.com") and ann
    response = rotate(client, ann, key["id"])
    assert response.status_code in (401, 409)
    assert status(client, key["api_key"]) == 401


def test_usage_and_limit_go_on(client, service, ann, key):
    """The new secret takes from the limit of the key, and its uses count for the key."""
    assert [status(client, key["api_key"]) for _ in range(6)] == [200] * 6
    new = rotate(client, ann, key["id"]).json()
    assert [status(client, new["api_key"]) for _ in range(5)] == [200] * 4 + [429]
    service.api_key_verifier.recorder.flush()
    assert client.get(KEYS, headers=ann).json()[0]["usage_count"] == 10
