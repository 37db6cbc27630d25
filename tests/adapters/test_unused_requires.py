"""A call of `requires` whose result is thrown away is an error, and not a check."""

from collections.abc import Callable, Iterator
from typing import Any

import flask
import flask.views
import pytest
from fastapi import Depends, FastAPI
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

import authguard.django
import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.callers import ADMIN, READER, field, guarded, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError
from authguard.fastapi import requires
from authguard.fastapi import requires as need


async def statement(request: Request) -> None:
    """Call `requires` as a statement."""
    requires("admin")


async def negated(request: Request) -> None:
    """Test the result for truth."""
    if not requires("admin"):
        raise PermissionError


async def asserted(request: Request) -> None:
    """Assert the result."""
    assert need("admin")


def variable(request: Request) -> None:
    """Name the result, and use it as a statement."""
    check = authguard.starlette.requires("admin")
    check  # noqa: B018


def unused(request: Request) -> None:
    """Name the result, and do not use it."""
    check = requires("admin")  # noqa: F841


def combined(request: Request) -> bool:
    """Combine the result with a value."""
    return requires("admin") and bool(request)  # type: ignore[return-value]


def generator(request: Request) -> Iterator[None]:
    """Throw it away in a generator."""
    requires("admin")
    yield


class Created:
    """Throw it away when an object is created."""

    def __init__(self, request: Request) -> None:
        requires("admin")


class Called:
    """Throw it away when an object is called."""

    def __call__(self, request: Request) -> None:
        """Check nothing."""
        requires("admin")


UNUSED = [statement, negated, asserted, variable, unused, combined, generator, Created, Called()]


def name_of(value: Any) -> str:
    """Return the name of a function or class, for the names of tests."""
    return str(getattr(value, "__name__", type(value).__name__))


@pytest.mark.parametrize("dependency", UNUSED, ids=name_of)
def test_a_dependency_that_throws_the_check_away_does_not_start(dependency: Any) -> None:
    """The application does not start, and the error names the function and the spelling that works."""
    app = guarded(FastAPI())
    app.get("/wrong", dependencies=[Depends(dependency)])(lambda: "secret")
    words = (
        rf"^the function {name_of(dependency)}.* of the route /wrong must use .*write @\S+\('admin'\) above"
    )
    with pytest.raises(ConfigurationError, match=words), TestClient(app):
        pass


async def view() -> str:
    """Throw it away in an endpoint."""
    requires("admin")
    return "secret"


class Page(HTTPEndpoint):
    """Throw it away in an endpoint class."""

    async def get(self, request: Request) -> PlainTextResponse:
        """Return a text."""
        authguard.starlette.requires("admin")
        return PlainTextResponse("secret")


async def middleware(request: Request, call_next: Any) -> Any:
    """Throw it away in a middleware function."""
    requires("admin")
    return await call_next(request)


def test_an_endpoint_that_throws_the_check_away_does_not_start() -> None:
    """The same for endpoints, endpoint classes, and functions around endpoints."""
    places: list[tuple[Callable[[FastAPI], Any], str]] = [
        (lambda app: app.get("/wrong")(view), "view of the route /wrong"),
        (lambda app: app.add_route("/wrong", Page), "Page.get of the route /wrong"),
        (lambda app: app.middleware("http")(middleware), "middleware of @middleware"),
    ]
    for add, words in places:
        app = FastAPI()
        add(app)
        with pytest.raises(ConfigurationError, match=f"^the function {words}"), TestClient(guarded(app)):
            pass


async def helper() -> None:
    """Throw it away in a helper, which no framework calls."""
    requires("admin")


async def by_helper(request: Request) -> str:
    """Call a helper that should check the caller."""
    await helper()
    return "secret"


def test_a_helper_that_throws_the_check_away_refuses_the_request() -> None:
    """A function that no framework calls is found when it runs, so that no caller passes."""
    app = guarded(FastAPI())
    app.get("/wrong")(by_helper)
    words = r"^requires\('admin'\) must decorate .*write @requires\('admin'\) above a function$"
    with pytest.raises(ConfigurationError, match=words):
        ask_asgi(app, "GET", "/wrong", [field(READER)])


def flask_statement() -> str:
    """Throw it away in a view."""
    authguard.flask.requires("admin")
    return "secret"


def flask_condition() -> str:
    """Test the result for truth in a view."""
    return "secret" if authguard.flask.requires("admin") else ""


def flask_hook() -> None:
    """Throw it away before a request."""
    authguard.flask.requires("admin")


class FlaskView(flask.views.MethodView):
    """Throw it away in a class of views."""

    def get(self) -> str:
        """Return a text."""
        authguard.flask.requires("admin")
        return "secret"


PLACES: dict[str, Callable[[flask.Flask], Any]] = {
    "flask_statement of the route /wrong": lambda app: app.get("/wrong")(flask_statement),
    "flask_condition of the route /wrong": lambda app: app.get("/wrong")(flask_condition),
    "flask_hook of @before_request": lambda app: app.before_request(flask_hook),
    "FlaskView.get of the route /wrong": lambda app: app.add_url_rule(
        "/wrong", view_func=FlaskView.as_view("v")
    ),
}


@pytest.mark.parametrize("words", PLACES)
def test_a_view_of_flask_that_throws_the_check_away_answers_nothing(words: str) -> None:
    """Flask answers each request with 500, and the error names the function."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, open_guard(), error_handlers=False)
    PLACES[words](app)
    app.testing = True
    with pytest.raises(ConfigurationError, match=f"^the function {words}"):
        ask_wsgi(app, "GET", "/wrong", [field(READER)])


FACES = {
    "starlette": authguard.starlette.requires,
    "fastapi": authguard.fastapi.requires,
    "flask": authguard.flask.requires,
    "django": authguard.django.requires,
}


@pytest.mark.parametrize("face", FACES)
def test_a_statement_is_refused_at_once(face: str) -> None:
    """A statement and a test are refused where they run, with each face of `requires`, under any name."""
    asks = FACES[face]
    words = (
        r"^requires\('a', roles=\['b'\]\) must decorate a function, got a call whose result is thrown away"
    )
    with pytest.raises(ConfigurationError, match=words):
        asks("a", roles=["b"])
    with pytest.raises(ConfigurationError, match=words):
        if asks("a", roles=["b"]):
            pass
    with pytest.raises(ConfigurationError, match=words):
        if not asks("a", roles=["b"]):
            pass


def test_used_results_are_no_fault() -> None:
    """Results that are named, listed, compared, passed on or used by default are no fault."""

    def make(*options: Any, check: Any = None) -> Any:
        check = requires("admin") if check is None else check
        if check is not None:
            return check
        return requires("read")

    def around(app: Any) -> Any:
        return requires("read")

    both = checks = [requires("admin"), make()]
    first = second = requires("admin")
    assert both is checks
    assert requires("read") is not None
    assert first is second
    make(requires("admin"), check=requires("read"))
    around(None)
    app = guarded(FastAPI())
    app.get("/right", dependencies=[Depends(first)])(lambda: "in")
    answers = [ask_asgi(app, "GET", "/right", [field(token)]).status for token in (READER, ADMIN)]
    assert answers == [403, 200]
