"""The usage of keys at a service in a guarded FastAPI application, as in docs/identity.md."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from authguard import Guard, Quota
from authguard.errors import ConfigurationError
from authguard.fastapi import CurrentUser, install
from authguard.identity import Identity, tier_quotas
from identity.keys import create_key, key_field, register
from identity.support import empty, service_at

pytestmark = pytest.mark.one_database  # requests and answers do not depend on the database


@pytest.fixture
def client(sqlite_url):
    empty(sqlite_url)
    with service_at(sqlite_url, issuer="https://testserver/id") as service:
        app = FastAPI()
        guard = Guard(
            service.own_tokens,
            service.api_key_verifier,
            public_paths=["/id"],
            revocations=service.revocations,
            quotas=tier_quotas(),
        )
        install(app, guard, clock=service.clock)

        @app.get("/dashboard")
        async def dashboard(user: CurrentUser) -> str:
            return user.subject

        app.mount("/id", Identity(service))
        yield TestClient(app, base_url="http://testserver/id")


@pytest.mark.slow
def test_the_usage_is_that_of_the_service_alone(client):
    """Each accepted request with a key counts once, at the mounted service and at the application."""
    ann = register(client)
    key = key_field(create_key(client, ann)["api_key"])

    def today():
        return client.get("/v1/auth/usage", headers=key).json()["usage"]["today"]

    assert [client.get("/v1/users/me", headers=key).status_code for _ in range(11)] == [200] * 10 + [429]
    assert [today() for _ in range(3)] == [10] * 3
    assert client.get("http://testserver/dashboard", headers=key).status_code == 200
    assert today() == 11


def test_each_tier_of_the_service_needs_quotas(sqlite_url):
    """A guard that lacks the quotas of a tier of the service is refused, and the error names the tier."""
    with service_at(sqlite_url, api_key_tiers={"gold": "5/50"}) as service:
        with pytest.raises(ConfigurationError, match=r"got 'gold'.*settings\.api_key_tiers"):
            Guard(service.api_key_verifier, quotas=tier_quotas())
        Guard(service.api_key_verifier, quotas=tier_quotas(service.settings.api_key_tiers))
        Guard(service.api_key_verifier, quotas=[Quota(5, 60)])
