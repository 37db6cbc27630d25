"""Define hand-written CORS layers and handlers, for the tests about preflights."""

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
    """Define handlers that note that they ran; none may run for a preflight."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def plain(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as an ASGI application that ignores the method."""
        self.ran.append(scope["path"])
        await receive()
        await PlainTextResponse(SECRET_TEXT, headers={"access-control-max-age": "5"})(scope, receive, send)

    async def endpoint(self, request: Request) -> Response:
        """Answer as an endpoint that ignores the method."""
        return self.page(request)

    def page(self, request: Request) -> Response:
        """Answer as an endpoint without `async`."""
        self.ran.append(request.url.path)
        return PlainTextResponse(SECRET_TEXT)


class AddsFields(BaseHTTPMiddleware):
    """Add fields to responses from inside; hand-written."""

    async def dispatch(self, request: Any, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["Access-Control-Allow-Origin"] = SPA
        response.headers["Set-Cookie"] = "tracker=1"
        return response


class AnswersItself(BaseHTTPMiddleware):
    """Answer preflights, and pass all other requests on; hand-written."""

    async def dispatch(self, request: Any, call_next: Any) -> Response:
        if request.method == "OPTIONS":
            await request.body()
            return Response("OK", headers={"Access-Control-Allow-Origin": SPA})
        response: Response = await call_next(request)
        return response


class PureAdds:
    """Add fields; hand-written, without a framework."""

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
    """Answer preflights; hand-written, without a framework."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"Access-Control-Allow-Origin": SPA})(
                scope, receive, send
            )
        else:
            await self.app(scope, receive, send)


class Slotted(PureAdds):
    """Store the wrapped application in a slot; another slot is empty."""

    __slots__ = ("app", "later")


@dataclass(frozen=True)
class Frozen:
    """Wrap an application in an object that cannot be changed."""

    app: Any

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PureAdds(self.app)(scope, receive, send)


class KeepsItself:
    """Store a bound method of its own when it is built, like some monitoring."""

    __slots__ = ("__call__", "app")

    def __init__(self, app: Any) -> None:
        self.app = app
        self.__call__ = self.run

    async def run(self, scope: Any, receive: Any, send: Any) -> None:
        await PureAdds(self.app)(scope, receive, send)


class WSGIHandlers:
    """Define handlers that note that they ran; none may run for a preflight."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def plain(self, environ: Any, start_response: Any) -> list[bytes]:
        """Answer as a WSGI application that ignores the method."""
        self.ran.append(environ["PATH_INFO"])
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Access-Control-Max-Age", "5")])
        return [SECRET_TEXT.encode()]

    def view(self, **_: Any) -> str:
        """Answer as a view that ignores the method."""
        self.ran.append(flask.request.path)
        flask.request.get_data()
        return SECRET_TEXT


class WSGIAdds:
    """Add fields, as hand-written middleware."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("Access-Control-Allow-Origin", SPA)], exc_info)

        return self.app(environ, start)


class AddsToWSGIApp:
    """Add fields, with another name for the wrapped application."""

    def __init__(self, app: Any) -> None:
        self.wsgi_app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return WSGIAdds(self.wsgi_app)(environ, start_response)


class AddsToApplication:
    """Add fields, with the name of PEP 3333 for the wrapped application."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return WSGIAdds(self.application)(environ, start_response)


class WSGIAnswers(WSGIAdds):
    """Answer preflights, as hand-written middleware."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "OPTIONS":
            return self.app(environ, start_response)
        start_response("204 No Content", [("Access-Control-Allow-Origin", SPA), ("Set-Cookie", "a=1")])
        return []
