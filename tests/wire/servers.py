"""Run real servers as subprocesses, and send them requests byte for byte."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from ports import free_port
from wire.forks import TESTS, Forked, fork

TIMEOUT = 5
KINDS = ("uvicorn-h11", "uvicorn-httptools", "gunicorn")


@dataclass
class Answer:
    """Hold an answer: `fields` in lower case, `raw` with all bytes."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def field(self, name: str) -> str | None:
        """Return the only value of a field, or None."""
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None


def parse(raw: bytes) -> Answer:
    """Return an answer from its bytes; status 0 if the server closed without one."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    return Answer(status, fields, body, raw)


@dataclass
class Server:
    """Represent a running server."""

    kind: str
    port: int
    process: "subprocess.Popen[bytes] | Forked"

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)

    def send(
        self, target: str | bytes, *fields: str | bytes, method: str | bytes = "GET", body: bytes = b""
    ) -> Answer:
        """Send one request, byte for byte, and read until the server closes."""
        message = request(target, *fields, method=method, body=body)
        with self.connect() as connection:
            # A server may close the connection before it has read everything.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(message)
            return parse(read(connection))


def request(
    target: str | bytes,
    *fields: str | bytes,
    method: str | bytes = "GET",
    body: bytes = b"",
    close: bool = True,
) -> bytes:
    """Return the bytes of a request; Host and Connection are added, Host only if it is missing."""
    lines = [_bytes(method) + b" " + _bytes(target) + b" HTTP/1.1"]
    given = [_bytes(field) for field in fields]
    if not any(field.lower().startswith(b"host:") for field in given):
        lines.append(b"Host: app")
    lines += given
    if close:
        lines.append(b"Connection: close")
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8")


def read(connection: socket.socket, until: bytes | None = None) -> bytes:
    """Read all bytes up to the close, or up to the first occurrence of some bytes."""
    raw = b""
    with contextlib.suppress(ConnectionResetError):
        while until is None or until not in raw:
            chunk = connection.recv(65536)
            if not chunk:
                break
            raw += chunk
    return raw


def start(kind: str, app: str, environment: dict[str, str], *options: str) -> Server:
    """Start a server with an application of `wire.apps` on a free port."""
    target = f"wire.apps:{'wsgi' if kind == 'gunicorn' else 'asgi'}_{app}"
    if kind == "gunicorn":
        return launch(kind, target, environment, "--threads", "4", *options, is_forked=True)
    if kind == "hypercorn":
        return launch(kind, target, environment, *options)
    http = "--http", kind.removeprefix("uvicorn-")
    return launch(kind, target, environment, *http, *options, is_forked=True)


def launch(
    kind: str, target: str, environment: dict[str, str], *options: str, is_forked: bool = False
) -> Server:
    """Start a server on a free port and wait until it accepts.

    Args:
        kind: the server.
        target: the application.
        environment: further variables.
        options: further options of the server.
        is_forked: whether it begins after the imports, by `wire.forks`.
    """
    port = free_port()
    if kind == "gunicorn":
        command = ["gunicorn", target, "--bind", f"127.0.0.1:{port}"]
        command += ["--no-control-socket", "--graceful-timeout", "1"]
    elif kind == "hypercorn":
        command = ["hypercorn", target, "--bind", f"127.0.0.1:{port}", "--graceful-timeout", "1"]
    else:
        command = ["uvicorn", target, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--timeout-graceful-shutdown", "1"]
    module, *args = [*command, *options]
    if is_forked:
        server = Server(kind, port, fork(module, args, environment))
    else:
        server = Server(kind, port, _run(module, args, environment))
    try:
        _wait(server)
    except BaseException:
        stop(server)
        raise
    return server


def _run(module: str, args: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", module, *args],
        cwd=TESTS,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join((str(TESTS), *sys.path))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait(server: Server) -> None:
    deadline = time.monotonic() + 90  # a loaded machine is many times slower
    while time.monotonic() < deadline:
        assert server.process.poll() is None, f"{server.kind} ended with {server.process.returncode}"
        with contextlib.suppress(OSError):
            if server.send("/healthz").status:
                return
        time.sleep(0.05)
    raise AssertionError(f"{server.kind} does not accept")


def stop(server: Server) -> None:
    """End the server that was started, and wait for it."""
    server.process.terminate()
    try:
        server.process.wait(5)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
