"""Signing in by a real browser, with its own redirects, cookies and Fetch Metadata."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from browser.support import EMAIL, PASSWORD, fill, follow, look, press, words
from ports import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of the FastAPI example, which runs in a process of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "PORT": str(port), "DEMO_PASSWORD": PASSWORD}
    with (tmp_path_factory.mktemp("example") / "server.log").open("w") as log:
        command = [sys.executable, "-m", "examples.fastapi_app"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"{url}/healthz", process)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(url: str, process: subprocess.Popen) -> None:
    until = time.monotonic() + 60
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < until and process.poll() is None:
            try:
                if client.get(url).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
    pytest.fail("the example did not start")


def _sign_in(browser: webdriver.Chrome, password: str = PASSWORD) -> None:
    fill(browser, email=EMAIL, password=password)


def test_signing_in_and_out(browser: webdriver.Chrome, site: str) -> None:
    browser.get(f"{site}/dashboard")
    assert browser.current_url == f"{site}/id/login?next=%2Fdashboard"

    _sign_in(browser, "a wrong one")
    assert "The e-mail address or the password is wrong." in words(browser)

    _sign_in(browser)
    assert browser.current_url == f"{site}/dashboard"
    assert "Hello, ada@example.com" in browser.find_element(By.TAG_NAME, "h1").text

    cookie = browser.get_cookie("access_token")
    assert cookie is not None
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert browser.execute_script("return document.cookie") == ""

    follow(browser, "Your account")
    assert browser.current_url == f"{site}/id/account"
    assert "ada@example.com" in words(browser)
    browser.get(f"{site}/admin")
    assert browser.find_element(By.TAG_NAME, "h1").text == "Administration"

    browser.get(f"{site}/dashboard")
    press(browser)  # the only button is "Sign out"
    assert browser.current_url == f"{site}/id/login?notice=logged-out"
    assert browser.get_cookies() == []
    browser.get(f"{site}/dashboard")
    assert browser.current_url == f"{site}/id/login?next=%2Fdashboard"


def test_another_site_cannot_act(browser: webdriver.Chrome, site: str, other_site: str) -> None:
    browser.get(f"{other_site}/id/login")
    press(browser)
    assert browser.get_cookies() == []  # a form of another site signs no user in
    browser.get(f"{site}/dashboard")
    _sign_in(browser)

    for path in ("/id/logout", "/api/notes", "/api/upload"):
        browser.get(other_site + path)
        press(browser)
        assert browser.current_url.startswith(site)

    browser.get(f"{site}/api/notes")
    assert browser.find_element(By.TAG_NAME, "body").text.strip() == "[]"
    browser.get(f"{site}/dashboard")
    assert browser.current_url == f"{site}/dashboard"


def test_the_pages_fit(browser: webdriver.Chrome, site: str) -> None:
    browser.get(f"{site}/id/login?next=/dashboard")
    _sign_in(browser)
    for width in (390, 1280):
        look(browser, width, "light")
        for name in ("", "dashboard", "admin"):
            browser.get(f"{site}/{name}")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
