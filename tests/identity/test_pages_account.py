"""The pages of an account: redirects to the login, sessions, password, signing out, outages."""

import contextlib
import re

import pytest

from authguard.identity.errors import InvalidLinkError
from authguard.identity.pages.forms import Form
from authguard.identity.storage.database import Database
from identity.support import ANN, NOW, PASSWORD, Page, browser, set_cookies

pytestmark = pytest.mark.one_database  # pages do not depend on the database

NEW = "Another-Pass-456!"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile Safari/604.1"


@pytest.fixture
def other(app, ann):
    """Return another browser in which Ann is signed in."""
    client = browser(app, **{"user-agent": PHONE})
    assert client.post("/login", data=ANN).status_code == 303
    return client


def location(response):
    assert response.status_code == 303, response.text
    return response.headers["location"]


def account_routes(app):
    """Return each route below /account of the routing table."""
    results = [(method, route.path) for route in app._pages.routes for method in route.methods]
    return [(method, path) for method, path in results if path.startswith("/account")]


@contextlib.contextmanager
def outage(database):
    """Replace the database by a missing one for a while."""
    away, names = Database("sqlite:////nowhere/at/all.db"), ("_readers", "_writers", "_unflushed")
    kept = {name: getattr(database, name) for name in names}
    vars(database).update({name: getattr(away, name) for name in names})
    yield
    vars(database).update(kept)


# --- the login


@pytest.mark.slow
@pytest.mark.parametrize("cookies", [{}, {"access_token": "x.y.z", "refresh_token": "rt_forged"}])
def test_nobody_else_is_let_in(app, cookies):
    """Without a session each page of the account redirects to the login page, with a way back."""
    routes = account_routes(app)
    assert len([route for route in routes if route[0] == "POST"]) >= 4
    pages = {"/account", "/account/password", "/account/keys", "/account/keys/new", "/account/keys/key"}
    pages |= {"/account/keys/usage", "/account/email", "/account/delete"}
    assert {path for method, path in routes if method == "GET"} == pages
    for method, path in routes:
        client = browser(app)
        client.cookies.update(cookies)
        response = client.request(method, path, data={"session": "x"} if method == "POST" else None)
        assert re.fullmatch(
            r"/login\?next=%2Faccount(%2Fpassword|%2Femail|%2Fdelete|%2Fkeys(%2Fnew|%2Fkey|%2Fusage)?)?",
            location(response),
        ), (method, path)


@pytest.mark.slow
def test_session_that_was_ended_is_not_let_in(app, ann, other, service):
    """Both cookies of an ended session are refused on each page of the account."""
    kept = dict(other.cookies)
    assert location(other.post("/logout")) == "/login?notice=logged-out"
    for method, path in account_routes(app):
        client = browser(app)
        client.cookies.update(kept)
        assert location(client.request(method, path)).startswith("/login?next="), (method, path)


def test_expired_access_token_is_refreshed(ann, clock):
    """With an expired access token, the refresh cookie gets new cookies and a redirect to the same page."""
    before = dict(ann.cookies)
    clock.go_on(28_801)
    response = ann.get("/account?notice=verified")
    assert location(response) == "/account?notice=verified"
    assert set(set_cookies(response)) == {"access_token", "refresh_token"}
    assert ann.cookies["refresh_token"] != before["refresh_token"]
    assert ann.get("/account").status_code == 200


def test_missing_access_cookie_is_refreshed(ann):
    """The refresh cookie alone is enough, because browsers delete the expired access cookie."""
    ann.cookies.delete("access_token")
    assert location(ann.get("/account")) == "/account"
    assert ann.get("/account").status_code == 200


def test_form_of_an_expired_page_is_carried_on(ann, service, clock):
    """A form that is sent with an expired access token is handled, and its answer has new cookies."""
    clock.go_on(28_801)
    data = {"current_password": PASSWORD, "new_password": NEW}
    response = ann.post("/account/password", data=data)
    assert location(response) == "/account?notice=password-changed"
    assert set(set_cookies(response)) == {"access_token", "refresh_token"}
    assert ann.get("/account").status_code == 200


def test_refused_form_of_an_expired_page_has_new_cookies(ann, clock):
    """A refused form with an expired access token gets new cookies, because the refresh token is used."""
    clock.go_on(28_801)
    response = ann.post("/account/sessions/end", data={"session": "none"})
    assert response.status_code == 404
    assert set(set_cookies(response)) == {"access_token", "refresh_token"}
    clock.go_on(60)
    assert ann.get("/account").status_code == 200


def test_login_page_refreshes_too(ann, clock):
    """The login page refreshes an expired access token, and links to `next`."""
    clock.go_on(28_801)
    response = ann.get("/login", params={"next": "/dashboard"})
    assert "Continue to /dashboard" in Page(response).words
    assert set(set_cookies(response)) == {"access_token", "refresh_token"}


def test_stolen_refresh_cookie_ends_the_session(app, ann, clock):
    """A second use of a refresh cookie ends the session for both of its holders."""
    stolen = ann.cookies["refresh_token"]
    for _ in range(2):
        clock.go_on(28_801)
        ann.get("/account")
    clock.go_on(60)
    thief = browser(app)
    thief.cookies.set("refresh_token", stolen)
    assert location(thief.get("/account")).startswith("/login")
    assert location(ann.get("/account")).startswith("/login")


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_cookie_that_came_twice_is_refused(app, ann, name):
    """A session cookie that came twice gets a 400 page."""
    value = ann.cookies[name]
    response = browser(app).get("/account", headers={"cookie": f"{name}={value}; {name}=planted"})
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/html")


def test_cookie_does_not_rescue_a_bad_credential(ann):
    """An invalid token in the field Authorization is 401, regardless of the cookies (law 7)."""
    ann.cookies.delete("access_token")
    response = ann.get("/account", headers={"authorization": "Bearer x.y.z"})
    assert (response.status_code, response.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert not set_cookies(response)


# --- the content of the page


def test_account_shows_who_and_where(ann, other):
    """The page has the address and all sessions with their browsers, and marks the current one."""
    words = Page(ann.get("/account")).words
    assert "ann@example.com not verified" in words
    assert "Safari on iPhone" in words
    assert words.count("this browser") == 1


def test_text_of_others_is_only_text(app, ann):
    """Markup in a User-Agent is shown as text."""
    browser(app, **{"user-agent": "<script>alert(1)</script>"}).post("/login", data=ANN)
    response = ann.get("/account")
    assert "&lt;script&gt;" in response.text
    assert not Page(response).all("script")


def test_ending_another_session(ann, other):
    """Ending another session signs that browser out, and not this one."""
    ids = [each["value"] for each in Page(ann.get("/account")).all("input") if each.get("name") == "session"]
    assert len(ids) == 1
    assert location(ann.post("/account/sessions/end", data={"session": ids[0]})) == "/account?notice=ended"
    assert location(other.get("/account")).startswith("/login")
    assert ann.get("/account").status_code == 200


def test_sessions_of_others_cannot_be_ended(app, ann, service):
    """A session of another account cannot be ended, and gets a 404 page."""
    bob = browser(app)
    bob.post("/register", data={**ANN, "email": "bob@example.com"})
    browser(app).post("/login", data={**ANN, "email": "bob@example.com"})
    (theirs,) = [
        each["value"] for each in Page(bob.get("/account")).all("input") if each.get("name") == "session"
    ]
    response = ann.post("/account/sessions/end", data={"session": theirs})
    assert (response.status_code, "Nothing here" in Page(response).words) == (404, True)
    assert theirs in bob.get("/account").text


def test_asking_for_the_mail_again(ann, service, postbox):
    """Another verification mail is sent to the address of the account."""
    service.outbox.flush()
    assert location(ann.post("/account/verify-email")) == "/account?notice=sent"
    service.outbox.flush()
    assert [mail.to for mail in postbox.mails] == ["ann@example.com"] * 2


# --- the password


def test_changing_the_password(app, ann, other):
    """After a change the new password works, the old one does not, and all other sessions are over."""
    data = {"current_password": PASSWORD, "new_password": NEW}
    assert location(ann.post("/account/password", data=data)) == "/account?notice=password-changed"
    assert ann.get("/account").status_code == 200
    assert location(other.get("/account")).startswith("/login")
    assert browser(app).post("/login", data=ANN).status_code == 401
    assert browser(app).post("/login", data={**ANN, "password": NEW}).status_code == 303


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"current_password": "wrong", "new_password": NEW}, "Current password: This is not right."),
        ({"current_password": PASSWORD, "new_password": "weak"}, "New password: Use at least 8 characters."),
        ({"current_password": PASSWORD}, "New password: This is required."),
    ],
)
def test_password_that_is_not_changed(ann, data, words):
    """A refused change of the password names the invalid field, and repeats no password."""
    response = ann.post("/account/password", data=data)
    assert response.status_code == 422
    assert words in Page(response).words
    assert PASSWORD not in response.text
    assert ann.get("/account").status_code == 200


def test_forms_forget_secrets():
    """The values of a form have no passwords and no tokens, and neither has its repr."""
    fields = {"email": "ann@example.com", "password": "s3cret", "new_password": "s3cret", "token": "s3cret"}
    form = Form.from_error(InvalidLinkError(), fields)
    assert form.values == {"email": "ann@example.com"}
    assert "s3cret" not in repr(form)


# --- signing out


def test_signing_out(app, ann):
    """Signing out deletes both cookies, and ends both tokens."""
    kept = dict(ann.cookies)
    response = ann.post("/logout")
    assert location(response) == "/login?notice=logged-out"
    gone = set_cookies(response)
    common = {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=0"}
    assert gone == dict.fromkeys(("access_token", "refresh_token"), ("", common))
    assert not dict(ann.cookies)
    for name, value in kept.items():
        thief = browser(app)
        thief.cookies.set(name, value)
        assert location(thief.get("/account")).startswith("/login")


def test_signing_out_with_an_expired_token(app, ann, clock, service):
    """Signing out with an expired access token ends the session."""
    kept = dict(ann.cookies)
    clock.go_on(28_801)
    assert set_cookies(ann.post("/logout"))["refresh_token"][0] == ""
    clock.go_on(1)
    thief = browser(app)
    thief.cookies.update(kept)
    assert location(thief.get("/account")).startswith("/login")


@pytest.mark.parametrize("late", [0, 28_801], ids=["at-once", "expired"])
def test_signing_out_again(app, ann, clock, late):
    """Signing out again with kept cookies gets the same answer, and deletes them again."""
    kept = dict(ann.cookies)
    assert location(ann.post("/logout")) == "/login?notice=logged-out"
    clock.go_on(late)
    ann.cookies.update(kept)
    response = ann.post("/logout")
    assert location(response) == "/login?notice=logged-out"
    assert set(set_cookies(response)) == {"access_token", "refresh_token"}


def test_signing_out_with_an_expired_token_alone(app, ann, clock):
    """Signing out with an expired access token and no refresh cookie ends the session."""
    kept = dict(ann.cookies)
    clock.go_on(28_801)
    del ann.cookies["refresh_token"]
    assert location(ann.post("/logout")) == "/login?notice=logged-out"
    thief = browser(app)
    thief.cookies.set("refresh_token", kept["refresh_token"])
    assert location(thief.get("/account")).startswith("/login")


def test_signing_out_nobody(app):
    """Signing out without a session gets the same answer."""
    assert location(browser(app).post("/logout")) == "/login?notice=logged-out"


def test_link_signs_nobody_out(ann):
    """A GET of the logout page shows a form, and does not end the session."""
    page = Page(ann.get("/logout"))
    assert {"method": "post", "action": "/logout"} in page.all("form")
    assert ann.get("/account").status_code == 200


def test_signing_out_everywhere(ann, other):
    """Signing out everywhere ends all sessions of the account."""
    response = ann.post("/account/logout-all")
    assert location(response) == "/login?notice=logged-out-everywhere"
    assert set(set_cookies(response)) == {"access_token", "refresh_token"}
    assert location(other.get("/account")).startswith("/login")


# --- outages


@pytest.mark.parametrize("path", ["/logout", "/account/logout-all"])
def test_signing_out_that_is_not_stored(ann, service, path):
    """Signing out that cannot be stored gets a 503 page, and the cookies and the session remain."""
    kept = service.database._writers
    service.database._writers = Database("sqlite:////nowhere/at/all.db")._writers
    response = ann.post(path)
    service.database._writers = kept
    assert (response.status_code, response.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert not set_cookies(response)
    assert ann.get("/account").status_code == 200


@pytest.mark.slow
def test_outage_is_nobodys_signing_out(app, ann, service, clock):
    """During an outage each page of the account is 503 with Retry-After, and no redirect to the login."""
    for expired in (False, True):
        if expired:
            clock.go_on(28_801)
        with outage(service.database):
            answers = [ann.request(method, path) for method, path in account_routes(app)]
        assert [answer.status_code for answer in answers] == [503] * len(answers), expired
        assert all(answer.headers["retry-after"] for answer in answers)
        assert not any(set_cookies(answer) for answer in answers)
    assert location(ann.get("/account")) == "/account"


def test_outage_is_logged(ann, service, caplog):
    """An outage is logged once, with its reason, and without a token."""
    with outage(service.database):
        ann.get("/account")
    (line,) = [text for text in caplog.messages if text.startswith("requests are answered with 503: ")]
    assert "database: " in line
    assert ann.cookies["access_token"] not in caplog.text


def test_sign_in_during_an_outage(app, ann, service):
    """A login during an outage gets the form again with 503, and not with a wrong password."""
    with outage(service.database):
        response = browser(app).post("/login", data=ANN)
    assert response.status_code == 503
    page = Page(response)
    assert page.field("email")["value"] == ANN["email"]
    assert "cannot do this right now" in page.words


def test_error_of_ours_is_a_page(app, ann, service):
    """An unexpected exception is a 500 page that reveals nothing."""
    service.session_pages.page = None
    client = browser(app)
    client._transport.raise_server_exceptions = False
    client.cookies.update(dict(ann.cookies))
    response = client.get("/account")
    assert (response.status_code, response.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "NoneType" not in response.text


def test_times_are_readable(ann, clock):
    """Times are shown in words, with the exact time in `datetime`."""
    assert clock() == NOW
    response = ann.get("/account")
    assert "15 January 2027, 08:00 UTC" in Page(response).words
    assert {"datetime": "2027-01-15T08:00:00+00:00"} in Page(response).all("time")
