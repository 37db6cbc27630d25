"""`@requires` between or above decorators that register a function guards nothing, and is an error."""

from collections.abc import Callable
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse

import authguard.fastapi
import authguard.flask
from adapters.callers import READER, field, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError


def two_routes_of_fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/other")
    @authguard.fastapi.requires("admin")
    @app.get("/wrong")
    async def _view() -> str:
        return "secret"

    return app


def two_requirements_of_fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/other")
    @authguard.fastapi.requires("admin")
    @app.get("/wrong")
    @authguard.fastapi.requires("read")
    async def _view() -> str:
        return "secret"

    return app


@pytest.mark.parametrize("routed", [two_routes_of_fastapi, two_requirements_of_fastapi])
def test_a_decorator_between_two_routes_of_fastapi_is_an_error(routed: Callable[..., FastAPI]) -> None:
    """The lower of the two routes would call the function without the check."""
    app = routed()
    authguard.fastapi.install(app, open_guard())
    with pytest.raises(ConfigurationError, match="/wrong .*decorator of the route first"):
        ask_asgi(app, "GET", "/wrong", [field(READER)])


def test_a_decorator_between_two_routes_of_flask_is_an_error() -> None:
    """`init_app` raises an error that names the route and the order."""
    app = flask.Flask("site")

    @app.get("/other")
    @authguard.flask.requires("admin")
    @app.get("/wrong", endpoint="wrong")
    def _view() -> str:
        return "secret"

    with pytest.raises(ConfigurationError, match="/wrong .*decorator of the route first"):
        authguard.flask.init_app(app, open_guard())


def test_a_decorator_above_the_decorators_of_two_routes_names_both() -> None:
    """A decorator above two routes guards neither of them, and the error names both."""
    app = FastAPI()

    @authguard.fastapi.requires("admin")
    @app.get("/second")
    @app.get("/first")
    async def _view() -> str:
        return "secret"

    authguard.fastapi.install(app, open_guard())
    with pytest.raises(ConfigurationError, match=r"/first .*/second "):
        ask_asgi(app, "GET", "/first")


def test_a_decorator_below_the_decorators_of_two_routes_guards_both() -> None:
    """A decorator below two routes guards both of them."""
    app = FastAPI()

    @app.get("/second")
    @app.get("/first")
    @authguard.fastapi.requires("admin")
    async def _view() -> str:
        return "secret"

    authguard.fastapi.install(app, open_guard())
    assert [ask_asgi(app, "GET", path, [field(READER)]).status for path in ("/first", "/second")] == [
        403,
        403,
    ]


def test_a_function_that_is_registered_by_a_call_may_be_guarded_by_a_call() -> None:
    """A call of `requires` with the function is no error, since the program has both functions."""
    app = FastAPI()

    def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    app.get("/open")(page)
    app.get("/closed")(authguard.fastapi.requires("admin")(page))
    authguard.fastapi.install(app, open_guard())
    assert [ask_asgi(app, "GET", path, [field(READER)]).status for path in ("/open", "/closed")] == [200, 403]


@pytest.mark.parametrize(
    ("inputs", "is_error"),
    [
        (
            ["def view(): return 'in'", "app.get('/open')(view)", "app.get('/closed')(requires('a')(view))"],
            False,
        ),
        (["@app.get('/closed')\n@requires('a')\n@app.get('/open')\ndef view(): return 'in'"], True),
    ],
    ids=["calls", "decorators"],
)
def test_the_inputs_of_a_console_are_told_apart(inputs: list[str], is_error: bool) -> None:
    """An input of a console is not compared with another input that has the same line numbers."""
    app = FastAPI()
    names: dict[str, Any] = {"app": app, "requires": authguard.fastapi.requires, "__name__": "__main__"}
    for each in inputs:
        exec(compile(each, "<stdin>", "exec"), names)  # noqa: S102
    authguard.fastapi.install(app, open_guard())
    if is_error:
        with pytest.raises(ConfigurationError, match="/open "):
            ask_asgi(app, "GET", "/open")
    else:
        assert [ask_asgi(app, "GET", path).status for path in ("/open", "/closed")] == [200, 401]


# The functions that Flask calls before a view


def before_an_application(app: flask.Flask) -> None:
    @authguard.flask.requires("admin")
    @app.before_request
    def _check() -> None: ...


def before_a_blueprint(app: flask.Flask) -> None:
    blueprint = flask.Blueprint("b", "b")

    @authguard.flask.requires("admin")
    @blueprint.before_request
    def _check() -> None: ...

    @blueprint.get("/wrong")
    def _view() -> str:
        return "secret"

    app.register_blueprint(blueprint)


def before_all_by_a_blueprint(app: flask.Flask) -> None:
    blueprint = flask.Blueprint("b", "b")

    @authguard.flask.requires("admin")
    @blueprint.before_app_request
    def _check() -> None: ...

    app.register_blueprint(blueprint)


def before_a_nested_blueprint(app: flask.Flask) -> None:
    outer, inner = flask.Blueprint("outer", "b"), flask.Blueprint("inner", "b", url_prefix="/inner")

    @authguard.flask.requires("admin")
    @inner.before_request
    async def _check() -> None: ...

    outer.register_blueprint(inner)
    app.register_blueprint(outer)


def before_one_of_two_blueprints(app: flask.Flask) -> None:
    first, second = flask.Blueprint("first", "b"), flask.Blueprint("second", "b")

    @second.before_request
    @authguard.flask.requires("admin")
    @first.before_request
    def _check() -> None: ...

    app.register_blueprint(first)
    app.register_blueprint(second)


@pytest.mark.parametrize(
    "add",
    [
        before_an_application,
        before_a_blueprint,
        before_all_by_a_blueprint,
        before_a_nested_blueprint,
        before_one_of_two_blueprints,
    ],
)
@pytest.mark.parametrize("is_late", [False, True])
def test_a_decorator_above_before_request_is_an_error(add: Any, is_late: bool) -> None:
    """The views of the application or blueprint would have no check."""
    app = flask.Flask("site")
    app.add_url_rule("/wrong", "wrong", lambda: "secret")
    if is_late:
        authguard.flask.init_app(app, open_guard())
        add(app)
        assert ask_wsgi(app, "GET", "/wrong", [field(READER)]).status == 500
        app.testing = True
        with pytest.raises(ConfigurationError, match=r"@before_request \(.*_check\)"):
            ask_wsgi(app, "GET", "/wrong")
    else:
        add(app)
        with pytest.raises(ConfigurationError, match=r"@before_request \(.*_check\)"):
            authguard.flask.init_app(app, open_guard())


def test_a_decorator_below_before_request_guards() -> None:
    """The check applies in both blueprints, and a function may be registered by a call."""
    app = flask.Flask("site")
    first, second = flask.Blueprint("first", "b"), flask.Blueprint("second", "b")

    @second.before_request
    @first.before_request
    @authguard.flask.requires("admin")
    def _check() -> None: ...

    first.add_url_rule("/first", "view", lambda: "secret")
    second.add_url_rule("/second", "view", lambda: "secret")
    second.before_request(authguard.flask.requires("read"))
    app.register_blueprint(first)
    app.register_blueprint(second)
    authguard.flask.init_app(app, open_guard())
    assert [ask_wsgi(app, "GET", path, [field(READER)]).status for path in ("/first", "/second")] == [
        403,
        403,
    ]


def test_a_function_that_wraps_itself_can_be_decorated() -> None:
    """The search for the code of the function ends if its `__wrapped__` is itself."""

    def view() -> str:
        return "secret"

    view.__wrapped__ = view  # type: ignore[attr-defined]
    app = flask.Flask("site")
    app.add_url_rule("/closed", "closed", authguard.flask.requires("admin")(view))
    authguard.flask.init_app(app, open_guard())
    assert ask_wsgi(app, "GET", "/closed", [field(READER)]).status == 403
