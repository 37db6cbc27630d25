"""The pages of API keys in a real browser, with JavaScript switched off: a key is shown once."""

import re
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authguard.identity import IdentityService
from authguard.identity.keys.texts import KeyTexts
from browser.support import (
    EMAIL,
    PASSWORD,
    fill,
    fits,
    follow,
    leave,
    look,
    press,
    wait_for_focus,
    wait_until,
    words,
)

pytestmark = pytest.mark.slow


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
    """Create a key by the form; return the text that the page shows."""
    browser.get(f"{site}/account/keys/new")
    browser.find_element(By.CSS_SELECTOR, f"[value={kind}]").click()
    fill(browser, name=name)
    return browser.find_element(By.ID, "key").get_property("value")  # type: ignore[return-value]


def status_of(site: str, key: str) -> int:
    """Return the status of a request with a key."""
    return httpx.get(f"{site}/v1/users/me", headers={"x-api-key": key}).status_code


def manage(browser: webdriver.Chrome, site: str) -> None:
    """Go to the page of the newest key."""
    browser.get(f"{site}/account/keys")
    follow(browser, "Manage")


def test_the_life_of_a_key(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """A key is created, rotated and revoked by forms and links alone."""
    sign_in(browser, site, service)
    follow(browser, "Create a key")
    fill(browser, name="Nightly export")
    key = str(browser.find_element(By.ID, "key").get_property("value"))
    assert status_of(site, key) == 200
    follow(browser, "I have saved it")
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
    """The browser does not send a revocation without the tick."""
    sign_in(browser, site, service)
    key = create(browser, site, "Robot")
    manage(browser, site)
    browser.find_element(By.CSS_SELECTOR, "form[action$=revoke] button").click()
    wait_for_focus(browser, "confirm")  # the browser moves the focus to the missing tick
    assert "/account/keys/key?key=" in browser.current_url
    assert status_of(site, key) == 200


def test_a_key_is_seen_once(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """The back and forward buttons neither show the key again nor create a second one."""
    sign_in(browser, site, service)
    key = create(browser, site, "Nightly export")
    assert key in browser.page_source
    follow(browser, "I have saved it")
    for step in (browser.back, browser.back, browser.forward, browser.forward):
        leave(browser, step)
        assert key not in browser.page_source
        assert key[20:50] not in browser.page_source
    browser.get(f"{site}/account/keys")
    assert len(browser.find_elements(By.LINK_TEXT, "Manage")) == 1


def test_a_key_is_copied_by_keyboard(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """A key is copied by Ctrl+A and Ctrl+C in its field."""
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
    """A double click selects the whole key."""
    sign_in(browser, site, service)
    key = create(browser, site, "Robot")
    field = browser.find_element(By.ID, "key")
    webdriver.ActionChains(browser).double_click(field).perform()
    ends = field.get_property("selectionStart"), field.get_property("selectionEnd")
    assert ends == (0, len(key))


def test_a_pair_is_downloaded(
    browser: webdriver.Chrome, site: str, service: IdentityService, tmp_path: Path
) -> None:
    """A key and its client secret are downloaded to a file, and not stored elsewhere by the browser."""
    sign_in(browser, site, service)
    folder = tmp_path / "downloads"
    folder.mkdir()
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    key = create(browser, site, "Robot", "claw")
    secret = browser.find_element(By.ID, "secret").get_property("value")
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    file = folder / f"{key[:12]}.txt"
    wait_until(browser, lambda _: file.exists(), f"the browser must download {file.name}")
    assert file.read_text() == f"{key}\n{secret}\n"
    browser.get(f"{site}/account/keys")
    browser.quit()  # the browser writes its profile
    profile = Path(browser.capabilities["chrome"]["userDataDir"])
    kept = [path for path in profile.rglob("*") if path.is_file()]
    assert [path.name for path in kept if key[20:50].encode() in path.read_bytes()] == []
    assert any(file.name.encode() in path.read_bytes() for path in kept if path.name == "History")


@pytest.mark.slow
def test_key_pages_fit(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """Each page fits the width of phones and desktops, and its buttons are large enough."""
    sign_in(browser, site, service)
    buttons = "button, .button, label.choice, select"
    create(browser, site, "N" * 200, "claw")
    for field in browser.find_elements(By.CSS_SELECTOR, "textarea"):
        assert field.get_property("scrollHeight") <= field.get_property("offsetHeight")  # type: ignore[operator]
    fits(browser, buttons)
    manage(browser, site)
    fits(browser, buttons)
    for path in ("/account", "/account/keys", "/account/keys/new"):
        browser.get(site + path)
        fits(browser, buttons)


def luminance(browser: webdriver.Chrome, selector: str, colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    text = browser.find_element(By.CSS_SELECTOR, selector).value_of_css_property(colour)
    parts = [int(part) / 255 for part in re.findall(r"\d+", text)[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_usage_of_a_key_is_seen(browser: webdriver.Chrome, site: str, service: IdentityService) -> None:
    """The usage of a key has charts of passed and refused requests, with names and contrast."""
    sign_in(browser, site, service)
    key = create(browser, site, "Robot")
    assert [status_of(site, key) for _ in range(3)] == [200] * 3
    wrong = KeyTexts(service.settings).make("sk_live_", key.split("_")[2]).text
    assert status_of(site, wrong) == 401
    manage(browser, site)
    follow(browser, "over time")
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
