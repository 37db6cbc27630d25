"""The Flask example in a real browser: the form, flash messages, a remembered browser, and signing out."""

from selenium import webdriver
from selenium.webdriver.common.by import By

from browser.cors import wsgi_server
from browser.support import PASSWORD, leave, press, words
from flask_app.app import create_app


def _sign_in(browser: webdriver.Chrome, password: str = PASSWORD, *, remember: bool = False) -> None:
    for name, text in (("email", "ada@example.com"), ("password", password)):
        browser.find_element(By.ID, name).clear()
        browser.find_element(By.ID, name).send_keys(text)
    if remember:
        browser.find_element(By.NAME, "remember").click()
    press(browser, "main form button")


def test_a_site_of_80_lines(browser: webdriver.Chrome) -> None:
    """As its visitor meets it; the back button after signing out shows the form."""
    with wsgi_server(create_app(PASSWORD=PASSWORD, SECURE=False)) as url:
        browser.get(f"{url}/admin")
        _sign_in(browser, "wrong")
        assert "Email or password is wrong." in words(browser)
        _sign_in(browser, remember=True)
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
