"""Exception handlers of the application answer refusals; without such a handler the guard answers."""

import logging
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi import HTTPException as FastAPIHTTPException
from fastapi.exception_handlers import http_exception_handler
from flask import Flask
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, Router

import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.answering import SECRET
from adapters.callers import READER, field, guarded
from adapters.faces import ask_asgi
from authguard import Guard, JWTVerifier
from authguard._asgi.refusal import answering
from authguard.fastapi import CurrentUser, RefusedHTTPException
from authguard.starlette import RefusedHTTPException as StarletteRefused


async def mine(request: Request, error: Any) -> JSONResponse:
    """Answer with the status of the refusal and its fields, by a coroutine function."""
    return JSONResponse({"mine": error.status_code}, error.status_code, error.headers)


def plainly(request: Request, error: Any) -> JSONResponse:
    """Answer with the status of the refusal and its fields, in a worker thread."""
    return JSONResponse({"mine": error.status_code}, error.status_code, error.headers)


def api() -> FastAPI:
    app = FastAPI()

    @app.get("/decorated")
    @authguard.fastapi.requires("write")
    async def _decorated() -> str:
        return "in"

    @app.get("/user")
    async def _user(user: CurrentUser) -> str:
        return "in"

    @app.get("/dependency")
    async def _dependency(user: Annotated[Any, Depends(authguard.fastapi.requires("write"))]) -> str:
        return "in"

    return app


PATHS = ("/decorated", "/user", "/dependency")


@pytest.mark.parametrize("handler", [mine, plainly])
@pytest.mark.parametrize(
    "key", [RefusedHTTPException, StarletteRefused, FastAPIHTTPException, HTTPException, 401], ids=str
)
def test_an_own_handler_of_fastapi_is_asked(key: Any, handler: Any) -> None:
    """A handler by class, by a base class or by status answers, with the challenge in `error.headers`."""
    app = api()
    app.add_exception_handler(key, handler)
    guarded(app)
    for path in PATHS:
        for _ in range(2):
            answer = ask_asgi(app, "GET", path)
            assert answer.body == b'{"mine":401}', path
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["www-authenticate"].startswith('Bearer realm="api"')


@pytest.mark.parametrize("key", [StarletteRefused, HTTPException, 403], ids=str)
def test_an_own_handler_of_starlette_is_asked(key: Any) -> None:
    """A handler answers refusals of plain functions, coroutine functions and classes."""
    requires = authguard.starlette.requires

    @requires("write")
    async def waiting(request: Request) -> None: ...

    @requires("write")
    def plain(request: Request) -> None: ...

    @requires("write")
    class Page(HTTPEndpoint):
        pass

    routes = [Route("/waiting", waiting), Route("/plain", plain), Route("/class", Page)]
    app = guarded(Starlette(routes=routes, exception_handlers={key: mine}))
    for path in ("/waiting", "/plain", "/class"):
        answer = ask_asgi(app, "GET", path, [field(READER)])
        assert answer.body == b'{"mine":403}', path
        assert 'scope="write"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("key", [Exception, 500, 404, KeyError, 403], ids=str)
def test_handlers_for_something_else_are_not_asked(key: Any) -> None:
    """A handler for `Exception`, another status or another class does not answer a refusal."""
    app = api()
    app.add_exception_handler(key, mine)
    guarded(app)
    for path in PATHS:
        answer = ask_asgi(app, "GET", path)
        assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"].startswith('Bearer realm="api"')


def test_the_handlers_of_the_frameworks_are_not_the_application_s() -> None:
    """FastAPI's own handler is not used for a refusal, unless a handler of the application calls it."""
    app = api()
    app.add_exception_handler(HTTPException, http_exception_handler)  # type: ignore[arg-type]
    assert ask_asgi(guarded(app), "GET", "/user").headers["content-type"] == "application/problem+json"

    async def around(request: Request, error: Any) -> Any:
        return await http_exception_handler(request, error)

    app = api()
    app.add_exception_handler(HTTPException, around)
    assert ask_asgi(guarded(app), "GET", "/user").body == b'{"detail":"Authentication is required."}'


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("outer_first", [True, False])
def test_the_handlers_of_the_innermost_application_count(outer: bool, inner: bool, outer_first: bool) -> None:
    """The handlers of the mounted application answer, regardless of the order of the requests."""
    app, sub = api(), api()
    for application, has_handler in ((app, outer), (sub, inner)):
        if has_handler:
            application.add_exception_handler(HTTPException, mine)
    app.mount("/sub", sub)
    guarded(app)
    paths = [("/user", outer), ("/sub/user", inner)]
    for path, handles in paths if outer_first else reversed(paths):
        answer = ask_asgi(app, "GET", path)
        assert answer.status == 401
        assert (answer.body == b'{"mine":401}') is handles
        assert answer.headers["www-authenticate"].startswith('Bearer realm="api"')


def test_the_handlers_around_plain_mounts_count() -> None:
    """The handlers of the outer application answer a refusal in a mount without an application."""

    @authguard.starlette.requires("write")
    async def page(request: Request) -> None: ...

    routes = [Mount("/in", routes=[Route("/page", page)])]
    app = guarded(Starlette(routes=routes, exception_handlers={HTTPException: mine}))
    assert ask_asgi(app, "GET", "/in/page").body == b'{"mine":401}'


def test_a_handler_of_flask_that_requires_a_caller_is_refused_for_the_path(caplog: Any) -> None:
    """The refusal of a function that a handler calls is logged with the path of the request."""
    app = Flask("api")

    @authguard.flask.requires()
    def _helper() -> str:
        return "in"

    app.register_error_handler(401, lambda error: _helper())
    guard = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None))
    authguard.flask.init_app(app, guard, error_handlers=True)
    with caplog.at_level(logging.DEBUG, logger="authguard"):
        assert app.test_client().get("/private").status_code >= 400
    refusals = [record.getMessage() for record in caplog.records if record.name == "authguard"]
    assert len(refusals) == 2
    assert all("/private" in text for text in refusals)


def test_both_faces_in_one_application() -> None:
    """A refusal by Starlette's `requires` does not prevent the handler for FastAPI's exceptions."""

    @authguard.starlette.requires("write")
    async def page(request: Request) -> None: ...

    app = api()
    app.add_exception_handler(FastAPIHTTPException, mine)
    app.add_route("/page", page)
    guarded(app)
    assert ask_asgi(app, "GET", "/page").status == 401
    assert ask_asgi(app, "GET", "/user").body == b'{"mine":401}'


def test_the_challenge_is_found_in_whichever_case() -> None:
    """`error.headers` finds the challenge by a name in any case."""
    app = api()

    @app.exception_handler(HTTPException)
    async def _handle(request: Request, error: HTTPException) -> PlainTextResponse:
        assert error.headers is not None
        return PlainTextResponse(error.headers["WWW-Authenticate"] + error.headers["www-authenticate"], 401)

    assert ask_asgi(guarded(app), "GET", "/user").body == b'Bearer realm="api"' * 2


@pytest.mark.parametrize("handler", [mine, plainly])
def test_a_redirect_to_the_login_page_is_no_error(handler: Any) -> None:
    """A handler for errors does not get the redirect to the login page, and one for refusals does."""
    browser = [("Accept", b"text/html"), ("Sec-Fetch-Mode", b"navigate"), ("Sec-Fetch-Dest", b"document")]
    app = api()
    app.add_exception_handler(HTTPException, handler)
    guarded(app, login_path="/login")
    answer = ask_asgi(app, "GET", "/user", browser)
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2Fuser")
    assert ask_asgi(app, "GET", "/user").body == b'{"mine":401}'

    app = api()
    app.add_exception_handler(RefusedHTTPException, handler)
    assert ask_asgi(guarded(app, login_path="/login"), "GET", "/user", browser).body == b'{"mine":303}'


@pytest.mark.parametrize(("layers", "answered"), [(99, True), (100, False)])
def test_a_router_is_looked_for_behind_a_hundred_layers(layers: int, answered: bool) -> None:
    """The search for the router ends after a hundred layers."""
    app: Any = Router()
    for _ in range(layers):
        app = SimpleNamespace(app=app)
    assert (answering(app) is not app) is answered
