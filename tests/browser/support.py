"""What the tests in a real browser share: starting it, and pressing its buttons."""

from collections.abc import Callable
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
EMAIL = "ada@example.com"
PASSWORD = "1-Password for tests!"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def start(profile: Path, *, scripts: bool = True) -> webdriver.Chrome:
    """A headless Chromium with a profile of its own.

    Args:
        profile: the folder of the profile.
        scripts: whether pages may run JavaScript.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    driver.set_page_load_timeout(20)
    return driver


def press(browser: webdriver.Chrome, selector: str = "button") -> None:
    """Press a button, and wait for the next page."""
    leave(browser, browser.find_element(By.CSS_SELECTOR, selector).click)


def leave(browser: webdriver.Chrome, act: Callable[[], None]) -> None:
    """Do what leads to another page, and wait for that page."""
    before = browser.find_element(By.TAG_NAME, "html").id
    act()

    def is_next(driver: webdriver.Chrome) -> bool:
        elements = driver.find_elements(By.TAG_NAME, "html")
        ready = driver.execute_script("return document.readyState") == "complete"
        return bool(elements) and elements[0].id != before and ready

    WebDriverWait(browser, 20).until(is_next)


def fill(driver: webdriver.Chrome, **fields: str) -> None:
    """Fill the form of the page in, and send it."""
    for name, text in fields.items():
        driver.find_element(By.ID, name).clear()
        driver.find_element(By.ID, name).send_keys(text)
    press(driver, "main form button")


def words(driver: webdriver.Chrome) -> str:
    return driver.find_element(By.TAG_NAME, "main").text


def look(driver: webdriver.Chrome, width: int, scheme: str) -> None:
    """Look through a window of this width, in light or in dark."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
