"""A page that opens a websocket: it can set no header fields, and sees no status."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver

from authguard.testing import issue_token
from support import b64
from wire.servers import launch, stop

SECRET = secrets.token_urlsafe(48)
OPEN = """
const [path, offered, text, done] = arguments;
const socket = new WebSocket(`ws://${location.host}${path}`, offered);
const seen = {};
socket.onopen = () => { seen.protocol = socket.protocol; if (text) socket.send(text); };
socket.onmessage = (event) => { seen.text = event.data; };
socket.onclose = (event) => { done({...seen, code: event.code, reason: event.reason}); };
"""


@pytest.fixture
def site() -> Iterator[str]:
    """Echoes, behind a guard that has a subprotocol and close codes."""
    environment = {"WIRE_JWT_SECRET": SECRET, "WIRE_API_KEY": "sk_live_" + secrets.token_hex(24)}
    server = launch("uvicorn-h11", "wire.apps:asgi_codes", environment)
    yield f"http://127.0.0.1:{server.port}"
    stop(server)


def _open(browser: webdriver.Chrome, *offered: str, text: str = "") -> Any:
    browser.set_script_timeout(20)
    return browser.execute_async_script(OPEN, "/echo", offered, text)


def test_a_page_presents_its_token_and_is_told_when_it_expires(browser: webdriver.Chrome, site: str) -> None:
    browser.get(f"{site}/public/page")
    token = issue_token(SECRET, iss="https://issuer", aud="wire", exp=time.time() + 2)
    seen = _open(browser, "authguard", "authguard.bearer." + b64(token.encode()), text="hello")
    assert seen == {
        "protocol": "authguard",
        "text": "somebody: hello",
        "code": 1008,
        "reason": "invalid_token",
    }


def test_a_page_is_told_why_it_is_refused(browser: webdriver.Chrome, site: str) -> None:
    browser.get(f"{site}/public/page")
    nobody = _open(browser, "authguard")
    assert nobody == {"protocol": "authguard", "code": 4401, "reason": "missing_credentials"}
    malformed = _open(browser, "authguard", "authguard.bearer.eB")
    assert (malformed["code"], malformed["reason"]) == (4400, "invalid_request")
