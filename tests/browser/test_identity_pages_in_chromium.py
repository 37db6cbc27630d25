"""The pages of the identity service in a real browser, mostly with JavaScript switched off."""

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authguard.identity import Caller, IdentityService
from browser.support import (
    EMAIL,
    PASSWORD,
    Browsers,
    fill,
    fits,
    follow,
    leave,
    look,
    press,
    wait_for_focus,
    words,
)
from identity.support import Postbox

pytestmark = pytest.mark.slow

NEW, NEWEST = "2-Password for tests!", "3-Password for tests!"


@pytest.fixture
def site(identity_site: str) -> str:
    return identity_site


@pytest.fixture
def browser(browser_without_scripts: webdriver.Chrome) -> webdriver.Chrome:
    return browser_without_scripts


@pytest.fixture
def another(browsers: Browsers) -> Iterator[webdriver.Chrome]:
    """Yield another browser."""
    with browsers.use(scripts=False) as driver:
        yield driver


def link_of(service: IdentityService, postbox: Postbox) -> str:
    """Return the link in the last mail."""
    service.outbox.flush()
    return next(word for word in postbox.mails[-1].text.split() if "token=" in word)


def test_scripts_are_off(browser: webdriver.Chrome, site: str) -> None:
    """The browser of these tests runs no scripts, also on a page of another site."""
    page = "data:text/html,<title>off</title><script>document.title='on'</script><noscript>none</noscript>"
    for _ in range(2):
        browser.get(page)
        assert browser.title == "off"
        assert browser.find_element(By.TAG_NAME, "body").text == "none"
        browser.get(f"{site}/login")


def test_the_life_of_an_account(
    browser: webdriver.Chrome,
    another: webdriver.Chrome,
    site: str,
    service: IdentityService,
    postbox: Postbox,
) -> None:
    """An account is registered, verified, used and recovered by forms and links alone."""
    browser.get(f"{site}/account")
    assert browser.current_url == f"{site}/login?next=%2Faccount"
    follow(browser, "Create an account")
    fill(browser, email=EMAIL, name="Ada", password=PASSWORD)
    assert browser.current_url == f"{site}/account"
    assert "not verified" in words(browser)

    browser.get(link_of(service, postbox))
    assert browser.current_url == f"{site}/verify-email"
    press(browser, "main button")
    assert browser.current_url == f"{site}/account?notice=verified"
    assert "Your e-mail address is verified." in words(browser)
    assert "not verified" not in words(browser)

    press(browser, "nav button")
    assert browser.current_url == f"{site}/login?notice=logged-out"
    assert browser.get_cookies() == []
    browser.get(f"{site}/account/password")
    assert browser.current_url == f"{site}/login?next=%2Faccount%2Fpassword"
    fill(browser, email=EMAIL, password="wrong")
    assert "The e-mail address or the password is wrong." in words(browser)
    assert browser.find_element(By.ID, "email").get_attribute("value") == EMAIL
    fill(browser, password=PASSWORD)
    assert browser.current_url == f"{site}/account/password"
    fill(browser, current_password=PASSWORD, new_password=NEW)
    assert "Your password was changed." in words(browser)

    another.get(f"{site}/login")
    fill(another, email=EMAIL, password=NEW)
    assert another.current_url == f"{site}/account"
    browser.get(f"{site}/account")
    press(browser, ".sessions form button")
    assert "The session was ended." in words(browser)
    another.get(f"{site}/account")
    assert another.current_url == f"{site}/login?next=%2Faccount"

    follow(another, "Forgot your password?")
    fill(another, email=EMAIL)
    assert "a mail is on its way" in words(another)
    another.get(link_of(service, postbox))
    fill(another, new_password=NEWEST)
    assert another.current_url == f"{site}/login?notice=password-reset"
    browser.get(f"{site}/account")
    assert browser.current_url.startswith(f"{site}/login")
    fill(another, email=EMAIL, password=NEWEST)
    assert another.current_url == f"{site}/account"


def test_cookies_are_kept_from_scripts(browser: webdriver.Chrome, site: str) -> None:
    """Both cookies are HttpOnly and Lax, and the refresh token renews the access token."""
    browser.get(f"{site}/register")
    fill(browser, email=EMAIL, password=PASSWORD)
    cookies = {cookie["name"]: (cookie["httpOnly"], cookie["sameSite"]) for cookie in browser.get_cookies()}
    assert cookies == {"access_token": (True, "Lax"), "refresh_token": (True, "Lax")}
    browser.delete_cookie("access_token")
    browser.get(f"{site}/account")
    assert browser.current_url == f"{site}/account"
    assert browser.get_cookie("access_token") is not None


def test_another_site_cannot_act(
    browser: webdriver.Chrome, site: str, other_site: str, service: IdentityService
) -> None:
    """A form of another site is a 403 page, and neither signs in nor signs out."""
    service.accounts.create(EMAIL, PASSWORD)

    def is_refused(path: str) -> bool:
        browser.get(other_site + path)
        press(browser)
        return "This form may not have been sent from a page of this site." in words(browser)

    assert all(map(is_refused, ["/login", "/register", "/forgot-password", "/account/password"]))
    assert browser.get_cookies() == []
    browser.get(f"{site}/login")
    fill(browser, email=EMAIL, password=PASSWORD)
    assert all(map(is_refused, ["/logout", "/login", "/account/password", "/account/logout-all"]))
    browser.get(f"{site}/account")
    assert EMAIL in words(browser)


def test_keys_alone_will_do(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """The first field has the focus, and the form and its errors are reached by Tab and Enter."""
    service.accounts.create(EMAIL, PASSWORD)

    def type_in(*keys: str) -> None:
        webdriver.ActionChains(browser).send_keys(*keys).perform()

    browser.get(f"{site}/login?next=/account/password")
    wait_for_focus(browser, "email")
    leave(browser, lambda: type_in(EMAIL, Keys.TAB, Keys.TAB, "wrong", Keys.ENTER))
    wait_for_focus(browser, "error-summary")
    type_in(Keys.TAB, Keys.TAB, Keys.TAB, PASSWORD)
    wait_for_focus(browser, "password")
    leave(browser, lambda: type_in(Keys.TAB, Keys.ENTER))
    assert browser.current_url == f"{site}/account/password"
    wait_for_focus(browser, "current_password")


def test_a_link_in_another_browser(
    browser: webdriver.Chrome,
    another: webdriver.Chrome,
    site: str,
    service: IdentityService,
    postbox: Postbox,
) -> None:
    """A link in another browser requires the password, and the correct one verifies the address."""
    browser.get(f"{site}/register")
    fill(browser, email=EMAIL, password=PASSWORD)
    another.get(link_of(service, postbox))
    assert "This browser is not signed in" in words(another)
    fill(another, password="wrong")
    assert "Password: This is not right." in words(another)
    fill(another, password=PASSWORD)
    assert another.current_url == f"{site}/login?notice=verified"
    browser.get(f"{site}/account")
    assert "not verified" not in words(browser)


def test_an_account_that_somebody_else_made(
    browser: webdriver.Chrome,
    another: webdriver.Chrome,
    site: str,
    service: IdentityService,
    postbox: Postbox,
) -> None:
    """The owner of an address closes an account of another person by one button."""
    browser.get(f"{site}/register")
    fill(browser, email=EMAIL, password=PASSWORD)
    another.get(link_of(service, postbox))
    press(another, "main .danger")
    assert another.current_url == f"{site}/login?notice=closed"
    assert "The account was closed." in words(another)
    browser.get(f"{site}/account")
    assert browser.current_url == f"{site}/login?next=%2Faccount"


@pytest.mark.slow
def test_pages_fit(browser: webdriver.Chrome, site: str, service: IdentityService, postbox: Postbox) -> None:
    """Each page fits the width of phones and desktops, and its buttons are large enough."""
    long = "a-rather-long-address-of-somebody.who-likes-long-addresses@example.com"
    service.accounts.create(long, PASSWORD, "N" * 100, verified=False)
    service.links.resend_verification(long, Caller())
    link = link_of(service, postbox)

    buttons = "button, .button"
    browser.get(f"{site}/verify-email")
    fits(browser, buttons)
    browser.get(link)
    assert long in words(browser)
    fits(browser, buttons)
    for path in ("/login", "/forgot-password", "/reset-password?token=x", "/register"):
        browser.get(site + path)
        fits(browser, buttons)
    browser.execute_script("document.forms[0].noValidate = true")
    fill(browser, email="x", password="short")
    fits(browser, buttons)
    browser.get(f"{site}/login")
    fill(browser, email=long, password=PASSWORD)
    for path in ("/account", "/account/password", "/login", "/logout", "/account/logout-all"):
        browser.get(site + path)
        fits(browser, buttons)


def test_pages_are_light_or_dark(browser: webdriver.Chrome, site: str) -> None:
    """Pages follow the colour scheme of the reader."""
    browser.get(f"{site}/login")
    backs = set()
    for scheme in ("light", "dark"):
        look(browser, 1280, scheme)
        backs.add(browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    assert backs == {"rgba(244, 246, 249, 1)", "rgba(15, 20, 27, 1)"}
