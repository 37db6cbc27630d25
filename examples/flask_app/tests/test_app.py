"""Test the example with each kind of caller."""

from pathlib import Path

import pytest

from authguard import ANONYMOUS, Principal
from authguard.flask import AuthGuardClient
from flask_app.app import create_app

BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate"}
FOLDER = Path(__file__).parents[1]


@pytest.fixture
def app():
    app = create_app(PASSWORD="right", SECURE=False)
    app.test_client_class = AuthGuardClient
    return app


@pytest.fixture
def client(app):
    return app.test_client()


def sign_in(client, password="right", query="", **form):
    form = {"email": "ada@example.com", "password": password, **form}
    return client.post(f"/login{query}", data=form, headers=BROWSER)


def test_it_takes_at_most_80_lines():
    files = list(FOLDER.glob("*.py"))
    lines = [line for file in files for line in file.read_text().splitlines() if line.strip()]
    assert len(lines) <= 80


@pytest.mark.parametrize("path", ["/", "/healthz", "/static/style.css", "/login"])
def test_public_pages_are_open(client, path):
    with client.get(path) as response:  # reading the response closes the served file
        assert response.status_code == 200


@pytest.mark.parametrize("path", ["/dashboard", "/admin", "/api/notes"])
def test_nobody_is_refused(client, path):
    assert client.get(path).headers["www-authenticate"].startswith("Bearer")
    answer = client.get(path, headers=BROWSER)
    assert (answer.status_code, answer.location) == (303, f"/login?next={path.replace('/', '%2F')}")


def test_signing_in_and_out(client):
    answer = sign_in(client, query="?next=/admin")
    assert (answer.status_code, answer.location) == (303, "/admin")
    page = client.get("/admin")
    assert "You are signed in." in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "Dashboard" in client.get("/").text
    token = client.get_cookie("access").value
    page = client.post("/logout", follow_redirects=True, headers=BROWSER)
    assert (page.request.path, "You are signed out." in page.text) == ("/login", True)
    assert client.get("/dashboard", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_a_browser_is_remembered(client):
    sign_in(client, remember="on")
    client.delete_cookie("access")
    page = client.get("/admin", headers=BROWSER, follow_redirects=True)
    assert (page.status_code, page.request.path) == (200, "/admin")
    client.post("/logout")
    assert "Sign in" in client.get("/admin", headers=BROWSER, follow_redirects=True).text


@pytest.mark.parametrize("email", ["ada@example.com", "<eve@example.com>"])
def test_a_wrong_password(client, email):
    answer = sign_in(client, password="wrong", email=email)
    assert (answer.status_code, client.get_cookie("access")) == (401, None)
    assert "Email or password is wrong." in answer.text
    assert "<eve" not in answer.text


def test_another_site_cannot_act_with_the_cookie(client):
    sign_in(client)
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert client.post("/api/notes", json={"text": "hi"}, headers=elsewhere).status_code == 403
    client.post("/logout", headers=elsewhere)
    assert client.get("/dashboard").status_code == 200


@pytest.mark.slow
def test_a_robot_may_read_notes_and_not_write_them(app, client):
    robot = {"x-api-key": app.config["API_KEY"]}
    sign_in(client)
    assert client.post("/api/notes", json={"text": "hi"}).json == {"by": "1", "text": "hi"}
    assert client.post("/api/notes", json={"text": ""}).status_code == 422
    assert app.test_client().get("/api/notes", headers=robot).json == [{"by": "1", "text": "hi"}]
    refused = app.test_client().post("/api/notes", json={"text": "hi"}, headers=robot)
    assert 'scope="notes:write"' in refused.headers["www-authenticate"]


def test_a_test_may_be_anybody(app):
    reader = Principal("eve", scopes=frozenset({"notes:read"}))
    assert app.test_client(user=reader).get("/api/notes").status_code == 200
    assert app.test_client(user=reader).get("/admin").status_code == 403
    assert app.test_client(user=ANONYMOUS).get("/api/notes").status_code == 401
