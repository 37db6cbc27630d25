"""A check that is added to a route, view or blueprint after its registration is an error."""

import functools
from collections.abc import Callable
from typing import Any

import flask
import flask.views
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import authguard.flask
import authguard.starlette
from adapters.callers import READER, field, guarded, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError
from authguard.fastapi import install, requires


def replaced(route: Any) -> Any:
    """Return a route whose endpoint was replaced by a guarded one."""
    route.endpoint = authguard.starlette.requires("admin")(route.endpoint)
    return route


def by_operation(app: FastAPI) -> None:
    @app.get("/late")
    def _late(request: Request) -> str:
        return "secret"

    replaced(app.routes[-1])


def by_route(app: FastAPI) -> None:
    def late(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    app.router.routes.append(replaced(Route("/late", late)))


def by_route_with_middleware(app: FastAPI) -> None:
    async def late(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    app.router.routes.append(replaced(Route("/late", late, middleware=[Middleware(GZipMiddleware)])))


def by_class(app: FastAPI) -> None:
    class Page(HTTPEndpoint):
        pass

    app.router.routes.append(replaced(Route("/late", Page)))


def by_websocket(app: FastAPI) -> None:
    async def late(websocket: WebSocket) -> None: ...

    app.router.routes.append(replaced(WebSocketRoute("/late", late)))


@pytest.mark.parametrize(
    "add", [by_operation, by_route, by_route_with_middleware, by_class, by_websocket], ids=lambda item: item.__name__
)  # fmt: skip
def test_an_endpoint_that_is_replaced_is_an_error(add: Any) -> None:
    """A route calls its first endpoint, so that the application does not start."""
    app = FastAPI(openapi_url=None)
    add(app)
    install(app, open_guard())
    words = r"/late \(.*(replaced later|got it above).* below the decorator of the route"
    with pytest.raises(ConfigurationError, match=words), TestClient(app):
        pass


def test_the_document_shows_the_called_endpoint() -> None:
    """The OpenAPI document marks no operation whose endpoint is not guarded."""
    app = FastAPI()
    by_operation(app)
    install(app, open_guard())
    assert "security" not in app.openapi()["paths"]["/late"]["get"]


def test_endpoints_that_work_start() -> None:
    """Wrapped endpoints, objects and the endpoint of an included route start."""

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def inner(request: Request) -> Any:
            return await function(request)

        return inner

    @requires("admin")
    async def shown(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    class Page(HTTPEndpoint):
        @authguard.starlette.requires("admin")
        async def get(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse("secret")

    app, router = FastAPI(), APIRouter()

    @router.get("/included")
    def _included(request: Request) -> str:
        return "secret"

    app.include_router(router)
    replaced(router.routes[-1])
    app.add_route("/wrapped", wrapped(shown))
    app.get("/operation")(wrapped(shown))
    app.add_route("/page", authguard.starlette.requires("read")(Page))
    app.add_route("/partial", functools.partial(shown))
    guarded(app)
    paths = ["/included", "/wrapped", "/operation", "/page", "/partial"]
    assert [ask_asgi(app, "GET", path, [field(READER)]).status for path in paths] == [403] * 5


def test_a_router_of_starlette_alone() -> None:
    """The check works without FastAPI."""

    def late(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    app = guarded(Starlette(routes=[replaced(Route("/late", late))]))
    with pytest.raises(ConfigurationError, match="^the route /late "), TestClient(app):
        pass


# Flask


def by_blueprint(app: flask.Flask) -> None:
    blueprint = flask.Blueprint("late", "site")
    blueprint.get("/late")(lambda: "secret")
    app.register_blueprint(blueprint)
    blueprint.before_request_funcs.setdefault(None, []).append(authguard.flask.requires("admin"))


def by_nested_blueprint(app: flask.Flask) -> None:
    outer, inner = flask.Blueprint("outer", "site"), flask.Blueprint("inner", "site")
    inner.get("/late")(lambda: "secret")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    inner.before_request_funcs.setdefault(None, []).append(authguard.flask.requires("admin"))


def by_decorators(app: flask.Flask) -> None:
    class Late(flask.views.View):
        def dispatch_request(self) -> str:
            return "secret"

    app.add_url_rule("/late", view_func=Late.as_view("late"))
    Late.decorators = [authguard.flask.requires("admin")]


@pytest.mark.parametrize(
    "add", [by_blueprint, by_nested_blueprint, by_decorators], ids=lambda item: item.__name__
)
def test_a_late_check_of_flask_is_an_error(add: Any) -> None:
    """Flask copies the functions of a blueprint and the decorators of a class when it registers them."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, open_guard(), error_handlers=False)
    add(app)
    app.testing = True
    with pytest.raises(ConfigurationError, match="guards nothing: write"):
        ask_wsgi(app, "GET", "/late", [field(READER)])


def test_checks_of_flask_in_time_work() -> None:
    """Functions of blueprints, also of nested ones, and decorators of classes work before the registration."""

    class Page(flask.views.MethodView):
        decorators = [authguard.flask.requires("admin"), lambda view: lambda **options: view(**options)]  # noqa: RUF012, PLW0108

        def get(self) -> str:
            return "secret"

    app = flask.Flask("site")
    outer, inner = flask.Blueprint("outer", "site"), flask.Blueprint("inner", "site")
    inner.get("/inner")(lambda: "secret")
    inner.before_request(authguard.flask.requires("admin"))
    outer.register_blueprint(inner)
    app.register_blueprint(outer, name="renamed")
    app.register_blueprint(outer, name="again", url_prefix="/again")
    app.add_url_rule("/page", view_func=Page.as_view("page"))
    authguard.flask.init_app(app, open_guard())
    statuses = [
        ask_wsgi(app, "GET", path, [field(READER)]).status for path in ("/inner", "/page", "/again/inner")
    ]
    assert statuses == [403, 403, 403]
