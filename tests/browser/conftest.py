"""Provide Chromium and servers for the tests in this folder."""

import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from selenium import webdriver

from authguard.identity import Identity, IdentityService
from browser.support import CHROMIUM, DRIVER, PASSWORD, Browsers
from identity.support import Postbox, service_at, serving, upgrade
from ports import free_port


@pytest.fixture(scope="module", autouse=True)
def needs_chromium() -> None:
    missing = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{' and '.join(missing)} not installed, which CI must have")
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")


@pytest.fixture(scope="session")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    browsers = Browsers(tmp_path_factory.mktemp("profiles"))
    yield browsers
    browsers.quit()


@pytest.fixture
def browser(browsers: Browsers) -> Iterator[webdriver.Chrome]:
    with browsers.use() as driver:
        yield driver


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def service(tmp_path: Path, postbox: Postbox) -> Iterator[IdentityService]:
    """Return the service on a database of its own, with the address that browsers use."""
    port = free_port()
    url = f"sqlite:///{tmp_path}/identity.db"
    upgrade(url)
    issuer = f"http://127.0.0.1:{port}"
    with service_at(url, issuer=issuer, postbox=postbox, clock=time.time) as running:
        yield running


@pytest.fixture
def identity_site(service: IdentityService) -> Iterator[str]:
    """Serve the service, and yield its URL."""
    issuer = service.settings.issuer
    with serving(Identity(service), port=int(issuer.rpartition(":")[2])):
        yield issuer


@pytest.fixture
def browser_without_scripts(browsers: Browsers) -> Iterator[webdriver.Chrome]:
    """Yield a browser without JavaScript."""
    with browsers.use(scripts=False) as driver:
        yield driver


@pytest.fixture
def other_site(site: str) -> Iterator[str]:
    """Serve pages of another site with forms for this one; `localhost` is another site than 127.0.0.1."""

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
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()
