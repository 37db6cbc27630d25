"""The Flask example in a real browser: the form, flash messages, a remembered browser, and signing out."""

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from browser.cors import wsgi_server
from browser.support import EMAIL, PASSWORD, fill, leave, press, words
from flask_app.app import create_app

pytestmark = pytest.mark.slow


def test_a_site_of_80_lines(browser: webdriver.Chrome) -> None:
    """A visitor signs in, is remembered, and sees the form after signing out and going back."""
    with wsgi_server(create_app(PASSWORD=PASSWORD, SECURE=False)) as url:
        browser.get(f"{url}/admin")
        fill(browser, email=EMAIL, password="wrong")
        assert "Email or password is wrong." in words(browser)
        browser.find_element(By.NAME, "remember").click()
        fill(browser, email=EMAIL, password=PASSWORD)
        assert browser.current_url == f"{url}/admin"
        assert "You are signed in." in words(browser)
        browser.get(f"{url}/dashboard")
        assert "You are signed in." not in words(browser)

        browser.delete_cookie("access")  # as when the browser is closed
        browser.get(f"{url}/dashboard")
        assert "notes:write" in words(browser)

        press(browser, "main form button")
        assert "You are signed out." in words(browser)
        leave(browser, browser.back)
        assert browser.current_url.startswith(f"{url}/login")
        assert {cookie["name"] for cookie in browser.get_cookies()} <= {"session"}
