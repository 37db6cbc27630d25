"""Define the guarded applications that the servers run; secrets come from the environment."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from authguard import APIKey, APIKeyVerifier, DPoP, Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware, Receive, Scope, Send
from authguard.wsgi import AuthGuardMiddleware as WSGIAuthGuardMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PUBLIC = ["/public/**", "/healthz", "/static/**"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"]
LEAK = {"X-Leak": "SECRET"}  # so that an answer to HEAD has it as well


def _guard(**options: Any) -> Guard:
    return Guard(
        JWTVerifier(
            os.environ["WIRE_JWT_SECRET"], algorithms=["HS256"], issuer="https://issuer", audience="wire"
        ),
        APIKeyVerifier({os.environ["WIRE_API_KEY"]: APIKey("machine")}),
        **options,
    )


STRICT: dict[str, Any] = {"public_paths": PUBLIC}
WEAK: dict[str, Any] = {"protected_paths": ["/admin", "/mount"]}
DPOP: dict[str, Any] = {"public_paths": PUBLIC, "proofs": [DPoP("https://api.example")]}
LOGIN: dict[str, Any] = {"public_paths": PUBLIC, "login_path": "/login"}


class _State:
    """Hold the state of an application: whether it has started, and the end of its stream."""

    def __init__(self) -> None:
        self.started = False
        self.release = asyncio.Event()


def _starlette(options: dict[str, Any]) -> AuthGuardMiddleware:
    state = _State()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        state.started = True
        yield

    async def secret(request: Request) -> PlainTextResponse:
        return PlainTextResponse("SECRET", headers=LEAK)

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    async def healthz(request: Request) -> PlainTextResponse:
        return PlainTextResponse("started" if state.started else "not started")

    async def upload(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body(), media_type="application/octet-stream")

    async def stream(request: Request) -> StreamingResponse:
        state.release = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            await state.release.wait()
            yield b"second"

        return StreamingResponse(chunks())

    async def release(request: Request) -> PlainTextResponse:
        state.release.set()
        return PlainTextResponse("released")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", page),
            WebSocketRoute("/admin/ws", socket),
            Route("/admin", secret, methods=METHODS),
            Route("/admin/{rest:path}", secret, methods=METHODS),
            Route("/upload", upload, methods=["POST"]),
            Route("/stream", stream),
            Route("/public/release", release),
            Route("/public/{rest:path}", page),
            Route("/healthz", healthz),
            Route("/static/{rest:path}", page),
            Mount(
                "/mount",
                routes=[
                    Route("/admin", secret, methods=METHODS),
                    Route("/admin/{rest:path}", secret, methods=METHODS),
                ],
            ),
        ],
    )
    return AuthGuardMiddleware(app, guard=_guard(**options))


def _sockets(**options: Any) -> AuthGuardMiddleware:
    """Return an application with long websockets; tokens have no leeway, so that tests are fast."""

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.send_text(f"{websocket.user.subject}: {await websocket.receive_text()}")

    async def clock(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text("tick")
            await asyncio.sleep(0.01)

    app = Starlette(
        routes=[
            Route("/public/page", page),
            WebSocketRoute("/echo", echo),
            WebSocketRoute("/clock", clock),
            WebSocketRoute("/public/echo", echo),
        ]
    )
    secret = os.environ["WIRE_JWT_SECRET"]
    jwt = JWTVerifier(secret, algorithms=["HS256"], issuer="https://issuer", audience="wire", leeway=0)
    guard = Guard(jwt, public_paths=PUBLIC, subprotocol="authguard")
    return AuthGuardMiddleware(app, guard=guard, **options)


def _splitting(options: dict[str, Any]) -> AuthGuardMiddleware:
    """Return an application that removes the mount point everywhere, like those of Litestar and Quart."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        path, root_path = scope["path"], scope["root_path"]
        routed = "/" + (path.split(root_path, maxsplit=1)[-1] if root_path else path).strip("/")
        body = b"SECRET" if (routed + "/").startswith("/admin/") else b"page"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return AuthGuardMiddleware(app, guard=_guard(**options))


class _Closing:
    """Count how often an iterable is closed."""

    closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"closing"

    def close(self) -> None:
        _Closing.closed += 1


def _flask(options: dict[str, Any]) -> Flask:
    app = Flask(__name__, static_folder=None)
    state = {"release": threading.Event()}

    def secret(rest: str = "") -> Response:
        return Response("SECRET", headers=LEAK)

    def page(rest: str = "") -> str:
        return "page"

    def stream() -> Response:
        state["release"] = threading.Event()

        def chunks() -> Iterator[bytes]:
            yield b"first"
            state["release"].wait(10)
            yield b"second"

        return Response(chunks())

    def release() -> str:
        state["release"].set()
        return "released"

    def add(path: str, view: Callable[..., Any], methods: Iterable[str] = ("GET",)) -> None:
        app.add_url_rule(path, path, view, methods=list(methods), provide_automatic_options=False)

    for prefix in ("/admin", "/mount/admin"):
        add(prefix, secret, METHODS)
        add(prefix + "/", secret, METHODS)
        add(prefix + "/<path:rest>", secret, METHODS)
    add("/", page)
    add("/upload", lambda: Response(request.get_data(), mimetype="application/octet-stream"), ["POST"])
    add("/stream", stream)
    add("/public/release", release)
    add("/public/closed", lambda: str(_Closing.closed))
    add("/closing", lambda: Response(_Closing()))
    add("/public/<path:rest>", page)
    add("/healthz", lambda: "started")
    add("/static/<path:rest>", page)
    inner: WSGIApplication = app.wsgi_app
    app.wsgi_app = WSGIAuthGuardMiddleware(inner, guard=_guard(**options))  # type: ignore[method-assign]
    return app


if "WIRE_JWT_SECRET" in os.environ:
    asgi_strict, asgi_weak, asgi_login = _starlette(STRICT), _starlette(WEAK), _starlette(LOGIN)
    wsgi_strict, wsgi_weak, wsgi_login = _flask(STRICT), _flask(WEAK), _flask(LOGIN)
    asgi_sockets = _sockets(recheck=0.05)
    asgi_codes = _sockets(websocket_close_codes=True)
    asgi_splitting, asgi_splitting_weak = _splitting(STRICT), _splitting(WEAK)
    asgi_dpop, wsgi_dpop = _starlette(DPOP), _flask(DPOP)
