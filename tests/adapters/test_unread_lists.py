"""A check in a list of a class that its framework does not read is an error."""

from typing import Any

import flask
import flask.views
import pytest
from fastapi import Depends, FastAPI
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute

import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.callers import ADMIN, READER, field, guarded, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError

CHECK = authguard.starlette.requires("admin")
WORDS = (
    r"^@requires must decorate the class of the route /wrong .*list {}, .*write @requires\('admin'\) above"
)
LISTS: list[tuple[str, Any]] = [
    ("decorators", [CHECK]),
    ("method_decorators", {"get": [CHECK]}),
    ("dependencies", (Depends(authguard.fastapi.requires("admin")),)),
]
NAMED = pytest.mark.parametrize(("name", "held"), LISTS, ids=[name for name, _ in LISTS])


class Page(HTTPEndpoint):
    """Serve a page."""

    async def get(self, request: Request) -> PlainTextResponse:
        """Return a text."""
        return PlainTextResponse("secret")


@NAMED
@pytest.mark.parametrize("kind", [Page, WebSocketEndpoint])
def test_a_list_of_an_endpoint_class(kind: type, name: str, held: Any) -> None:
    """Starlette reads no list of its endpoint classes."""
    app = guarded(FastAPI())
    endpoint: Any = type("Wrong", (kind,), {name: held})
    if kind is Page:
        app.add_route("/wrong", endpoint)
    else:
        app.router.routes.append(WebSocketRoute("/wrong", endpoint))
    with pytest.raises(ConfigurationError, match=WORDS.format(name)):
        ask_asgi(app, "GET", "/wrong", [field(READER)])


@pytest.mark.parametrize("name", ["method_decorators", "dependencies"])
def test_a_list_of_a_view_of_flask(name: str) -> None:
    """Flask reads the list `decorators` alone."""
    app = flask.Flask("shop")
    page = type(
        "Wrong",
        (flask.views.MethodView,),
        {name: [authguard.flask.requires("admin")], "get": lambda self: "secret"},
    )
    app.add_url_rule("/wrong", view_func=page.as_view("page"))  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match=WORDS.format(name)):
        authguard.flask.init_app(app, open_guard())


class Reading(flask.views.MethodView):
    """Read a list, as classes of Flask-RESTful do."""

    method_decorators = (authguard.flask.requires("admin"),)

    def dispatch_request(self, **options: Any) -> Any:
        """Apply the decorators of the list."""
        view: Any = super().dispatch_request
        for decorator in self.method_decorators:
            view = decorator(view)
        return view(**options)

    def get(self) -> str:
        """Return a text."""
        return "in"


def test_a_list_that_a_method_reads_is_no_fault() -> None:
    """The list of a class guards its views if the class applies it."""
    app = flask.Flask("shop")
    app.add_url_rule("/right", view_func=Reading.as_view("page"))
    authguard.flask.init_app(app, open_guard())
    answers = [ask_wsgi(app, "GET", "/right", [field(token)]).status for token in (READER, ADMIN)]
    assert answers == [403, 200]


def test_a_list_beside_the_same_decorator_is_no_fault() -> None:
    """A class that `requires` guards may have the check in a list, too."""
    app = guarded(FastAPI())
    endpoint: Any = CHECK(type("Right", (Page,), {"decorators": [CHECK]}))
    app.add_route("/right", endpoint)
    answers = [ask_asgi(app, "GET", "/right", [field(token)]).status for token in (READER, ADMIN)]
    assert answers == [403, 200]


REGISTER = {
    "url_value_preprocessor": lambda app: app.url_value_preprocessor,
    "url_defaults": lambda app: app.url_defaults,
    "context_processor": lambda app: app.context_processor,
    "template_global": lambda app: app.template_global(),
    "template_filter": lambda app: app.template_filter(),
    "template_test": lambda app: app.template_test(),
}


@pytest.mark.parametrize("name", REGISTER)
@pytest.mark.parametrize("is_right", [False, True])
def test_decorators_of_flask_that_register_functions(name: str, is_right: bool) -> None:  # noqa: FBT001
    """`@requires` above them guards nothing, and is an error; below them, it is none."""
    app = flask.Flask("shop")
    check: Any = authguard.flask.requires("admin")
    if is_right:

        @REGISTER[name](app)
        @check
        def inner(*values: Any) -> Any: ...

    else:

        @check
        @REGISTER[name](app)
        def outer(*values: Any) -> Any: ...

    if is_right:
        authguard.flask.init_app(app, open_guard())
        assert ask_wsgi(app, "GET", "/other", [field(ADMIN)]).status == 404
    else:
        with pytest.raises(ConfigurationError, match=f"^@requires must be below @{name} "):
            authguard.flask.init_app(app, open_guard())
