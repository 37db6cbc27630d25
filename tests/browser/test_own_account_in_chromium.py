"""The pages of the own account and the brand in Chromium: their texts and colours."""

from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from authguard.identity import Identity
from browser.support import PASSWORD, fill, follow, press, words
from identity.support import CALLER, Postbox, service_at, serving, upgrade

pytestmark = pytest.mark.slow

BRAND = {"color": "#0a5c36", "privacy_url": "https://example.com/privacy", "logo_url": "/logo.svg"}
MAIL, NEXT = "ann@example.com", "ann@new.example"


@pytest.fixture
def running(tmp_path: Path, postbox: Postbox) -> Any:
    """Yield the service with a brand."""
    url = f"sqlite:///{tmp_path}/identity.db"
    upgrade(url)
    with service_at(url, clock=None, postbox=postbox, brand=BRAND, product_name="Acme") as service:
        yield service


def test_changing_the_address_and_deleting(browser: webdriver.Chrome, running: Any, postbox: Postbox) -> None:
    """The address is changed and the account is deleted by the pages alone."""
    with serving(Identity(running)) as site:
        browser.get(f"{site}/register")
        fill(browser, email=MAIL, password=PASSWORD)
        colour = browser.find_element(By.CSS_SELECTOR, "a.button").value_of_css_property("color")
        assert browser.title.endswith("Acme") and colour
        follow(browser, "Change e-mail address")
        button = browser.find_element(By.CSS_SELECTOR, "main button")
        assert button.value_of_css_property("background-color") == "rgba(10, 92, 54, 1)"
        fill(browser, new_email=NEXT, password=PASSWORD)
        assert "A mail is on its way" in browser.find_element(By.CSS_SELECTOR, ".notice").text
        assert running.outbox.flush()
        (mail,) = [each for each in postbox.mails if each.to == NEXT]
        browser.get(f"{site}/change-email?token=" + mail.text.partition("token=")[2].split()[0])
        assert browser.current_url == f"{site}/change-email"
        press(browser, "main form button")
        assert NEXT in words(browser)
        follow(browser, "Delete account")
        fill(browser, password=PASSWORD)
        assert "Your account was deleted." in words(browser)
        assert browser.find_element(By.LINK_TEXT, "Privacy").get_attribute("href") == BRAND["privacy_url"]
        browser.get(f"{site}/account")
        assert browser.current_url.startswith(f"{site}/login")


def test_forms_of_two_tabs(browser: webdriver.Chrome, running: Any, postbox: Postbox) -> None:
    """A form acts on the link or account of its tab, and is refused after another sign-in."""
    for name in ("ann", "ben"):
        running.accounts.register(f"{name}@example.com", PASSWORD, "", CALLER)
    with serving(Identity(running)) as site:
        for name in ("ann", "ben"):
            running.links.request_password_reset(f"{name}@example.com", CALLER)
            assert running.outbox.flush()
            if name == "ben":
                browser.switch_to.new_window("tab")
            browser.get(f"{site}/reset-password?token={postbox.token()}")
            assert f"the account of {name}@example.com" in words(browser)
        first, second = browser.window_handles[-2:]
        browser.switch_to.window(first)
        fill(browser, new_password=PASSWORD + "a")
        assert running.accounts.login("ann@example.com", PASSWORD + "a", CALLER)
        fill(browser, email="ann@example.com", password=PASSWORD + "a")
        browser.get(f"{site}/account/delete")
        browser.switch_to.window(second)
        browser.get(f"{site}/login?max_age=0")
        fill(browser, email="ben@example.com", password=PASSWORD)
        browser.switch_to.window(first)
        fill(browser, password=PASSWORD + "a")
        assert "Nothing was done: that page was about another account." in words(browser)
        assert "The account of ben@example.com is deleted" in words(browser)
        assert running.accounts.find("ann@example.com") and running.accounts.find("ben@example.com")
