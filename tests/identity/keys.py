"""Create owners and keys by the API, and read the stored keys."""

from typing import Any

import httpx2
from sqlalchemy import text
from starlette.testclient import TestClient

from authguard.identity import IdentityService
from identity.support import PASSWORD

KEY_TABLES = ("api_keys", "api_key_secrets")


def bearer(token: str) -> dict[str, str]:
    """Return the field for an access token."""
    return {"Authorization": f"Bearer {token}"}


def key_field(key: str) -> dict[str, str]:
    """Return the field for an API key."""
    return {"X-API-Key": key}


def register(client: TestClient, email: str = "ann@example.com") -> dict[str, str]:
    """Register an account, and return the field with its access token."""
    body = {"email": email, "password": PASSWORD}
    return bearer(client.post("/v1/auth/register", json=body).json()["access_token"])


def create_key(client: TestClient, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    """Create a key by the AINative API."""
    response = client.post("/v1/api-keys", headers=headers, json={"name": "Server", **body})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def create_pair(client: TestClient, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    """Create a key by the Invora API."""
    response = client.post("/v1/auth/api-keys", headers=headers, json=body)
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def is_problem(response: httpx2.Response, status: int, code: str) -> bool:
    """Return whether an answer is a problem document that no cache stores."""
    document = response.json()
    return (
        response.status_code == status
        and response.headers["content-type"] == "application/problem+json"
        and response.headers["cache-control"] == "no-store"
        and (document["status"], document["code"]) == (status, code)
    )


def stored_keys(service: IdentityService) -> list[tuple[Any, ...]]:
    """Return all rows of keys and their secrets."""
    with service.database.read() as connection:
        return [
            tuple(row)
            for table in KEY_TABLES
            for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))
        ]
