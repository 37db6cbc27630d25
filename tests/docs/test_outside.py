"""The blocks of docs/outside.md and docs/servers.md run as the pages say."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from authguard import Guard
from authguard.identity import Settings, create_app
from authguard.testing import issue_token

DOCS = Path(__file__).parents[2] / "docs"
SECRET = "0utside-0nly-Secret-of-enough-bytes-5Wd"
ISSUER = "https://auth.example.com"


def blocks(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(block: str) -> dict[str, Any]:
    """Run a block, and return its names."""
    namespace: dict[str, Any] = {"__name__": "outside"}
    exec(compile(block, "docs", "exec"), namespace)
    return namespace


def token(**changes: Any) -> str:
    """Return a token that the block accepts."""
    given = {"iss": ISSUER, "aud": "https://api.example.com", "subject": "ann"} | changes
    return issue_token(given.pop("key", SECRET), **given)


@pytest.fixture(name="client")
def _client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    return TestClient(run(blocks("outside.md")[2])["app"])


def test_the_first_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block returns the subject of a valid token, and the reason for another one."""
    monkeypatch.setenv("JWT_SECRET", SECRET)
    subject_of = run(blocks("outside.md")[0])["subject_of"]
    assert subject_of(token()) == "ann"
    assert subject_of(token(expires_in=-4000)) == "refused with 401: invalid_token"
    assert subject_of(None) == "refused with 401: missing_credentials"


def test_a_refusal_that_a_view_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that a view raises has the answer of the guard."""
    monkeypatch.setenv("JWT_SECRET", SECRET)
    client = TestClient(run(blocks("outside.md")[1])["app"])
    assert client.post("/receipts", json={"token": token()}).json() == {"subject": "ann"}
    refused = client.post("/receipts", json={"token": token(expires_in=-4000)})
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert refused.headers["cache-control"] == "no-store"


def test_a_token_of_the_first_message(client: TestClient) -> None:
    """A token in the first message opens the connection, and is checked with each message."""
    with client.websocket_connect("/graphql") as websocket:
        websocket.send_json({"type": "connection_init", "payload": {"token": token()}})
        assert websocket.receive_json() == {"type": "connection_ack"}
        websocket.send_json({"type": "subscribe"})
        assert websocket.receive_json()["payload"] == {"hello": "ann"}


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ({"type": "connection_init"}, 4401, "missing_credentials"),
        ({"type": "subscribe", "payload": {"token": "a"}}, 4401, "missing_credentials"),
        ({"type": "connection_init", "payload": {"token": 5}}, 4400, "invalid_request"),
        ({"type": "connection_init", "payload": {"token": token(key=SECRET[::-1])}}, 4401, "invalid_token"),
        ({"type": "connection_init", "payload": [5]}, 4401, "missing_credentials"),
        (["connection_init"], 4401, "missing_credentials"),
    ],
    ids=["none", "no init", "no text", "forged", "no object", "a list"],
)
def test_a_bad_first_message(client: TestClient, message: Any, code: int, reason: str) -> None:
    """A bad first message closes the connection with the code and the reason of a refusal."""
    with client.websocket_connect("/graphql") as websocket:
        websocket.send_json(message)
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_json()
    assert (closed.value.code, closed.value.reason) == (code, reason)


def test_the_arguments_are_in_the_table() -> None:
    """Each argument of `Guard.verify` has a row."""
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "outside.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(inspect.signature(Guard.verify).parameters) - {"self"} == set(rows)


@pytest.mark.slow
def test_a_wsgi_application_beside_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The WSGI application of the page accepts the tokens of the service until their logout."""
    database = f"sqlite:///{tmp_path / 'service.db'}"
    service = create_app(Settings(secret=SECRET, issuer=ISSUER, database=database, dev=True))
    for name, value in (("SECRET", SECRET), ("ISSUER", ISSUER), ("DATABASE", database)):
        monkeypatch.setenv(f"AUTHGUARD_{name}", value)
    app = run(blocks("servers.md")[0])["app"].test_client()
    with TestClient(service, base_url=ISSUER) as auth:
        person = {"email": "ann@example.com", "password": "Correct-Horse-9-Battery"}
        assert auth.post("/api/v1/auth/register", json=person).status_code in (200, 201)
        tokens = auth.post("/api/v1/auth/login", json=person).json()
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert app.get("/dashboard", headers=headers).status_code == 200
        assert auth.post("/api/v1/auth/logout", headers=headers).status_code in (200, 204)
        assert app.get("/dashboard", headers=headers).status_code == 401
