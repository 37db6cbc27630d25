"""`rotate_api_key`, against the identity service: a new key, the services, the end of the old one."""

import httpx
import pytest

from authguard.client import APIKeyAuth, rotate_api_key
from authguard.errors import ConfigurationError
from identity.support import serving

from .test_client import Recorder, world

__all__ = ["world"]  # a fixture


@pytest.fixture
def client(world):
    with httpx.Client(base_url=world.base, auth=world.auth) as client:
        yield client


@pytest.fixture
def old(client):
    return client.post("/api-keys", json={"name": "Server"}).json()


def opens(world, key):
    """Whether the key is good."""
    with httpx.Client(auth=APIKeyAuth(world.base, key)) as client:
        return client.get(world.base + "/users/me").status_code == 200


def test_replaces_a_key(world, client, old):
    """The services get the new key while the old one is good; afterwards only the new one is."""
    seen = []
    new = rotate_api_key(client, old["id"], lambda key: seen.append((key, opens(world, old["api_key"]))))
    assert seen == [(new, True)]
    assert opens(world, new) and not opens(world, old["api_key"])


def test_the_new_key_is_named_as_in_the_document(client, old):
    """Its name is "Rotated Key" and the time, and it is valid for 90 days."""
    rotate_api_key(client, old["id"], len)
    (new,) = [key for key in client.get("/api-keys").json() if key["id"] != old["id"]]
    assert new["name"].startswith("Rotated Key 2")


def test_a_name_may_be_given(client, old):
    """The caller names the new key and says how long it is valid."""
    rotate_api_key(client, old["id"], len, name="Server, second", expires_in_days=7)
    assert "Server, second" in [key["name"] for key in client.get("/api-keys").json()]


def test_an_async_update_is_refused(client, old):
    """Nothing would await it, and the old key would be revoked while the services still use it."""

    async def update(key):
        """Switch the services."""

    with pytest.raises(ConfigurationError, match="update must be a plain function, got an async one"):
        rotate_api_key(client, old["id"], update)
    assert len(client.get("/api-keys").json()) == 1


@pytest.mark.parametrize("name", ["", 5, True, b"n", ["n"]])
def test_a_name_is_text(client, old, name):
    """Another name is an error, and no key is made."""
    with pytest.raises(ConfigurationError, match="name must be"):
        rotate_api_key(client, old["id"], len, name=name)
    assert len(client.get("/api-keys").json()) == 1


def test_an_update_that_fails_revokes_nothing(world, client, old):
    """Some services may have the new key, and others the old one: both stay good."""
    seen = []

    def update(key):
        seen.append(key)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rotate_api_key(client, old["id"], update)
    assert opens(world, seen[0]) and opens(world, old["api_key"])


@pytest.mark.parametrize("key_id", ["key_00000000-0000-4000-8000-000000000000", "a/../../users/me", "?"])
def test_a_key_that_cannot_be_revoked_is_an_error(client, key_id):
    """The service's refusal is raised, and the id never leads to another path."""
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        rotate_api_key(client, key_id, len)


def test_a_redirect_is_not_followed():
    """The request for a new key goes to the base URL, even if the client follows redirects."""
    server = Recorder()
    server.answers = {"/api-keys": (307, {"location": "/elsewhere"})}
    with (
        serving(server) as origin,
        httpx.Client(base_url=origin, follow_redirects=True) as client,
        pytest.raises(httpx.HTTPStatusError, match="307"),
    ):
        rotate_api_key(client, "key_1", len)
    assert server.count("/elsewhere") == 0
