"""The settings of API keys, as the endpoints follow them."""

import contextlib

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.keys import create_key, create_pair, is_problem, key_field, register
from identity.support import empty, service_at

pytestmark = pytest.mark.one_database  # requests and answers do not depend on the database

ME, KEYS, PAIRS = "/v1/users/me", "/v1/api-keys", "/v1/auth/api-keys"


@pytest.fixture
def served(sqlite_url, clock):
    """Return a function that makes a client of a service with some settings."""
    with contextlib.ExitStack() as stack:

        def serve(**given):
            empty(sqlite_url)
            return TestClient(Identity(stack.enter_context(service_at(sqlite_url, clock=clock, **given))))

        yield serve


def test_without_api_keys_there_are_no_endpoints(served):
    """With `api_keys=False` the endpoints of keys get 404, and keys are refused."""
    client = served(api_keys=False)
    ann = register(client)
    answers = [client.get(path, headers=ann) for path in (KEYS, PAIRS, "/v1/auth/usage")]
    answers.append(client.post(KEYS, headers=ann, json={"name": "n"}))
    assert all(is_problem(answer, 404, "not_found") for answer in answers)
    assert client.get(ME, headers=ann).status_code == 200
    assert client.get(ME, headers=key_field("sk_live_something")).status_code == 403


@pytest.mark.slow
def test_keys_may_be_kept_from_managing_keys(served):
    """With `api_keys_manage_keys=False` tokens create and revoke keys, and keys can only list them."""
    client = served(api_keys_manage_keys=False)
    ann = register(client)
    key = create_key(client, ann)
    headers = key_field(key["api_key"])
    answers = [
        client.post(KEYS, headers=headers, json={"name": "n"}),
        client.post(PAIRS, headers=headers, json={}),
        client.delete(f"{KEYS}/{key['id']}", headers=headers),
        client.delete(f"{PAIRS}/{key['id']}", headers=headers),
        client.post(f"{KEYS}/{key['id']}/rotations", headers=headers, json={}),
    ]
    assert all(is_problem(answer, 403, "insufficient_scope") for answer in answers)
    assert client.get(KEYS, headers=headers).status_code == 200
    assert client.delete(f"{KEYS}/{key['id']}", headers=ann).status_code == 200


@pytest.mark.slow
def test_a_key_may_rotate_itself_all_the_same(served):
    """A key with `apikeys:rotate:self` rotates itself, although keys cannot manage keys."""
    client = served(api_keys_manage_keys=False)
    key = create_key(client, register(client), scopes=["read", "apikeys:rotate:self"])
    path = f"{KEYS}/{key['id']}/rotations"
    assert client.post(path, headers=key_field(key["api_key"]), json={}).status_code == 201


@pytest.mark.slow
def test_the_lifetime_is_a_setting(served, clock):
    """A key without a lifetime of its own is valid for `api_key_lifetime`."""
    client = served(api_key_lifetime=3600)
    headers = key_field(create_key(client, register(client))["api_key"])
    clock.go_on(3599)
    assert client.get(ME, headers=headers).status_code == 200
    clock.go_on(1)
    assert client.get(ME, headers=headers).status_code == 401


@pytest.mark.parametrize("way", ["X-API-Key", "Bearer"])
def test_keys_may_begin_with_other_words(served, way):
    """A key with a prefix of `api_key_prefixes` is accepted in either field."""
    client = served(api_key_prefixes=["acme_live_"])
    key = create_key(client, register(client), kind="acme_live")
    assert key["api_key"].startswith("acme_live_") and key["prefix"] == "acme_live"
    fields = (
        {"X-API-Key": key["api_key"]} if way == "X-API-Key" else {"Authorization": f"Bearer {key['api_key']}"}
    )
    assert client.get(ME, headers=fields).status_code == 200


@pytest.mark.slow
def test_an_admin_gives_admin(served):
    """An account with a role of `admin_roles` makes keys with the permission `admin`, and of any tier."""
    client = served(admin_roles=["BOSS"])
    ann = register(client)
    service = client.app.service
    service.administration.set_roles(service.accounts.find("ann@example.com").id, ["USER", "BOSS"])
    pair = create_pair(client, ann, permissions=["read", "write", "admin"])
    assert pair["permissions"] == ["read", "write", "admin"]
    key = create_key(client, ann, tier="enterprise", scopes=["admin"])
    usage = client.get("/v1/auth/usage", headers=key_field(key["api_key"])).json()
    assert (usage["tier"], usage["limits"]) == ("enterprise", {"perDay": 1_000_000, "perMinute": 6_000})


@pytest.mark.parametrize("counted", [True, False])
def test_all_guards_of_the_service_read_the_same_fields(url, counted):
    """All guards of the service read the same fields, and use the clock of the service."""
    with service_at(url, count_key_management=counted) as service:
        app = Identity(service)
        guards = [app.guard, *(guarded.guard for guarded in app._by_path.values())]
    assert len(set(map(id, guards))) == (4 if counted else 5)
    assert {guard.recalled_fields for guard in guards} == {app.guard.recalled_fields}
    assert all(guard.remotes.clock is service.clock for guard in guards)
