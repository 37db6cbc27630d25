"""Signing in with a provider in a real browser: two tabs, a repeated callback, and a cancelled sign-in."""

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from authguard.identity import Identity, IdentityService
from authguard.identity.social import GitHub
from browser.providers import provider_with_a_page
from browser.support import follow, press, words
from identity.support import serving

pytestmark = pytest.mark.slow


@pytest.fixture
def site(service: IdentityService) -> Iterator[str]:
    """Yield the URL of the service with a provider."""
    issuer = service.settings.issuer
    uris = [f"{issuer}{prefix}/auth/github/callback" for prefix in service.settings.prefixes]
    with provider_with_a_page() as url:
        provider = GitHub("id", "s3cret", redirect_uris=uris, url=url, api_url=url)
        with serving(Identity(service, providers=[provider]), port=int(issuer.rpartition(":")[2])):
            yield issuer
        provider.close()


def go_to_provider(browser: webdriver.Chrome, site: str, target: str) -> None:
    """Follow the link on the login page."""
    browser.get(f"{site}/login?next={target}")
    follow(browser, "Continue with GitHub")
    assert browser.title == "provider"


def test_two_tabs(browser: webdriver.Chrome, site: str) -> None:
    """Two tabs at the provider at the same time each return to their page."""
    first = browser.current_window_handle
    go_to_provider(browser, site, "/account/password")
    browser.switch_to.new_window("tab")
    go_to_provider(browser, site, "/account/keys")
    press(browser, "#allow")
    assert browser.current_url == f"{site}/account/keys"
    browser.close()
    browser.switch_to.window(first)
    press(browser, "#allow")
    assert browser.current_url == f"{site}/account/password"
    assert not [cookie for cookie in browser.get_cookies() if "social" in cookie["name"]]


def test_going_back_to_the_callback(browser: webdriver.Chrome, site: str) -> None:
    """A callback that is opened again leaves the user signed in."""
    go_to_provider(browser, site, "/account")
    address = browser.find_element(By.ID, "allow").get_attribute("href")
    assert address
    press(browser, "#allow")
    browser.get(address)
    assert browser.current_url == f"{site}/account"
    assert "ada@example.com" in words(browser)


def test_cancelling(browser: webdriver.Chrome, site: str) -> None:
    """A cancelled sign-in returns to the login page with a notice, and can be started again."""
    go_to_provider(browser, site, "/account/keys")
    press(browser, "#cancel")
    assert browser.current_url.startswith(f"{site}/login?notice=provider-cancelled")
    assert "The sign-in at the provider was cancelled." in words(browser)
    follow(browser, "Continue with GitHub")
    press(browser, "#allow")
    assert browser.current_url == f"{site}/account/keys"
