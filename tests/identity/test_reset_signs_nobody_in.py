"""A reset of the password by a link, which begins no session."""

import json

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.support import ANN, browser, set_cookies

NEW = "Another-Pass-456!"


@pytest.fixture
def app(service):
    return Identity(service)


@pytest.fixture
def token(app, service, postbox):
    client = TestClient(app)
    assert client.post("/v1/auth/register", json=ANN).status_code == 201
    client.post("/v1/auth/forgot-password", json={"email": ANN["email"]})
    assert service.outbox.flush()
    return postbox.token()


def test_the_answer_is_a_sentence(app, token):
    """The answer to a reset has a message, no token and no cookie."""
    client = TestClient(app)
    answer = client.post("/v1/auth/reset-password", json={"token": token, "new_password": NEW})
    assert (answer.status_code, list(answer.json())) == (200, ["message"])
    assert " " in answer.json()["message"]
    assert "." not in json.dumps(answer.json())
    assert {name for name in answer.headers if "cookie" in name or "authorization" in name} == set()


def test_the_browser_has_to_sign_in(app, token):
    """The page of a reset sets no session cookie, and the account redirects to the login page."""
    client = browser(app)
    client.get(f"/reset-password?token={token}")
    answer = client.post("/reset-password", data={"new_password": NEW})
    assert answer.headers["location"] == "/login?notice=password-reset"
    assert {name for name, (value, _) in set_cookies(answer).items() if value} == set()
    assert client.get("/account").headers["location"].startswith("/login")
