"""`requires(…)` in a wrong place works, or is refused with the correct spelling."""

from collections.abc import Callable
from typing import Any

import flask
import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

import authguard.django
import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.callers import ADMIN, FACES, READER, field, guarded, headers, open_guard
from adapters.faces import ask_wsgi
from authguard import ConfigurationError
from authguard.fastapi import CurrentUser, current_principal, current_user
from authguard.fastapi import requires as fastapi_requires
from authguard.flask import init_app

DEPENDENCIES = {
    "requires": (
        fastapi_requires("read", roles=["staff"]),
        r"Depends\(requires\('read', roles=\['staff'\]\)\)",
    ),
    "requires of Starlette": (authguard.starlette.requires("read"), r"Depends\(requires\('read'\)\)"),
    "requires without arguments": (fastapi_requires(), r"Depends\(requires\(\)\)"),
    "current_user": (current_user, r"Depends\(current_user\)"),
    "current_principal": (current_principal, r"Depends\(current_principal\)"),
}


async def secret() -> str:
    """Return a text, as an endpoint does."""
    return "secret"


def of_app(dependency: Any) -> None:
    FastAPI(dependencies=[dependency]).get("/secret")(secret)


def of_router(dependency: Any) -> None:
    APIRouter(dependencies=[dependency]).get("/secret")(secret)


def of_route(dependency: Any) -> None:
    FastAPI().get("/secret", dependencies=[dependency])(secret)


def of_included(dependency: Any) -> None:
    app, router = FastAPI(), APIRouter()
    router.get("/secret")(secret)
    app.include_router(router, dependencies=[dependency])
    with TestClient(guarded(app)):
        pass


@pytest.mark.parametrize("place", [of_app, of_router, of_route, of_included])
@pytest.mark.parametrize("name", DEPENDENCIES)
def test_a_list_of_dependencies_of_fastapi(name: str, place: Callable[[Any], None]) -> None:
    """The error says that `Depends` is missing, before the application starts."""
    dependency, advice = DEPENDENCIES[name]
    with pytest.raises(ConfigurationError, match=rf"^dependencies must contain Depends.*write .*{advice}\]$"):
        place(dependency)


def test_the_missing_attribute_is_an_attribute_error() -> None:
    """The missing attribute does not disturb tools that call `hasattr`."""
    assert not hasattr(fastapi_requires("read"), "dependency")


def as_middleware(requires: Any) -> Any:
    return Starlette(middleware=[Middleware(requires("read"))])


def as_middleware_with_options(requires: Any) -> Any:
    return Starlette(middleware=[Middleware(requires("read"), guard=open_guard())])


def as_route_middleware(requires: Any) -> Any:
    return Starlette(routes=[Route("/", secret, middleware=[Middleware(requires("read"))])])


def around_a_mount(requires: Any) -> Any:
    return Starlette(routes=[Mount("/", requires("read")(Starlette()))])


def around_an_application_function(requires: Any) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None: ...

    return requires("read")(application)


def around_a_list(requires: Any) -> Any:
    return requires("read")([Route("/", secret)])


@pytest.mark.parametrize(
    "place",
    [
        as_middleware,
        as_middleware_with_options,
        as_route_middleware,
        around_a_mount,
        around_an_application_function,
        around_a_list,
    ],
)
@FACES
def test_a_list_of_middleware_and_an_application(requires: Any, place: Callable[[Any], Any]) -> None:
    """`requires` as middleware, around an application or around a list is an error that names the rule."""
    words = r"must decorate .* write .*protected_paths=\[Rule\("
    with pytest.raises(ConfigurationError, match=words), TestClient(place(requires)):
        pass


@FACES
def test_the_dispatch_function_of_http_middleware(requires: Any) -> None:
    """A dispatch function gets two arguments, so that each request is an error with advice."""
    app = Starlette(routes=[Route("/", lambda request: Response("secret"))])
    app.add_middleware(BaseHTTPMiddleware, dispatch=requires("read"))
    with pytest.raises(
        ConfigurationError, match=r"^requires\('read'\) must decorate one function, got a call with 2"
    ):
        TestClient(app).get("/")


def blueprint_site(**options: Any) -> flask.Flask:
    """Return an application with a blueprint that is guarded as a whole."""
    app = flask.Flask("site")
    blueprint = flask.Blueprint("reports", "site", url_prefix="/reports")
    blueprint.before_request(authguard.flask.requires("admin"))

    @blueprint.get("/all")
    def _all() -> str:
        return "secret"

    @blueprint.route("/own", methods=["GET", "OPTIONS"])
    def _own() -> str:
        return "secret"

    @app.get("/")
    def _root() -> str:
        return "open"

    app.register_blueprint(blueprint)
    init_app(app, open_guard(**options))
    return app


@pytest.mark.parametrize(("token", "status"), [(None, 401), (READER, 403), (ADMIN, 200)])
def test_before_request_of_a_blueprint_guards_its_views(token: str | None, status: int) -> None:
    """`bp.before_request(requires("admin"))` checks the caller before each view of the blueprint."""
    answer = ask_wsgi(blueprint_site(), "GET", "/reports/all", [field(token)] if token else [])
    assert (answer.status, b"secret" in answer.body) == (status, status == 200)


def test_before_request_of_a_blueprint_leaves_other_views_open() -> None:
    """A view of the application itself is not checked."""
    assert ask_wsgi(blueprint_site(), "GET", "/").body == b"open"


@pytest.mark.parametrize(
    ("path", "public"), [("/reports/all", "/**"), ("/reports/all", "/"), ("/reports/own", "/")]
)
def test_before_request_lets_a_preflight_pass(path: str, public: str) -> None:
    """A preflight, with which a browser sends no credential, passes, and no view runs."""
    fields = [("Origin", b"https://a.example"), ("Access-Control-Request-Method", b"GET")]
    app = blueprint_site(public_paths=[public])

    @app.after_request
    def _cors(response: flask.Response) -> flask.Response:
        response.headers["Access-Control-Allow-Origin"] = "https://a.example"
        return response

    preflight = ask_wsgi(app, "OPTIONS", path, fields)
    assert (preflight.status, "access-control-allow-origin" in preflight.headers) == (200, True)
    assert ask_wsgi(app, "GET", "/reports/all", fields).status == 401


def test_before_request_checks_a_view_for_options() -> None:
    """A view for OPTIONS runs, so that its caller is checked."""
    app = flask.Flask("site")
    init_app(app, open_guard())
    app.add_url_rule("/own", view_func=lambda: "secret", methods=["OPTIONS"])
    app.before_request(authguard.flask.requires("admin"))
    assert ask_wsgi(app, "OPTIONS", "/own").status == 401


def test_a_wsgi_application_of_flask() -> None:
    """A decorated `wsgi_app` is an error that names the rule to write."""
    app = flask.Flask("site")
    with pytest.raises(ConfigurationError, match="got the WSGI application .*wsgi_app: write Guard"):
        authguard.flask.requires("read")(app.wsgi_app)


def test_a_function_of_flask_that_gets_something_else() -> None:
    """`requires` around an object that is no function, such as a response, is an error."""
    with pytest.raises(ConfigurationError, match="must decorate a function or a view class, got Request"):
        authguard.flask.requires("read")(Request({"type": "http"}))


def test_a_permission_class_of_django() -> None:
    """A permission class of Django REST framework is called without arguments, which is an error."""
    with pytest.raises(
        ConfigurationError, match=r"got a call with 0 arguments: .*method_decorator\(requires"
    ):
        authguard.django.requires("read")()


def test_a_list_of_url_patterns_of_django() -> None:
    """A decorated list of URL patterns, which `include` returns as a tuple, is an error."""
    with pytest.raises(ConfigurationError, match=r"got tuple: .*Rule\('/the/path', scopes=\['read'\]\)"):
        authguard.django.requires("read")(([], None, None))


@pytest.mark.parametrize("arguments", [(), (secret, secret)])
def test_a_decorator_of_starlette_that_is_called_otherwise(arguments: tuple[Any, ...]) -> None:
    """A call with no argument, or with two, is an error."""
    with pytest.raises(ConfigurationError, match=f"got a call with {len(arguments)} arguments: decorate"):
        authguard.starlette.requires("read")(*arguments)


def test_routers_of_fastapi_are_guarded_by_depends() -> None:
    """`Depends(requires(…))` guards each route of a router."""
    app, router = FastAPI(), APIRouter(prefix="/reports", dependencies=[Depends(fastapi_requires("admin"))])

    @router.get("/all")
    async def _all(user: CurrentUser) -> str:
        return str(user.subject)

    app.include_router(router)
    client = TestClient(guarded(app))
    tokens = (None, READER, ADMIN)
    answers = [client.get("/reports/all", headers=headers(token) if token else {}) for token in tokens]
    assert [answer.status_code for answer in answers] == [401, 403, 200]
