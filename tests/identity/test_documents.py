"""Each request of the documents, as their clients send it, with only the base URL changed.

The requests of API keys, GitHub and LinkedIn have files of their own.
"""

import contextlib
import datetime as dt
import json
import subprocess
import textwrap
import time

import jwt
import pytest
import requests

from authguard.identity import Identity
from identity.support import (
    GENEROUS,
    PASSWORD,
    SECRET,
    Postbox,
    empty,
    node,
    service_at,
    serving,
)

EMAIL = "user@example.com"


@contextlib.contextmanager
def running(url, **given):
    """Run the service at a real server; yield its base URL, its postbox and the service."""
    empty(url)
    postbox = Postbox()
    with (
        service_at(url, clock=time.time, postbox=postbox, limits=GENEROUS, **given) as service,
        serving(Identity(service)) as base,
    ):
        yield base, postbox, service


@pytest.fixture
def server(sqlite_url):
    with running(sqlite_url) as running_server:
        yield running_server


@pytest.fixture
def base(server):
    return server[0]


@pytest.fixture
def registered(base):
    """Return the answer to the registration of the first document, with an accepted password."""
    body = {"email": EMAIL, "password": PASSWORD, "name": "Alice"}
    response = requests.post(f"{base}/api/v1/auth/register", json=body)
    return response.json()


# The AINative authentication guide (skill), in its two versions.


def test_guide_registers(base):
    """A registration with `name` gives an access token."""
    resp = requests.post(
        f"{base}/api/v1/auth/register", json={"email": EMAIL, "password": PASSWORD, "name": "Alice"}
    )
    assert resp.ok
    token = resp.json()["access_token"]
    me = requests.get(f"{base}/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert (me["email"], me["name"]) == (EMAIL, "Alice")


def test_guides_sample_password_is_refused_by_the_other_documents_policy(base):
    """The guide's `securepass` is refused with an error for each missing kind of character."""
    resp = requests.post(
        f"{base}/api/v1/auth/register", json={"email": EMAIL, "password": "securepass", "name": "Alice"}
    )
    assert resp.status_code == 422
    assert [error["field"] for error in resp.json()["errors"]] == ["password"] * 3


def test_guide_logs_in(base, registered):
    """A login with `email` gives an access token and a refresh token."""
    resp = requests.post(f"{base}/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert resp.json()["access_token"]
    assert resp.json()["refresh_token"]


def test_guide_reads_the_profile(base, registered):
    """The profile can be read with the access token."""
    headers = {"Authorization": f"Bearer {registered['access_token']}"}
    me = requests.get(f"{base}/api/v1/users/me", headers=headers).json()
    assert me["id"] == registered["id"]


def test_guide_refreshes(base, registered):
    """A refresh token in the body gives a new access token, which is accepted."""
    login = requests.post(f"{base}/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()
    resp = requests.post(f"{base}/api/v1/auth/refresh", json={"refresh_token": login["refresh_token"]})
    new_access_token = resp.json()["access_token"]
    headers = {"Authorization": f"Bearer {new_access_token}"}
    assert requests.get(f"{base}/api/v1/users/me", headers=headers).status_code == 200


def test_guide_logs_out(base, registered):
    """An access token is refused after a logout."""
    headers = {"Authorization": f"Bearer {registered['access_token']}"}
    assert requests.post(f"{base}/api/v1/auth/logout", headers=headers).ok
    assert requests.get(f"{base}/api/v1/users/me", headers=headers).status_code == 401


def test_guide_resets_a_password(server, registered):
    """The token of the mail sets a new password, and a login with that password succeeds."""
    base, postbox, service = server
    assert requests.post(f"{base}/api/v1/auth/forgot-password", json={"email": EMAIL}).ok
    assert service.outbox.flush()
    body = {"token": postbox.token(), "new_password": "NewSecurePass456!"}
    assert requests.post(f"{base}/api/v1/auth/reset-password", json=body).ok
    login = {"email": EMAIL, "password": "NewSecurePass456!"}
    assert requests.post(f"{base}/api/v1/auth/login", json=login).ok


def test_guide_verifies_an_address(server, registered):
    """The endpoint verify-email accepts the token of the mail."""
    base, postbox, service = server
    assert service.outbox.flush()
    assert requests.post(f"{base}/api/v1/auth/verify-email", json={"token": postbox.token()}).ok
    headers = {"Authorization": f"Bearer {registered['access_token']}"}
    assert requests.get(f"{base}/api/v1/users/me", headers=headers).json()["email_verified"] is True


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer invalid"}])
def test_guides_401(base, headers):
    """An invalid or missing token gets 401."""
    assert requests.get(f"{base}/api/v1/users/me", headers=headers).status_code == 401


def test_guides_409(base, registered):
    """The registration of a known address gets 409."""
    body = {"email": EMAIL.upper(), "password": PASSWORD, "name": "Mallory"}
    assert requests.post(f"{base}/api/v1/auth/register", json=body).status_code == 409


# The second document.


def test_second_document_registers(base):
    """A registration with `full_name` is answered with exactly the documented fields."""
    body = {"email": EMAIL, "password": PASSWORD, "full_name": "John Doe"}
    response = requests.post(f"{base}/v1/auth/register", json=body)
    document = response.json()
    assert response.status_code == 201
    assert list(document) == ["id", "email", "access_token", "token_type", "expires_in"]
    assert (document["email"], document["token_type"], document["expires_in"]) == (EMAIL, "bearer", 28800)


def test_second_document_logs_in(base, registered):
    """A login at login-json with `username` is answered with exactly the documented fields."""
    body = {"username": EMAIL, "password": PASSWORD}
    document = requests.post(f"{base}/v1/auth/login-json", json=body).json()
    assert list(document) == ["access_token", "token_type", "expires_in"]
    assert (document["token_type"], document["expires_in"]) == ("bearer", 28800)


def test_tokens_are_those_of_the_document(base, registered):
    """A token has the documented header and claims, and is verified by the secret."""
    token = registered["access_token"]
    assert token.split(".")[0] == "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="http://127.0.0.1:8000")
    assert (claims["sub"], claims["email"], claims["role"]) == (registered["id"], EMAIL, "USER")
    assert claims["exp"] - claims["iat"] == 28800


def test_second_documents_python_example(base, registered):
    """The Python example logs in, reads the token, and asks for auth/me."""
    login_response = requests.post(
        f"{base}/v1/auth/login-json", json={"username": EMAIL, "password": PASSWORD}
    )
    token = login_response.json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    user_response = requests.get(f"{base}/v1/auth/me", headers=headers)
    assert user_response.json()["email"] == EMAIL


def test_second_documents_refresh(base, registered):
    """The current access token gives a new one, with exactly the documented fields."""
    headers = {"Authorization": f"Bearer {registered['access_token']}"}
    document = requests.post(f"{base}/v1/auth/refresh", headers=headers).json()
    assert list(document) == ["access_token", "token_type", "expires_in"]
    assert document["access_token"] != registered["access_token"]


class AuthClient:
    """The document's own client, with only the base URL changed."""

    def __init__(self, base, email, password):
        self.base = base
        self.email = email
        self.password = password
        self.token = None
        self.token_expires_at = None
        self.login()

    def login(self):
        response = requests.post(
            f"{self.base}/v1/auth/login-json", json={"username": self.email, "password": self.password}
        )
        data = response.json()
        self.token = data["access_token"]
        self.token_expires_at = dt.datetime.now() + dt.timedelta(seconds=data["expires_in"])

    def get_token(self):
        # Refresh 5 minutes before expiration
        if dt.datetime.now() >= self.token_expires_at - dt.timedelta(minutes=5):
            self.refresh_token()
        return self.token

    def refresh_token(self):
        response = requests.post(
            f"{self.base}/v1/auth/refresh", headers={"Authorization": f"Bearer {self.token}"}
        )
        data = response.json()
        self.token = data["access_token"]
        self.token_expires_at = dt.datetime.now() + dt.timedelta(seconds=data["expires_in"])

    def make_request(self, url, **kwargs):
        headers = kwargs.get("headers", {})
        headers["Authorization"] = f"Bearer {self.get_token()}"
        kwargs["headers"] = headers
        return requests.get(url, **kwargs)


def test_second_documents_client(base, registered):
    """AuthClient logs in, and refreshes its token shortly before the expiry."""
    client = AuthClient(base, EMAIL, PASSWORD)
    assert client.make_request(f"{base}/v1/auth/me").json()["email"] == EMAIL
    before, client.token_expires_at = client.token, dt.datetime.now() + dt.timedelta(minutes=4)
    assert client.make_request(f"{base}/v1/auth/me").status_code == 200
    assert client.token != before


def test_second_documents_logout(base, registered):
    """A token is refused after a logout, and a new login gives a valid one."""
    headers = {"Authorization": f"Bearer {registered['access_token']}"}
    assert requests.post(f"{base}/v1/auth/logout", headers=headers).ok
    assert requests.get(f"{base}/v1/auth/me", headers=headers).status_code == 401
    assert requests.post(f"{base}/v1/auth/refresh", headers=headers).status_code == 401
    body = {"username": EMAIL, "password": PASSWORD}
    token = requests.post(f"{base}/v1/auth/login-json", json=body).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{base}/v1/auth/me", headers=headers).status_code == 200


def test_second_documents_password_reset(server, registered):
    """The token of the mail from forgot-password is accepted by reset-password."""
    base, postbox, service = server
    assert requests.post(f"{base}/v1/auth/forgot-password", json={"email": EMAIL}).ok
    assert service.outbox.flush()
    body = {"token": postbox.token(), "new_password": "NewSecurePass456!"}
    assert requests.post(f"{base}/v1/auth/reset-password", json=body).ok


@pytest.mark.slow
def test_second_documents_change_of_password(base):
    """The endpoint change-password accepts the document's own passwords."""
    body = {"email": EMAIL, "password": "OldPass123!", "full_name": "John Doe"}
    token = requests.post(f"{base}/v1/auth/register", json=body).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    body = {"current_password": "OldPass123!", "new_password": "NewPass456!"}
    assert requests.post(f"{base}/v1/auth/change-password", headers=headers, json=body).ok
    login = {"username": EMAIL, "password": "NewPass456!"}
    assert requests.post(f"{base}/v1/auth/login-json", json=login).ok


def test_second_documents_expired_token_handling(base, registered):
    """An invalid token gets a 401, upon which `raise_for_status` raises."""
    with pytest.raises(requests.exceptions.HTTPError) as raised:
        requests.get(f"{base}/v1/auth/me", headers={"Authorization": "Bearer old"}).raise_for_status()
    assert raised.value.response.status_code == 401


@pytest.mark.slow
def test_second_documents_test_endpoints(sqlite_url):
    """In development, the three test-auth endpoints answer as the document has it."""
    with running(sqlite_url, dev=True) as (base, _, _):
        assert requests.get(f"{base}/v1/test-auth/auth-status").json()["authenticated"] is False
        body = {"email": "test@example.com", "password": "TestPass123!"}
        assert requests.post(f"{base}/v1/test-auth/create-test-user", json=body).ok
        token = requests.post(f"{base}/v1/test-auth/test-login", json=body).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        status = requests.get(f"{base}/v1/test-auth/auth-status", headers=headers).json()
        assert status["user"]["email"] == "test@example.com"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "auth-status"), ("POST", "create-test-user"), ("POST", "test-login")],
)
def test_test_endpoints_do_not_exist_otherwise(base, method, path):
    """Without `dev`, the test-auth endpoints get 404."""
    body = {"email": "test@example.com", "password": "TestPass123!"}
    assert requests.request(method, f"{base}/v1/test-auth/{path}", json=body).status_code == 404


# The JavaScript of the documents, run by Node.js.


def run_javascript(base, script):
    """Run a script, and return the value of its `result`."""
    program = (
        f"const base = {json.dumps(base)};\n{textwrap.dedent(script)}\nconsole.log(JSON.stringify(result));"
    )
    done = subprocess.run(
        [node(), "--input-type=module"],
        input=program,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_second_documents_javascript_example(base, registered):
    """The JavaScript example logs in, and reads auth/me."""
    result = run_javascript(
        base,
        """
        const loginResponse = await fetch(
            `${base}/v1/auth/login-json`,
            {
                method: 'POST',
                headers: { 'Content-Type': 'application/json' },
                body: JSON.stringify({
                    username: 'user@example.com',
                    password: 'SecurePass123!'
                })
            }
        );
        const { access_token } = await loginResponse.json();
        const userResponse = await fetch(
            `${base}/v1/auth/me`,
            {
                headers: { 'Authorization': `Bearer ${access_token}` }
            }
        );
        const userData = await userResponse.json();
        const result = userData;
        """,
    )
    assert result["email"] == EMAIL


@pytest.mark.slow
def test_javascript_registers_refreshes_and_logs_out(base):
    """The HTTP requests of the second document succeed when they are sent with fetch."""
    result = run_javascript(
        base,
        """
        const json = { 'Content-Type': 'application/json' };
        const registered = await fetch(`${base}/v1/auth/register`, {
            method: 'POST', headers: json,
            body: JSON.stringify({
                email: 'user@example.com', password: 'SecurePass123!', full_name: 'John Doe'
            })
        });
        const bearer = { 'Authorization': `Bearer ${(await registered.json()).access_token}` };
        const refreshed = await fetch(`${base}/v1/auth/refresh`, { method: 'POST', headers: bearer });
        const loggedOut = await fetch(`${base}/v1/auth/logout`, { method: 'POST', headers: bearer });
        const after = await fetch(`${base}/v1/auth/me`, { headers: bearer });
        const result = [registered.ok, refreshed.ok, loggedOut.ok, after.status];
        """,
    )
    assert result == [True, True, True, 401]
