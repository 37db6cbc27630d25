"""Serve a function that answers requests as an ASGI or WSGI application."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from authguard.testing.pages import Answer, Page

_Answers = Callable[[Page], Answer]


async def as_asgi(answer_to: _Answers, scope: Any, receive: Any, send: Any) -> None:
    """Answer an ASGI request, and the lifespan protocol."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    if scope["type"] != "http":
        raise NotImplementedError(f"a fake issuer has no {scope['type']}")
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    answer = answer_to(Page(scope["method"], scope["path"], headers, body))
    fields = [(name.encode(), value.encode()) for name, value in _fields(answer)]
    await send({"type": "http.response.start", "status": answer.status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


def as_wsgi(answer_to: _Answers, environ: Any, start_response: Any) -> list[bytes]:
    """Answer a WSGI request."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    method = environ["REQUEST_METHOD"]
    answer = answer_to(Page(method, path, headers, body))
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", _fields(answer))
    return [b"" if method == "HEAD" else answer.body]


def _fields(answer: Answer) -> list[tuple[str, str]]:
    return [*answer.headers.items(), ("content-length", str(len(answer.body)))]
