"""Use the forms of the pages of API keys, and read the pages."""

import re
from typing import Any

from starlette.testclient import TestClient

from authguard.identity import IdentityService
from authguard.identity.model import StoredAPIKey
from authguard.identity.storage.api_key_queries import list_keys
from authguard.identity.usecases.api_keys import MAX_DEAD_KEYS, MAX_KEYS
from identity.support import Page

KEYS, NEW, KEY = "/account/keys", "/account/keys/new", "/account/keys/key"
FILE = "/account/keys/file"
FIELDS = {"name": "Nightly export", "kind": "sk_live", "read": "yes", "write": "yes"}
ROTATE = {"activate": "now", "grace_seconds": "0"}
_TEXT = re.compile(r"\b(?:sk_live|sk_test|claw|clsk|ak)_\w{60,}")


def texts_in(response: Any) -> list[str]:
    """Return the texts of keys and client secrets that a page shows, each once."""
    return list(dict.fromkeys(_TEXT.findall(response.text)))


def create(client: TestClient, **fields: str) -> str:
    """Create a key by the form, and return its text."""
    response = client.post(NEW, data=FIELDS | fields)
    assert response.status_code == 200, response.text
    return texts_in(response)[0]


def first_key(client: TestClient) -> str:
    """Return the id of the newest key."""
    return str(re.findall(r"\?key=([\w-]+)", client.get(KEYS).text)[0])


def call(app: Any, text: str) -> int:
    """Return the status of a request with a key."""
    return TestClient(app).get("/v1/users/me", headers={"x-api-key": text}).status_code


def keys_of(service: IdentityService) -> list[StoredAPIKey]:
    """Return the keys in the database, as the API lists them."""
    (user,) = service.accounts.list(1, "")
    with service.database.read() as connection:
        return list_keys(connection, user.id, MAX_KEYS + MAX_DEAD_KEYS)


def words(response: Any) -> str:
    return Page(response).words
