"""docs/coming-from/authlib.md: both applications accept the tokens of one issuer."""

import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from frameworks.support import need

need("flask", "authlib")

pytestmark = pytest.mark.frameworks

from authguard.testing import FakeIssuer
from migrations.support import bearer, run

PAGE = "authlib.md"
API = "https://api.example.com"


class Quiet(WSGIRequestHandler):
    """Handle requests without a log."""

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(name="issuer")
def _issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIssuer]:
    """Yield an issuer that answers on loopback."""
    server = make_server("127.0.0.1", 0, None, handler_class=Quiet)
    issuer = FakeIssuer(f"http://127.0.0.1:{server.server_port}", audience=API)
    server.set_app(issuer.wsgi)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("ISSUER", issuer.url)
    yield issuer
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(name="clients")
def _clients(issuer: FakeIssuer) -> list[Any]:
    """Return clients of both applications: before, after."""
    applications = [run(PAGE, heading).app for heading in ("Before", "After")]
    for app in applications:
        app.testing = False
    return [app.test_client() for app in applications]


def statuses(clients: list[Any], path: str, token: str) -> list[int]:
    """Return the status of both applications."""
    return [client.get(path, headers=bearer(token)).status_code for client in clients]


def test_one_token_is_good_for_both(issuer: FakeIssuer, clients: list[Any]) -> None:
    """A token with its scope and role is accepted by both applications."""
    token = issuer.issue("ann", scopes=["profile"], roles=["admin"], client_id="web")
    for path in ("/me", "/admin"):
        for client in clients:
            assert client.get(path, headers=bearer(token)).json == {"user": "ann"}


def test_bad_tokens_are_refused_by_both(issuer: FakeIssuer, clients: list[Any]) -> None:
    """Both applications refuse a token that is expired or signed by another key, or is of another issuer."""
    stranger = FakeIssuer(issuer.url, audience=API)
    good: dict[str, Any] = {"scopes": ["profile"], "client_id": "web"}
    bad = [
        issuer.issue("ann", expires_in=-60, **good),
        issuer.issue("ann", aud="https://other.example.com", **good),
        issuer.issue("ann", iss="https://evil.example.com", **good),
        stranger.issue("ann", **good),
    ]
    for token in bad:
        assert statuses(clients, "/me", token) == [401, 401]


def test_what_the_table_says_of_refusals(issuer: FakeIssuer, clients: list[Any]) -> None:
    """Refusals without a token, scope or role are those of the table."""
    old, new = (client.get("/me").headers["WWW-Authenticate"] for client in clients)
    assert ("missing_authorization" in old, "error" in new) == (True, False)
    no_scope = issuer.issue("ann", client_id="web")
    answers = [client.get("/me", headers=bearer(no_scope)) for client in clients]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert ["insufficient_scope" in answer.headers.get("WWW-Authenticate", "") for answer in answers] == [
        False,
        True,
    ]
    no_role = issuer.issue("ann", scopes=["profile"], client_id="web")
    assert statuses(clients, "/admin", no_role) == [401, 403]


def test_an_issuer_that_is_down(issuer: FakeIssuer, clients: list[Any]) -> None:
    """With the issuer down and no keys known, the old application answers 500 and the guard 503."""
    token = issuer.issue("ann", scopes=["profile"], client_id="web")
    with issuer.outage():
        assert statuses(clients, "/me", token) == [500, 503]


def test_an_outage_after_the_keys_are_known(issuer: FakeIssuer, clients: list[Any]) -> None:
    """With the issuer down and its keys known, the guard accepts a first-seen token."""
    first, second = (issuer.issue(name, scopes=["profile"], client_id="web") for name in ("ann", "bob"))
    assert statuses(clients, "/me", first) == [200, 200]
    with issuer.outage():
        assert clients[1].get("/me", headers=bearer(second)).status_code == 200


def test_a_new_key_is_found(issuer: FakeIssuer, clients: list[Any]) -> None:
    """A new key is fetched for the first token that names it."""
    assert statuses(clients, "/me", issuer.issue("ann", scopes=["profile"], client_id="web")) == [200, 200]
    issuer.rotate()
    assert statuses(clients, "/me", issuer.issue("ann", scopes=["profile"], client_id="web")) == [200, 200]
