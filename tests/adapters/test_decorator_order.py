"""`@requires` above the decorator of a route guards nothing, and is an error."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import flask
import flask.views
import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import authguard.fastapi
import authguard.flask
import authguard.starlette
import authguard.wsgi
from adapters.callers import ADMIN, READER, field, guarded, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError
from authguard.asgi import AuthGuardMiddleware

# FastAPI and Starlette


def by_get(app: FastAPI) -> None:
    @authguard.fastapi.requires("admin")
    @app.get("/wrong")
    async def _wrong() -> str:
        return "secret"


def by_websocket(app: FastAPI) -> None:
    @authguard.fastapi.requires("admin")
    @app.websocket("/wrong")
    async def _wrong(websocket: WebSocket) -> None: ...


def by_router(app: FastAPI) -> None:
    router = APIRouter()

    @authguard.fastapi.requires("admin")
    @router.post("/wrong")
    def _wrong() -> str:
        return "secret"

    app.include_router(router)


def by_nested_router(app: FastAPI) -> None:
    inner, outer = APIRouter(prefix="/inner"), APIRouter()

    @authguard.starlette.requires("admin")
    @inner.get("/wrong")
    def _wrong(request: Request) -> str:
        return "secret"

    outer.include_router(inner)
    app.include_router(outer, prefix="/outer")


def by_mount(app: FastAPI) -> None:
    sub = FastAPI()

    @authguard.fastapi.requires("admin")
    @sub.get("/wrong")
    def _wrong() -> str:
        return "secret"

    app.mount("/sub", Starlette(routes=[Mount("/deep", sub)]))


def by_two_requirements(app: FastAPI) -> None:
    @authguard.fastapi.requires("admin")
    @app.get("/wrong")
    @authguard.fastapi.requires("read")
    async def _wrong() -> str:
        return "secret"


def by_class(app: FastAPI) -> None:
    class Page(HTTPEndpoint):
        pass

    app.add_route("/wrong", Page)
    assert callable(authguard.starlette.requires("admin")(Page))


def by_starlette_websocket(app: FastAPI) -> None:
    async def talk(websocket: WebSocket) -> None: ...

    app.router.routes.append(WebSocketRoute("/wrong", talk))
    assert callable(authguard.starlette.requires("admin")(talk))


def by_other_decorator(app: FastAPI) -> None:
    def cached(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return inner

    @authguard.fastapi.requires("admin")
    @app.get("/wrong")
    @cached
    async def _wrong() -> str:
        return "secret"


WRONG = [
    by_get, by_websocket, by_router, by_nested_router, by_mount, by_two_requirements, by_class,
    by_starlette_websocket, by_other_decorator,
]  # fmt: skip


@pytest.mark.parametrize("install", ["install", "add_middleware", "around"])
@pytest.mark.parametrize("add", WRONG, ids=lambda item: item.__name__)
def test_an_application_with_the_wrong_order_does_not_start(add: Any, install: str) -> None:
    """The application does not start and answers no request; the error names the route and the order."""
    app: Any = FastAPI()
    wrapped = app
    if install == "install":
        authguard.fastapi.install(app, open_guard())
    elif install == "add_middleware":
        guarded(app)
    else:
        wrapped = AuthGuardMiddleware(app, guard=open_guard())  # before the routes are added
    add(app)
    with (
        pytest.raises(ConfigurationError, match="/wrong .*decorator of the route first"),
        TestClient(wrapped),
    ):
        pass
    if install == "around":
        wrapped = app
        with pytest.raises(ConfigurationError, match="/wrong"):
            AuthGuardMiddleware(app, guard=open_guard())
    else:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="/wrong"):
                ask_asgi(wrapped, "GET", "/wrong", [field(READER)])


@pytest.mark.parametrize(
    "requires", [authguard.fastapi.requires, authguard.starlette.requires], ids=["fastapi", "starlette"]
)
@pytest.mark.parametrize("place", ["parameter", "decorator", "nested", "router"])
def test_a_dependency_without_parentheses_does_not_start(requires: Any, place: str) -> None:
    """`Depends(requires)` is refused at the start, since it would take the scopes from the query."""
    depends = Depends(requires)

    async def nested(name: Any = depends) -> None: ...

    async def endpoint(name: Any = {"parameter": depends, "nested": Depends(nested)}.get(place)) -> None: ...

    app = FastAPI()
    router = APIRouter(dependencies=[depends] if place == "router" else [])
    router.get("/wrong", dependencies=[depends] if place == "decorator" else [])(endpoint)
    app.include_router(router)
    guarded(app)
    with pytest.raises(ConfigurationError, match=r"/wrong .*write Depends\(requires\(\)\)"), TestClient(app):
        pass


@pytest.mark.parametrize(
    ("options", "spelling"),
    [
        ((("admin",), {}), "requires('admin')"),
        (((), {"roles": ["boss"]}), "requires(roles=['boss'])"),
    ],
)
def test_a_partial_of_requires_does_not_start(options: Any, spelling: str) -> None:
    """A partial of `requires` is refused with the call that works, in one sentence."""
    app = guarded(FastAPI())
    partial = functools.partial(authguard.fastapi.requires, *options[0], **options[1])
    app.get("/wrong", dependencies=[Depends(partial)])(lambda: "secret")
    with pytest.raises(ConfigurationError) as raised, TestClient(app):
        pass
    assert str(raised.value).endswith(f"write Depends({spelling})")
    assert ";" not in str(raised.value)


@pytest.mark.parametrize("around", [False, True])
def test_the_server_is_told_that_the_start_has_failed(around: bool) -> None:
    """The failed start is sent to the server as a message, since servers ignore an error without one."""
    app: Any = FastAPI()
    wrapped = AuthGuardMiddleware(app, guard=open_guard()) if around else guarded(app)
    by_get(app)
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(ConfigurationError):
        asyncio.run(wrapped({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "/wrong" in sent[0]["message"]


@pytest.mark.parametrize("add", WRONG, ids=lambda item: item.__name__)
def test_an_application_without_a_lifespan_answers_nothing(add: Any) -> None:
    """An application without a lifespan answers no request, also if the guard was built before the routes."""
    app = FastAPI()
    wrapped = AuthGuardMiddleware(GZipMiddleware(app), guard=open_guard())
    add(app)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="/wrong"):
            ask_asgi(wrapped, "GET", "/wrong", [field(READER)])


def test_what_is_right_starts() -> None:
    """The right order starts, also with a function that is registered twice or is also a dependency."""

    def shown(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    def twice(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def helper(request: Request) -> str:
        return "in"

    def again(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    requires = authguard.fastapi.requires
    app = FastAPI()
    app.add_api_route("/right", requires("admin")(requires("read")(shown)))
    app.add_api_route("/open", twice)
    app.add_api_route("/closed", functools.partial(requires("admin")(twice)))
    app.add_api_route("/who", helper)
    app.add_api_route("/helped", lambda: "in", dependencies=[Depends(requires("admin")(helper))])
    router = APIRouter(dependencies=[Depends(requires("read")(again))])
    router.add_api_route("/routed", lambda: "in")
    app.include_router(router)
    app.add_api_route("/again", again)
    authguard.fastapi.install(app, open_guard())
    expected = {
        "/right": 403,
        "/open": 200,
        "/closed": 403,
        "/who": 200,
        "/helped": 403,
        "/routed": 200,
        "/again": 200,
    }
    assert {path: ask_asgi(app, "GET", path, [field(READER)]).status for path in expected} == expected


def shared(request: Request) -> PlainTextResponse:
    """Show a page that one application guards and another does not."""
    return PlainTextResponse("in")


shared_with_admins = authguard.fastapi.requires("admin")(shared)


def test_a_function_may_be_guarded_for_another_application() -> None:
    """A function may be guarded in one application and open in another one."""
    app = guarded(FastAPI())
    app.add_api_route("/shared", shared)
    assert ask_asgi(app, "GET", "/shared").body == b"in"


def test_applications_of_other_kinds_start() -> None:
    """The guard accepts applications without routes, and with routes of other kinds."""

    class Other:
        routes = [object(), Route("/", lambda request: PlainTextResponse("in"))]  # noqa: RUF012

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("in")(scope, receive, send)

    class Unhashable(Other):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return False

    for app in (
        Other(),
        Unhashable(),
        Starlette(routes=[Mount("/in", Unhashable()), Route("/u", Unhashable())]),
    ):
        assert ask_asgi(AuthGuardMiddleware(app, guard=open_guard()), "GET", "/").status in (200, 404)  # type: ignore[arg-type]


def test_routes_that_lead_back_to_their_application_end() -> None:
    """The search for routes ends if routes refer to their application, as in Bottle and Litestar."""

    class Back:
        def __init__(self, app: Any) -> None:
            self.app = app

    class Other:
        def __init__(self) -> None:
            self.routes = [Back(self) for _ in range(20)]

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("in")(scope, receive, send)

    assert ask_asgi(AuthGuardMiddleware(Other(), guard=open_guard()), "GET", "/").body == b"in"


# Flask


def flask_by_route(app: flask.Flask) -> None:
    @authguard.flask.requires("admin")
    @app.route("/wrong")
    def _wrong() -> str:
        return "secret"


def flask_by_blueprint(app: flask.Flask) -> None:
    blueprint = flask.Blueprint("b", "b")

    @authguard.flask.requires("admin")
    @blueprint.get("/wrong")
    def _wrong() -> str:
        return "secret"

    app.register_blueprint(blueprint)


class _Page(flask.views.MethodView):
    def get(self) -> str:
        return "secret"


def flask_by_class(app: flask.Flask) -> None:
    class Page(_Page):
        pass

    app.add_url_rule("/wrong", view_func=Page.as_view("page"))
    authguard.flask.requires("admin")(Page)


def flask_by_derived_class(app: flask.Flask) -> None:
    @authguard.flask.requires("admin")
    class Page(_Page):
        pass

    class Derived(Page):
        decorators = [functools.lru_cache]  # noqa: RUF012

    app.add_url_rule("/wrong", view_func=Derived.as_view("page"))


FLASK = pytest.mark.parametrize(
    "add",
    [flask_by_route, flask_by_blueprint, flask_by_class, flask_by_derived_class],
    ids=lambda item: item.__name__,
)


@pytest.mark.parametrize("handlers", [False, True])
@FLASK
def test_a_flask_application_with_the_wrong_order_answers_nothing(add: Any, handlers: bool) -> None:
    """Each request to the application is a 500, and the error names the route and the order."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, open_guard(), error_handlers=handlers)
    add(app)
    for _ in range(2):
        answer = ask_wsgi(app, "GET", "/wrong", [field(READER)])
        assert (answer.status, b"secret" in answer.body) == (500, False)
    app.testing = True
    with pytest.raises(ConfigurationError, match="/wrong .*decorator of the route first"):
        ask_wsgi(app, "GET", "/wrong")


@FLASK
def test_the_wrong_order_is_logged_once_behind_an_error_handler(
    add: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An error handler of the application for Exception may hide the error, which is in the log once."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, open_guard())
    add(app)
    app.register_error_handler(Exception, lambda error: ("sorry", 500))
    for _ in range(2):
        assert ask_wsgi(app, "GET", "/wrong", [field(READER)]).body == b"sorry"
    [record] = [record for record in caplog.records if record.name == "authguard"]
    assert (record.levelname, "/wrong" in record.getMessage()) == ("ERROR", True)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda app, guard: guard(app),
        lambda app, guard: setattr(app, "wsgi_app", guard(app.wsgi_app)),
        lambda app, guard: setattr(app, "wsgi_app", guard(ProxyFix(app.wsgi_app))),
        lambda app, guard: guard(ProxyFix(app)),
        lambda app, guard: guard(DispatcherMiddleware(app, {"/other": flask.Flask("other")})),
    ],
    ids=["application", "wsgi_app", "middleware", "middleware around the application", "mounts"],
)
@FLASK
def test_a_guard_that_was_built_before_the_views_finds_the_wrong_order(wrap: Any, add: Any) -> None:
    """The wrong order is found at the first request, since WSGI has no startup."""
    app = flask.Flask("site")
    made = wrap(app, functools.partial(authguard.wsgi.AuthGuardMiddleware, guard=open_guard())) or app
    add(app)
    assert [ask_wsgi(made, "GET", "/wrong", [field(READER)]).status for _ in range(2)] == [500, 500]


@FLASK
def test_a_guard_around_a_flask_application_with_the_wrong_order_is_not_built(add: Any) -> None:
    """A guard around an application that already has its views refuses the wrong order when it is built."""
    app = flask.Flask("site")
    add(app)
    with pytest.raises(ConfigurationError, match="/wrong"):
        authguard.flask.init_app(app, open_guard())
    with pytest.raises(ConfigurationError, match="/wrong"):
        authguard.wsgi.AuthGuardMiddleware(app, guard=open_guard())


def test_what_is_right_starts_in_flask() -> None:
    """The right order works with classes, partials, and functions that are registered twice."""
    requires = authguard.flask.requires
    app = flask.Flask("site")

    def twice() -> str:
        return "in"

    @requires("admin")
    class Page(_Page):
        pass

    class Derived(Page):
        pass

    app.add_url_rule("/open", "open", twice)
    app.add_url_rule("/closed", "closed", functools.partial(requires("admin")(twice)))
    app.add_url_rule("/page", view_func=Page.as_view("page"))
    app.add_url_rule("/derived", view_func=Derived.as_view("derived"))
    authguard.flask.init_app(app, open_guard())
    expected = {"/open": 200, "/closed": 403, "/page": 403, "/derived": 403}
    assert {path: ask_wsgi(app, "GET", path, [field(READER)]).status for path in expected} == expected
    assert ask_wsgi(app, "GET", "/derived", [field(ADMIN)]).body == b"secret"


def test_the_look_at_the_views_costs_later_requests_nothing() -> None:
    """The first request runs each `before_request` function, and removes the function of the check."""
    app, calls = flask.Flask("site"), []
    authguard.flask.init_app(app, open_guard())
    for name in "abc":
        app.before_request(functools.partial(calls.append, name))
    app.add_url_rule("/open", "open", lambda: "in")
    before = len(app.before_request_funcs[None])
    assert [ask_wsgi(app, "GET", "/open").status for _ in range(2)] == [200, 200]
    assert (calls, len(app.before_request_funcs[None])) == (["a", "b", "c"] * 2, before - 1)
