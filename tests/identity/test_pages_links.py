"""The pages of mailed links: a GET uses nothing up, and tokens stay out of URLs and logs."""

import logging

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import Identity
from identity.support import (
    ANN,
    ISSUER,
    PASSWORD,
    SECRET,
    Page,
    browser,
    service_at,
    serving,
    set_cookies,
)

pytestmark = pytest.mark.one_database  # pages do not depend on the database

NEW = "Another-Pass-456!"


@pytest.fixture
def verify_link(ann, service, postbox):
    service.outbox.flush()
    return f"/verify-email?token={postbox.token()}"


@pytest.fixture
def reset_link(app, ann, service, postbox):
    response = browser(app).post("/forgot-password", data={"email": ANN["email"]})
    assert location(response) == "/forgot-password?notice=sent"
    service.outbox.flush()
    return f"/reset-password?token={postbox.token()}"


def location(response):
    assert response.status_code == 303, response.text
    return response.headers["location"]


def test_link_leaves_the_url_at_once(app, verify_link, reset_link):
    """A link redirects to a URL without the token, which is kept in a cookie that is not for scripts."""
    for link, name in ((verify_link, "authguard-verify"), (reset_link, "authguard-reset")):
        client = browser(app)
        path, _, token = link.partition("?token=")
        response = client.get(link)
        assert location(response) == path
        assert response.headers["referrer-policy"] == "no-referrer"
        value, attributes = set_cookies(response)[name]
        assert (value, attributes) == (token, {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=3600"})
        page = client.get(path)
        assert page.status_code == 200
        assert token not in page.text
        assert page.headers["referrer-policy"] == "strict-origin"


def test_looking_uses_nothing_up(app, ann, verify_link, reset_link):
    """A GET or HEAD of a link, as scanners of mails send, does not use it up."""
    for _ in range(3):
        scanner = browser(app)
        scanner.head(verify_link)
        for link in (verify_link, reset_link):
            scanner.get(scanner.get(link).headers["location"])
    ann.get(verify_link)
    assert location(ann.post("/verify-email")) == "/account?notice=verified"


def test_verifying_an_address(app, ann, verify_link):
    """In another browser the link with the password verifies the address, and can be used again."""
    client = browser(app)
    client.get(verify_link)
    response = client.post("/verify-email", data={"password": PASSWORD})
    assert location(response) == "/login?notice=verified"
    assert set_cookies(response)["authguard-verify"][0] == ""
    assert "ann@example.com verified" in Page(ann.get("/account")).words
    client.get(verify_link)
    assert location(client.get("/verify-email")) == "/login?notice=verified"
    client.get(verify_link)
    assert location(client.post("/verify-email")) == "/login?notice=verified"


@pytest.mark.parametrize("page", ["/reset-password", "/verify-email"])
def test_a_dead_link_shows_no_form(app, page):
    """An invalid link gets a 400 page without a form, and its cookie is deleted."""
    client = browser(app)
    client.get(f"{page}?token=unknown")
    response = client.get(page)
    assert response.status_code == 400
    assert "The link is no longer valid" in Page(response).words
    assert not [field for field in Page(response).all("input") if "password" in field.get("name", "")]
    assert next(iter(set_cookies(response).values()))[0] == ""


def test_a_reset_link_that_was_used_shows_no_form(app, ann, reset_link):
    """A used reset link gets a 400 page."""
    client = browser(app)
    client.get(reset_link)
    client.post("/reset-password", data={"new_password": "Another-Passw0rd!"})
    client.get(reset_link)
    assert client.get("/reset-password").status_code == 400


def test_resetting_a_password(app, ann, reset_link):
    """After a reset the new password works, the old one does not, and all sessions are over."""
    client = browser(app)
    client.get(reset_link)
    response = client.post("/reset-password", data={"new_password": NEW})
    assert location(response) == "/login?notice=password-reset"
    assert "Sign in with the new one" in Page(client.get(location(response))).words
    assert location(ann.get("/account")).startswith("/login")
    assert client.post("/login", data=ANN).status_code == 401
    assert client.post("/login", data={**ANN, "password": NEW}).status_code == 303


def test_weak_password_does_not_use_the_link_up(app, ann, reset_link):
    """A weak password is refused with advice, and does not use the link up."""
    client = browser(app)
    client.get(reset_link)
    response = client.post("/reset-password", data={"new_password": "weak"})
    assert response.status_code == 422
    assert "New password: Use at least 8 characters." in Page(response).words
    assert location(client.post("/reset-password", data={"new_password": NEW})).startswith("/login")


@pytest.mark.parametrize("query", ["?token=", "?token=a&token=b", "?token=%00", "?token=" + "x" * 5000])
@pytest.mark.parametrize("path", ["/verify-email", "/reset-password"])
def test_link_that_is_none(app, path, query):
    """Text that cannot be a token is not kept, and the page has no form for a password."""
    client = browser(app)
    assert location(client.get(path + query)) == path
    assert not client.cookies
    response = client.get(path)
    assert response.status_code == 200
    assert not [each for each in Page(response).all("input") if each["type"] == "password"]
    assert client.post(path, data={"new_password": NEW}).status_code == 400


@pytest.mark.parametrize("path", ["/verify-email", "/reset-password"])
def test_forged_token(app, path):
    """A forged token gets a 400 page, and its cookie is deleted."""
    client = browser(app)
    client.get(f"{path}?token=forged")
    response = client.post(path, data={"new_password": NEW})
    assert response.status_code == 400
    assert "The link is no longer valid" in Page(response).words
    assert set_cookies(response)[f"authguard-{path[1:].partition('-')[0]}"][0] == ""


@pytest.mark.parametrize("path", ["/forgot-password", "/verify-email/resend"])
def test_nobody_learns_who_has_an_account(app, ann, path):
    """Known and unknown addresses get the same answer."""
    client = browser(app)
    answers = [client.post(path, data={"email": each}) for each in (ANN["email"], "nobody@example.com", "x")]
    assert len({(each.status_code, each.headers["location"], each.text) for each in answers}) == 1
    assert "If there is an account" in Page(client.get(answers[0].headers["location"])).words


@pytest.mark.parametrize("path", ["/forgot-password", "/verify-email/resend"])
def test_mail_needs_an_address(app, path):
    """A request for a mail without an address gets the form again with 422."""
    response = browser(app).post(path, data={"email": ""})
    assert response.status_code == 422
    page = Page(response)
    assert "E-mail address: This is required." in page.words
    assert page.all("form")[0]["action"] == path
    assert page.field("email")["aria-invalid"] == "true"


class _Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        if record.name.startswith("http"):  # the client of the test
            return
        self.lines.append(record.getMessage())


@pytest.fixture
def log():
    """Return the lines of all loggers, also those of the server's access log."""
    handler = _Lines()
    loggers = [logging.getLogger(name) for name in (None, "uvicorn.access", "uvicorn.error", "authguard")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield handler.lines
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def _guarded(identity):
    guard = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=ISSUER), public_paths=["/auth"]
    )
    return AuthGuardMiddleware(Starlette(routes=[Mount("/auth", identity)]), guard=guard)


@pytest.mark.slow
@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize(
    ("wrap", "root"),
    [
        (lambda app: app, ""),
        (lambda app: Starlette(routes=[Mount("/auth", app)]), "/auth"),
        (_guarded, "/auth"),
    ],
    ids=["alone", "mounted", "behind a guard"],
)
def test_token_is_in_no_log(sqlite_url, log, wrap, root, http):
    """The access log of a real server has the path of a link without the token."""
    with service_at(sqlite_url) as service:
        app = wrap(Identity(service))
        config = {"http": http, "log_config": None, "access_log": True, "log_level": "debug"}
        with serving(app, **config) as url, httpx.Client(base_url=url, trust_env=False) as client:
            for path in ("/reset-password", "/verify-email"):
                answer = client.get(f"{root}{path}?token=m4rker-t0ken&x=1")
                assert location(answer).endswith(path)
                client.post(
                    root + path, data={"new_password": NEW}, headers={"sec-fetch-site": "same-origin"}
                )
    logged = "\n".join(log)
    assert f'"GET {root}/reset-password HTTP/1.1" 303' in logged
    assert "m4rker" not in logged


def test_links_are_said_where_they_lead(app, ann, service, postbox):
    """The mail about a changed password has the URL of an existing page."""
    ann.post("/account/password", data={"current_password": PASSWORD, "new_password": NEW})
    service.outbox.flush()
    assert f"{ISSUER}/forgot-password" in postbox.mails[-1].text
    assert browser(app).get("/forgot-password").status_code == 200
