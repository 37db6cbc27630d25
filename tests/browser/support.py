"""Start real browsers for tests, and press buttons of their pages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
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

# The root of the document, in one step with its state: between two, another document could come.
_COMPLETE_ROOT = "return document.readyState === 'complete' ? document.documentElement : null"
_SIZES = """
const buttons = [...document.querySelectorAll(arguments[0])];
return [document.documentElement.scrollWidth, buttons.map((each) => each.getBoundingClientRect().height)];
"""
_MAX_WAIT = 60  # seconds: a loaded machine is many times slower


def start(profile: Path) -> webdriver.Chrome:
    """Start a headless Chromium with a profile of its own, in this folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    driver.set_page_load_timeout(_MAX_WAIT)
    driver.set_script_timeout(_MAX_WAIT)
    return driver


class Browsers:
    """Lend browsers to tests, one after another, because starting one takes seconds of processor time.

    Args:
        folder: for their profiles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[webdriver.Chrome] = []
        self._started = 0

    @contextmanager
    def use(self, *, scripts: bool = True) -> Iterator[webdriver.Chrome]:
        """Return a browser without data of other tests, which nothing else uses meanwhile.

        Args:
            scripts: whether the pages of its first tab may run JavaScript.
        """
        driver = self._waiting.pop() if self._waiting else self._start()
        try:
            if not scripts:
                driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
            yield driver
        finally:
            try:
                forget(driver)
            except (WebDriverException, HTTPError):  # the browser or its driver has ended
                driver.quit()
            else:
                self._waiting.append(driver)

    def _start(self) -> webdriver.Chrome:
        self._started += 1
        return start(self._folder / str(self._started))

    def quit(self) -> None:
        """End all browsers."""
        while self._waiting:
            self._waiting.pop().quit()


def forget(driver: webdriver.Chrome) -> None:
    """Delete pages with their history and settings, cookies, stored and cached data, and logged errors."""
    before = driver.window_handles
    driver.switch_to.new_window("tab")  # a new window would cost three times as much
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
    """Click a button, and wait for the next page."""
    leave(browser, browser.find_element(By.CSS_SELECTOR, selector).click)


def leave(browser: webdriver.Chrome, act: Callable[[], None]) -> None:
    """Run an action that leads to another page, and wait for that page."""
    before = browser.find_element(By.TAG_NAME, "html").id  # names the document too
    act()

    def is_next(driver: webdriver.Chrome) -> bool:
        root = driver.execute_script(_COMPLETE_ROOT)
        return root is not None and root.id != before

    wait_until(browser, is_next, "the browser must come to another page")


def wait_until(
    browser: webdriver.Chrome, is_reached: Callable[[webdriver.Chrome], bool], message: str
) -> None:
    """Wait for an act of the browser itself.

    Args:
        browser: the browser.
        is_reached: returns true when it is done. An error is another attempt: while a page takes the place of
            another one, elements and scripts of the old page fail.
        message: the error after a minute.
    """
    wait = WebDriverWait(browser, _MAX_WAIT, poll_frequency=0.05, ignored_exceptions=[WebDriverException])
    try:
        wait.until(is_reached)
    except TimeoutException as error:
        raise AssertionError(f"{message}, and it is still at {browser.current_url}") from error


def wait_for_focus(browser: webdriver.Chrome, identifier: str) -> None:
    """Wait until an element has the focus, which a page gives only when it has been drawn."""

    def is_focused(driver: webdriver.Chrome) -> bool:
        return driver.switch_to.active_element.get_attribute("id") == identifier

    wait_until(browser, is_focused, f"the browser must focus #{identifier}")


def follow(browser: webdriver.Chrome, text: str) -> None:
    """Follow the link with this text, and wait for the next page."""
    leave(browser, browser.find_element(By.LINK_TEXT, text).click)


def fill(driver: webdriver.Chrome, **fields: str) -> None:
    """Fill in the form of the page, send it, and wait for the next page."""
    for name, text in fields.items():
        driver.find_element(By.ID, name).clear()
        driver.find_element(By.ID, name).send_keys(text)
    press(driver, "main form button")


def fits(browser: webdriver.Chrome, buttons: str) -> None:
    """Prove that a page need not be scrolled sideways, from small phones to desktops, and has large buttons.

    Args:
        browser: the browser, with the page.
        buttons: selects the elements that must be 40 pixels high or more.
    """
    for width in (320, 390, 1280):
        look(browser, width, "light")
        page_width, heights = browser.execute_script(_SIZES, buttons)
        assert page_width <= width
        assert min(heights, default=40) >= 40


def words(driver: webdriver.Chrome) -> str:
    return driver.find_element(By.TAG_NAME, "main").text


def look(driver: webdriver.Chrome, width: int, scheme: str) -> None:
    """Set the width of the window, and the light or dark theme."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
