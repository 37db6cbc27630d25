"""The clients of the documents in three lines each, as docs/client.md has them, against a running service."""

import re
import time
from pathlib import Path

import httpx
import pytest

from authguard.client import APIKeyAuth, BearerAuth
from authguard.identity import Identity
from identity.seeds import AINATIVE
from identity.support import CALLER, PASSWORD, empty, service_at, serving

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## The clients of the documents") : PAGE.index("## Where credentials go")]
AUTH_CLIENT, RATE_LIMITED_CLIENT = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
EMAIL = "user@example.com"

pytestmark = pytest.mark.one_database


@pytest.fixture
def served(sqlite_url):
    """The service, and the URL at which its profile is served as the projects of the page."""
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


def test_auth_client(served):
    """Three lines sign in, and send the token along."""
    _, base = served
    assert run(AUTH_CLIENT, base)["response"].json()["email"] == EMAIL


def test_rate_limited_client(served):
    """Three lines send the key, and wait before there are too many."""
    service, base = served
    token = service.accounts.login(EMAIL, PASSWORD, CALLER).access_token
    headers = {"Authorization": f"Bearer {token}"}
    new = httpx.post(f"{base}/v1/api-keys", headers=headers, json={"name": "n"}).json()
    names = run(RATE_LIMITED_CLIENT, base, api_key=new["api_key"])
    assert names["response"].json()["email"] == EMAIL


def test_a_client_waits_for_the_services_limit(served):
    """The eleventh request of the free tier waits as the 429 says, and is then answered."""
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
