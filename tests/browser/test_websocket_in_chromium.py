"""A page that opens a websocket, without header fields and without access to the status."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver

from authguard.testing import issue_token
from docs.blocks import blocks
from wire.servers import launch, stop

pytestmark = pytest.mark.slow

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
    """Yield the URL of an echo behind a guard with a subprotocol and close codes."""
    environment = {"WIRE_JWT_SECRET": SECRET, "WIRE_API_KEY": "sk_live_" + secrets.token_hex(24)}
    server = launch("uvicorn-h11", "wire.apps:asgi_codes", environment)
    yield f"http://127.0.0.1:{server.port}"
    stop(server)


def _open(browser: webdriver.Chrome, token: str) -> Any:
    return browser.execute_async_script(OPEN, token)


def test_a_page_opens_it_as_the_guide_says() -> None:
    """The lines of the guide for opening a websocket are those of this test."""
    shown = [block.text for block in blocks("docs/guides/websockets.md", "js")]
    assert [text for text in shown if text not in OPEN] == []
    assert shown


def test_a_page_presents_its_token_and_is_told_when_it_expires(browser: webdriver.Chrome, site: str) -> None:
    """A page presents its token as a subprotocol, and gets the close code when the token expires."""
    browser.get(f"{site}/public/page")
    for seconds in (2, 4, 8, 16):  # a busy machine may need longer than a token is valid
        token = issue_token(SECRET, iss="https://issuer", aud="wire", exp=time.time() + seconds)
        seen = _open(browser, token)
        if seen["code"] != 4401:
            break
    assert seen == {
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
    """A page gets the close code of the refusal."""
    browser.get(f"{site}/public/page")
    seen = _open(browser, token)
    assert (seen["protocol"], seen["code"], seen["reason"]) == ("authguard", code, reason)
