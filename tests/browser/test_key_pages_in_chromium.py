"""The pages of API keys in a real browser, with JavaScript off: a key is seen once."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from authguard.identity import IdentityService
from authguard.identity.keys.texts import KeyTexts
from browser.support import EMAIL, PASSWORD, fill, leave, look, press, start, words


@pytest.fixture
def site(identity_site: str) -> str:
    return identity_site


@pytest.fixture
def browser(browser_without_scripts: webdriver.Chrome) -> webdriver.Chrome:
    return browser_without_scripts


def sign_in(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """Sign a new administrator in."""
    service.accounts.create(EMAIL, PASSWORD, "Ada", "ADMIN", verified=True)
    browser.get(f"{site}/login?next=/account/keys")
    fill(browser, email=EMAIL, password=PASSWORD)


def create(browser: webdriver.Chrome, site: str, name: str, kind: str = "sk_live") -> str:
    """Make a key by the form; the text that the page shows."""
    browser.get(f"{site}/account/keys/new")
    browser.find_element(By.CSS_SELECTOR, f"[value={kind}]").click()
    fill(browser, name=name)
    return browser.find_element(By.ID, "key").get_property("value")  # type: ignore[return-value]


def status_of(site: str, key: str) -> int:
    """The status of a request with a key."""
    return httpx.get(f"{site}/v1/users/me", headers={"x-api-key": key}).status_code


def manage(browser: webdriver.Chrome, site: str) -> None:
    """Go to the page of the newest key."""
    browser.get(f"{site}/account/keys")
    leave(browser, browser.find_element(By.LINK_TEXT, "Manage").click)


def test_the_life_of_a_key(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """Created, rotated and revoked by forms and links alone."""
    sign_in(browser, site, service)
    leave(browser, browser.find_element(By.LINK_TEXT, "Create a key").click)
    fill(browser, name="Nightly export")
    key = str(browser.find_element(By.ID, "key").get_property("value"))
    assert status_of(site, key) == 200
    leave(browser, browser.find_element(By.LINK_TEXT, "I have saved it").click)
    assert browser.current_url == f"{site}/account/keys"
    assert "Nightly export active" in words(browser).replace("\n", " ")

    manage(browser, site)
    browser.find_element(By.CSS_SELECTOR, "[name=grace_seconds] [value='0']").click()
    press(browser, "form[action$=rotate] button")
    newer = str(browser.find_element(By.ID, "key").get_property("value"))
    assert (status_of(site, key), status_of(site, newer)) == (401, 200)

    manage(browser, site)
    browser.find_element(By.ID, "confirm").click()
    press(browser, "form[action$=revoke] button")
    assert browser.current_url == f"{site}/account/keys?notice=key-revoked"
    assert status_of(site, newer) == 401


def test_a_revocation_that_is_not_confirmed_is_not_sent(
    browser: webdriver.Chrome, site: str, service: IdentityService
) -> None:
    """The browser itself asks for the tick."""
    sign_in(browser, site, service)
    key = create(browser, site, "Robot")
    manage(browser, site)
    browser.find_element(By.CSS_SELECTOR, "form[action$=revoke] button").click()
    assert "/account/keys/key?key=" in browser.current_url
    assert status_of(site, key) == 200


def test_a_key_is_seen_once(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """Neither back nor forward shows it again, from no cache, and no second key is made by them."""
    sign_in(browser, site, service)
    key = create(browser, site, "Nightly export")
    assert key in browser.page_source
    leave(browser, browser.find_element(By.LINK_TEXT, "I have saved it").click)
    for step in (browser.back, browser.back, browser.forward, browser.forward):
        step()
        assert key not in browser.page_source
        assert key[20:50] not in browser.page_source
    browser.get(f"{site}/account/keys")
    assert len(browser.find_elements(By.LINK_TEXT, "Manage")) == 1


def test_a_key_is_copied_by_keyboard(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """Tab leads to its field; Ctrl+A and Ctrl+C take all of it, and nothing else."""
    sign_in(browser, site, service)
    key = create(browser, site, "Robot")
    browser.find_element(By.ID, "key").send_keys(Keys.CONTROL + "a")
    browser.find_element(By.ID, "key").send_keys(Keys.CONTROL + "c")
    browser.get(f"{site}/account/keys/new")
    browser.find_element(By.ID, "name").send_keys(Keys.CONTROL + "v")
    assert browser.find_element(By.ID, "name").get_property("value") == key


def test_a_double_click_selects_the_key(
    browser: webdriver.Chrome, site: str, service: IdentityService
) -> None:
    """It has no character at which a word ends."""
    sign_in(browser, site, service)
    key = create(browser, site, "Robot")
    field = browser.find_element(By.ID, "key")
    webdriver.ActionChains(browser).double_click(field).perform()
    ends = field.get_property("selectionStart"), field.get_property("selectionEnd")
    assert ends == (0, len(key))


@pytest.fixture
def own_browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """A browser that no other test uses, so that it can be ended, and its profile searched."""
    driver = start(tmp_path / "profile", scripts=False)
    try:
        yield driver
    finally:
        driver.quit()


def test_a_pair_is_downloaded(
    own_browser: webdriver.Chrome, site: str, service: IdentityService, tmp_path: Path
) -> None:
    """The file has both, a line each; the browser keeps neither of them anywhere else."""
    browser = own_browser
    sign_in(browser, site, service)
    folder = tmp_path / "downloads"
    folder.mkdir()
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    key = create(browser, site, "Robot", "claw")
    secret = browser.find_element(By.ID, "secret").get_property("value")
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    file = folder / f"{key[:12]}.txt"
    WebDriverWait(browser, 20).until(lambda _: file.exists())
    assert file.read_text() == f"{key}\n{secret}\n"
    browser.get(f"{site}/account/keys")
    browser.quit()  # writes what it keeps
    kept = [path for path in (tmp_path / "profile").rglob("*") if path.is_file()]
    assert [path.name for path in kept if key[20:50].encode() in path.read_bytes()] == []
    assert any(file.name.encode() in path.read_bytes() for path in kept if path.name == "History")


def test_key_pages_fit(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """Nothing has to be scrolled sideways, from small phones to desktops; buttons are large enough to hit."""
    sign_in(browser, site, service)

    def fits() -> None:
        for width in (320, 390, 1280):
            look(browser, width, "light")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            for button in browser.find_elements(By.CSS_SELECTOR, "button, .button, label.choice, select"):
                assert button.size["height"] >= 40

    create(browser, site, "N" * 200, "claw")
    for field in browser.find_elements(By.CSS_SELECTOR, "textarea"):
        assert field.get_property("scrollHeight") <= field.get_property("offsetHeight")  # type: ignore[operator]
    fits()
    manage(browser, site)
    fits()
    for path in ("/account", "/account/keys", "/account/keys/new"):
        browser.get(site + path)
        fits()


def luminance(browser: webdriver.Chrome, selector: str, colour: str) -> float:
    """The relative luminance of a colour, as WCAG 2 has it."""
    text = browser.find_element(By.CSS_SELECTOR, selector).value_of_css_property(colour)
    parts = [int(part) / 255 for part in re.findall(r"\d+", text)[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_usage_of_a_key_is_seen(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """Bars of what passed and of what was refused, in both colour schemes, as an image with a name."""
    sign_in(browser, site, service)
    key = create(browser, site, "Robot")
    assert [status_of(site, key) for _ in range(3)] == [200] * 3
    wrong = KeyTexts(service.settings).make("sk_live_", key.split("_")[2]).text
    assert status_of(site, wrong) == 401
    manage(browser, site)
    leave(browser, browser.find_element(By.LINK_TEXT, "over time").click)
    summaries = [summary.text for summary in browser.find_elements(By.CSS_SELECTOR, ".card > h2 + p")[:2]]
    assert [text[:37] for text in summaries] == ["3 passed, 1 refused. Most requests: 4"] * 2
    charts = browser.find_elements(By.CSS_SELECTOR, "svg[role=img]")
    names = [chart.accessible_name for chart in charts]
    assert [name[:31] for name in names] == [
        "Requests a day, last 30 days 3 ",
        "Requests an hour, last 24 hours",
    ]
    for scheme in ("light", "dark"):
        for width in (320, 1280):
            look(browser, width, scheme)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            card = luminance(browser, ".card", "background-color")
            for bar, colour in (("rect.ok", "fill"), ("rect.refused", "stroke")):
                low, high = sorted([card, luminance(browser, bar, colour)])
                assert (high + 0.05) / (low + 0.05) >= 3  # WCAG 1.4.11
    for bar in browser.find_elements(By.CSS_SELECTOR, "svg rect"):
        assert min(bar.size.values()) >= 1
    browser.find_element(By.CSS_SELECTOR, "details summary").click()
    assert browser.find_element(By.CSS_SELECTOR, "details table").is_displayed()
