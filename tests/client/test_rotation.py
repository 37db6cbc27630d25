"""`rotate_api_key` with the identity service: a new key, an update of services, and the revocation."""

import httpx
import pytest

from authguard.client import APIKeyAuth, rotate_api_key
from authguard.errors import ConfigurationError
from authguard.identity import APIKeyRequest
from authguard.identity.model import Operator
from identity.support import CALLER, serving

from .test_client import EMAIL, Recorder, world

__all__ = ["world"]  # a fixture


@pytest.fixture
def client(world):
    with httpx.Client(base_url=world.base, auth=world.auth) as client:
        yield client


@pytest.fixture
def old(client):
    return client.post("/api-keys", json={"name": "Server"}).json()


def opens(world, key):
    """Return whether the key is valid."""
    with httpx.Client(auth=APIKeyAuth(world.base, key)) as client:
        return client.get(world.base + "/users/me").status_code == 200


def test_replaces_a_key(world, client, old):
    """The services get the new key while the old one is valid, and then the old one is revoked."""
    seen = []
    new = rotate_api_key(client, old["id"], lambda key: seen.append((key, opens(world, old["api_key"]))))
    assert seen == [(new, True)]
    assert opens(world, new) and not opens(world, old["api_key"])


def test_the_new_key_is_named_as_in_the_document(client, old):
    """By default the new key has the name "Rotated Key" with the time."""
    rotate_api_key(client, old["id"], len)
    (new,) = [key for key in client.get("/api-keys").json() if key["id"] != old["id"]]
    assert new["name"].startswith("Rotated Key 2")


def test_a_name_may_be_given(client, old):
    """The caller can set the name and the lifetime of the new key."""
    rotate_api_key(client, old["id"], len, name="Server, second", expires_in_days=7)
    assert "Server, second" in [key["name"] for key in client.get("/api-keys").json()]


def test_an_async_update_is_refused(client, old):
    """An async update is refused, because the old key would be revoked before it has run."""

    async def update(key):
        """Switch the services."""

    with pytest.raises(ConfigurationError, match="update must be a plain function, got an async one"):
        rotate_api_key(client, old["id"], update)
    assert len(client.get("/api-keys").json()) == 1


@pytest.mark.parametrize("name", ["", 5, True, b"n", ["n"]])
def test_a_name_is_text(client, old, name):
    """A name that is no text is refused, and no key is created."""
    with pytest.raises(ConfigurationError, match="name must be"):
        rotate_api_key(client, old["id"], len, name=name)
    assert len(client.get("/api-keys").json()) == 1


def test_an_update_that_fails_revokes_nothing(world, client, old):
    """An update that fails revokes neither the new key nor the old one."""
    seen = []

    def update(key):
        seen.append(key)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rotate_api_key(client, old["id"], update)
    assert opens(world, seen[0]) and opens(world, old["api_key"])


RIGHTS = ("prefix", "scopes", "networks", "tier", "metadata")


def rights(client, key_id):
    """Return the rights of a key, as the service shows them."""
    shown = client.get(f"/api-keys/{key_id}").json()
    return {name: shown[name] for name in RIGHTS}


def active_ids(client):
    """Return the ids of the active keys."""
    return [key["id"] for key in client.get("/api-keys").json() if key["is_active"]]


@pytest.mark.parametrize(
    "wish",
    [
        {"scopes": ["read"]},
        {"scopes": []},
        {"networks": ["127.0.0.0/8", "2001:db8::/32"]},
        {"kind": "sk_test"},
        {"kind": "ak", "metadata": {"team": {"id": 7}}},
    ],
)
def test_the_new_key_has_the_rights_of_the_old_one(client, wish):
    """The new key has the prefix, scopes, networks, tier and metadata of the old one."""
    old_id = client.post("/api-keys", json={"name": "Old", **wish}).json()["id"]
    before = rights(client, old_id)
    rotate_api_key(client, old_id, len)
    (new_id,) = active_ids(client)
    assert (new_id != old_id, rights(client, new_id)) == (True, before)


def test_rights_that_the_client_may_not_give_are_not_replaced_by_others(world, client):
    """A key with a right that the client may not give is not replaced, and the error names another way."""
    owner = Operator(world.service.accounts.find(EMAIL).id)
    paid = world.service.api_keys.create(owner, APIKeyRequest(tier="pro"), CALLER).key
    with pytest.raises(httpx.HTTPStatusError, match="403") as caught:
        rotate_api_key(client, paid.id, len)
    assert "/rotations" in caught.value.__notes__[0]
    assert active_ids(client) == [paid.id]


@pytest.mark.parametrize("state", ["disabled", "revoked"])
def test_a_key_that_cannot_be_used_is_not_replaced(client, old, state):
    """A disabled or revoked key is not replaced."""
    if state == "disabled":
        client.post(f"/api-keys/{old['id']}/disable")
    else:
        client.delete(f"/api-keys/{old['id']}")
    with pytest.raises(ConfigurationError, match="must be the id of an active key"):
        rotate_api_key(client, old["id"], len)
    assert active_ids(client) == []


def test_a_key_with_a_client_secret_is_not_replaced(client):
    """A key with a client secret is not replaced, because the function returns one text."""
    pair = client.post("/api-keys", json={"name": "Pair", "kind": "claw"}).json()
    with pytest.raises(ConfigurationError, match="without a client secret"):
        rotate_api_key(client, pair["id"], len)
    assert active_ids(client) == [pair["id"]]


@pytest.mark.parametrize("sort", ["another id", "a path", "a query", "its key", "any key", "another secret"])
def test_only_a_listed_id_is_sent(world, client, old, sort):
    """A text that is no listed id is refused before a key is created, and is not shown or sent."""
    text = {
        "another id": "key_00000000-0000-4000-8000-000000000000",
        "a path": "a/../../users/me",
        "a query": "?",
        "its key": old["api_key"],
        "any key": "acme_" + old["api_key"].removeprefix("sk_live_"),
        "another secret": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    }[sort]
    updates = []
    with pytest.raises(ConfigurationError, match="old_key_id must be the id") as caught:
        rotate_api_key(client, text, updates.append)
    assert (sort in ("its key", "any key")) == ("got a key" in str(caught.value))
    assert updates == [] and active_ids(client) == [old["id"]]
    assert len(text) < 5 or text not in str(caught.value)
    assert not any(text in path for path, _, _ in world.recorder.seen)


@pytest.mark.parametrize("missing", ["is_active", *RIGHTS])
def test_rights_that_cannot_be_read_are_an_error(missing):
    """A service that does not show a right of the old key gets no request for a new key."""
    shown = {"id": "key_1", "is_active": True, "prefix": "sk_live"}
    shown |= {"scopes": [], "networks": [], "tier": "free", "metadata": {}}
    del shown[missing]
    posted = []

    def answer(request):
        if request.method != "GET":
            posted.append(request)
        return httpx.Response(200, json=shown if request.url.path.endswith("key_1") else [{"id": "key_1"}])

    with (
        httpx.Client(base_url="https://api.example.com/v1", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(ConfigurationError, match=f"client must lead to .* without {missing}"),
    ):
        rotate_api_key(client, "key_1", len)
    assert posted == []


@pytest.mark.parametrize("made", [b"{}", b'{"api_key": null}', b'{"api_key": ""}', b"[]", b"", b"[" * 60_000])
def test_an_answer_without_the_new_key_is_an_error(made):
    """An answer without a new key is an error, and the old key is not revoked."""
    shown = {"id": "key_1", "is_active": True, "prefix": "sk_live"}
    shown |= {"scopes": [], "networks": [], "tier": "free", "metadata": {}}
    methods, updates = [], []

    def answer(request):
        methods.append(request.method)
        if request.method == "POST":
            return httpx.Response(201, content=made)
        return httpx.Response(200, json=shown if request.url.path.endswith("key_1") else [{"id": "key_1"}])

    with (
        httpx.Client(base_url="https://api.example.com/v1", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(ConfigurationError, match="the old key is as it was"),
    ):
        rotate_api_key(client, "key_1", updates.append)
    assert updates == [] and methods == ["GET", "GET", "POST"]


def test_a_redirect_is_not_followed():
    """A redirect is not followed, even by a client that follows redirects."""
    server = Recorder()
    server.answers = {"/api-keys": (307, {"location": "/elsewhere"})}
    with (
        serving(server) as origin,
        httpx.Client(base_url=origin, follow_redirects=True) as client,
        pytest.raises(httpx.HTTPStatusError, match="307"),
    ):
        rotate_api_key(client, "key_1", len)
    assert server.count("/elsewhere") == 0
