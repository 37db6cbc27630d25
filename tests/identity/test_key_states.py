"""The states of keys over HTTP: endpoints and pages that disable, enable and show a key."""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity, IdentityService
from identity.api_key_support import verify
from identity.key_pages import KEY, KEYS, call, create, first_key, keys_of, words
from identity.keys import bearer, create_key, create_pair, is_problem, key_field, register
from identity.support import CALLER, browser

pytestmark = pytest.mark.one_database  # HTTP does not depend on the database


@pytest.fixture
def client(app: Identity) -> TestClient:
    return TestClient(app)


def lock(service: IdentityService, key_id: str) -> None:
    """Disable a key as the operator."""
    service.api_keys.disable(service.api_keys.find_operator(key_id), key_id, CALLER)


# --- the API


@pytest.mark.slow
def test_the_api_disables_and_enables(client):
    """The API disables and enables keys of both documents, under both prefixes."""
    ann = register(client)
    key, pair = create_key(client, ann), create_pair(client, ann)
    for prefix, key_id, text in (("/v1", key["id"], key["api_key"]), ("/api/v1", pair["id"], pair["key"])):
        path = f"{prefix}/api-keys/{key_id}"
        disabled = client.post(f"{path}/disable", headers=ann)
        document = disabled.json()
        assert (disabled.status_code, document["state"], document["is_active"]) == (200, "disabled", False)
        assert document["disabled_by"] == "owner"
        assert client.get("/v1/users/me", headers=key_field(text)).status_code == 401
        assert client.get(path, headers=ann).json() == document
        enabled = client.post(f"{path}/enable", headers=ann)
        assert (enabled.status_code, enabled.json()["state"]) == (200, "active")
        assert client.get("/v1/users/me", headers=key_field(text)).status_code == 200


def test_the_lists_of_the_documents_say_that_it_is_off(client):
    """The lists of the documents show a disabled key by their documented members."""
    ann = register(client)
    key = create_key(client, ann)
    before = client.get("/v1/api-keys", headers=ann).json()[0]
    client.post(f"/v1/api-keys/{key['id']}/disable", headers=ann)
    (listed,) = client.get("/v1/api-keys", headers=ann).json()
    assert listed == before | {"is_active": False}
    (pair,) = client.get("/v1/auth/api-keys", headers=ann).json()["keys"]
    assert pair["enabled"] is False


def test_the_api_shows_one_key(client):
    """The API shows one key, with more members than the lists of the documents."""
    ann = register(client)
    made = create_key(client, ann, networks=["192.0.2.0/24"], metadata={"team": "a"})
    (listed,) = client.get("/v1/api-keys", headers=ann).json()
    more = {"shown": made["api_key"][:12], "scopes": ["read", "write"], "tier": "free"}
    more |= {"state": "active", "disabled_by": None, "revoked_for": None, "networks": ["192.0.2.0/24"]}
    more |= {"metadata": {"team": "a"}}
    assert client.get(f"/v1/api-keys/{made['id']}", headers=ann).json() == listed | more


@pytest.mark.parametrize("path", ["", "/disable", "/enable"])
def test_the_api_refuses_others(client, path):
    """A request without a token is 401, and another owner's key or an unknown one is 404."""
    ann, bob = register(client), register(client, "bob@example.com")
    key_id = create_key(client, ann)["id"]
    ask = client.post if path else client.get
    assert ask(f"/v1/api-keys/{key_id}{path}").status_code == 401
    for headers, name in ((bob, key_id), (ann, "key_unknown"), (ann, "%00"), (ann, "x" * 5_000)):
        assert is_problem(ask(f"/v1/api-keys/{name}{path}", headers=headers), 404, "not_found")


def test_the_api_says_that_a_key_is_locked(client, service):
    """Enabling a key that the operator has disabled is 409 `key_locked`, and the key names the operator."""
    ann = register(client)
    path = f"/v1/api-keys/{create_key(client, ann)['id']}"
    lock(service, path.rpartition("/")[2])
    assert client.get(path, headers=ann).json()["disabled_by"] == "operator"
    assert is_problem(client.post(f"{path}/enable", headers=ann), 409, "key_locked")


def test_a_disabled_key_cannot_enable_itself(client):
    """A disabled key is refused when it tries to enable itself."""
    ann = register(client)
    made = create_key(client, ann)
    path = f"/v1/api-keys/{made['id']}"
    assert client.post(f"{path}/disable", headers=key_field(made["api_key"])).status_code == 200
    assert client.post(f"{path}/enable", headers=key_field(made["api_key"])).status_code == 401
    assert client.post(f"{path}/enable", headers=ann).status_code == 200


def test_a_token_of_a_key_that_was_off_logs_out(client, service):
    """A token of a key that was disabled and enabled again can be logged out."""
    ann = register(client)
    pair = create_pair(client, ann)
    for act in ("disable", "enable"):
        client.post(f"/v1/api-keys/{pair['id']}/{act}", headers=ann)
    form = {"grant_type": "client_credentials", "client_id": pair["key"], "client_secret": pair["secret"]}
    token = client.post("/v1/oauth/token", data=form).json()["access_token"]
    asker, _ = service.clients.create("introspector")
    assert service.clients.introspect(token, asker)["active"]
    assert client.post("/v1/auth/logout", headers=bearer(token)).status_code == 200
    assert service.clients.introspect(token, asker) == {"active": False}


# --- the pages


def test_the_page_disables_and_enables(app, ann, service):
    """The pages disable and enable a key, and show its state."""
    text = create(ann)
    key_id = first_key(ann)
    page = words(ann.get(f"{KEY}?key={key_id}"))
    assert "Disable key" in page and "Enable key" not in page
    response = ann.post(f"{KEY}/disable", data={"key": key_id})
    assert (response.status_code, response.headers["location"]) == (303, f"{KEYS}?notice=key-disabled")
    listed = words(ann.get(response.headers["location"]))
    assert "The key was disabled." in listed and "Nightly export disabled" in listed
    assert "Keys that have ended" not in listed
    assert call(app, text) == 401
    page = words(ann.get(f"{KEY}?key={key_id}"))
    assert "Disabled 15 January 2027, 08:00 UTC, by you" in page
    assert "Enable key" in page and "Disable key" not in page and "Rotate key" not in page
    response = ann.post(f"{KEY}/enable", data={"key": key_id})
    assert response.headers["location"] == f"{KEYS}?notice=key-enabled"
    assert "Nightly export active" in words(ann.get(KEYS))
    assert call(app, text) == 200


def test_the_page_says_who_has_disabled_a_key(ann, service):
    """The page of a key that the operator has disabled has no button, and a request to enable it is 409."""
    create(ann)
    key_id = first_key(ann)
    lock(service, key_id)
    page = words(ann.get(f"{KEY}?key={key_id}"))
    assert "by the operator of the service" in page and "Enable key" not in page
    response = ann.post(f"{KEY}/enable", data={"key": key_id})
    assert (response.status_code, "has to enable it" in words(response)) == (409, True)
    assert keys_of(service)[0].disabled_at is not None


def test_the_page_says_that_a_key_has_disabled_it(ann, service):
    """The page of a key that another key has disabled shows that, and has a button to enable the key."""
    text = create(ann)
    key_id = first_key(ann)
    service.api_keys.disable(verify(service, text), key_id, CALLER)
    page = words(ann.get(f"{KEY}?key={key_id}"))
    assert "by an API key of yours" in page and "Enable key" in page


def test_a_key_that_has_ended_has_no_switch(ann, service):
    """The page of a revoked key has neither button, and both requests are 409."""
    create(ann)
    key_id = first_key(ann)
    ann.post(f"{KEY}/revoke", data={"key": key_id, "confirm": "yes"})
    page = words(ann.get(f"{KEY}?key={key_id}"))
    assert "Enable key" not in page and "Disable key" not in page
    for act in ("disable", "enable"):
        assert ann.post(f"{KEY}/{act}", data={"key": key_id}).status_code == 409


@pytest.mark.parametrize("act", ["disable", "enable"])
def test_pages_are_for_the_owner(app, ann, service, act):
    """An anonymous caller, another owner, a wrong form and another site cannot switch a key."""
    create(ann)
    key_id = first_key(ann)
    path = f"{KEY}/{act}"
    stranger, bob = browser(app), browser(app)
    bob.post("/register", data={"email": "bob@example.com", "password": "SecurePass123!"})
    assert stranger.post(path, data={"key": key_id}).headers["location"].startswith("/login")
    assert bob.post(path, data={"key": key_id}).status_code == 404
    for fields in ({"key": ""}, {"key": "x" * 65}):
        assert ann.post(path, data=fields).status_code == 404
    assert ann.post(path, data={"key": key_id, "more": "1"}).status_code == 422
    assert ann.post(path, data={"key": key_id}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert keys_of(service)[0].switches == 0
