"""The blocks of docs/client.md, against a running service."""

import time

import httpx
import pytest

from authguard.client import APIKeyAuth, BearerAuth
from authguard.identity import Identity
from docs.blocks import blocks
from identity.seeds import AINATIVE
from identity.support import CALLER, PASSWORD, empty, service_at, serving

SIGN_IN, SEND_KEY, REPLACE_KEY, AUTH_CLIENT, RATE_LIMITED_CLIENT = (
    block.text for block in blocks("docs/client.md", "python")
)
EMAIL = "user@example.com"

pytestmark = pytest.mark.one_database


@pytest.fixture
def served(sqlite_url):
    """Run the service, with its profile at the path of the page's projects."""
    empty(sqlite_url)
    with service_at(sqlite_url, clock=time.time) as service:
        identity = Identity(service)

        async def app(scope, receive, send):
            if scope["path"] == "/v1/database/projects":
                scope = {**scope, "path": "/v1/users/me", "raw_path": b"/v1/users/me"}
            await identity(scope, receive, send)

        service.accounts.register(EMAIL, PASSWORD, "Ann", CALLER)
        with serving(app) as base:
            yield service, base


def run(block, base, **names):
    """Run the lines of a block, and return its names."""
    assert len(block.strip().splitlines()) == 3
    names |= {"httpx": httpx, "BearerAuth": BearerAuth, "APIKeyAuth": APIKeyAuth}
    exec(block.replace(AINATIVE, base), names)
    names["client"].close()
    return names


def local(block, base):
    """Return a block with the URL of the running service."""
    return block.replace("https://auth.example.com", base).replace("https://api.example.com", base)


def new_key(service, base):
    """Return the response of the service for a new API key."""
    token = service.accounts.login(EMAIL, PASSWORD, CALLER).access_token
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{base}/v1/api-keys", headers=headers, json={"name": "n"}).json()


def test_sign_in(served):
    """The first block signs in, and asks for the profile."""
    _, base = served
    names = {"password": PASSWORD}
    exec(local(SIGN_IN, base).replace("ann@example.com", EMAIL), names)
    assert names["me"]["email"] == EMAIL


def test_send_a_key(served):
    """The block about API keys sends a key."""
    service, base = served
    names = {"key": new_key(service, base)["api_key"]}
    exec(local(SEND_KEY, base), names)
    assert names["projects"]["email"] == EMAIL


@pytest.mark.slow
def test_replace_a_key(served):
    """The block about rotation stores the new key, and the old key is refused."""
    service, base = served
    old, stored = new_key(service, base), []
    names = {"password": PASSWORD, "old_key_id": old["id"], "store_in_vault": stored.append}
    exec(local(REPLACE_KEY, base).replace("ann@example.com", EMAIL), names)
    statuses = [
        httpx.get(f"{base}/v1/users/me", headers={"X-API-Key": key}).status_code
        for key in (stored[0], old["api_key"])
    ]
    assert statuses == [200, 401]


def test_auth_client(served):
    """Three lines sign in, and send the token with a request."""
    _, base = served
    assert run(AUTH_CLIENT, base)["response"].json()["email"] == EMAIL


def test_rate_limited_client(served):
    """Three lines send the key, with a limit of requests."""
    service, base = served
    token = service.accounts.login(EMAIL, PASSWORD, CALLER).access_token
    headers = {"Authorization": f"Bearer {token}"}
    new = httpx.post(f"{base}/v1/api-keys", headers=headers, json={"name": "n"}).json()
    names = run(RATE_LIMITED_CLIENT, base, api_key=new["api_key"])
    assert names["response"].json()["email"] == EMAIL


def test_a_client_waits_for_the_services_limit(served):
    """The eleventh request of the free tier waits for the seconds of the 429."""
    service, base = served
    token = service.accounts.login(EMAIL, PASSWORD, CALLER).access_token
    headers = {"Authorization": f"Bearer {token}"}
    new = httpx.post(f"{base}/v1/api-keys", headers=headers, json={"name": "n"}).json()
    sleeps = []

    def sleep(seconds):
        sleeps.append(seconds)
        raise InterruptedError

    auth = APIKeyAuth(base, new["api_key"], sleep=sleep)
    with httpx.Client(base_url=base, auth=auth) as client:
        assert [client.get("/v1/users/me").status_code for _ in range(10)] == [200] * 10
        with pytest.raises(InterruptedError):
            client.get("/v1/users/me")
    assert 50 < sleeps[0] <= 61
