"""Security of all pages: headers, cross-site protection, bodies, accessibility; and social sign-in."""

import re
from hashlib import sha256
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from authguard.errors import ConfigurationError, VerificationUnavailableError
from authguard.identity import Identity, SocialIdentity
from authguard.identity.api import accounts, oauth
from authguard.identity.pages.agents import describe_agent
from authguard.identity.social.provider import Provider
from identity.key_pages import first_key
from identity.support import ANN, ISSUER, PASSWORD, Page, browser, service_at, set_cookies

pytestmark = pytest.mark.one_database  # headers, forms and pages do not depend on the database

CSS = files("authguard.identity.pages").joinpath("assets/style.css").read_text(encoding="utf-8")


def routes(app, method):
    """Return the paths of all pages with a method."""
    return [
        route.path
        for route in app._pages.routes
        if method in route.methods and not route.path.startswith("/assets")
    ]


# --- headers


@pytest.mark.slow
def test_headers_of_every_page(app, ann):
    """Each page forbids caching, frames, scripts and sniffing, for each caller and status."""
    for client in (browser(app), ann):
        answers = [client.get(path) for path in routes(app, "GET")]
        answers += [client.post(path, data={"x": "y"}) for path in routes(app, "POST") if path != "/logout"]
        answers += [client.put("/login"), client.post("/login", headers={"sec-fetch-site": "cross-site"})]
        for response in answers:
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-content-type-options"] == "nosniff"
            if response.status_code == 303:
                continue
            assert response.headers["content-type"] == "text/html; charset=utf-8"
            policy = response.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "base-uri 'none'" in policy
            assert "form-action 'self'" in policy
            assert "unsafe" not in policy
            assert response.headers["x-frame-options"] == "DENY"
            assert response.headers["referrer-policy"] == "strict-origin"


@pytest.mark.slow
def test_pages_run_nothing(app, ann):
    """No page has a script, an inline style or a resource of another host."""
    for client in (browser(app), ann):
        for path in routes(app, "GET"):
            page = Page(client.get(path))
            assert not page.all("script") + page.all("style") + page.all("iframe")
            for _, attributes in page.elements:
                assert not [name for name in attributes if name == "style" or name.startswith("on")]
                for name in ("src", "href", "action"):
                    assert attributes.get(name, "/").startswith(("/", "#"))


def test_style_is_kept_for_ever(app):
    """The style sheet is cached without end, because its name has the digest of its content."""
    client = browser(app)
    link = next(each for each in Page(client.get("/login")).all("link") if each["rel"] == "stylesheet")
    response = client.get(link["href"])
    assert response.text == CSS
    assert response.headers["content-type"] == "text/css; charset=utf-8"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert sha256(response.content).hexdigest()[:16] in link["href"]
    assert client.get("/assets/style-0.css").status_code == 404
    assert len(response.content) < 16_384


# --- cross-site protection


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "same-origin, cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ISSUER + ".evil.example"},
        {},
    ],
    ids=str,
)
def test_forms_of_other_sites_are_refused(app, ann, headers):
    """A POST of each form without proof of this site is refused with 403."""
    for cookies in ({}, dict(ann.cookies)):
        client = TestClient(app, base_url=ISSUER, follow_redirects=False, cookies=cookies)
        for path in routes(app, "POST"):
            data = {**ANN, "current_password": PASSWORD, "new_password": "Another-Pass-456!"}
            response = client.post(path, data=data, headers=headers)
            assert response.status_code == 403, path
            assert response.headers["content-type"].startswith("text/html")
            assert not set_cookies(response)
    assert ann.get("/account").status_code == 200
    assert browser(app).post("/login", data=ANN).status_code == 303


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": ISSUER}], ids=str)
def test_forms_of_this_site_are_answered(app, ann, headers):
    """Fetch Metadata or Origin is enough as proof of this site."""
    client = TestClient(app, base_url=ISSUER, follow_redirects=False)
    assert client.post("/login", data=ANN, headers=headers).status_code == 303


# --- bodies


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"email=a&password=b", "text/plain", 415),
        (b'{"email":"a","password":"b"}', "application/json", 415),
        (b"", "", 415),
        (b"email=a&email=b&password=c", "application/x-www-form-urlencoded", 422),
        (b"email=%ff&password=c", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"f%d=1" % n for n in range(30)), "application/x-www-form-urlencoded", 422),
        (b"email=" + b"a" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"email=a%00b%40example.com&password=c", "application/x-www-form-urlencoded", 401),
        (b"email=a%40example.com&password=c&role=ADMIN", "application/x-www-form-urlencoded", 422),
    ],
)
def test_bodies_are_small_forms(app, content, kind, status):
    """A body that is no small form is refused with a page."""
    response = browser(app).post("/login", content=content, headers={"content-type": kind})
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert "ADMIN" not in response.text


@pytest.mark.parametrize("path", ["/account/sessions/end", "/account/logout-all", "/verify-email/resend"])
def test_address_that_takes_forms_only(app, path):
    """A GET of a path that accepts only forms is a 405 page with Allow."""
    response = browser(app).get(path)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["content-type"].startswith("text/html")


# --- accessibility

_TEXT = ("username", "email", "current-password", "new-password", "name", "off")
#: The values of autocomplete by the type of a field; a field without typing has none.
_AUTOCOMPLETE = {
    **dict.fromkeys(("email", "text", "password"), _TEXT),
    **dict.fromkeys(("checkbox", "radio", ""), ("", "off")),
}


@pytest.mark.slow
def test_pages_are_accessible(app, ann):
    """Each page has a language, a title, landmarks, one heading, labels and autocomplete."""
    bad = [browser(app).post(path, data={"email": "x"}) for path in ("/login", "/register")]
    bad.append(ann.post("/account/password", data={"new_password": "weak"}))
    key = {"name": "Robot", "kind": "claw"}
    made = ann.post("/account/keys/new", data=key)
    shown = ann.get(f"/account/keys/key?key={first_key(ann)}")
    bad += [made, shown, ann.post("/account/keys/new", data=key | {"kind": "x", "expires_in_days": "0"})]
    answers = [client.get(path) for client in (browser(app), ann) for path in routes(app, "GET")]
    for response in [each for each in answers if each.status_code == 200] + bad:
        page = Page(response)
        assert page.all("html") == [{"lang": "en"}]
        assert re.search(r"<title>\S.*</title>", response.text)
        assert len(page.all("main")) == len(page.all("header")) == len(page.all("h1")) == 1
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        labels = {each["for"] for each in page.all("label")}
        for each in page.all("input") + page.all("textarea") + page.all("select"):
            if each.get("type") != "hidden" and "hidden" not in each:
                assert each["id"] in labels
                assert each.get("autocomplete", "") in _AUTOCOMPLETE[each.get("type", "")]
        assert len(page.all("fieldset")) == response.text.count("<legend>")
        for _, attributes in page.elements:
            for name in ("aria-describedby", "aria-labelledby"):
                assert set(attributes.get(name, "").split()) <= set(ids)
        assert sum("autofocus" in attributes for _, attributes in page.elements) <= 1
        assert all("alt" in each for each in page.all("img"))


def test_errors_are_found_first(app):
    """The summary of errors has the focus and links to the fields, and the title begins with Error."""
    response = browser(app).post("/register", data={"email": "x", "password": "short"})
    page = Page(response)
    summary = next(each for _, each in page.elements if each.get("id") == "error-summary")
    assert (summary["role"], summary["tabindex"], "autofocus" in summary) == ("alert", "-1", True)
    assert page.all("form")[0]["aria-describedby"] == "error-summary"
    assert {"#email", "#password"} <= {each["href"] for each in page.all("a")}
    assert "<title>Error: " in response.text


def _colours(block):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme):
    """Text has a contrast of 4.5 and edges one of 3, in light and dark (WCAG 2.2, 1.4.3 and 1.4.11)."""
    light, _, rest = CSS.partition("@media (prefers-color-scheme: dark)")
    colours = _colours(light)
    if scheme == "dark":
        colours |= _colours(rest.partition("*, ")[0])

    def contrast(first, second):
        low, high = sorted((_luminance(colours[first]), _luminance(colours[second])))
        return (high + 0.05) / (low + 0.05)

    texts = [(text, back) for text in ("text", "muted", "accent") for back in ("page", "card")]
    texts += [("bad", "card"), ("bad", "bad-back"), ("good", "good-back"), ("warn", "warn-back")]
    texts += [("on-button", "button"), ("on-button", "button-over"), ("text", "over")]
    assert {pair: contrast(*pair) for pair in texts if contrast(*pair) < 4.5} == {}
    assert contrast("edge", "card") >= 3
    assert contrast("accent", "card") >= 3


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Windows",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Linux",
        ),
        (
            "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_5) AppleWebKit/605 Version/19 Safari/605",
            "Safari on macOS",
        ),
        ("Mozilla/5.0 Firefox/1", "Firefox"),
        ("python-httpx/0.28", "python-httpx/0.28"),
        ("x" * 100, "x" * 60),
        ("", "Unknown program"),
    ],
)
def test_agents_have_names(agent, words):
    """A User-Agent is described by the names of its browser and its system."""
    assert describe_agent(agent) == words


# --- social sign-in


class Elsewhere(Provider):
    """A provider that returns a fixed identity; `down` makes it fail."""

    down = False

    def __init__(self, name):
        own = [f"{ISSUER}{prefix}/auth/{name}/callback" for prefix in ("/api/v1", "/v1")]
        super().__init__(name, "id", "s3cret", redirect_uris=own, scope="x", timeout=1, auth_method="none")

    def authorize_url(self, *, state, **_):
        if self.down:
            raise VerificationUnavailableError("down")
        return f"https://{self.name}.example/authorize?state={state}"

    def exchange(self, code, redirect_uri, **_):
        return SocialIdentity(self.name, "u1", "mona@example.com", True, "Mona")


@pytest.fixture
def github(service):
    return Elsewhere("github")


@pytest.fixture
def social(service, github):
    return browser(Identity(service, providers=[github, Elsewhere("oidc")]))


def test_buttons_of_the_providers(app, social):
    """Each configured provider has a link with `next`, and without providers no link is shown."""
    for path in ("/login", "/register"):
        links = [each["href"] for each in Page(social.get(path, params={"next": "/dashboard"})).all("a")]
        for name in ("github", "oidc"):
            assert f"/api/v1/auth/{name}/authorize?next=%2Fdashboard" in links
        assert "Continue with" not in browser(app).get(path).text


def _to_provider(client):
    """Return the state with which the link of the login page sends a browser to the provider."""
    links = [each["href"] for each in Page(client.get("/login")).all("a")]
    response = client.get(next((each for each in links if "/github/" in each), "/v1/auth/github/authorize"))
    return parse_qs(urlsplit(response.headers["location"]).query)["state"][0]


def test_coming_back_from_a_provider(social):
    """A browser that returns from a provider gets both cookies, and sees the account."""
    state = _to_provider(social)
    response = social.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": state})
    assert (response.status_code, response.headers["location"]) == (303, "/account")
    assert {"access_token", "refresh_token"} <= set(set_cookies(response))
    assert "mona@example.com verified" in Page(social.get("/account")).words


@pytest.mark.slow
def test_coming_back_ends_the_session_before(service, github):
    """A browser that returns from a provider ends the session that it had."""
    app = Identity(service, providers=[github])
    client, before = browser(app), browser(app)
    client.post("/register", data=ANN)
    before.cookies.update(dict(client.cookies))
    state = _to_provider(client)
    client.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": state})
    assert "mona@example.com" in client.get("/account").text
    assert before.get("/account").status_code == 303


def test_sign_in_that_did_not_succeed_is_a_page(social, github):
    """A failed sign-in gets a page in a browser, and JSON in a program."""
    response = social.get("/api/v1/auth/github/callback", params={"error": "access_denied", "state": "x"})
    assert (response.status_code, "did not succeed" in Page(response).words) == (400, True)
    assert response.headers["content-type"].startswith("text/html")
    github.down = True
    response = social.get("/api/v1/auth/github/authorize")
    assert (response.status_code, response.headers["content-type"][:9]) == (503, "text/html")
    program = {"accept": "application/json", "sec-fetch-mode": "cors"}
    response = social.get("/api/v1/auth/github/authorize", headers=program)
    assert response.headers["content-type"] == "application/problem+json"


def test_no_refresh_cookie_without_pages(url):
    """Without pages a sign-in with a provider sets no refresh cookie."""
    with service_at(url, pages=False) as service:
        client = browser(Identity(service, providers=[Elsewhere("github")]))
        state = _to_provider(client)
        response = client.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": state})
        assert {"access_token"} <= set(set_cookies(response))
        assert "refresh_token" not in set_cookies(response)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["/account", "/login/v1", "/verify-email", "/v1/auth/login"])
def test_no_prefix_opens_the_api(url, prefix):
    """No value of `prefixes` makes an endpoint public that requires a caller."""
    with service_at(url, prefixes=["/v1", prefix]) as service:
        identity = Identity(service, providers=[])
        public_paths = [*accounts.PUBLIC_PATHS, *oauth.PUBLIC_PATHS]
        open_paths = {*identity._pages.paths, *(prefix + path for path in public_paths)}
        for route in identity.app.app.routes:
            if route.path.startswith(prefix + "/") and route.path not in open_paths:
                path = re.sub(r"{[^}]*}", "1", route.path)
                expected = 404 if "/auth/{provider}/" in route.path else 401  # no provider has this name
                for method in route.methods:
                    response = TestClient(identity).request(method, path)
                    assert response.status_code == expected, (method, path)


def test_a_page_and_an_endpoint_cannot_share_a_path(url):
    """A `pages_path` that hides an endpoint behind a page is refused."""
    named = pytest.raises(ConfigurationError, match="pages_path")
    with service_at(url, pages_path="/v1/auth") as service, named:
        Identity(service, providers=[])


def test_the_name_of_the_service_leads_to_the_account(app):
    """The root of the service redirects to the page of the account."""
    response = browser(app).get("/")
    assert (response.status_code, response.headers["location"]) == (303, "/account")
