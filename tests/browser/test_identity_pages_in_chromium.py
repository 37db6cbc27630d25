"""The pages of the identity service in a real browser, with JavaScript off unless a test says otherwise."""

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authguard.identity import Caller, IdentityService
from browser.support import EMAIL, PASSWORD, Browsers, fill, leave, look, press, words
from identity.support import Postbox

NEW, NEWEST = "2-Password for tests!", "3-Password for tests!"


@pytest.fixture
def site(identity_site: str) -> str:
    return identity_site


@pytest.fixture
def browser(browser_without_scripts: webdriver.Chrome) -> webdriver.Chrome:
    return browser_without_scripts


@pytest.fixture
def another(browsers: Browsers) -> Iterator[webdriver.Chrome]:
    """Another browser."""
    with browsers.use("another", scripts=False) as driver:
        yield driver


def link_of(service: IdentityService, postbox: Postbox) -> str:
    """The link in the mail that was sent last."""
    service.outbox.flush()
    return next(word for word in postbox.mails[-1].text.split() if "token=" in word)


def test_scripts_are_off(browser: webdriver.Chrome, site: str) -> None:
    """The browser of these tests runs no scripts of pages."""
    browser.get("data:text/html,<title>off</title><script>document.title='on'</script>")
    assert browser.title == "off"


def test_the_life_of_an_account(
    browser: webdriver.Chrome,
    another: webdriver.Chrome,
    site: str,
    service: IdentityService,
    postbox: Postbox,
) -> None:
    """From registering to a forgotten password, by forms and links alone."""
    browser.get(f"{site}/account")
    assert browser.current_url == f"{site}/login?next=%2Faccount"
    leave(browser, browser.find_element(By.LINK_TEXT, "Create an account").click)
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

    leave(another, another.find_element(By.LINK_TEXT, "Forgot it?").click)
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
    """Both cookies are HttpOnly and Lax."""
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
    """A form of another site is a 403 page, signed in or not, and nobody is signed in or out by it."""
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
    """The first field has the focus, and everything is reached by Tab and Enter; so is an error."""
    service.accounts.create(EMAIL, PASSWORD)

    def type_in(*keys: str) -> None:
        webdriver.ActionChains(browser).send_keys(*keys).perform()

    browser.get(f"{site}/login?next=/account/password")
    assert browser.switch_to.active_element.get_attribute("id") == "email"
    leave(browser, lambda: type_in(EMAIL, Keys.TAB, Keys.TAB, "wrong", Keys.ENTER))
    assert browser.switch_to.active_element.get_attribute("id") == "error-summary"
    type_in(Keys.TAB, Keys.TAB, Keys.TAB, PASSWORD)
    assert browser.switch_to.active_element.get_attribute("id") == "password"
    leave(browser, lambda: type_in(Keys.TAB, Keys.ENTER))
    assert browser.current_url == f"{site}/account/password"
    assert browser.switch_to.active_element.get_attribute("id") == "current_password"


def test_a_link_in_another_browser(
    browser: webdriver.Chrome,
    another: webdriver.Chrome,
    site: str,
    service: IdentityService,
    postbox: Postbox,
) -> None:
    """It asks for the password, and says what is wrong; the right one verifies the address."""
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
    """The owner of the address closes it by one button, and the other is signed out."""
    browser.get(f"{site}/register")
    fill(browser, email=EMAIL, password=PASSWORD)
    another.get(link_of(service, postbox))
    press(another, "main .danger")
    assert another.current_url == f"{site}/login?notice=closed"
    assert "The account was closed." in words(another)
    browser.get(f"{site}/account")
    assert browser.current_url == f"{site}/login?next=%2Faccount"


def test_pages_fit(browser: webdriver.Chrome, site: str, service: IdentityService, postbox: Postbox) -> None:
    """Nothing has to be scrolled sideways, from small phones to desktops; buttons are large enough to hit."""
    long = "a-rather-long-address-of-somebody.who-likes-long-addresses@example.com"
    service.accounts.create(long, PASSWORD, "N" * 100, verified=False)
    service.links.resend_verification(long, Caller())
    link = link_of(service, postbox)

    def fits() -> None:
        for width in (320, 390, 1280):
            look(browser, width, "light")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            for button in browser.find_elements(By.CSS_SELECTOR, "button, .button"):
                assert button.size["height"] >= 40

    browser.get(f"{site}/verify-email")
    fits()
    browser.get(link)
    assert long in words(browser)
    fits()
    for path in ("/login", "/forgot-password", "/reset-password?token=x", "/register"):
        browser.get(site + path)
        fits()
    browser.execute_script("document.forms[0].noValidate = true")
    fill(browser, email="x", password="short")
    fits()
    browser.get(f"{site}/login")
    fill(browser, email=long, password=PASSWORD)
    for path in ("/account", "/account/password", "/login", "/logout", "/account/logout-all"):
        browser.get(site + path)
        fits()


def test_pages_are_light_or_dark(browser: webdriver.Chrome, site: str) -> None:
    """They follow what the reader has chosen, and the style is found."""
    browser.get(f"{site}/login")
    backs = set()
    for scheme in ("light", "dark"):
        look(browser, 1280, scheme)
        backs.add(browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    assert backs == {"rgba(244, 246, 249, 1)", "rgba(15, 20, 27, 1)"}
