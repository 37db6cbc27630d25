"""Start the servers for the table, and send them requests byte for byte."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from adapters.faces import Answer, Field
from ports import free_port

TESTS = Path(__file__).resolve().parent.parent
APP = "frameworks.served:app"
#: The environment variable with a name of `FRAMEWORKS`, for `served.py`.
FRAMEWORK = "AUTHGUARD_SERVED_FRAMEWORK"
#: The folder in which `make frameworks` installs the current hypercorn, besides that of the environment.
CURRENT_HYPERCORN = Path(sys.prefix) / "hypercorn-current"
#: The fields that servers add to each answer of an application.
ADDED = {"connection", "date", "keep-alive", "server", "transfer-encoding"}
_TIMEOUT = 10
_HANDSHAKE = [
    ("Connection", b"Upgrade"),
    ("Upgrade", b"websocket"),
    ("Sec-WebSocket-Version", b"13"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
]


@dataclass(frozen=True)
class Kind:
    """Describe a server and its command.

    Attributes:
        command: the arguments, with `{port}`; the application comes last.
        distribution: the distribution whose version is shown.
        folder: a folder that comes before the environment's packages, if any.
    """

    command: str
    distribution: str
    folder: Path | None = None


_UVICORN = "uvicorn --host 127.0.0.1 --port {port} --log-level warning"
_HYPERCORN = "hypercorn --bind 127.0.0.1:{port} --graceful-timeout 1"
_GUNICORN = "gunicorn --bind 127.0.0.1:{port} --no-control-socket --graceful-timeout 1 --log-level warning"
_GRANIAN = "granian --host 127.0.0.1 --port {port} --log-level warning"
KINDS = {
    "uvicorn with h11": Kind(f"{_UVICORN} --http h11 --loop asyncio", "uvicorn"),
    "uvicorn with httptools": Kind(f"{_UVICORN} --http httptools --loop uvloop", "uvicorn"),
    "hypercorn 0.17": Kind(_HYPERCORN, "hypercorn"),
    "hypercorn": Kind(_HYPERCORN, "hypercorn", CURRENT_HYPERCORN),
    "hypercorn on trio": Kind(f"{_HYPERCORN} --worker-class trio", "hypercorn", CURRENT_HYPERCORN),
    "granian on ASGI": Kind(f"{_GRANIAN} --interface asgi", "granian"),
    "granian on WSGI": Kind(f"{_GRANIAN} --interface wsgi", "granian"),
    "daphne": Kind("daphne --bind 127.0.0.1 --port {port} --verbosity 0", "daphne"),
    "gunicorn sync": Kind(f"{_GUNICORN} --worker-class sync", "gunicorn"),
    "gunicorn gthread": Kind(f"{_GUNICORN} --worker-class gthread --threads 4", "gunicorn"),
    "gunicorn gevent": Kind(f"{_GUNICORN} --worker-class gevent", "gunicorn"),
}
#: The servers with the frameworks that they run, which include every server and every framework.
SERVED = [
    ("uvicorn with h11", "ASGI"),
    ("gunicorn sync", "WSGI"),
    ("uvicorn with h11", "Starlette"),
    ("uvicorn with httptools", "FastAPI"),
    ("hypercorn 0.17", "Quart"),
    ("hypercorn", "Quart"),
    ("hypercorn on trio", "Starlette"),
    ("granian on ASGI", "Litestar"),
    ("granian on WSGI", "Flask"),
    ("daphne", "Falcon on ASGI"),
    ("gunicorn sync", "Falcon on WSGI"),
    ("gunicorn gthread", "Bottle"),
    ("gunicorn gevent", "Flask"),
    ("uvicorn with h11", "Django on ASGI"),
    ("uvicorn with httptools", "Django on ASGI"),
    ("hypercorn 0.17", "Django on ASGI"),
    ("hypercorn", "Django on ASGI"),
    ("granian on ASGI", "Django on ASGI"),
    ("daphne", "Django on ASGI"),
    ("granian on WSGI", "Django on WSGI"),
    ("gunicorn sync", "Django on WSGI"),
    ("gunicorn gthread", "Django on WSGI"),
    ("gunicorn gevent", "Django on WSGI"),
]


class Server:
    """Run a framework's application by a server, in a process of its own.

    Args:
        kind: a name of `KINDS`.
        framework: a name of `FRAMEWORKS`.
        log: the file for the output of the server.
        app: another application, which answers 200 on `/public`.
        environment: more variables of its environment.

    Attributes:
        kind: as above.
        framework: as above.
        port: where it listens, on loopback.
    """

    def __init__(
        self,
        kind: str,
        framework: str,
        log: Path,
        *,
        app: str = APP,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.kind, self.framework = kind, framework
        self.port, self._log = free_port(), log
        folder = KINDS[kind].folder
        path = [*([str(folder)] if folder else []), str(TESTS), *sys.path]
        command = KINDS[kind].command.format(port=self.port).split()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command, app],
                cwd=TESTS,
                env={**os.environ, FRAMEWORK: framework, **environment, "PYTHONPATH": os.pathsep.join(path)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Wait until the server answers."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise AssertionError(f"the server has ended: {self._log.read_text()}")
            with contextlib.suppress(OSError):
                if self.ask("GET", "/public").status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the server does not answer: {self._log.read_text()}")

    def ask(self, method: str, path: str, fields: Iterable[Field] = ()) -> Answer:
        """Send one request, byte for byte; the status is 0 if the server closes without an answer."""
        with self._send(method, path, [("Connection", b"close"), *fields]) as connection:
            return _read(connection, method)

    def open_websocket(self, path: str, fields: Iterable[Field] = ()) -> tuple[int, str]:
        """Send a handshake; return the status, and the text of the first message if it is accepted."""
        connection = self._send("GET", path, [*_HANDSHAKE, *fields])
        with connection, connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            status = int(head.split()[1])
            if status != 101:
                return status, ""
            _, size = stream.read(2)  # a text of less than 126 bytes
            return status, stream.read(size).decode()

    def _send(self, method: str, path: str, fields: Iterable[Field]) -> socket.socket:
        lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: site.example"]
        lines += [name.encode() + b": " + value for name, value in fields]
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=_TIMEOUT)
        # A server may close the connection before it has read everything.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        return connection

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _read(connection: socket.socket, method: str) -> Answer:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        pairs: Sequence[tuple[str, str]] = response.getheaders()
        body = response.read()
    except (ConnectionResetError, http.client.BadStatusLine):
        return Answer(0, {}, b"")
    finally:
        response.close()
    headers = {name.lower(): value for name, value in pairs if name.lower() not in ADDED}
    return Answer(response.status, headers, body)
