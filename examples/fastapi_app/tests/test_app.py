"""Test every route of the example with each kind of caller."""

import shutil
from hashlib import sha256

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from authguard import ANONYMOUS, Principal
from authguard.identity import upgrade
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.testing import override
from fastapi_app.app import create_app
from fastapi_app.settings import Settings

URL = "http://127.0.0.1:8000"
ADA, BOB, PASSWORD = "ada@example.com", "bob@example.com", "Right-Horse-7"
BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"}
PROTECTED = [("GET", "/dashboard"), ("GET", "/admin"), ("GET", "/api/me"), ("GET", "/api/notes"),
             ("POST", "/api/notes"), ("POST", "/api/upload")]  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Return a database with its tables, which is copied because its creation takes longer than a test."""
    path = tmp_path_factory.mktemp("tables") / "identity.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def settings(tmp_path, tables):
    shutil.copy(tables, tmp_path)
    return Settings(url=URL, directory=tmp_path)


@pytest.fixture
def app(settings, monkeypatch):
    monkeypatch.setattr("authguard.identity.service.PasswordHasher", PasswordHasher.cheap)
    return create_app(settings)


@pytest.fixture
def client(app):
    with TestClient(app, base_url=URL, follow_redirects=False) as client:
        yield client


@pytest.fixture
def robot(settings):
    return {"x-api-key": settings.api_key}


@pytest.fixture
def accounts(app):
    accounts = app.state.identity.accounts
    accounts.create(ADA, PASSWORD, "Ada", "ADMIN")
    accounts.create(BOB, PASSWORD)
    return accounts


def bearer(client, email):
    answer = client.post("/id/api/v1/auth/login", json={"email": email, "password": PASSWORD})
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def sign_in(client, email=ADA, target="/dashboard", password=PASSWORD, **headers):
    form = {"email": email, "password": password, "next": target}
    return client.post("/id/login", data=form, headers=BROWSER | headers)


@pytest.mark.parametrize("path", ["/", "/healthz", "/static/style.css", "/docs", "/openapi.json",
                                  "/id/login", "/id/register", "/id/forgot-password"])  # fmt: skip
def test_public_pages_are_open(client, path):
    """The public page, the documentation and the sign-in need no credential."""
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_nobody_is_refused(client, method, path):
    """A request without a credential to any other path is answered with 401."""
    response = client.request(method, path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_browser_is_sent_to_sign_in(client):
    """A browser is redirected to the login page, which redirects it back after the sign-in."""
    response = client.get("/dashboard", headers=BROWSER)
    assert (response.status_code, response.headers["location"]) == (303, "/id/login?next=%2Fdashboard")


def test_a_token_opens_what_its_role_may(client, accounts):
    """The token of an administrator gives access to everything."""
    ada = bearer(client, ADA)
    assert f"Hello, {ADA}" in client.get("/dashboard", headers=ada).text
    assert client.get("/admin", headers=ada).status_code == 200
    me = {"name": ADA, "roles": ["ADMIN"], "method": "bearer"}
    assert client.get("/api/me", headers=ada).json() == me
    assert client.post("/api/notes", json={"text": "hi"}, headers=ada).status_code == 201
    assert client.get("/api/notes", headers=ada).json() == [{"by": ADA, "text": "hi"}]
    assert client.post("/api/notes", json={"text": ""}, headers=ada).status_code == 422


def test_the_admin_area_wants_its_role(client, accounts):
    """A user without the role may write notes, but is refused in the admin area."""
    bob = bearer(client, BOB)
    assert client.post("/api/notes", json={"text": "hi"}, headers=bob).status_code == 201
    assert client.get("/admin", headers=bob).status_code == 403


def test_a_new_account_is_a_user(client):
    """A caller who registers is signed in, with the role of users."""
    form = {"email": "eve@example.com", "password": PASSWORD, "next": "/dashboard"}
    response = client.post("/id/register", data=form, headers=BROWSER)
    assert (response.status_code, response.headers["location"]) == (303, "/dashboard")
    assert client.get("/api/me").json()["roles"] == ["USER"]


@pytest.mark.slow
def test_a_key_of_an_account_may_read(client, accounts):
    """A key of the service reads as its owner, but lacks the role for writing."""
    made = client.post("/id/api/v1/api-keys", json={"name": "demo"}, headers=bearer(client, ADA)).json()
    key = {"x-api-key": made["api_key"]}
    assert client.get("/api/me", headers=key).json()["method"] == "api_key"
    assert client.get("/api/notes", headers=key).status_code == 200
    assert client.post("/api/notes", json={"text": "hello"}, headers=key).status_code == 403
    revoked = client.delete(f"/id/api/v1/api-keys/{made['id']}", headers=bearer(client, ADA))
    assert revoked.status_code == 200
    assert client.get("/api/me", headers=key).status_code == 401


def test_an_api_key_may_read_and_not_write(client, robot):
    """The role of the robot does not allow writing."""
    me = {"name": "robot", "roles": ["ROBOT"], "method": "api_key"}
    assert client.get("/api/me", headers=robot).json() == me
    assert client.get("/api/notes", headers=robot).json() == []
    assert client.post("/api/notes", json={"text": "hi"}, headers=robot).status_code == 403
    assert client.get("/admin", headers=robot).status_code == 403


def test_signing_in_and_out(client, accounts):
    """The cookie signs the browser in, and after signing out, a copy of the cookie is refused, too."""
    response = sign_in(client, target="/api/me?a=1")
    assert (response.status_code, response.headers["location"]) == (303, "/api/me?a=1")
    assert client.get("/api/me").json()["method"] == "cookie"
    assert f"signed in as <strong>{ADA}" in client.get("/").text
    token = client.cookies["access_token"]
    signed_out = client.post("/id/logout", headers=BROWSER)
    assert (signed_out.status_code, signed_out.headers["location"]) == (303, "/id/login?notice=logged-out")
    assert "access_token" not in client.cookies
    assert client.get("/api/me", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_a_disabled_account_is_out_at_once(client, accounts):
    """The token of a disabled account is refused from the next request on."""
    bob = bearer(client, BOB)
    assert client.get("/api/me", headers=bob).status_code == 200
    accounts.disable(accounts.find(BOB).id)
    assert client.get("/api/me", headers=bob).status_code == 401


def test_a_wrong_password(client, accounts):
    """A sign-in with a wrong password sets no cookie."""
    response = sign_in(client, password="wrong")
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_another_site_cannot_act_with_the_cookie(client, accounts):
    """A form of another site can neither write a note, nor sign in or out."""
    assert sign_in(client, **{"sec-fetch-site": "cross-site"}).status_code == 403
    sign_in(client)
    elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.post("/api/notes", json={"text": "hi"}, headers=elsewhere).status_code == 403
    assert client.get("/api/notes").json() == []
    assert client.post("/id/logout", headers=elsewhere).status_code == 403
    assert client.get("/api/me").status_code == 200


def test_an_upload_arrives_intact(client, robot):
    """The guard does not change the body of an upload."""
    body = bytes(range(256)) * 4096
    answer = client.post("/api/upload", content=body, headers=robot).json()
    assert answer == {"size": len(body), "sha256": sha256(body).hexdigest()}


@pytest.mark.slow
def test_an_upload_has_a_limit(tmp_path, robot, settings):
    """A larger upload is answered with 413."""
    small = Settings(url=URL, directory=tmp_path, api_key=settings.api_key, largest_upload=10)
    with TestClient(create_app(small)) as client:
        assert client.post("/api/upload", content=b"x" * 11, headers=robot).status_code == 413


def test_override_makes_anybody(app, client, robot):
    """With `override`, tests of an application need no accounts."""
    guard = app.state.authguard
    with override(guard, Principal("eve", roles=frozenset({"USER"}))):
        assert client.get("/api/me").json()["name"] == "eve"
        assert client.get("/admin").status_code == 403
    with override(guard, ANONYMOUS):
        assert client.get("/api/me", headers=robot).status_code == 401


def test_the_websocket_refuses_nobody(client):
    """A handshake without a credential is answered with 401."""
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/ws/echo"):
        pass
    assert refused.value.status_code == 401


def test_the_websocket_answers_callers(client, robot):
    """The websocket receives the name of its caller."""
    with client.websocket_connect("/ws/echo", headers=robot) as socket:
        socket.send_text("hi")
        assert socket.receive_text() == "robot: hi"


def test_the_websocket_wants_to_know_which_site_uses_the_cookie(client, accounts):
    """A page of the same site can open the websocket with the cookie; pages of other sites cannot."""
    sign_in(client)
    # otherwise the test client would use another host, without the cookie
    echo = "ws://127.0.0.1:8000/ws/echo"
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(echo, headers={"origin": "https://evil.example"}),
    ):
        pass
    assert refused.value.status_code == 403
    with client.websocket_connect(echo, headers={"origin": URL}) as socket:
        socket.send_text("hi")
        assert socket.receive_text() == f"{ADA}: hi"


def test_the_document_has_the_authorize_button(client):
    """The OpenAPI document has both kinds of credentials, and the public paths."""
    document = client.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"Bearer", "APIKey", "Cookie"}
    assert document["paths"]["/api/upload"]["post"]["security"]
    assert "security" not in document["paths"]["/healthz"]["get"]


def test_secrets_are_in_no_repr(settings):
    """The text of the settings contains neither secret."""
    assert settings.secret not in repr(settings)
    assert settings.api_key not in repr(settings)
