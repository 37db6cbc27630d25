"""Answer a request of Django with an endpoint of a guard."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from authguard._core.endpoint import Endpoint


def answer(endpoint: Endpoint, request: HttpRequest) -> HttpResponse:
    """Return the response of an endpoint, under WSGI."""
    started: list[Any] = []

    def start_response(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> None:
        started[:] = [int(status[:3]), fields]

    body = b"".join(endpoint.wsgi({**request.META, "wsgi.input": request}, start_response))
    status, fields = started
    return _response(status, fields, body)


async def aanswer(endpoint: Endpoint, request: HttpRequest) -> HttpResponse:
    """Return the response of an endpoint, under ASGI."""
    messages: list[dict[str, Any]] = []
    kind = request.META.get("CONTENT_TYPE") or ""
    headers = [(b"content-type", kind.encode("latin-1"))] if kind else []

    async def receive() -> dict[str, Any]:
        part = request.read(_PART)
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await endpoint.asgi({"type": "http", "method": request.method, "headers": headers}, receive, send)
    start = messages[0]
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    return _response(start["status"], fields, b"".join(each.get("body", b"") for each in messages[1:]))


_PART = 16 * 1024  # larger than any logout token


def _response(status: int, fields: list[tuple[str, str]], body: bytes) -> HttpResponse:
    response = HttpResponse(body, status=status)
    del response.headers["Content-Type"]
    for name, value in fields:
        response.headers[name] = value
    return response
