"""Warnings about a service for this machine, or for development, that others reach."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.support import service_at

pytestmark = pytest.mark.one_database
HERE = "http://127.0.0.1:8000"


def _warnings(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if words in record.getMessage()]


@pytest.mark.parametrize("host", ["auth.example.com", "auth.example.com:8443", "192.0.2.7:8000"])
def test_requests_for_another_host_than_this_machine(url: str, caplog: Any, host: str) -> None:
    """A loopback issuer and requests for a public host cause one WARNING with the right issuer."""
    with service_at(url, issuer=HERE + "/id", pages=False) as service:
        client = TestClient(Identity(service))
        for _ in range(3):
            client.get("/v1/users/me", headers={"Host": host})
    (line,) = _warnings(caplog, "requests come for")
    assert line.startswith(f"requests come for the host {host}, and the issuer is {HERE}/id, this machine")
    assert line.endswith(f"write https://{host}/id as the issuer")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8000", "localhost", "[::1]:8000", "testserver", "a.example\nforged", "a.example:x", ""],
)
def test_requests_for_this_machine(url: str, caplog: Any, host: str) -> None:
    """Requests for this machine, for a name without a dot, and with an invalid host cause no WARNING."""
    with service_at(url, issuer=HERE) as service:
        scope = {"type": "http", "path": "/", "headers": [(b"host", host.encode())]}
        Identity(service)._mounted.check(scope)
    assert not _warnings(caplog, "requests come for")


def test_requests_for_a_public_issuer(url: str, caplog: Any) -> None:
    """Requests for other names of a public issuer, such as those of health checks, cause no WARNING."""
    with service_at(url, issuer="https://auth.example.com") as service:
        TestClient(Identity(service)).get("/healthz", headers={"Host": "10.0.0.7:8000"})
    assert not _warnings(caplog, "requests come for")


@pytest.mark.parametrize(("issuer", "warns"), [("https://auth.example.com", True), (HERE, False)])
def test_development_for_others(url: str, caplog: Any, issuer: str, warns: bool) -> None:
    """A service in development whose issuer is public causes a WARNING at each start."""
    with service_at(url, issuer=issuer, dev=True) as service:
        Identity(service)
    assert (
        bool(_warnings(caplog, "the setting dev is on, and the issuer is https://auth.example.com")) is warns
    )
