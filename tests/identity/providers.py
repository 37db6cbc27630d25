"""Simulate a provider like GitHub, on loopback: each code names its user."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from starlette.testclient import TestClient

from authguard.identity.social.github import GitHub
from identity.support import ISSUER

APP = "https://yourapp.com/callback"
PREFIXES = "/api/v1", "/v1"


def code_for(subject: int, email: str | None, *, verified: bool) -> str:
    """Return a code for a user who has signed in at the provider."""
    return json.dumps([subject, email, verified]).encode().hex()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path.endswith("/access_token"):
            return self._answer({"access_token": parse_qs(body)["code"][0], "token_type": "bearer"})
        token = self.headers["Authorization"].removeprefix("Bearer ")
        subject, email, verified = json.loads(bytes.fromhex(token))
        if self.path.endswith("/emails"):
            return self._answer([{"email": email, "primary": True, "verified": verified}])
        return self._answer({"id": subject, "login": f"user{subject}", "name": None})

    do_POST = do_GET

    def _answer(self, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def local_providers(*names: str) -> Iterator[list[GitHub]]:
    """Yield providers with these names, all at one server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    made = []
    for name in names:
        own = [f"{ISSUER}{prefix}/auth/{name}/callback" for prefix in PREFIXES]
        provider = GitHub("id", "s3cret", redirect_uris=[APP, *own], url=url, api_url=url)
        provider.name = name
        made.append(provider)
    try:
        yield made
    finally:
        for provider in made:
            provider.close()
        server.shutdown()
        thread.join()
        server.server_close()


def come_back(client: TestClient, code: str, *, provider: str = "github") -> httpx2.Response:
    """Sign a browser in at a provider, by the whole flow; return the answer to the callback."""
    sent = client.get(f"/v1/auth/{provider}/authorize", params={"next": "/account"})
    state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
    return client.get(f"/v1/auth/{provider}/callback", params={"code": code, "state": state})


def hand_in(client: TestClient, code: str, *, provider: str = "github") -> httpx2.Response:
    """Sign in with a code that an application sends, and return the answer."""
    return client.post(f"/v1/auth/{provider}/callback", json={"code": code, "redirect_uri": APP})
