"""Chromium, for the tests in this folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from browser_support import CHROMIUM, DRIVER, start


@pytest.fixture(scope="module", autouse=True)
def needs_chromium() -> None:
    missing = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{' and '.join(missing)} not installed, which CI must have")
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    driver = start(tmp_path / "profile")
    try:
        yield driver
    finally:
        driver.quit()
