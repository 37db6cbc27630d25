"""`@requires` guards nothing if the framework got another function than the one that it guards."""

import functools
import types
from collections.abc import Callable
from typing import Any

import flask
import flask.views
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.callers import ADMIN, READER, field, guarded, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError
from authguard.asgi import AuthGuardMiddleware


def timed(function: Callable[..., Any]) -> Any:
    """Wrap a function and keep its name, as most decorators do."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


def bare(function: Callable[..., Any]) -> Any:
    """Wrap a function without `functools.wraps`."""

    def inner(request: Request) -> Any:
        return function(request)

    return inner


class Counted:
    """Wrap a function in an object."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, request: Request) -> Any:
        return self.function(request)


class SlottedCounted:
    """Wrap a function in an object without a dictionary."""

    __slots__ = ("__weakref__", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, request: Request) -> Any:
        return self.function(request)


def partially(function: Callable[..., Any]) -> Any:
    """Wrap a function in a partial."""
    return functools.partial(function)


def copied(function: Callable[..., Any]) -> Any:
    """Wrap a function, and copy its attributes only, as the views of Django's classes do."""

    def inner(request: Request) -> Any:
        return function(request)

    inner.__dict__.update(vars(function))
    return inner


BETWEEN = pytest.mark.parametrize(
    "between", [timed, bare, Counted, SlottedCounted, partially, copied], ids=lambda item: item.__name__
)


def refuses(app: Any, path: str = "/wrong") -> None:
    """Check that the application neither starts nor answers, and that the error names the route."""
    words = f"{path} .*decorator of the route first"
    with pytest.raises(ConfigurationError, match=words), TestClient(app):
        pass
    with pytest.raises(ConfigurationError, match=words):
        ask_asgi(app, "GET", path, [field(READER)])


@BETWEEN
def test_a_decorator_above_another_one_above_the_route_of_fastapi(between: Any) -> None:
    """A decorator between `requires` and the decorator of the route does not hide the wrong order."""
    app = guarded(FastAPI())

    @authguard.starlette.requires("admin")
    @between
    @app.get("/wrong")
    def _view(request: Request) -> str:
        return "secret"

    refuses(app)


@BETWEEN
def test_a_decorator_above_another_one_above_the_route_of_starlette(between: Any) -> None:
    """The same applies to a decorator that adds a route of Starlette."""
    app = guarded(Starlette())

    def route(path: str) -> Any:
        def add(view: Any) -> Any:
            app.router.routes.append(Route(path, view))
            return view

        return add

    @authguard.starlette.requires("admin")
    @between
    @route("/wrong")
    def _view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    refuses(app)


@BETWEEN
@pytest.mark.parametrize("is_late", [False, True])
def test_a_decorator_above_another_one_above_the_route_of_flask(between: Any, is_late: bool) -> None:
    """The same applies to Flask: an error of `init_app`, or a 500."""
    app = flask.Flask("site")
    if is_late:
        authguard.flask.init_app(app, open_guard())

    @authguard.flask.requires("admin")
    @between
    @app.get("/wrong")
    def _view() -> str:
        return "secret"

    if is_late:
        answer = ask_wsgi(app, "GET", "/wrong", [field(READER)])
        assert (answer.status, b"secret" in answer.body) == (500, False)
    else:
        with pytest.raises(ConfigurationError, match="/wrong .*decorator of the route first"):
            authguard.flask.init_app(app, open_guard())


@BETWEEN
@pytest.mark.parametrize("place", ["above", "below", "both"])
def test_the_right_order_with_other_decorators_starts(between: Any, place: str) -> None:
    """Other decorators above and below `requires` are no fault, regardless of the objects that they return."""
    app = guarded(FastAPI())

    def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    above, below = (
        between if place in (name, "both") else (lambda each: each) for name in ("above", "below")
    )

    @above
    @authguard.starlette.requires("admin")
    @below
    def decorated(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    app.add_api_route("/decorated", decorated)
    app.add_api_route("/called", above(authguard.starlette.requires("admin")(below(view))))
    for path in ("/decorated", "/called"):
        statuses = [ask_asgi(app, "GET", path, [field(token)]).status for token in (READER, ADMIN)]
        assert statuses == [403, 200]


@pytest.mark.parametrize("returned", ["view", "function"])
def test_a_decorator_of_routes_that_registers_its_own_wrapper(returned: str) -> None:
    """A decorator may register a wrapper, and return it or the function, as flask-openapi3 does."""
    app = flask.Flask("site")

    def get(path: str) -> Any:
        def add(function: Any) -> Any:
            view = timed(function)
            app.add_url_rule(path, view_func=view)
            return view if returned == "view" else function

        return add

    @authguard.flask.requires("admin")
    @get("/wrong")
    def _wrong() -> str:
        return "secret"

    @get("/right")
    @authguard.flask.requires("admin")
    def _right() -> str:
        return "secret"

    with pytest.raises(ConfigurationError, match="/wrong .*decorator of the route first") as caught:
        authguard.flask.init_app(app, open_guard())
    assert "/right" not in str(caught.value)


class Page(flask.views.View):
    """Show a page."""

    def dispatch_request(self) -> str:
        """Return the page."""
        return "secret"


def test_a_view_of_a_class_that_is_guarded_after_it_was_registered() -> None:
    """The registered view of a class is another function than the guarded one."""
    app = flask.Flask("site")
    view = Page.as_view("v")
    app.add_url_rule("/view", view_func=view)
    view = authguard.flask.requires("admin")(view)
    with pytest.raises(ConfigurationError, match="/view .*decorator of the route first"):
        authguard.flask.init_app(app, open_guard())


def test_views_of_classes_that_are_guarded_start() -> None:
    """The decorators of a class, of one of its views and of its methods are no fault."""

    class Listed(Page):
        decorators = [authguard.flask.requires("admin")]  # noqa: RUF012

    class Method(flask.views.MethodView):
        decorators = [timed]  # noqa: RUF012

        @timed
        @authguard.flask.requires("admin")
        def get(self) -> str:
            return "secret"

    app = flask.Flask("site")
    app.add_url_rule("/listed", view_func=Listed.as_view("listed"))
    app.add_url_rule("/method", view_func=Method.as_view("method"))
    app.add_url_rule("/view", view_func=authguard.flask.requires("admin")(Page.as_view("view")))
    app.add_url_rule("/open", view_func=Page.as_view("open"))
    authguard.flask.init_app(app, open_guard())
    expected = {"/listed": 403, "/method": 403, "/view": 403, "/open": 200}
    assert {path: ask_wsgi(app, "GET", path, [field(READER)]).status for path in expected} == expected


def module_of(source: str, **names: Any) -> types.ModuleType:
    """Return a module that runs a source, as a program's module does."""
    module = types.ModuleType("site_of_test")
    vars(module).update(names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, module.__name__, module)
        exec(compile(source, "site_of_test.py", "exec"), vars(module))  # noqa: S102
        authguard.flask.init_app(module.app, open_guard())
    return module


VIEW = "def view(): return 'secret'\n"


@pytest.mark.parametrize(
    ("source", "is_error"),
    [
        (f"{VIEW}app.add_url_rule('/wrong', view_func=view)\nview = requires('admin')(timed(view))", True),
        (f"{VIEW}app.add_url_rule('/wrong', view_func=timed(view))\nview = requires('admin')(view)", True),
        (f"{VIEW}app.add_url_rule('/open', view_func=view)\nhelper = requires('admin')(timed(view))", False),
        (f"{VIEW}app.add_url_rule('/open', view_func=timed(view))\nhelper = requires('admin')(view)", False),
    ],
    ids=["around the view", "below the view", "another name around", "another name below"],
)
def test_a_name_that_leads_to_the_guarded_function_tells_the_intention(source: str, is_error: bool) -> None:
    """A call is a fault if it replaces the name of the registered function, and not under another name."""
    names = {"app": flask.Flask("site"), "requires": authguard.flask.requires, "timed": timed}
    if is_error:
        with pytest.raises(ConfigurationError, match="/wrong"):
            module_of(source, **names)
    else:
        app = module_of(source, **names).app
        assert ask_wsgi(app, "GET", "/open", [field(READER)]).status == 200


def test_functions_that_other_libraries_hold_are_no_fault() -> None:
    """A guarded function that a registry, a task or a fixture holds is no fault of a route that uses it."""

    class Task:
        def __init__(self, function: Any) -> None:
            self.run = self.__wrapped__ = function

        def __call__(self, request: Request) -> Any:
            return self.run(request)

    tasks: list[Any] = []

    def collected(function: Any) -> Any:
        tasks.append(function)
        return function

    @authguard.starlette.requires("admin")
    @Task
    def task(request: Request) -> str:
        return "secret"

    @authguard.starlette.requires("admin")
    @collected
    def plain(request: Request) -> str:
        return "secret"

    def helper(request: Request) -> str:
        return "in"

    checked_helper = authguard.starlette.requires("admin")(helper)
    app = guarded(FastAPI())

    @app.get("/used")
    def _used(request: Request) -> str:
        return helper(request) if request.query_params else str((task, plain, tasks, checked_helper))

    assert ask_asgi(app, "GET", "/used?a=1").body == b'"in"'


# Functions around the endpoints, and for their exceptions


@pytest.mark.parametrize("is_outside", [False, True])
@pytest.mark.parametrize("around", [False, True])
def test_a_decorator_above_http_middleware_of_fastapi(is_outside: bool, around: bool) -> None:
    """The error names the decorator of the middleware, inside and outside of the guard."""
    app: Any = FastAPI()
    wrapped = AuthGuardMiddleware(app, guard=open_guard()) if around else app
    if is_outside and not around:
        guarded(app)

    @authguard.fastapi.requires("admin")
    @app.middleware("http")
    async def _check(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    if not is_outside and not around:
        guarded(app)
    with pytest.raises(ConfigurationError, match=r"below @middleware \(.*_check\)"):
        ask_asgi(wrapped, "GET", "/")


def test_a_decorator_below_http_middleware_of_fastapi_guards() -> None:
    """The right order guards all requests."""
    app = FastAPI()

    @app.middleware("http")
    @authguard.fastapi.requires("admin")
    async def _check(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    app.add_api_route("/", lambda: "in")
    guarded(app)
    assert [ask_asgi(app, "GET", "/", [field(token)]).status for token in (READER, ADMIN)] == [403, 200]


@pytest.mark.parametrize("between", [lambda each: each, timed], ids=["directly", "above another"])
def test_a_decorator_above_an_exception_handler_of_fastapi(between: Any) -> None:
    """The error names the decorator of the handler."""
    app = guarded(FastAPI())

    @authguard.fastapi.requires("admin")
    @between
    @app.exception_handler(404)
    def _missing(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("secret")

    with pytest.raises(ConfigurationError, match=r"below @exception_handler \(.*_missing\)"):
        ask_asgi(app, "GET", "/")


@pytest.mark.parametrize("name", ["errorhandler", "after_request", "teardown_request"])
@pytest.mark.parametrize("of_blueprint", [False, True])
def test_a_decorator_above_a_handler_of_flask(name: str, of_blueprint: bool) -> None:
    """The error names the decorator, of the application or of a blueprint."""
    app = flask.Flask("site")
    blueprint = flask.Blueprint("b", "b")
    register = getattr(blueprint if of_blueprint else app, name)
    register = register(404) if name == "errorhandler" else register

    @authguard.flask.requires("admin")
    @register
    def _handle(given: Any) -> Any:
        return "secret", 404

    app.register_blueprint(blueprint)
    with pytest.raises(ConfigurationError, match=rf"below @{name} \(.*_handle\)"):
        authguard.flask.init_app(app, open_guard())


def test_a_decorator_below_an_errorhandler_of_flask_starts() -> None:
    """A handler that is guarded itself is no fault."""
    app = flask.Flask("site")

    @app.errorhandler(404)
    @authguard.flask.requires("admin")
    def _handle(given: Any) -> Any:
        return "secret", 404

    authguard.flask.init_app(app, open_guard())
    assert ask_wsgi(app, "GET", "/none", [field(ADMIN)]).body == b"secret"


def test_a_view_that_guards_a_helper_for_each_request_keeps_no_wrappers() -> None:
    """Wrappers that are gone are forgotten."""
    from authguard._signatures import wrappers

    def helper(request: Request) -> str:
        return "in"

    for _ in range(50):
        assert callable(authguard.starlette.requires("admin")(helper))
    assert len(wrappers._wrappers[helper]) == 1


class Proxy:
    """Compute each attribute, as the proxies of Werkzeug do."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("outside of a request")


def test_proxies_that_a_decorator_uses_are_not_asked() -> None:
    """A proxy in the closure of a decorator works only in a request."""
    proxy = Proxy()

    def uses(function: Any) -> Any:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return (function(*args, **kwargs), proxy)[0]

        return inner

    app = flask.Flask("site")

    @app.get("/right")
    @uses
    @authguard.flask.requires("admin")
    @uses
    def _view() -> str:
        return "secret"

    authguard.flask.init_app(app, open_guard())
    assert ask_wsgi(app, "GET", "/right", [field(READER)]).status == 403
