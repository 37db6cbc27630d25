"""Build the applications of the table: bare, and with each configuration around them."""

from collections.abc import Iterator
from typing import Annotated, Any

import flask
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from authguard import Guard
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import CurrentUser, install
from authguard.fastapi import requires as requires_on_fastapi
from authguard.flask import current_user, init_app
from authguard.flask import requires as requires_on_flask
from authguard.starlette import requires as requires_on_starlette
from benchmarks.apps import jwt_verifier, page
from benchmarks.configured import least
from benchmarks.configured.guards import KNOWN, SLOW, configured
from benchmarks.configured.row import BATCH, Row, Sent
from benchmarks.configured.world import World, load_async
from benchmarks.floor import Floor
from benchmarks.floor import check as floor_check
from benchmarks.traffic import bearer

FACES = ("Starlette", "FastAPI", "Websocket", "Flask")
METHODS = ["GET", "POST"]
BARE = "bare"
LEAST = "no guard: the least with digests"
LEAST_COROUTINE = f"{LEAST}, awaiting a coroutine"
LEAST_THREAD = f"{LEAST}, by the cheapest thread"
LEAST_EXECUTOR = f"{LEAST}, by the loop's executor"
EMPTY_DEPENDENCY = "no guard: a dependency that does nothing"


def bare(world: World) -> Iterator[Row]:
    """Yield the applications without authentication, one for each face."""
    for face, app in zip(FACES, (starlette(), fastapi(), websocket(), flask_app()), strict=True):
        yield Row(BARE, face, app, _sent(world.token), None)


def starlette(*middleware: Middleware, endpoint: Any = page) -> Starlette:
    return Starlette(routes=[Route("/p", endpoint, methods=METHODS)], middleware=middleware)


async def _greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def websocket(*middleware: Middleware) -> Starlette:
    return Starlette(routes=[WebSocketRoute("/ws", _greet)], middleware=middleware)


def fastapi(guard: Guard | None = None, endpoint: Any = None) -> FastAPI:
    """Return a FastAPI application, with a guard by `install` if one is given."""

    async def operation() -> dict[str, bool]:
        return {"ok": True}

    app = FastAPI(openapi_url=None)
    if guard is not None:
        install(app, guard)
    app.get("/p")(endpoint or operation)
    return app


def flask_app(guard: Guard | None = None, view: Any = None) -> flask.Flask:
    """Return a Flask application, with a guard by `init_app` if one is given."""

    def answer() -> str:
        return "ok"

    app = flask.Flask("bench")
    app.add_url_rule("/p", view_func=view or answer, methods=METHODS)
    if guard is not None:
        init_app(app, guard)
    return app


def rows(world: World) -> Iterator[Row]:
    """Yield the rows of authguard and the cheapest ones, on all faces."""
    good, bad = _sent(world.token), _sent(world.forged)
    yield from _least(world, good)
    for each in configured(world):
        for face, around in (("Starlette", _guarded_starlette), ("Flask", flask_app)):
            batch = SLOW if face in each.slow else BATCH
            yield Row(each.name, face, around(each.guard()), each.good, each.bad, batch=batch, **each.options)
    yield from _decorated(world, good, bad)


def _guarded_starlette(guard: Guard) -> Starlette:
    return starlette(Middleware(AuthGuardMiddleware, guard=guard))


def _least(world: World, good: Sent) -> Iterator[Row]:
    issuer = world.issuer
    digests = Middleware(Floor, check=floor_check(issuer), digest=lambda value: least.sha256(value).digest())
    yield Row(LEAST, "Starlette", starlette(digests), good, None)
    for name, load, batch in (
        (LEAST_COROUTINE, least.load, BATCH),
        (LEAST_THREAD, world.kept(least.Thread()), SLOW),
        (LEAST_EXECUTOR, least.by_executor, SLOW),
    ):
        app = starlette(Middleware(least.Least, issuer=issuer, load=load))
        yield Row(name, "Starlette", app, good, None, batch=batch)
    for name, load, batch in (
        (LEAST, None, BATCH),
        (LEAST_COROUTINE, world.kept(least.KeptLoop()), SLOW),
    ):
        app = flask_app()
        app.wsgi_app = least.LeastOnWSGI(app.wsgi_app, issuer, load)
        yield Row(name, "Flask", app, good, None, batch=batch)

    async def nothing() -> None: ...

    async def operation(_: Annotated[None, Depends(nothing)]) -> dict[str, bool]:
        return {"ok": True}

    yield Row(EMPTY_DEPENDENCY, "FastAPI", fastapi(endpoint=operation), good, None)


def _decorated(world: World, good: Sent, bad: Sent) -> Iterator[Row]:
    """Yield the rows that only one face has."""

    def guard(**options: Any) -> Guard:
        return Guard(jwt_verifier(world.issuer), **options)

    @requires_on_starlette("read")
    async def required_page(request: Request) -> Any:
        return await page(request)

    async def typed(user: CurrentUser) -> dict[str, bool]:
        return {"ok": True}

    @requires_on_fastapi("read")
    async def required() -> dict[str, bool]:
        return {"ok": True}

    def view() -> str:
        return "ok" if current_user.subject else ""

    @requires_on_flask("read")
    def required_view() -> str:
        return "ok"

    around = Middleware(AuthGuardMiddleware, guard=guard())
    loads = {"user_loader": load_async}
    loaded = Middleware(AuthGuardMiddleware, guard=guard(**loads))
    for name, face, app in (
        ("@requires", "Starlette", starlette(around, endpoint=required_page)),
        (KNOWN, "FastAPI", fastapi(guard())),
        ("typed dependency", "FastAPI", fastapi(guard(), typed)),
        ("typed dependency with user_loader, async", "FastAPI", fastapi(guard(**loads), typed)),
        ("@requires", "FastAPI", fastapi(guard(), required)),
        ("handshake, Bearer", "Websocket", websocket(around)),
        ("handshake, user_loader, async", "Websocket", websocket(loaded)),
        ("current_user", "Flask", flask_app(guard(), view)),
        ("@requires", "Flask", flask_app(guard(), required_view)),
    ):
        yield Row(name, face, app, good, bad)


def _sent(token: str) -> Sent:
    return lambda: [bearer(token)]
