"""Run servers on loopback with given answers or given faults; each test closes its own."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from ports import free_port

JSON = "application/json"

Behaviour = Callable[[socket.socket, threading.Event], object]


@dataclass
class Answer:
    """Hold an answer to send; `before` is called first, and may wait."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})
    before: Callable[[], None] | None = None


def answer(document: Any, status: int = 200, **headers: str) -> Answer:
    """Return an answer in JSON."""
    fields = {"Content-Type": JSON, **{name.replace("_", "-"): text for name, text in headers.items()}}
    return Answer(json.dumps(document).encode(), status, fields)


@dataclass
class Seen:
    """Hold a request that a server has received."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, list[str]]
    port: int  # the port of the client's side of the connection


class Server:
    """Serve pages by path over HTTP: an `Answer`, or a function of the request that returns one."""

    def __init__(self, http: "_HTTP") -> None:
        self._http = http
        self.pages: dict[str, Answer | Callable[[Seen], Answer]] = {}
        self.seen: list[Seen] = []
        self.url = f"http://127.0.0.1:{http.server_address[1]}"

    def count(self, path: str) -> int:
        """Return the number of requests for a path."""
        return sum(seen.path == path for seen in self.seen)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    server: "_HTTP"

    def _handle(self) -> None:
        length = int(self.headers.get("content-length", 0))
        form = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
        fields = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, fields, form, self.client_address[1])
        server = self.server.owner
        server.seen.append(seen)
        page = server.pages.get(self.path, Answer(b"", 404))
        if callable(page):
            page = page(seen)
        if page.before:
            page.before()
        with contextlib.suppress(OSError):
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in page.headers:
                self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

    do_GET = do_POST = _handle

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class _HTTP(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    owner: Server

    def handle_error(self, *_: Any) -> None:
        """Ignore errors of clients that hang up, which some tests cause."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server in a thread, on a free port."""
    http = _HTTP(("127.0.0.1", 0), _Handler)
    server = http.owner = Server(http)
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
        server.url = server.url.replace("http://127.0.0.1", "https://localhost")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


@contextmanager
def raw(behave: Behaviour) -> Iterator[str]:
    """Run a server that calls `behave(connection, ended)` for each connection; yield its address."""
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def each(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ssl.SSLError):
            behave(connection, ended)

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=each, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
    accepting.join(5)
    for thread in threads:
        thread.join(5)


def hang(connection: socket.socket, ended: threading.Event) -> None:
    """Accept a connection, and send nothing."""
    ended.wait(20)


def drip_body(connection: socket.socket, ended: threading.Event) -> None:
    """Send the body byte by byte, each well within any timeout for reading."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n")
    while not ended.wait(0.02):
        connection.sendall(b" ")


def drip_head(connection: socket.socket, ended: threading.Event) -> None:
    """Send the header fields byte by byte."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not ended.wait(0.02):
        connection.sendall(b"a")


def half(connection: socket.socket, ended: threading.Event) -> None:
    """Send half a key set, and close the connection."""
    connection.recv(65536)
    connection.sendall(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"keys": [{'
    )


def garbage(connection: socket.socket, ended: threading.Event) -> None:
    """Send text that is not HTTP."""
    connection.recv(65536)
    connection.sendall(b"\x00\x01\x02 what?\r\n\r\n")


def hang_up(connection: socket.socket, ended: threading.Event) -> None:
    """Accept, read and close."""
    connection.recv(65536)


def endless(connection: socket.socket, ended: threading.Event) -> None:
    """Send a body without a length and without an end."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    while not ended.is_set():
        connection.sendall(b" " * 65536)


def refused() -> str:
    """Return an address at which no server listens."""
    return f"http://127.0.0.1:{free_port()}"


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something has happened in another thread; fail if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.005)
