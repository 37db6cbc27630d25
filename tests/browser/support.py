"""What the tests in a real browser share: starting it, and pressing its buttons."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from urllib3.exceptions import HTTPError

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


class Browsers:
    """Chromiums that the tests use one after another: to start one takes seconds of a processor.

    Args:
        folder: for their profiles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[str, webdriver.Chrome] = {}
        self._started = 0

    @contextmanager
    def use(self, name: str, *, scripts: bool = True) -> Iterator[webdriver.Chrome]:
        """Give a browser that remembers nothing of other tests.

        Args:
            name: two names are two browsers, and have no cookies in common.
            scripts: whether pages may run JavaScript; always the same for a name.
        """
        driver = self._waiting.pop(name, None) or self._start(scripts=scripts)
        try:
            yield driver
        finally:
            try:
                forget(driver)
            except (WebDriverException, HTTPError):  # the browser or its driver has ended
                driver.quit()
            else:
                self._waiting[name] = driver

    def _start(self, *, scripts: bool) -> webdriver.Chrome:
        self._started += 1
        return start(self._folder / str(self._started), scripts=scripts)

    def quit(self) -> None:
        """End all of them."""
        while self._waiting:
            self._waiting.popitem()[1].quit()


def forget(driver: webdriver.Chrome) -> None:
    """Forget pages with their history and zoom, cookies, what was stored and cached, and logged errors."""
    before = driver.window_handles
    driver.switch_to.new_window("window")
    after = driver.current_window_handle
    for handle in before:
        driver.switch_to.window(handle)
        driver.close()
    driver.switch_to.window(after)
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    driver.get_log("browser")  # type: ignore[no-untyped-call]  # which empties it


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
