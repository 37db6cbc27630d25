"""Chromium, for the tests in this folder."""

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from selenium import webdriver

from browser.support import CHROMIUM, DRIVER, PASSWORD, start


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


@pytest.fixture
def other_site(site: str) -> Iterator[str]:
    """Pages of another site, whose forms go to ours. `localhost` is not the same site as 127.0.0.1."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f"""<!doctype html><title>elsewhere</title><form method="post" action="{site}{self.path}">
                <input name="email" value="ada@example.com"><input name="password" value="{PASSWORD}">
                <button>win</button></form>""".encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()
