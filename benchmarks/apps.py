"""Define the applications: bare, and guarded by authguard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import flask
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import CurrentUser, install
from authguard.flask import init_app
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


@dataclass(frozen=True)
class Contestant:
    """Describe one way to guard an application.

    Attributes:
        name: its name in the tables.
        package: the package whose version to report.
        bare: creates the application without authentication, for comparison.
        build: creates the guarded application.
        wsgi: whether it is a WSGI application.
        algorithms: the algorithms that it is measured with.
        unchecked: the cases of `proof` that it has no option to refuse.
    """

    name: str
    package: str
    bare: Callable[[], Any]
    build: Callable[[Issuer], Any]
    wsgi: bool = False
    algorithms: tuple[str, ...] = ("HS256",)
    unchecked: tuple[str, ...] = ()


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def starlette(*middleware: Middleware) -> Starlette:
    return Starlette(routes=[Route("/p", page)], middleware=middleware)


def fastapi() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/p")
    async def operation() -> dict[str, bool]:
        return {"ok": True}

    return app


def flask_app(decorate: Callable[[Any], Any] = lambda view: view) -> flask.Flask:
    app = flask.Flask("bench")

    def view() -> str:
        return "ok"

    app.add_url_rule("/p", view_func=decorate(view))
    return app


def jwt_verifier(issuer: Issuer) -> JWTVerifier:
    return JWTVerifier(
        issuer.verification, algorithms=[issuer.algorithm], issuer=ISSUER, audience=AUDIENCE, leeway=0
    )


def guarded_starlette(guard: Guard) -> Starlette:
    return starlette(Middleware(AuthGuardMiddleware, guard=guard))


def guarded_fastapi(guard: Guard) -> FastAPI:
    """Return an application with the typed dependency, as in docs/start.md."""
    app = FastAPI(openapi_url=None)
    install(app, guard)

    @app.get("/p")
    async def operation(user: CurrentUser) -> dict[str, bool]:
        return {"ok": True}

    return app


def fastapi_with_a_dependency() -> FastAPI:
    """Return an application without a guard, to measure a dependency of FastAPI that does nothing."""
    app = FastAPI(openapi_url=None)

    async def nothing() -> None: ...

    @app.get("/p")
    async def operation(_: Annotated[None, Depends(nothing)]) -> dict[str, bool]:
        return {"ok": True}

    return app


def guarded_flask(guard: Guard) -> flask.Flask:
    app = flask_app()
    init_app(app, guard)
    return app


def api_key_guard(key: str) -> Guard:
    return Guard(APIKeyVerifier({key: APIKey("robot", scopes=["read"])}))


def cookie_guard(issuer: Issuer) -> Guard:
    return Guard(jwt_verifier(issuer), cookie=AccessCookie(secure=False))  # requests use plain http here


ALL = ("HS256", "RS256", "ES256", "EdDSA")
OURS = [
    Contestant(
        "authguard on Starlette", "authguard", starlette,
        lambda issuer: guarded_starlette(Guard(jwt_verifier(issuer))), algorithms=ALL,
    ),
    Contestant(
        "authguard on FastAPI, typed dependency", "authguard", fastapi,
        lambda issuer: guarded_fastapi(Guard(jwt_verifier(issuer))), algorithms=("HS256", "RS256"),
    ),
    Contestant(
        "authguard on Flask", "authguard", flask_app,
        lambda issuer: guarded_flask(Guard(jwt_verifier(issuer))), wsgi=True, algorithms=("HS256", "RS256"),
    ),
]  # fmt: skip
