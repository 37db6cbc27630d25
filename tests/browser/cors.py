"""Call an API of one origin from pages of another in a real browser; the API runs in this process."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn
from selenium import webdriver
from werkzeug.serving import make_server

from authguard import Guard, JWTVerifier
from authguard.testing import issue_token

SECRET = "k3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIoXz"
FETCH = """
const [url, token, done] = arguments;
fetch(url, {method: "PUT", headers: {Authorization: `Bearer ${token}`}, body: "text"}).then(
    async (answer) => done([answer.status, await answer.text()]),
    (error) => done([0, error.name]));
"""


def guard(**options: Any) -> Guard:
    """Return a guard that protects everything."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)


def fetch(browser: webdriver.Chrome, page: str, url: str, token: str | None = None) -> tuple[int, str]:
    """Call the API from a page: status and text, or 0 and the error if the browser does not show them."""
    browser.get(page)
    status, text = browser.execute_async_script(FETCH, url, token or issue_token(SECRET, expires_in=3600))
    return status, text


@contextlib.contextmanager
def empty_page(host: str = "localhost") -> Iterator[str]:
    """Yield the origin of an empty page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Page) as server,
        _in_a_thread(server.serve_forever, poll_interval=0.05),
    ):
        yield f"http://{host}:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def asgi_server(app: Any) -> Iterator[str]:
    """Yield the URL of a server with an ASGI application."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    with _in_a_thread(server.run) as thread:
        try:
            until = time.monotonic() + 60
            while not server.started:
                assert thread.is_alive() and time.monotonic() < until
                time.sleep(0.01)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True


@contextlib.contextmanager
def wsgi_server(app: Any) -> Iterator[str]:
    """Yield the URL of a server with a WSGI application."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with _in_a_thread(server.serve_forever, poll_interval=0.05):
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextlib.contextmanager
def _in_a_thread(run: Any, **given: Any) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=run, kwargs=given)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
