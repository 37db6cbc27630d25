"""A page that opens a websocket: it can set no header fields, and sees no status."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver

from authguard.testing import issue_token
from docs.blocks import blocks
from wire.servers import launch, stop

SECRET = secrets.token_urlsafe(48)
OPEN = """
const [token, done] = arguments;
const url = `ws://${location.host}/echo`;
const encoded = btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const socket = new WebSocket(url, ["authguard", `authguard.bearer.${encoded}`]);
const seen = {};
socket.onopen = () => { seen.protocol = socket.protocol; socket.send("hello"); };
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


def _open(browser: webdriver.Chrome, token: str) -> Any:
    browser.set_script_timeout(20)
    return browser.execute_async_script(OPEN, token)


def test_a_page_opens_it_as_the_guide_says() -> None:
    """The two lines that others copy are those that are tested here."""
    shown = [block.text for block in blocks("docs/guides/websockets.md", "js")]
    assert [text for text in shown if text not in OPEN] == []
    assert shown


def test_a_page_presents_its_token_and_is_told_when_it_expires(browser: webdriver.Chrome, site: str) -> None:
    """All of it in a browser's own words."""
    browser.get(f"{site}/public/page")
    token = issue_token(SECRET, iss="https://issuer", aud="wire", exp=time.time() + 2)
    assert _open(browser, token) == {
        "protocol": "authguard",
        "text": "somebody: hello",
        "code": 1008,
        "reason": "invalid_token",
    }


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [
        ("", 4400, "invalid_request"),
        ("not one token", 4400, "invalid_request"),
        ("a.b.c", 4401, "invalid_token"),
    ],
)
def test_a_page_is_told_why_it_is_refused(
    browser: webdriver.Chrome, site: str, token: str, code: int, reason: str
) -> None:
    """And not only 1006."""
    browser.get(f"{site}/public/page")
    seen = _open(browser, token)
    assert (seen["protocol"], seen["code"], seen["reason"]) == ("authguard", code, reason)
