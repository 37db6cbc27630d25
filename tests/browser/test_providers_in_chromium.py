"""Signing in with a provider in a real browser: two tabs, a callback that is loaded again, and cancelling."""

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from authguard.identity import Identity, IdentityService
from authguard.identity.social import GitHub
from browser.providers import provider_with_a_page
from browser.support import leave, words
from identity.support import serving


@pytest.fixture
def site(service: IdentityService) -> Iterator[str]:
    """The service with a provider; its URL."""
    issuer = service.settings.issuer
    uris = [f"{issuer}{prefix}/auth/github/callback" for prefix in service.settings.prefixes]
    with provider_with_a_page() as url:
        provider = GitHub("id", "s3cret", redirect_uris=uris, url=url, api_url=url)
        with serving(Identity(service, providers=[provider]), port=int(issuer.rpartition(":")[2])):
            yield issuer
        provider.close()


def go_to_provider(browser: webdriver.Chrome, site: str, target: str) -> None:
    """Follow the link on the page for signing in."""
    browser.get(f"{site}/login?next={target}")
    leave(browser, browser.find_element(By.LINK_TEXT, "Continue with GitHub").click)
    assert browser.title == "provider"


def test_two_tabs(browser: webdriver.Chrome, site: str) -> None:
    """Two tabs are at the provider at the same time; both come back, each to its page."""
    first = browser.current_window_handle
    go_to_provider(browser, site, "/account/password")
    browser.switch_to.new_window("tab")
    go_to_provider(browser, site, "/account/keys")
    leave(browser, browser.find_element(By.ID, "allow").click)
    assert browser.current_url == f"{site}/account/keys"
    browser.close()
    browser.switch_to.window(first)
    leave(browser, browser.find_element(By.ID, "allow").click)
    assert browser.current_url == f"{site}/account/password"
    assert not [cookie for cookie in browser.get_cookies() if "social" in cookie["name"]]


def test_going_back_to_the_callback(browser: webdriver.Chrome, site: str) -> None:
    """Who goes back to the provider, and on from there again, is still signed in."""
    go_to_provider(browser, site, "/account")
    address = browser.find_element(By.ID, "allow").get_attribute("href")
    assert address
    leave(browser, browser.find_element(By.ID, "allow").click)
    browser.get(address)
    assert browser.current_url == f"{site}/account"
    assert "ada@example.com" in words(browser)


def test_cancelling(browser: webdriver.Chrome, site: str) -> None:
    """Who cancels comes back to the page for signing in, reads that, and can start again from there."""
    go_to_provider(browser, site, "/account/keys")
    leave(browser, browser.find_element(By.ID, "cancel").click)
    assert browser.current_url.startswith(f"{site}/login?notice=provider-cancelled")
    assert "The sign-in at the provider was cancelled." in words(browser)
    leave(browser, browser.find_element(By.LINK_TEXT, "Continue with GitHub").click)
    leave(browser, browser.find_element(By.ID, "allow").click)
    assert browser.current_url == f"{site}/account/keys"
