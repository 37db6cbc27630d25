"""Run the demo: `make demo`, or `python -m examples.fastapi_app`; PORT chooses another port."""

import errno
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

import uvicorn

from .app import create_app
from .settings import IDENTITY_PATH, Settings

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
EMAIL = "ada@example.com"
PASSWORD = os.environ.get("DEMO_PASSWORD") or "Lovelace-1815"
JSON = "-H 'Content-Type: application/json'"


def listen(port: int) -> socket.socket:
    """Open the port before the program prints its URL."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            taken = f"Port {port} on {HOST} is taken by another program."
            sys.exit(f"{taken} Choose another one: PORT={port + 10} make demo")
        sys.exit(f"Cannot listen on {HOST} port {port}: {error.strerror}")
    return listener


def chosen_port() -> int:
    """Return the port from the environment, or the default port."""
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        sys.exit(f"PORT is a number from 1 to 65535, and not {text!r}")
    return int(text)


def introduction(settings: Settings) -> str:
    """Return commands to try; a test runs them."""
    url = settings.url
    account = quote(json.dumps({"email": EMAIL, "password": PASSWORD}))
    login = f"curl -s {JSON} -d {account} {url}{IDENTITY_PATH}/api/v1/auth/login"
    token, made = (
        f"""python3 -c 'import json, sys; print(json.load(sys.stdin)["{name}"])'"""
        for name in ("access_token", "api_key")
    )
    bearer = '-H "Authorization: Bearer $TOKEN"'
    key = f"-H 'X-API-Key: {settings.api_key}'"
    new_key = f"""{JSON} -d '{{"name": "demo", "scopes": ["read"]}}' {url}{IDENTITY_PATH}/api/v1/api-keys"""
    note = f"""{JSON} -d '{{"text": "hello"}}'"""
    return f"""
In a browser  {url}/dashboard
       email  {EMAIL}
    password  {PASSWORD}
        docs  {url}/docs

Without a credential (401):
  curl -i {url}/api/me
A user, by a token for e-mail and password:
  TOKEN=$({login} | {token})
  curl -i {bearer} {url}/api/me
  curl -i {bearer} {note} {url}/api/notes
  curl -i {bearer} --data-binary @README.md {url}/api/upload
A program of this user, by an API key of the account:
  KEY=$(curl -s {bearer} {new_key} | {made})
  curl -i -H "X-API-Key: $KEY" {url}/api/me
A robot, by an API key that may read notes, but not write them (403):
  curl -i {key} {url}/api/notes
  curl -i {key} {note} {url}/api/notes
Sign out; the token is then refused (401):
  curl -i -X POST {bearer} {url}{IDENTITY_PATH}/api/v1/auth/logout
  curl -i {bearer} {url}/api/me

Control-C ends this program, and deletes its accounts.
"""


def main() -> None:
    """Print commands to try, then serve until interrupted."""
    # SIGTERM also deletes the accounts.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    port = chosen_port()
    with suppress(KeyboardInterrupt), listen(port) as listener, TemporaryDirectory() as directory:
        settings = Settings(url=f"http://{HOST}:{port}", directory=Path(directory))
        app = create_app(settings)
        # Only for this demo on loopback: `create_app` makes no account.
        app.state.identity.accounts.create(EMAIL, PASSWORD, "Ada", "ADMIN")
        print(introduction(settings), flush=True)  # noqa: T201
        uvicorn.Server(uvicorn.Config(app, log_level="info")).run(sockets=[listener])


if __name__ == "__main__":
    main()
