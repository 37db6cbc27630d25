"""The pages to sign in and to register: forms, errors, cookies, and the pages that follow."""

from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from authguard import AccessCookie, Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import ConfigurationError
from authguard.identity import Identity, Settings
from authguard.identity.limits import DEFAULT_LIMITS, Limit
from identity.support import (
    ANN,
    GENEROUS,
    ISSUER,
    SECRET,
    Page,
    browser,
    service_at,
    set_cookies,
)

pytestmark = pytest.mark.one_database  # pages do not depend on the database

WRONG = "The e-mail address or the password is wrong."


@pytest.fixture
def guest(app, ann):
    """Return a browser without a session."""
    return browser(app)


def location(response):
    assert response.status_code == 303, response.text
    return response.headers["location"]


# --- signing in


def test_signing_in_sets_both_cookies(guest):
    """A login sets cookies for the access and the refresh token, each with its lifetime, and redirects."""
    response = guest.post("/login", data=ANN)
    assert location(response) == "/account"
    cookies = set_cookies(response)
    assert set(cookies) == {"access_token", "refresh_token"}
    common = {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert cookies["access_token"][1] == common | {"Max-Age=28800"}
    assert cookies["refresh_token"][1] == common | {f"Max-Age={30 * 86_400}"}
    assert guest.get("/account").status_code == 200


@pytest.mark.slow
def test_cookies_under_https(url):
    """Under https both cookies are `__Host-` and Secure."""
    with service_at(url, issuer="https://id.example") as service:
        client = browser(Identity(service), origin="https://id.example")
        cookies = set_cookies(client.post("/register", data=ANN))
        assert set(cookies) == {"__Host-access_token", "__Host-refresh_token"}
        assert all("Secure" in attributes for _, attributes in cookies.values())
        assert client.get("/account").status_code == 200
        gone = set_cookies(client.post("/logout"))
        assert {name: value for name, (value, _) in gone.items()} == dict.fromkeys(cookies, "")
        assert all({"Max-Age=0", "Secure", "Path=/"} <= attributes for _, attributes in gone.values())


@pytest.mark.parametrize("email", [ANN["email"], "nobody@example.com", "no address"])
def test_wrong_password_and_unknown_address_look_alike(guest, email):
    """A wrong password and an unknown address get the same page, which keeps the address alone."""
    response = guest.post("/login", data={"email": email, "password": "Wr0ng-one!", "next": "/dashboard"})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Bearer realm="identity"')
    page = Page(response)
    assert WRONG in page.words
    assert page.field("email")["value"] == email
    assert page.field("next")["value"] == "/dashboard"
    assert "Wr0ng-one!" not in response.text
    other = guest.post("/login", data={"email": "x@y.org", "password": "Wr0ng-one!", "next": "/dashboard"})
    assert response.text.replace(email, "x@y.org") == other.text
    assert not set_cookies(response)


def test_missing_fields_are_named(guest):
    """Each invalid field has its message, and refers to it by aria-describedby."""
    response = guest.post("/login", data={"email": "ann@example.com"})
    assert response.status_code == 422
    page = Page(response)
    password = page.field("password")
    assert (password["aria-invalid"], password["aria-describedby"]) == ("true", "error-password")
    assert "Password: This is required." in page.words
    assert "aria-invalid" not in page.field("email")


def test_too_many_tries(url):
    """A login beyond the limit gets a page with 429, the seconds to wait, and Retry-After."""
    limits = {**GENEROUS, "login": Limit(1, 900)}
    with service_at(url, limits=limits) as service:
        client = browser(Identity(service))
        client.post("/login", data=ANN)
        response = client.post("/login", data=ANN)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 0
        page = Page(response)
        assert "too many tries. Try again in" in page.words
        assert page.field("email")["value"] == ANN["email"]


def test_address_that_has_to_be_verified(url, postbox):
    """The right password of an unverified address gets a 403 page that offers another mail."""
    with service_at(url, require_verified_email=True, postbox=postbox) as service:
        client = browser(Identity(service))
        assert location(client.post("/register", data=ANN)) == "/login?notice=check-mail"
        response = client.post("/login", data=ANN)
        assert response.status_code == 403
        assert {"href": "/verify-email"} in Page(response).all("a")
        assert not set_cookies(response)


# --- the page that follows


@pytest.mark.parametrize("path", ["/login", "/register"])
def test_going_on_to_next(app, ann, path):
    """The value of `next` is passed on from the link to the forms, and is the target of the redirect."""
    client = browser(app)
    page = Page(client.get(path, params={"next": "/dashboard?tab=1&x=2"}))
    assert page.field("next")["value"] == "/dashboard?tab=1&x=2"
    other = {"/login": "/register", "/register": "/login"}[path]
    link = next(a["href"] for a in page.all("a") if a["href"].startswith(other))
    assert parse_qs(urlsplit(link).query) == {"next": ["/dashboard?tab=1&x=2"]}
    data = ANN if path == "/login" else {**ANN, "email": "bob@example.com"}
    response = client.post(path, data={**data, "next": "/dashboard?tab=1&x=2"})
    assert location(response) == "/dashboard?tab=1&x=2"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/%2f/evil.example"]
    + ["/login", "/login?next=/login", "/logout", "/register", "/a\r\nSet-Cookie: x=1", "/" + "x" * 5000],
)
def test_next_stays_on_this_site(guest, target):
    """A `next` of another site, or of a login page, is replaced by the page of the account."""
    assert location(guest.post("/login", data={**ANN, "next": target})) == "/account"
    page = Page(guest.get("/login", params={"next": target}))
    assert "Continue to /account" in page.words


def test_whoever_is_signed_in_can_go_on(ann):
    """A signed-in browser at the login page sees its account, a link to `next`, and a form to sign out."""
    for path in ("/login", "/register"):
        page = Page(ann.get(path, params={"next": "/dashboard"}))
        assert "as ann@example.com" in page.words
        assert "/dashboard" in [a["href"] for a in page.all("a")]
        assert "/logout" in [form["action"] for form in page.all("form")]
        assert not [each for each in page.all("input") if each["type"] == "password"]


def test_signing_in_again_ends_the_session_before(ann, service):
    """A login begins a new session, and ends the session that the browser had (ASVS 7.2.4)."""
    before = dict(ann.cookies)
    assert location(ann.post("/login", data=ANN)) == "/account"
    assert ann.cookies["access_token"] != before["access_token"]
    old = browser(ann.app)
    old.cookies.update(before)
    assert location(old.get("/account")).startswith("/login")


def test_failed_sign_in_leaves_the_session_alone(ann):
    """A wrong password does not end the session of the browser."""
    assert ann.post("/login", data={**ANN, "password": "wrong"}).status_code == 401
    assert ann.get("/account").status_code == 200


# --- registering


def test_registering_signs_in(app, postbox, service):
    """A registration creates the account, sends the mail, and signs the browser in."""
    client = browser(app)
    response = client.post("/register", data={**ANN, "name": "Ann Example"})
    assert location(response) == "/account?notice=welcome"
    page = Page(client.get(location(response)))
    assert "Welcome!" in page.words
    assert "Ann Example" in page.words
    service.outbox.flush()
    assert [mail.to for mail in postbox.mails] == ["ann@example.com"]


def test_what_is_wrong_with_a_registration(app):
    """An invalid registration gets advice for each field, and keeps the text except for the password."""
    data = {"email": "nonsense", "name": '"><script>', "password": "short"}
    response = browser(app).post("/register", data=data)
    assert response.status_code == 422
    page = Page(response)
    assert "E-mail address: This is not an e-mail address." in page.words
    assert "Use at least 8 characters." in page.words
    assert (page.field("email")["value"], page.field("name")["value"]) == ("nonsense", '"><script>')
    assert not page.all("script")
    assert 'value="short"' not in response.text


def test_address_that_is_taken(guest):
    """A registration with a known address is a 409 at its field."""
    response = guest.post("/register", data=ANN)
    assert response.status_code == 409
    page = Page(response)
    assert "There is an account with this e-mail address already." in page.words
    assert page.field("email")["aria-invalid"] == "true"


@pytest.mark.slow
def test_registration_that_tells_nobody(url):
    """With `enumeration_safe`, known and new addresses get the same answer."""
    with service_at(url, enumeration_safe=True) as service:
        client = browser(Identity(service))
        answers = [client.post("/register", data=ANN) for _ in range(2)]
        assert [location(answer) for answer in answers] == ["/login?notice=check-mail"] * 2
        assert [set_cookies(answer) for answer in answers] == [{}, {}]
        assert "Check your mail" in Page(client.get("/login?notice=check-mail")).words


def test_rules_of_passwords_are_shown(app):
    """The form shows the rules of passwords by the policy that checks them."""
    page = Page(browser(app).get("/register"))
    assert "Use at least 8 characters." in page.words
    assert page.field("password")["aria-describedby"] == "rules-password"


# --- the paths of the pages


@pytest.mark.slow
def test_pages_are_below_their_path(url, postbox):
    """Pages, forms, links, redirects and mails begin with `pages_path`."""
    with service_at(url, pages_path="/id", postbox=postbox) as service:
        client = browser(Identity(service))
        assert client.get("/login").status_code == 404
        page = Page(client.get("/id/login"))
        assert [form["action"] for form in page.all("form")] == ["/id/login"]
        assert all(link["href"].startswith(("/id/", "#main")) for link in page.all("link") + page.all("a"))
        assert client.get(page.all("link")[-1]["href"]).status_code == 200
        assert location(client.get("/id/account")) == "/id/login?next=%2Fid%2Faccount"
        assert location(client.post("/id/register", data=ANN)) == "/id/account?notice=welcome"
        service.outbox.flush()
        assert f"{ISSUER}/id/verify-email?token=" in postbox.mails[-1].text


@pytest.mark.slow
def test_pages_of_a_mounted_service(url):
    """In a mounted service, forms and redirects begin with the path of the mount."""
    with service_at(url, issuer=f"{ISSUER}/auth") as service:
        client = browser(Starlette(routes=[Mount("/auth", Identity(service))]))
        page = Page(client.get("/auth/login"))
        assert [form["action"] for form in page.all("form")] == ["/auth/login"]
        assert client.get(page.all("link")[-1]["href"]).status_code == 200
        assert location(client.get("/auth/account")) == "/auth/login?next=%2Fauth%2Faccount"
        assert location(client.post("/auth/register", data=ANN)) == "/auth/account?notice=welcome"
        assert client.get("/auth/account").status_code == 200
        response = client.post("/auth/login", data={**ANN, "next": "/auth/login"})
        assert location(response) == "/auth/account"
        assert client.get("/auth/account/sessions/end").headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("root_path", ["//evil.example", "///evil.example", "//evil.example/x/"])
def test_no_page_leads_to_another_site_by_the_mount_point(app, root_path):
    """A mount path that leads to another site, which a proxy may take from the caller, is ignored."""

    async def server(scope, receive, send):
        await app({**scope, "root_path": root_path}, receive, send)

    client = browser(server)
    assert location(client.get("/account")) == "/login?next=%2Faccount"
    response = client.get("/login")
    assert [form["action"] for form in Page(response).all("form")] == ["/login"]
    assert "evil.example" not in response.text


@pytest.mark.slow
def test_application_that_signs_people_in_here(url, clock):
    """A guarded application redirects to the login page of its mounted service, and back, repeatedly."""
    issuer = f"{ISSUER}/id"
    with service_at(url, issuer=issuer, clock=clock) as service:

        async def dashboard(request):
            return PlainTextResponse(f"Hello {request.state.user.claims['email']}")

        app = Starlette(routes=[Route("/dashboard", dashboard), Mount("/id", Identity(service))])
        guard = Guard(
            JWTVerifier(SECRET, algorithms=["HS256"], issuer=issuer, audience=issuer),
            cookie=AccessCookie("access_token", secure=False),
            login_path="/id/login",
            public_paths=["/id"],
        )
        client = browser(AuthGuardMiddleware(app, guard=guard, clock=clock))
        to_login = location(client.get("/dashboard"))
        assert to_login == "/id/login?next=%2Fdashboard"
        wanted = Page(client.get(to_login)).field("next")["value"]
        service.accounts.create(**ANN)
        assert location(client.post("/id/login", data={**ANN, "next": wanted})) == "/dashboard"
        assert client.get("/dashboard").text == "Hello ann@example.com"
        clock.go_on(28_801 + 30)  # the verifier's leeway
        to_login = location(client.get("/dashboard"))
        assert {"/dashboard"} <= {each["href"] for each in Page(client.get(to_login)).all("a")}
        assert client.get("/dashboard").text == "Hello ann@example.com"


def test_pages_can_be_switched_off(url):
    """With `pages=False` the pages are 404."""
    with service_at(url, pages=False) as service:
        client = browser(Identity(service))
        for path in ("/login", "/account", "/verify-email?token=x"):
            response = client.get(path)
            assert (response.status_code, "<form" in response.text) == (404, False)


def test_api_keeps_its_answers(app):
    """The API answers in JSON although pages are on."""
    client = browser(app, **{"sec-fetch-mode": "cors"})
    for path, status in (("/v1/users/me", 401), ("/v1/api-keys", 401), ("/v1/auth/me", 401)):
        response = client.get(path)
        assert (response.status_code, response.headers["content-type"]) == (
            status,
            "application/problem+json",
        )
    response = client.post("/v1/auth/login", json={})
    assert response.headers["content-type"] == "application/problem+json"
    assert TestClient(app).get("/v1/auth/login").headers["content-type"] == "application/problem+json"


def test_a_browser_that_navigates_to_the_api_is_shown_a_page(app, ann):
    """A browser that navigates to a path of the API, or to an unknown one, gets an HTML page."""
    for client, path, status in (
        (browser(app), "/v1/users/me", 401),
        (browser(app), "/nothing/here", 404),
        (ann, "/nothing/here", 404),
        (ann, "/v1/auth/login", 405),
    ):
        response = client.get(path)
        shown = (response.status_code, response.headers["content-type"])
        assert shown == (status, "text/html; charset=utf-8"), path


@pytest.mark.parametrize("path", ["auth", "//evil", "/a?b", "https://x", "/a/*"])
def test_path_of_pages_is_checked(path):
    """A malformed `pages_path` is refused when the settings are built."""
    with pytest.raises(ConfigurationError):
        Settings(secret=SECRET, issuer=ISSUER, pages_path=path)


def test_cookies_have_two_names():
    """Two cookies with one name are refused."""
    with pytest.raises(ConfigurationError):
        Settings(secret=SECRET, issuer=ISSUER, cookie_name="session", refresh_cookie_name="session")


def test_limits_are_those_of_the_api(url):
    """A login on a page counts against the same limit as one over the API."""
    limits = {**GENEROUS, "login": Limit(2, 900)}
    assert DEFAULT_LIMITS["login"].count > 2
    with service_at(url, limits=limits) as service:
        client = browser(Identity(service))
        client.post("/v1/auth/login", json=ANN)
        client.post("/login", data=ANN)
        assert client.post("/login", data=ANN).status_code == 429
