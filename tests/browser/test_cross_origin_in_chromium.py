"""A page on another origin that uses the identity service as in the documents, in a real browser."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from authguard.identity import Identity
from browser.cors import empty_page
from browser.support import EMAIL, PASSWORD
from identity.support import service_at, serving, upgrade

pytestmark = pytest.mark.slow

#: Registers, signs in, refreshes, reads the account, and sends refused requests; collects each answer.
_SCRIPT = """
const [api, email, password, done] = arguments;
const answers = [];
async function call(path, options) {
    try {
        const answer = await fetch(api + path, options);
        const text = await answer.text();
        answers.push([answer.status, answer.headers.get("www-authenticate")]);
        return text ? JSON.parse(text) : {};
    } catch (error) {
        answers.push([0, String(error)]);
        return {};
    }
}
const json = (body) => ({
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
const bearer = (token) => ({headers: {Authorization: `Bearer ${token}`}});
(async () => {
    await call("/v1/auth/register", json({email, password}));
    const login = await call("/v1/auth/login", json({email, password}));
    const fresh = await call("/v1/auth/refresh", json({refresh_token: login.refresh_token}));
    const me = await call("/v1/users/me", bearer(fresh.access_token));
    await call("/v1/users/me", bearer("stale"));
    await call("/v1/auth/login", json({email, password: "wrong"}));
    await call("/users/me", bearer(fresh.access_token));
    const form = new URLSearchParams({grant_type: "password", username: email, password});
    await call("/v1/oauth/token", {method: "POST", body: form, headers: {Authorization: "Bearer stale"}});
    await call("/v1/users/me", {method: "DELETE"});
    const seed = await call("/v1/auth/login-json", json({username: email, password}));
    await call("/v1/auth/me", bearer(seed.access_token));
    await call("/v1/auth/refresh", {method: "POST", ...bearer(seed.access_token)});
    await call("/.well-known/jwks.json");
    done([answers, me.email]);
})();
"""


@pytest.fixture
def page() -> Iterator[str]:
    """Yield the origin of a page, which is not the site of the service."""
    with empty_page() as origin:
        yield origin


def run_on(browser: webdriver.Chrome, page: str, tmp_path: Path, origins: list[str]) -> Any:
    """Return the answers that the page reads from a service with these origins."""
    url = f"sqlite:///{tmp_path}/identity.db"
    upgrade(url)
    with (
        service_at(url, cors_origins=origins, clock=time.time) as service,
        serving(Identity(service)) as api,
    ):
        browser.get(page)
        return browser.execute_async_script(_SCRIPT, api, EMAIL, PASSWORD)


def test_a_page_of_a_listed_origin(browser: webdriver.Chrome, page: str, tmp_path: Path) -> None:
    """A page of a listed origin registers, signs in and refreshes, and reads each status."""
    answers, email = run_on(browser, page, tmp_path, [page])
    assert [status for status, *_ in answers] == [
        201,
        200,
        200,
        200,
        401,
        401,
        404,
        200,
        401,
        200,
        200,
        200,
        200,
    ]
    assert email == EMAIL
    assert answers[4][1].startswith("Bearer realm")


def test_a_page_of_another_origin(browser: webdriver.Chrome, page: str, tmp_path: Path) -> None:
    """A page of another origin reads the public key set alone."""
    answers, email = run_on(browser, page, tmp_path, ["https://app.example.com"])
    assert [status for status, _ in answers] == [0] * 12 + [200]
    assert email is None
