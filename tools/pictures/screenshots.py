"""Photograph the sign-in page and the page of API keys of the identity service, in Chromium."""

import base64
import secrets
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selenium import webdriver

NEEDS_BROWSER = True
_FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
_CHROMIUM, _DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--ignore-certificate-errors",
]
_WINDOW = {"width": 640, "height": 720, "deviceScaleFactor": 1, "mobile": False}
_HOST = "auth.example.com"
_SITE = f"https://{_HOST}"
_EMAIL = "ada@example.com"
_PASSWORD = secrets.token_urlsafe(16) + "-aA1"
_MAX_START = 60  # seconds
_KEYS = {"Nightly export": ["read"], "Billing": ["read", "write"]}


def pictures() -> dict[str, bytes]:
    """Return the PNG of each page, by its file."""
    with tempfile.TemporaryDirectory() as name, _service(Path(name)) as port, _browser(port) as browser:
        browser.get(f"{_SITE}/login")
        sign_in = _photograph(browser)
        for field, text in {"email": _EMAIL, "password": _PASSWORD}.items():
            browser.find_element("id", field).send_keys(text)
        browser.find_element("css selector", "main form button").click()
        _wait_for(lambda: "/login" not in browser.current_url)
        browser.get(f"{_SITE}/account/keys")
        return {"sign-in.png": sign_in, "keys.png": _photograph(browser)}


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _MAX_START
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.05)


@contextmanager
def _service(folder: Path) -> Iterator[int]:
    """Serve the identity service with an account that has API keys, and yield its port on loopback."""
    import httpx
    import uvicorn

    from authguard.identity import Identity, IdentityService, Settings, upgrade

    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    database = f"sqlite:///{folder}/identity.db"
    upgrade(database)
    settings = Settings(
        secret=secrets.token_urlsafe(32),
        issuer=_SITE,
        database=database,
        dev=True,  # mails are written to the console
        github_client_id="screenshots",
        github_client_secret=secrets.token_urlsafe(32),
    )
    service = IdentityService(settings)
    service.accounts.create(_EMAIL, _PASSWORD, "Ada", "USER", verified=True)
    key, certificate = _certificate(folder)
    server = uvicorn.Server(
        uvicorn.Config(
            Identity(service), port=port, ssl_keyfile=key, ssl_certfile=certificate, log_level="critical"
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        _wait_for(lambda: server.started or not thread.is_alive())
        trusted = ssl.create_default_context(cafile=certificate)
        with httpx.Client(base_url=f"https://127.0.0.1:{port}/v1", verify=trusted, trust_env=False) as client:
            account = {"email": _EMAIL, "password": _PASSWORD}
            token = client.post("/auth/login", json=account).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            for name, scopes in _KEYS.items():
                client.post("/api-keys", json={"name": name, "scopes": scopes}).raise_for_status()
        yield port
    finally:
        server.should_exit = True
        thread.join()


def _certificate(folder: Path) -> tuple[str, str]:
    """Make a key and a certificate for the name of the site and for loopback, and return their files."""
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    names = f"subjectAltName=DNS:{_HOST},IP:127.0.0.1"
    kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={_HOST}", "-addext", names]
    subprocess.run(
        ["/usr/bin/openssl", "req", *kind, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return key, certificate


@contextmanager
def _browser(port: int) -> "Iterator[webdriver.Chrome]":
    """Start Chromium with a profile of its own, which finds the site at the port."""
    from selenium import webdriver

    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = _CHROMIUM
        for flag in [
            *_FLAGS,
            f"--user-data-dir={profile}",
            f"--host-resolver-rules=MAP {_HOST}:443 127.0.0.1:{port}",
        ]:
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(_DRIVER))
        try:
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _WINDOW)
            yield browser
        finally:
            browser.quit()


def _photograph(browser: "webdriver.Chrome") -> bytes:
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": False})
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    _FOLDER.mkdir(exist_ok=True)
    for file, data in pictures().items():
        (_FOLDER / file).write_bytes(data)
