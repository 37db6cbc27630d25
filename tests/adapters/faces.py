"""Build one application behind every adapter, and send requests to each in the same way."""

import asyncio
import atexit
import contextvars
import io
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import flask
from fastapi import Depends, FastAPI
from fastapi import Request as FastAPIRequest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import authguard.asgi
import authguard.fastapi
import authguard.flask
import authguard.starlette
import authguard.wsgi
from authguard import Guard
from authguard._core.policy.names import LEFT_OUT

METHODS = ["GET", "POST", "OPTIONS", "DELETE"]
PATHS = ["/", "/public", "/private", "/admin", "/maybe", "/lenient", "/roles", "/login", "/{rest:path}"]
Field = tuple[str, bytes]
#: One event loop for all requests, because creating one takes longer than the answer.
_runner = asyncio.Runner()
atexit.register(_runner.close)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine, which runs in a context of its own."""
    return _runner.run(coroutine, context=contextvars.copy_context())


@dataclass(frozen=True)
class Answer:
    """Hold a response, with field names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask_asgi(
    app: Any,
    method: str,
    path: str,
    fields: Iterable[Field] = (),
    *,
    scheme: str = "http",
    body: bytes = b"",
) -> Answer:
    """Send one request to an ASGI application; `path` may have a query."""
    sent: list[dict[str, Any]] = []
    bodies = [body]
    target, _, query = path.partition("?")

    async def receive() -> dict[str, Any]:
        if not bodies:  # the client stays connected, and sends nothing more
            await asyncio.Event().wait()
        return {"type": "http.request", "body": bodies.pop(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": scheme,
        "path": unquote(target), "raw_path": target.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(b"host", b"site.example"), *((name.lower().encode(), value) for name, value in fields)],
        "client": ("127.0.0.1", 1), "server": ("site.example", 80), "state": {}, "extensions": {},
    }  # fmt: skip
    run(app(scope, receive, send))
    start = sent[0]
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


def ask_wsgi(
    app: Any,
    method: str,
    path: str,
    fields: Iterable[Field] = (),
    *,
    scheme: str = "http",
    body: bytes = b"",
) -> Answer:
    """Send one request to a WSGI application, joining repeated fields as servers do."""
    target, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": unquote(target, "latin-1"),
        "QUERY_STRING": query, "SERVER_NAME": "site.example", "SERVER_PORT": "80", "HTTP_HOST": "site.example",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0), "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(), "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    for name, value in fields:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        started[:] = [status, headers]

    result = app(environ, start_response)
    try:
        body = b"".join(result)
    finally:
        getattr(result, "close", lambda: None)()
    headers = {name.lower(): value for name, value in started[1]}
    return Answer(int(started[0].split()[0]), headers, body)


def raw_asgi(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return the guard around a bare ASGI application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["state"]["user"].subject.encode()})

    return authguard.asgi.AuthGuardMiddleware(app, guard=guard, clock=clock)


def starlette(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return the guard in a Starlette application."""

    def page(request: Any) -> PlainTextResponse:
        assert request.user is request.state.user
        return PlainTextResponse(request.user.subject)

    app = Starlette(routes=[Route(path, page, methods=METHODS) for path in PATHS])
    app.add_middleware(authguard.asgi.AuthGuardMiddleware, guard=guard, clock=clock)
    return app


def fastapi(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return the guard in a FastAPI application."""

    async def page(request: FastAPIRequest) -> PlainTextResponse:
        return PlainTextResponse(request.state.user.subject)

    app = FastAPI(openapi_url=None)
    for path in PATHS:
        app.add_api_route(path, page, methods=METHODS)
    app.add_middleware(authguard.asgi.AuthGuardMiddleware, guard=guard, clock=clock)
    return app


def raw_wsgi(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return the guard around a bare WSGI application."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["authguard.user"].subject.encode()]

    return authguard.wsgi.AuthGuardMiddleware(app, guard=guard, clock=clock)


def _flask(guard: Guard, *, error_handlers: bool) -> Any:
    app = flask.Flask("app")

    def page(rest: str = "") -> str:
        return authguard.flask.current_user.subject

    for index, path in enumerate(PATHS):
        rule = path.replace("{rest:path}", "<path:rest>")
        app.add_url_rule(rule, f"page{index}", page, methods=METHODS, provide_automatic_options=False)
    authguard.flask.init_app(app, guard, error_handlers=error_handlers)
    return app


def flask_app(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return the guard in a Flask application."""
    app = _flask(guard, error_handlers=False)
    app.wsgi_app._clock = clock
    return app


def flask_handlers(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return the guard in a Flask application whose error handlers see refusals."""
    app = _flask(guard, error_handlers=True)
    app.wsgi_app._clock = clock
    return app


ASGI = {"asgi": raw_asgi, "starlette": starlette, "fastapi": fastapi}
WSGI = {"wsgi": raw_wsgi, "flask": flask_app, "flask-handlers": flask_handlers}


def decorated_starlette(guard: Guard, clock: Callable[[], float], requirement: dict[str, Any]) -> Any:
    """Return an open Starlette application whose only route is guarded by its decorator."""
    requires = authguard.starlette.requires

    @requires(
        *requirement.get("scopes", ()),
        any_of=requirement.get("any_of", LEFT_OUT),
        roles=requirement.get("roles", LEFT_OUT),
        acr=requirement.get("acr"),
        max_age=requirement.get("max_age"),
    )
    async def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.user.subject)

    app = Starlette(routes=[Route("/route", page, methods=METHODS)])
    app.add_middleware(authguard.asgi.AuthGuardMiddleware, guard=guard, clock=clock)
    return app


def decorated_sync_starlette(guard: Guard, clock: Callable[[], float], requirement: dict[str, Any]) -> Any:
    """Return the same with a plain function."""
    requires = authguard.starlette.requires

    @requires(
        *requirement.get("scopes", ()),
        any_of=requirement.get("any_of", LEFT_OUT),
        roles=requirement.get("roles", LEFT_OUT),
        acr=requirement.get("acr"),
        max_age=requirement.get("max_age"),
    )
    def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.user.subject)

    app = Starlette(routes=[Route("/route", page, methods=METHODS)])
    app.add_middleware(authguard.asgi.AuthGuardMiddleware, guard=guard, clock=clock)
    return app


def decorated_fastapi(guard: Guard, clock: Callable[[], float], requirement: dict[str, Any]) -> Any:
    """Return the same in FastAPI, with a path operation that takes no request."""
    requires = authguard.fastapi.requires
    app = FastAPI(openapi_url=None)

    @app.api_route("/route", methods=METHODS)
    @requires(
        *requirement.get("scopes", ()),
        any_of=requirement.get("any_of", LEFT_OUT),
        roles=requirement.get("roles", LEFT_OUT),
        acr=requirement.get("acr"),
        max_age=requirement.get("max_age"),
    )
    async def page(user: Any = Depends(authguard.fastapi.current_user)) -> Any:
        return PlainTextResponse(user.subject)

    app.add_middleware(authguard.asgi.AuthGuardMiddleware, guard=guard, clock=clock)
    return app


def decorated_flask(guard: Guard, clock: Callable[[], float], requirement: dict[str, Any]) -> Any:
    """Return the same in Flask."""
    requires = authguard.flask.requires
    app = flask.Flask("app")

    @app.route("/route", methods=METHODS, provide_automatic_options=False)
    @requires(
        *requirement.get("scopes", ()),
        any_of=requirement.get("any_of", LEFT_OUT),
        roles=requirement.get("roles", LEFT_OUT),
        acr=requirement.get("acr"),
        max_age=requirement.get("max_age"),
    )
    def page() -> str:
        return authguard.flask.current_user.subject

    authguard.flask.init_app(app, guard)
    middleware: Any = app.wsgi_app
    middleware._clock = clock
    return app


DECORATED = {
    "starlette": (decorated_starlette, ask_asgi),
    "starlette-sync": (decorated_sync_starlette, ask_asgi),
    "fastapi": (decorated_fastapi, ask_asgi),
    "flask": (decorated_flask, ask_wsgi),
}
