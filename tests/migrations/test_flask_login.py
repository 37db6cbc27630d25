"""docs/coming-from/flask-login.md: both applications sign in and out, and old sessions can be continued."""

from datetime import timedelta
from typing import Any

import pytest

from frameworks.support import need

need("flask", "flask_login")

pytestmark = pytest.mark.frameworks

from flask.testing import FlaskClient

from authguard.flask import AuthGuardClient
from migrations.support import PASSWORD, run

PAGE = "flask-login.md"
SITE = "https://localhost"
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
ANN = {"name": "Ann", "password": PASSWORD}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_SECRET", "fl4sk-l0gin-Secret-of-enough-bytes-2Kp")


@pytest.fixture(name="before")
def _before() -> FlaskClient:
    client: FlaskClient = run(PAGE, "Before").app.test_client()
    return client


@pytest.fixture(name="after")
def _after() -> Any:
    names = run(PAGE, "After")
    names.app.test_client_class = AuthGuardClient
    return names


def get(client: FlaskClient, path: str = "/dashboard") -> Any:
    """Open a page as a browser does."""
    return client.get(path, base_url=SITE, headers=BROWSER)


def post(client: FlaskClient, path: str, form: dict[str, str]) -> Any:
    """Send a form as a browser does."""
    return client.post(path, base_url=SITE, headers=BROWSER, data=form)


def test_both_applications_sign_in_and_out(before: FlaskClient, after: Any) -> None:
    """Both applications redirect to the login page, sign in and sign out."""
    for client in (before, after.app.test_client()):
        assert get(client).location.startswith("/login?next=")
        assert "form" in post(client, "/login", ANN | {"password": "no"}).text
        assert post(client, "/login", ANN).location == "/dashboard"
        assert get(client).text == "hello Ann"
        post(client, "/logout", {})
        assert get(client).location.startswith("/login?next=")


def test_scripts_get_a_401(before: FlaskClient, after: Any) -> None:
    """A script gets a 401 of the new application, and a redirect of the old one."""
    statuses = [client.get("/dashboard").status_code for client in (before, after.app.test_client())]
    assert statuses == [302, 401]


def test_a_copy_of_the_cookie_is_refused_after_signing_out(before: FlaskClient, after: Any) -> None:
    """A copied cookie is refused after signing out in the new application, and accepted in the old one."""
    texts = []
    for client, name in ((before, "session"), (after.app.test_client(), "__Host-access_token")):
        post(client, "/login", ANN)
        copy = client.get_cookie(name)
        assert copy is not None
        post(client, "/logout", {})
        client.set_cookie(name, copy.value, secure=True)
        texts.append(get(client).text)
    assert (texts[0], "hello" in texts[1]) == ("hello Ann", False)


def test_a_form_of_another_site_is_refused(after: Any) -> None:
    """A form of another site is refused by the new application."""
    client = after.app.test_client()
    fields = BROWSER | {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/login", base_url=SITE, headers=fields, data=ANN).status_code == 403


def test_a_user_who_is_gone_has_no_session(after: Any) -> None:
    """A user who was deleted has no session."""
    client = after.app.test_client()
    post(client, "/login", ANN)
    after.users.clear()
    assert get(client).status_code in (303, 401)


@pytest.mark.parametrize("kept", ["session", "remember_token"])
def test_an_old_session_is_taken_over(before: FlaskClient, after: Any, kept: str) -> None:
    """An old session, or a remember cookie, signs in to the new application without a form."""
    post(before, "/login", ANN | {"remember": "on"})
    cookie = before.get_cookie(kept)
    assert cookie is not None
    take_over = run(PAGE, "Without signing in again").take_over
    after.app.secret_key = before.application.secret_key
    shown = after.app.view_functions["login"]
    after.app.view_functions["login"] = lambda: take_over(after.sessions, after.users) or shown()
    client = after.app.test_client()
    client.set_cookie(kept, cookie.value)
    login_page = get(client).location
    assert get(client, login_page).location == "/dashboard"
    assert get(client).text == "hello Ann"
    token = client.get_cookie("__Host-access_token")
    assert token is not None
    assert after.guard.verify(token.value).claims["auth_time"] == 0
    assert client.get_cookie("remember_token") is None
    assert (client.get_cookie("__Host-access_token-remember") is not None) == (kept == "remember_token")


def test_an_old_session_is_not_taken_over_for_another_site(before: FlaskClient, after: Any) -> None:
    """An old session is not continued for another site, if it was changed, or without its user."""
    take_over = run(PAGE, "Without signing in again").take_over
    post(before, "/login", ANN | {"remember": "on"})
    good = before.get_cookie("remember_token")
    assert good is not None
    after.app.secret_key = before.application.secret_key
    cases: list[tuple[str, str, Any]] = [
        (good.value, "cross-site", after.users),
        (good.value.replace("1|", "2|"), "none", {"2": 1}),
        (good.value, "none", {}),
        ("", "none", after.users),
    ]
    for value, site, users in cases:
        fields = {"Cookie": f"remember_token={value}", "Sec-Fetch-Site": site}
        with after.app.test_request_context("/login", headers=fields):
            assert take_over(after.sessions, users) is None


def test_the_time_to_be_remembered_is_an_option(after: Any) -> None:
    """The time to be remembered can be that of Flask-Login."""
    sessions = type(after.sessions)(after.guard, after.tokens, remember=timedelta(days=365))
    assert sessions is not None
