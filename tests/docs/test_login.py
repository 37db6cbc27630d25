"""The blocks of docs/login.md run as the page says, and its tables have all options."""

import inspect
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from authguard import TokenIssuer
from authguard.flask import AuthGuardClient, BrowserSessions
from authguard.testing import issue_token

TEXT = (Path(__file__).parents[2] / "docs" / "login.md").read_text(encoding="utf-8")
FIRST_BLOCK, JSON_BLOCK, FLASK_BLOCK, PAGES_BLOCK = re.findall(
    r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL
)
SECRET = "l0gin-0nly-Secret-of-enough-bytes-5Wd"
PASSWORD = "correct horse"


def run(block: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a block, and return its names."""
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("ANN_PASSWORD", PASSWORD)
    namespace: dict[str, Any] = {"__name__": "login"}
    exec(compile(block, "login.md", "exec"), namespace)
    return namespace


@pytest.fixture(name="json_client")
def _json_client(monkeypatch: pytest.MonkeyPatch) -> Any:
    return run(JSON_BLOCK, monkeypatch)["app"].test_client()


@pytest.fixture(name="browser")
def _browser(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    client = TestClient(run(PAGES_BLOCK, monkeypatch)["app"], base_url="https://testserver")
    client.headers.update(
        {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
    )
    return client


def sign_in(client: Any) -> dict[str, Any]:
    """Return the answer to a sign-in."""
    answer: dict[str, Any] = client.post("/login", json={"name": "ann", "password": PASSWORD}).json
    return answer


def get(client: Any, token: str) -> int:
    """Return the status of the protected page."""
    status: int = client.get("/dashboard", headers={"Authorization": f"Bearer {token}"}).status_code
    return status


def test_the_first_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The first block verifies the token that it issues."""
    run(FIRST_BLOCK, monkeypatch)
    assert capsys.readouterr().out == "ann\n"


@pytest.mark.slow
def test_the_token_of_a_sign_in_is_good(json_client: Any) -> None:
    """The access token of a sign-in opens the protected page; another token of the same secret does not."""
    answer = sign_in(json_client)
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
    assert get(json_client, answer["access_token"]) == 200
    assert json_client.get("/dashboard").status_code == 401
    assert (
        get(json_client, issue_token(SECRET, iss="https://app.example.com", aud="https://app.example.com"))
        == 401
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "given", [{"name": "ann", "password": "wrong"}, {"name": "bob", "password": PASSWORD}, {}], ids=str
)
def test_a_wrong_password(json_client: Any, given: dict[str, str]) -> None:
    """A wrong password, or an unknown name, is a 401."""
    assert json_client.post("/login", json=given).status_code == 401


@pytest.mark.parametrize("path", ["/login", "/refresh"])
@pytest.mark.parametrize("body", [[], "ann", 7, {}], ids=str)
def test_a_body_of_another_form(json_client: Any, path: str, body: object) -> None:
    """A body of another form is a 401, and no error of the application."""
    assert json_client.post(path, json=body).status_code == 401


@pytest.mark.slow
def test_a_refresh_token_is_good_once(json_client: Any) -> None:
    """A refresh token can be used once, for an access token and the next refresh token."""
    first = sign_in(json_client)
    second = json_client.post("/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    assert get(json_client, second.json["access_token"]) == 200
    assert json_client.post("/refresh", json={"refresh_token": first["refresh_token"]}).status_code == 401
    assert json_client.post("/refresh", json={"refresh_token": first["access_token"]}).status_code == 401
    assert json_client.post("/refresh", json={}).status_code == 401


@pytest.mark.slow
def test_a_logout_ends_the_session(json_client: Any) -> None:
    """A logout ends the tokens of its session, and another session continues."""
    session, other = sign_in(json_client), sign_in(json_client)
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    assert json_client.post("/logout", headers=headers).status_code == 204
    assert [get(json_client, each["access_token"]) for each in (session, other)] == [401, 200]
    assert json_client.post("/refresh", json={"refresh_token": session["refresh_token"]}).status_code == 401


def test_a_browser_signs_in_and_out(browser: TestClient) -> None:
    """A browser signs in, gets the requested page, and gets the form again after the logout."""
    form = browser.get("/dashboard")
    assert (form.url.path, "<form" in form.text) == ("/login", True)
    data = {"name": "ann", "password": PASSWORD}
    page = browser.post(form.url, data=data)
    assert (page.status_code, page.json()) == (200, "hello ann")
    assert browser.post("/logout").url.path == "/login"
    assert "<form" in browser.get("/dashboard").text


def test_the_page_that_was_wanted_keeps_its_query(browser: TestClient) -> None:
    """The redirect after the form has the whole query of the requested page."""
    form = browser.get("/dashboard?q=a%26b&page=2")
    action = unescape(re.findall(r'action="([^"]+)"', form.text)[0])
    answer = browser.post(action, data={"name": "ann", "password": PASSWORD}, follow_redirects=False)
    assert answer.headers["location"] == "/dashboard?q=a%26b&page=2"


def test_a_browser_whose_token_has_expired_sees_no_form(browser: TestClient) -> None:
    """A browser whose access token is gone is signed in again by its refresh token."""
    browser.post("/login?next=/dashboard", data={"name": "ann", "password": PASSWORD})
    refresh_token = browser.cookies["__Secure-refresh"]
    browser.cookies.delete("__Host-access_token")
    assert browser.get("/dashboard").json() == "hello ann"
    assert browser.cookies["__Secure-refresh"] != refresh_token


def test_a_page_with_a_wrong_password(browser: TestClient) -> None:
    """A wrong password in the form is a 401, and the form escapes its texts."""
    answer = browser.post('/login?next="><script>', data={"name": "ann", "password": "wrong"})
    assert answer.status_code == 401
    assert "<script>" not in answer.text


def test_a_page_is_returned_to_with_its_query(browser: TestClient) -> None:
    """The form keeps the whole query of `next`, although `next` is part of a query itself."""
    form = browser.get("/dashboard?year=2026&page=2").text
    action = re.findall('action="([^"]*)"', form)[0]
    answer = browser.post(action, data={"name": "ann", "password": PASSWORD}, follow_redirects=False)
    assert answer.headers["location"] == "/dashboard?year=2026&page=2"


def test_another_site_signs_nobody_in_or_out(browser: TestClient) -> None:
    """A request of another site to sign in or out is refused."""
    browser.headers["Sec-Fetch-Site"] = "cross-site"
    data = {"name": "ann", "password": PASSWORD}
    assert browser.post("/login", data=data).status_code == 403
    browser.headers["Sec-Fetch-Site"] = "same-origin"
    browser.post("/login?next=/dashboard", data=data)
    browser.headers["Sec-Fetch-Site"] = "cross-site"
    assert browser.post("/logout").status_code == 403


@pytest.fixture(name="flask_client")
def _flask_client(monkeypatch: pytest.MonkeyPatch) -> Any:
    app = run(FLASK_BLOCK, monkeypatch)["app"]
    app.test_client_class = AuthGuardClient
    return app.test_client()


NAVIGATES = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


@pytest.mark.slow
def test_a_flask_application_signs_in_and_out(flask_client: Any) -> None:
    """A browser signs in by the form of Flask, and gets the form again after the logout."""
    form = flask_client.get("/dashboard", headers=NAVIGATES, follow_redirects=True)
    assert "<form" in form.text
    assert flask_client.post("/login", data={"name": "ann", "password": "wrong"}).status_code == 401
    data = {"name": "ann", "password": PASSWORD}
    assert flask_client.post("/login", data=data, follow_redirects=True).text == "hello ann"
    flask_client.post("/logout")
    assert "<form" in flask_client.get("/dashboard", headers=NAVIGATES, follow_redirects=True).text


@pytest.mark.slow
def test_a_flask_application_remembers_a_browser(flask_client: Any) -> None:
    """A remembered browser is signed in again after its access cookie is gone."""
    flask_client.post("/login", data={"name": "ann", "password": PASSWORD, "remember": "on"})
    flask_client.delete_cookie("__Host-access_token")
    page = flask_client.get("/dashboard", headers=NAVIGATES, follow_redirects=True)
    assert page.text == "hello ann"


@pytest.mark.parametrize(
    "function",
    [TokenIssuer.__init__, TokenIssuer.issue, BrowserSessions.__init__],
    ids=["TokenIssuer", "issue", "BrowserSessions"],
)
def test_options_are_in_the_tables(function: Any) -> None:
    """Each option has a row in the tables."""
    named = {
        name
        for row in re.findall(r"^\| (`[^|]+) \|", TEXT, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert set(inspect.signature(function).parameters) - {"self"} <= named
