"""Send preflights like browsers, with or without a body, to ASGI and WSGI applications."""

import asyncio
import io
from dataclasses import dataclass, field
from typing import Any

from authguard import Guard, JWTVerifier

SPA = "https://spa.example"
SECRET_TEXT = "the secret of a handler"
KEY = "k3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIoXz"
FIELDS = {
    "Host": "site.example",
    "Accept": "*/*",
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization",
    "Origin": SPA,
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Dest": "empty",
}


def guard(**options: Any) -> Guard:
    """Return a guard that protects everything."""
    return Guard(JWTVerifier(KEY, algorithms=["HS256"], issuer=None, audience=None), **options)


@dataclass
class Answered:
    """Hold an answer, and the part of the request's body that was read."""

    status: int
    headers: dict[str, str]
    body: bytes
    read: list[bytes] = field(default_factory=list)

    @property
    def allows(self) -> bool:
        """Return whether a browser would send the request itself."""
        return 200 <= self.status < 300 and self.headers.get("access-control-allow-origin") in ("*", SPA)


def preflight_asgi(app: Any, path: str = "/private", body: bytes = b"", **changes: str) -> Answered:
    """Send a preflight to an ASGI application."""
    read: list[bytes] = []
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if read:
            await asyncio.get_running_loop().create_future()  # the client stays connected, and sends nothing
        read.append(body)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(scope_of(path, body, **changes), receive, send), 10))
    assert [message["type"] for message in sent[:2]] == ["http.response.start", "http.response.body"]
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    assert len(headers) == len(sent[0]["headers"]), sent[0]
    assert not sent[-1].get("more_body")
    text = b"".join(message.get("body", b"") for message in sent[1:])
    return Answered(sent[0]["status"], headers, text, read)


def scope_of(path: str, body: bytes, **changes: str) -> dict[str, Any]:
    """Return the scope of a preflight; `changes` apply to its fields."""
    fields = FIELDS | {name.replace("_", "-"): value for name, value in changes.items()}
    if body:
        fields |= {"Content-Length": str(len(body)), "Content-Type": "application/json"}
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "OPTIONS",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        "client": ("127.0.0.1", 1), "server": ("site.example", 80), "state": {},
        "extensions": {"http.response.trailers": {}, "http.response.pathsend": {}},
    }  # fmt: skip


class _Input(io.BytesIO):
    def __init__(self, body: bytes, read: list[bytes]) -> None:
        super().__init__(body)
        self._read = read

    def read(self, size: int | None = -1) -> bytes:
        self._read.append(super().read(size))
        return self._read[-1]

    def readline(self, size: int | None = -1) -> bytes:
        self._read.append(super().readline(size))
        return self._read[-1]


def environ_of(path: str, body: bytes, read: list[bytes], **changes: str) -> dict[str, Any]:
    """Return the environ of a preflight; `changes` apply to its fields."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "OPTIONS", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "",
        "SERVER_NAME": "site.example", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": _Input(body, read),
        "wsgi.errors": io.StringIO(), "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    for name, value in (FIELDS | {name.replace("_", "-"): value for name, value in changes.items()}).items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    if body:
        environ |= {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"}
    return environ


def preflight_wsgi(app: Any, path: str = "/private", body: bytes = b"", **changes: str) -> Answered:
    """Send a preflight to a WSGI application."""
    read: list[bytes] = []
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        started[:] = [status, headers]

    result = app(environ_of(path, body, read, **changes), start_response)
    try:
        text = b"".join(result)
    finally:
        getattr(result, "close", lambda: None)()
    status, pairs = started
    assert SECRET_TEXT not in status
    headers = {name.lower(): value for name, value in pairs}
    return Answered(int(status.split()[0]), headers, text, read)
