"""Run the demo: `make demo-flask`, or `python -m examples.flask_app`; PORT chooses another port."""

import errno
import os
import socket
import sys

from werkzeug.serving import make_server

from .app import create_app
from .settings import Settings
from .sign_in import issue_token

HOST = "127.0.0.1"
DEFAULT_PORT = 8001


def listen(port: int) -> socket.socket:
    """Take the port before anything is printed, so that what is printed is true."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            taken = f"Port {port} on {HOST} is taken by another program."
            sys.exit(f"{taken} Choose another one: PORT={port + 10} make demo-flask")
        sys.exit(f"Cannot listen on {HOST} port {port}: {error.strerror}")
    return listener


def chosen_port() -> int:
    """The port from the environment, or the usual one."""
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        sys.exit(f"PORT is a number from 1 to 65535, and not {text!r}")
    return int(text)


def introduction(settings: Settings, url: str) -> str:
    """What to try."""
    bearer = f"-H 'Authorization: Bearer {issue_token(settings, settings.email)}'"
    key = f"-H 'X-API-Key: {settings.api_key}'"
    note = """-H 'Content-Type: application/json' -d '{"text": "hello"}'"""
    return f"""
Sign in at   {url}/login
     email   {settings.email}
  password   {settings.password}

Nobody, which is refused (401):
  curl -i {url}/api/me
A person, by JWT:
  curl -i {bearer} {url}/api/me
  curl -i {bearer} {note} {url}/api/notes
  curl -i {bearer} --data-binary @README.md {url}/api/upload
A robot, by API key, which may read notes, but not write them (403):
  curl -i {key} {url}/api/notes
  curl -i {key} {note} {url}/api/notes
"""


def main() -> None:
    """Say how to sign in, then serve until interrupted."""
    settings = Settings(
        secure_cookie=False
    )  # since the demo is served over plain http, to this machine alone
    port = chosen_port()
    with listen(port) as listener:
        print(introduction(settings, f"http://{HOST}:{port}"), flush=True)  # noqa: T201
        # Good for a demo; in production any WSGI server runs create_app(Settings()).
        server = make_server(HOST, port, create_app(settings), threaded=True, fd=listener.fileno())
        server.serve_forever()


if __name__ == "__main__":
    main()
