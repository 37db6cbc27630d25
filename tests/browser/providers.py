"""Simulate a provider with a page for browsers: with a button to continue, and one to cancel."""

import contextlib
import json
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: value[0] for name, value in parse_qs(parts.query).items()}
        if parts.path == "/login/oauth/authorize":
            return self._page(query)
        if parts.path == "/user/emails":
            return self._json([{"email": "ada@example.com", "primary": True, "verified": True}])
        return self._json({"id": 7, "login": "ada", "name": "Ada"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._json({"access_token": "t0ken", "token_type": "bearer"})

    def _page(self, query: dict[str, str]) -> None:
        def link(**answer: str) -> str:
            return escape(f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}")

        allow, cancel = link(code="c0de"), link(error="access_denied")
        text = (
            f'<!doctype html><title>provider</title><a id="allow" href="{allow}">Allow</a> '
            f'<a id="cancel" href="{cancel}">Cancel</a>'
        )
        self._send(text.encode(), "text/html")

    def _json(self, document: Any) -> None:
        self._send(json.dumps(document).encode(), "application/json")

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def provider_with_a_page() -> Iterator[str]:
    """Yield the URL of the provider; `localhost` is another site than 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()
