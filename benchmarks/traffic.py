"""Make requests in the form of servers, and timers that send batches of them in this process."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.pairing import clock

Field = tuple[str, str]

# The fields that a browser's fetch sends besides the credential.
USUAL_FIELDS = [
    ("host", "api.example"), ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "*/*"), ("accept-encoding", "gzip, deflate, br"), ("accept-language", "en-GB,en;q=0.5"),
    ("connection", "keep-alive"), ("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"), ("referer", "https://api.example/page"), ("x-request-id", "7f3a" * 8),
]  # fmt: skip


def bearer(token: str) -> Field:
    return ("authorization", f"Bearer {token}")


def scope(*fields: Field, path: str = "/p") -> dict[str, Any]:
    """Return a scope in the form of uvicorn."""
    headers = [(name.encode(), value.encode()) for name, value in (*USUAL_FIELDS, *fields)]
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000), "headers": headers,
    }  # fmt: skip


def environ(*fields: Field, path: str = "/p") -> dict[str, Any]:
    """Return an environ in the form of gunicorn."""
    named = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in (*USUAL_FIELDS, *fields)}
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "RAW_URI": path,
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http", "wsgi.version": (1, 0), "wsgi.input": None, "wsgi.multithread": True, **named,
    }  # fmt: skip


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Any) -> None: ...


def asgi_timer(
    runner: asyncio.Runner, app: Any, batch: Callable[[], Sequence[dict[str, Any]]], receive: Any = receive
) -> Callable[[], float]:
    """Return a timer that sends a batch, one request after the other, in the runner's loop."""

    async def run(scopes: list[dict[str, Any]]) -> float:
        started = clock()
        for each in scopes:
            await app(each, receive, send)
        return (clock() - started) / len(scopes) * 1e6

    # Applications change the scope, so each request has its own, created before the clock runs.
    return lambda: runner.run(run([{**each, "state": {}} for each in batch()]))


def start_response(status: str, headers: Any, exc_info: Any = None) -> Any: ...


def wsgi_timer(app: Any, batch: Callable[[], Sequence[dict[str, Any]]]) -> Callable[[], float]:
    """Return a timer for WSGI, which reads and closes the body like a server."""

    def run() -> float:
        environs = [dict(each) for each in batch()]
        started = clock()
        for each in environs:
            body = app(each, start_response)
            for _ in body:
                pass
            if hasattr(body, "close"):
                body.close()
        return (clock() - started) / len(environs) * 1e6

    return run


def ask_asgi(runner: asyncio.Runner, app: Any, *fields: Field, path: str = "/p") -> int:
    """Return the status of one ASGI request."""
    sent: list[Any] = []

    async def collect(message: Any) -> None:
        sent.append(message)

    runner.run(app({**scope(*fields, path=path), "state": {}}, receive, collect))
    return int(sent[0]["status"])


def ask_wsgi(app: Any, *fields: Field, path: str = "/p") -> int:
    """Return the status of one WSGI request."""
    statuses: list[str] = []
    body = app(environ(*fields, path=path), lambda status, headers, exc_info=None: statuses.append(status))
    list(body)
    if hasattr(body, "close"):
        body.close()
    return int(statuses[0].split()[0])
