"""Hand-written CORS layers and handlers, for the tests about preflights."""

from dataclasses import dataclass
from typing import Any

import flask
import pytest
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from adapters.preflights import SECRET_TEXT, SPA

BODIES = pytest.mark.parametrize("body", [b"", b'{"a": 1}'], ids=["no body", "a body"])


class ASGIHandlers:
    """Handlers that note that they ran, which none may for a preflight."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def plain(self, scope: Any, receive: Any, send: Any) -> None:
        """An ASGI application that does not look at the method."""
        self.ran.append(scope["path"])
        await receive()
        await PlainTextResponse(SECRET_TEXT, headers={"access-control-max-age": "5"})(scope, receive, send)

    async def endpoint(self, request: Request) -> Response:
        """An endpoint that does not look at the method."""
        return self.page(request)

    def page(self, request: Request) -> Response:
        """The same without `async`."""
        self.ran.append(request.url.path)
        return PlainTextResponse(SECRET_TEXT)


class AddsFields(BaseHTTPMiddleware):
    """Hand-written: adds fields to what comes from inside."""

    async def dispatch(self, request: Any, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["Access-Control-Allow-Origin"] = SPA
        response.headers["Set-Cookie"] = "tracker=1"
        return response


class AnswersItself(BaseHTTPMiddleware):
    """Hand-written: answers preflights, and lets all else pass."""

    async def dispatch(self, request: Any, call_next: Any) -> Response:
        if request.method == "OPTIONS":
            await request.body()
            return Response("OK", headers={"Access-Control-Allow-Origin": SPA})
        response: Response = await call_next(request)
        return response


class PureAdds:
    """Hand-written, without a framework: adds fields."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def adding(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"Access-Control-Allow-Origin", SPA.encode()),
                ]
            await send(message)

        await self.app(scope, receive, adding if scope["type"] == "http" else send)


class PureAnswers(PureAdds):
    """Hand-written, without a framework: answers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"Access-Control-Allow-Origin": SPA})(
                scope, receive, send
            )
        else:
            await self.app(scope, receive, send)


class Slotted(PureAdds):
    """Keeps what it wraps in a slot, and has another one that is empty."""

    __slots__ = ("app", "later")


@dataclass(frozen=True)
class Frozen:
    """Cannot be changed."""

    app: Any

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PureAdds(self.app)(scope, receive, send)


class KeepsItself:
    """Has kept a method of its own when it was built, as some monitoring does."""

    __slots__ = ("__call__", "app")

    def __init__(self, app: Any) -> None:
        self.app = app
        self.__call__ = self.run

    async def run(self, scope: Any, receive: Any, send: Any) -> None:
        await PureAdds(self.app)(scope, receive, send)


class WSGIHandlers:
    """Handlers that note that they ran, which none may for a preflight."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def plain(self, environ: Any, start_response: Any) -> list[bytes]:
        """A WSGI application that does not look at the method."""
        self.ran.append(environ["PATH_INFO"])
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Access-Control-Max-Age", "5")])
        return [SECRET_TEXT.encode()]

    def view(self, **_: Any) -> str:
        """A view that does not look at the method."""
        self.ran.append(flask.request.path)
        flask.request.get_data()
        return SECRET_TEXT


class WSGIAdds:
    """Hand-written middleware: adds fields."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("Access-Control-Allow-Origin", SPA)], exc_info)

        return self.app(environ, start)


class AddsToWSGIApp:
    """The same, with another name for what it wraps."""

    def __init__(self, app: Any) -> None:
        self.wsgi_app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return WSGIAdds(self.wsgi_app)(environ, start_response)


class AddsToApplication:
    """The same, with the name that PEP 3333 has."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return WSGIAdds(self.application)(environ, start_response)


class WSGIAnswers(WSGIAdds):
    """Hand-written middleware: answers."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "OPTIONS":
            return self.app(environ, start_response)
        start_response("204 No Content", [("Access-Control-Allow-Origin", SPA), ("Set-Cookie", "a=1")])
        return []
