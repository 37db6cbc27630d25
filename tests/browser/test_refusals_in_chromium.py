"""The pages of refusals of the guard, in a real browser."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from authguard import AccessCookie, Guard, JWTVerifier, Quota, Rule
from authguard.errors import VerificationUnavailableError
from authguard.starlette import AuthGuardMiddleware
from authguard.testing import issue_token
from browser.support import follow, look, press, words
from identity.support import serving
from support import AUDIENCE, ISSUER, SECRET

pytestmark = pytest.mark.slow

# The formula of WCAG 2.2, success criterion 1.4.6, for each text of the page.
CONTRAST = """
const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(Number).map(channel);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const back = light(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll('h1, p, a')].map(e => light(getComputedStyle(e).color))
  .map(t => (Math.max(t, back) + 0.05) / (Math.min(t, back) + 0.05));
"""


def _load(principal: Any) -> Any:
    if principal.subject == "away":
        raise VerificationUnavailableError("the database is away", retry_after=7)
    return principal


def _app() -> Any:
    async def page(request: Any) -> HTMLResponse:
        return HTMLResponse("<h1>in</h1><form method=post action=/private><button>Send</button></form>")

    async def cookie(request: Any) -> HTMLResponse:
        token = issue_token(
            SECRET, iss=ISSUER, aud=AUDIENCE, sub=request.query_params["as"], exp=int(time.time()) + 600
        )
        return HTMLResponse("<h1>signed in</h1>", headers={"set-cookie": f"token={token}; Path=/"})

    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    guard = Guard(
        jwt,
        public_paths=["/open", "/cookie"],
        protected_paths=[
            Rule("/admin", scopes=["admin"]),
            Rule("/api", login_redirect=False),
            Rule("/few", quota=Quota(1, 3600)),
        ],
        login_path="/login",
        cookie=AccessCookie("token", secure=False),
        user_loader=_load,
    )
    routes = [
        Route("/cookie", cookie),
        Route("/login", page),
        Route("/{path:path}", page, methods=["GET", "POST"]),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(AuthGuardMiddleware, guard=guard)
    return app


@pytest.fixture
def site() -> Iterator[str]:
    with serving(_app()) as url:
        yield url


def _heading(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "h1").text


def test_each_refusal_is_a_page(browser: webdriver.Chrome, site: str) -> None:
    """Each refusal, 401 to 503, is a page with a heading and advice."""
    browser.get(f"{site}/api/things?a=1")
    assert _heading(browser) == "Please sign in"
    follow(browser, "Sign in")
    assert browser.current_url == f"{site}/login?next=%2Fapi%2Fthings%3Fa%3D1"

    browser.get(f"{site}/cookie?as=ann")
    browser.get(f"{site}/admin")
    assert _heading(browser) == "You may not open this page"
    browser.get(f"{site}/few")
    browser.get(f"{site}/few")
    assert _heading(browser) == "Too many requests"
    assert "Try again in " in words(browser)

    browser.get(f"{site}/cookie?as=away")
    browser.get(f"{site}/private")
    assert _heading(browser) == "Not available at the moment"
    assert "Try again in 7 seconds." in words(browser)


def test_a_form_is_answered_by_a_page(browser: webdriver.Chrome, site: str) -> None:
    """The answer to a refused form is a page, and the answer to a script is the problem document."""
    browser.get(f"{site}/open")
    press(browser)
    assert _heading(browser) == "Please sign in"
    browser.get(f"{site}/open")
    script = "return fetch('/private', {method: 'POST'}).then(r => r.headers.get('content-type'))"
    assert browser.execute_script(script) == "application/problem+json"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_page(browser: webdriver.Chrome, site: str, scheme: str) -> None:
    """The page has a language, a title, one heading, contrast, and the width of a telephone."""
    look(browser, 320, scheme)
    browser.get(f"{site}/api")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
    assert browser.title == _heading(browser)
    assert len(browser.find_elements(By.CSS_SELECTOR, "main h1")) == 1
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 320
    ratios = browser.execute_script(CONTRAST)
    assert len(ratios) == 5
    assert min(ratios) >= 7
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {(node["role"]["value"], node.get("name", {}).get("value")) for node in tree}
    assert {("heading", "Please sign in"), ("link", "Sign in")} <= roles
    assert "main" in {role for role, _ in roles}


def test_the_page_keeps_to_its_own_policy(browser: webdriver.Chrome, site: str) -> None:
    """The style of the page is used, and its policy blocks nothing but the icon."""
    browser.get(f"{site}/api")
    width = browser.execute_script("return getComputedStyle(document.querySelector('main')).maxWidth")
    assert width != "none"
    entries = [entry["message"] for entry in browser.get_log("browser")]
    assert [text for text in entries if "Security Policy" in text and "favicon" not in text] == []
