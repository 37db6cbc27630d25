"""Bad input at the endpoints of API keys: the documented status, a problem document, nothing stored."""

import json

import pytest
from starlette.testclient import TestClient

from identity.keys import create_key, create_pair, is_problem, key_field, register, stored_keys

pytestmark = pytest.mark.one_database  # requests and answers do not depend on the database

KEYS, PAIRS = "/v1/api-keys", "/v1/auth/api-keys"
UNKNOWN = "key_00000000-0000-4000-8000-000000000000"
NUL = "a\x00b"
LONG = "n" * 201
TEXTS = [None, True, 5, 1.5, [], ["a"], {}, {"a": 1}, "", LONG, NUL, "a\nb", "\u202eevil", "  "]
LISTS = [
    None,
    True,
    5,
    "read",
    {},
    {"read": True},
    [None],
    [5],
    [["read"]],
    [{}],
    [""],
    ["read write"],
]
LISTS += [["re\x00ad"], ["read"] * 65, ["r\u0435ad"]]  # the last one has a Cyrillic letter
NETWORKS = ["x", "10.0.0.1/8", "10.0.0.0/33", "::1%lo", NUL, "1.2.3"]
NUMBERS = [True, "90", 1.5, 0, -1, 3651, 10**30, [], {}, [90]]

BAD_KEYS = [
    *[{"name": value} for value in TEXTS],
    {},
    *[{"name": "n", "expires_in_days": value} for value in NUMBERS],
    *[{"name": "n", "scopes": value} for value in LISTS if value is not None],
    *[{"name": "n", "kind": value} for value in [*TEXTS, "sk_live_", "clsk", "SK_LIVE", "ghp"]],
    *[{"name": "n", "tier": value} for value in [True, 5, [], {}, "", "platinum", "FREE", NUL]],
    *[{"name": "n", "metadata": value} for value in [None, True, 5, "a", [], [1], {"a": "x" * 2100}]],
    *[{"name": "n", "networks": value} for value in [None, True, 5, "10.0.0.0/8", {}, [None], [5], [""]]],
    *[{"name": "n", "networks": [value]} for value in NETWORKS],
    {"name": "n", "networks": ["10.0.0.1"] * 200},
    {"name": "n", "id": UNKNOWN},
    {"name": "n", "user_id": "somebody"},
    {"name": "n", "permissions": ["read"]},
]  # fmt: skip
BAD_PAIRS = [
    *[{"name": value} for value in TEXTS],
    *[{"permissions": value} for value in [*LISTS, ["root"], ["READ"]]],
    {"permissions": ["apikeys:rotate:self"]},
    {"tier": "enterprise"},
    {"expires_in_days": 1},
    {"secret": "clsk_" + "x" * 40},
]
BAD_ROTATIONS = [
    *[{"activate": value} for value in [None, True, 5, [], {}, "", "NOW", "later"]],
    *[{"grace_seconds": value} for value in [None, True, "60", 1.5, -1, 30 * 86_400 + 1, 10**30, [], {}]],
    {"activate": "now", "expires_in_days": 1},
]
NOT_JSON = [
    b"{",
    b"[]",
    b"null",
    b'"a"',
    b"{}{}",
    b"\xff",
    b'{"name":"a","name":"b"}',
    b'{"name":"\\ud800"}',
]
NOT_JSON += [b'{"name":' + b"[" * 800]


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


def taken(client, service, path, headers, bodies):
    """Return the bodies that are not answered by 422, and check that none of them changes a key."""
    before = stored_keys(service)
    answers = [(body, client.post(path, headers=headers, json=body)) for body in bodies]
    assert stored_keys(service) == before
    return [body for body, answer in answers if not is_problem(answer, 422, "invalid_fields")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bearer", "key"])
@pytest.mark.parametrize(("path", "bodies"), [(KEYS, BAD_KEYS), (PAIRS, BAD_PAIRS)], ids=["key", "pair"])
def test_bad_fields(client, service, ann, key, kind, path, bodies):
    """A bad value of a field is 422 with a problem document, and no key is made."""
    headers = ann if kind == "bearer" else key_field(key["api_key"])
    assert taken(client, service, path, headers, bodies) == []


@pytest.mark.parametrize("body", [{"scopes": ["root"]}, {"scopes": ["READ"]}, {"scopes": ["read", "admin"]}])
@pytest.mark.parametrize("kind", ["bearer", "key"])
def test_scopes_that_the_owner_lacks(client, service, ann, key, kind, body):
    """A scope that the owner lacks is 403, and no key is made."""
    headers = ann if kind == "bearer" else key_field(key["api_key"])
    before = stored_keys(service)
    answer = client.post(KEYS, headers=headers, json={"name": "n", **body})
    assert is_problem(answer, 403, "insufficient_scope")
    assert stored_keys(service) == before


def test_admin_needs_admin(client, service, ann):
    """The permission `admin` is refused for keys of accounts without a role of admins."""
    answer = client.post(PAIRS, headers=ann, json={"permissions": ["read", "write", "admin"]})
    assert is_problem(answer, 403, "insufficient_scope")
    assert stored_keys(service) == []


def test_a_tier_needs_admin(client, service, ann):
    """An owner who is no admin cannot choose the tier of a key."""
    answer = client.post(KEYS, headers=ann, json={"name": "n", "tier": "enterprise"})
    assert is_problem(answer, 403, "insufficient_scope")
    assert "Only an operator" in answer.json()["detail"]
    assert stored_keys(service) == []


def test_bad_fields_of_a_rotation(client, service, ann, key):
    """A bad value of a rotation is 422, and the key does not change."""
    before = stored_keys(service)
    path = f"{KEYS}/{key['id']}/rotations"
    answers = {json.dumps(body): client.post(path, headers=ann, json=body) for body in BAD_ROTATIONS}
    assert {
        body for body, answer in answers.items() if not is_problem(answer, 422, "invalid_fields")
    } == set()
    assert stored_keys(service) == before


@pytest.mark.parametrize("path", [KEYS, PAIRS, f"{KEYS}/{UNKNOWN}/rotations"])
@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:24]))
def test_a_body_that_is_no_object(client, service, ann, path, body):
    """A body that is not one JSON object is 422."""
    headers = {**ann, "content-type": "application/json"}
    assert is_problem(client.post(path, headers=headers, content=body), 422, "invalid_fields")
    assert stored_keys(service) == []


@pytest.mark.parametrize("path", [KEYS, PAIRS, f"{KEYS}/{UNKNOWN}/rotations"])
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_type_of_body(client, ann, path, media_type):
    """A body with another content type than JSON is 415, because forms of other sites can send it."""
    headers = {**ann, "content-type": media_type}
    response = client.post(path, headers=headers, content=b'{"name":"n"}')
    assert is_problem(response, 415, "unsupported_media_type")


def test_large_bodies_are_refused_early(client, ann):
    """A body beyond the limit is 413."""
    body = {"name": "n", "metadata": {"a": "x" * 70_000}}
    assert is_problem(client.post(KEYS, headers=ann, json=body), 413, "payload_too_large")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "n", "scopes": [5] * 20_000},
        {"name": "n", "scopes": ["x" * 65] * 900},
        {"name": "n", "networks": ["10.0.0.1"] * 5000},
        {"name": "n", "networks": ["1" * 60_000]},
        {"name": "n", "metadata": {str(number): number for number in range(3000)}},
        {"name": "n", "metadata": {"a": [[[[[[[[]]]]]]]] * 3000}},
        {"name": "\u0301" * 10_000},
    ],
    ids=["numbers", "long scopes", "networks", "a long network", "members", "nested", "marks"],
)
def test_answers_to_large_bodies_are_short(client, ann, body):
    """The answer to a large body is smaller than the body. `tests/hostile` counts the work for it."""
    response = client.post(KEYS, headers=ann, json=body)
    assert is_problem(response, 422, "invalid_fields")
    assert len(response.content) < 2000


UNKNOWN_IDS = [
    UNKNOWN, "0" * 24, "key_", "key_123", "x", "0" * 23, "KEY_" + UNKNOWN[4:], "a%00b", "%C3%A9", "k" * 3000,
    "%F0%9F%92%A9", "'%20OR%201=1--", "%2e%2e", "key_%0a",
]  # fmt: skip


@pytest.mark.parametrize("key_id", UNKNOWN_IDS, ids=lambda text: text[:30])
def test_unknown_ids(client, service, ann, key, key_id):
    """An unknown id is 404 at each endpoint, and no key changes."""
    before = stored_keys(service)
    answers = [
        client.delete(f"{KEYS}/{key_id}", headers=ann),
        client.delete(f"{PAIRS}/{key_id}", headers=ann),
        client.post(f"{KEYS}/{key_id}/rotations", headers=ann, json={}),
    ]
    assert all(is_problem(answer, 404, "not_found") for answer in answers)
    assert stored_keys(service) == before


@pytest.mark.parametrize("kind", ["bearer", "key"])
def test_another_owners_key(client, service, ann, key, kind):
    """Another owner's key is answered as an unknown one, byte for byte."""
    bob = register(client, "bob@example.com")
    headers = bob if kind == "bearer" else key_field(create_key(client, bob)["api_key"])
    before = stored_keys(service)
    answers = [
        (
            client.delete(f"{path}/{key_id}", headers=headers).content,
            client.post(f"{KEYS}/{key_id}/rotations", headers=headers, json={}).content,
        )
        for path in (KEYS, PAIRS)
        for key_id in (key["id"], UNKNOWN)
    ]
    assert len(set(answers)) == 1
    assert stored_keys(service) == before
    assert key["id"] not in client.get(KEYS, headers=headers).text + client.get(PAIRS, headers=headers).text


def test_an_id_of_the_other_document(client, ann):
    """Each API revokes the keys of both."""
    key, pair = create_key(client, ann), create_pair(client, ann)
    assert client.delete(f"{PAIRS}/{key['id']}", headers=ann).json() == {"success": True}
    assert client.delete(f"{KEYS}/{pair['id']}", headers=ann).status_code == 200
    assert client.get(KEYS, headers=key_field(key["api_key"])).status_code == 401
    assert client.get(KEYS, headers=key_field(pair["key"])).status_code == 401


def test_a_key_revoked_twice(client, service, ann, key):
    """A second revocation of a key is answered by 200 or 404, and changes nothing."""
    assert client.delete(f"{KEYS}/{key['id']}", headers=ann).status_code == 200
    before = stored_keys(service)
    assert client.delete(f"{KEYS}/{key['id']}", headers=ann).status_code in (200, 404)
    assert stored_keys(service) == before


@pytest.mark.parametrize("name", ["Schlüssel 🔑", "كلید", "名前", "a'b\"<script>", "n" * 200])
def test_names_may_be_in_any_script(client, ann, name):
    """A name in any script is stored and listed unchanged."""
    create_key(client, ann, name=name)
    assert client.get(KEYS, headers=ann).json()[0]["name"] == name
    assert client.get(PAIRS, headers=ann).json()["keys"][0]["name"] == name


def test_two_keys_of_one_name(client, ann):
    """Two keys of one name have different ids."""
    first, second = create_key(client, ann), create_key(client, ann)
    assert first["id"] != second["id"]
