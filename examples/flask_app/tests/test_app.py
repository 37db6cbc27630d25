"""Every route of the example, as each kind of caller meets it."""

from hashlib import sha256

import pytest

from authguard import ANONYMOUS, Principal
from authguard.testing import override
from flask_app.app import create_app
from flask_app.settings import Settings
from flask_app.sign_in import issue_token

SETTINGS = Settings(password="right", secure_cookie=False)
BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"}
ROBOT = {"x-api-key": SETTINGS.api_key}
PROTECTED = [("GET", "/dashboard"), ("GET", "/admin"), ("GET", "/api/me"), ("GET", "/api/notes"),
             ("POST", "/api/notes"), ("POST", "/api/upload")]  # fmt: skip


@pytest.fixture
def app():
    return create_app(SETTINGS)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def ada():
    return {"authorization": f"Bearer {issue_token(SETTINGS, 'ada@example.com')}"}


def sign_in(client, target="/dashboard", password="right"):
    form = {"email": "ada@example.com", "password": password, "next": target}
    return client.post("/login", data=form, headers=BROWSER)


@pytest.mark.parametrize("path", ["/", "/healthz", "/static/style.css", "/login"])
def test_public_pages_are_open(client, path):
    with client.get(path) as response:  # closes the file that is being served
        assert response.status_code == 200


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_nobody_is_refused(client, method, path):
    response = client.open(path, method=method)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_browser_is_sent_to_sign_in(client):
    response = client.get("/dashboard", headers=BROWSER)
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=%2Fdashboard")


def test_a_jwt_opens_everything_it_has_scopes_for(client, ada):
    assert "Hello, ada@example.com" in client.get("/dashboard", headers=ada).text
    assert client.get("/admin", headers=ada).status_code == 200
    assert client.get("/api/me", headers=ada).json["method"] == "bearer"
    assert client.post("/api/notes", json={"text": "hi"}, headers=ada).status_code == 201
    assert client.get("/api/notes", headers=ada).json == [{"by": "ada@example.com", "text": "hi"}]
    assert client.post("/api/notes", json={"text": ""}, headers=ada).status_code == 422


def test_an_api_key_may_read_and_not_write(client):
    me = {"subject": "robot", "scopes": ["notes:read"], "method": "api_key"}
    assert client.get("/api/me", headers=ROBOT).json == me
    assert client.get("/api/notes", headers=ROBOT).json == []
    refused = client.post("/api/notes", json={"text": "hi"}, headers=ROBOT)
    assert refused.status_code == 403
    assert 'scope="notes:write"' in refused.headers["www-authenticate"]
    assert client.get("/admin", headers=ROBOT).status_code == 403


def test_signing_in_and_out(client):
    response = sign_in(client, "/api/me?a=1")
    assert (response.status_code, response.headers["location"]) == (303, "/api/me?a=1")
    assert "HttpOnly" in response.headers["set-cookie"]
    assert client.get("/api/me").json["method"] == "cookie"
    assert "signed in as" in client.get("/").text
    token = client.get_cookie("session").value
    left = client.post("/logout", headers=BROWSER)
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert client.get_cookie("session") is None
    # Whoever kept a copy of the token has nothing.
    assert client.get("/api/me", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_a_wrong_password(client):
    response = sign_in(client, '/"><script>', password="wrong")
    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert 'role="alert"' in response.text
    assert "<script>" not in response.text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "/login", ""])
def test_a_hostile_next_leads_to_the_dashboard(client, target):
    assert sign_in(client, target).headers["location"] == "/dashboard"


def test_another_site_cannot_act_with_the_cookie(client):
    sign_in(client)
    elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.post("/api/notes", json={"text": "hi"}, headers=elsewhere).status_code == 403
    assert client.get("/api/notes").json == []
    assert "set-cookie" not in client.post("/logout", headers=elsewhere).headers
    assert client.get("/api/me").status_code == 200


def test_another_site_cannot_sign_its_visitors_in(client):
    form = {"email": "ada@example.com", "password": "right"}
    response = client.post("/login", data=form, headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


def test_an_upload_arrives_intact(client, ada):
    body = bytes(range(256)) * 4096
    answer = client.post("/api/upload", data=body, headers=ada).json
    assert answer == {"size": len(body), "sha256": sha256(body).hexdigest()}


def test_an_upload_has_a_limit(ada):
    small = Settings(secret=SETTINGS.secret, largest_upload=10, secure_cookie=False)
    client = create_app(small).test_client()
    assert client.post("/api/upload", data=b"x" * 11, headers=ada).status_code == 413


def test_override_makes_anybody(app, client):
    guard = app.extensions["authguard"]
    with override(guard, Principal("eve", scopes=frozenset({"notes:read"}))):
        assert client.get("/api/me").json["subject"] == "eve"
        assert client.get("/admin").status_code == 403
    with override(guard, ANONYMOUS):
        assert client.get("/api/me", headers=ROBOT).status_code == 401
