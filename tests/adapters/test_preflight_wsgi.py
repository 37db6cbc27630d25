"""Preflights of protected paths on WSGI: each CORS set-up works as it did, and no handler runs."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import flask
import pytest
from flask.views import MethodView, View
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import authguard.flask
from adapters.preflights import SECRET_TEXT, SPA, guard, preflight_wsgi
from authguard import Rule
from authguard.wsgi import AuthGuardMiddleware

BODIES = pytest.mark.parametrize("body", [b"", b'{"a": 1}'], ids=["no body", "a body"])


class Handlers:
    """Handlers that note that they ran, which none may for a preflight."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def plain(self, environ: Any, start_response: Any) -> list[bytes]:
        """A WSGI application that does not look at the method."""
        self.ran.append(environ["PATH_INFO"])
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Access-Control-Max-Age", "5")])
        return [SECRET_TEXT.encode()]

    def view(self, **_: Any) -> str:
        """A view that does not look at the method."""
        self.ran.append(flask.request.path)
        flask.request.get_data()
        return SECRET_TEXT


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


class Adds:
    """Hand-written middleware: adds fields."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("Access-Control-Allow-Origin", SPA)], exc_info)

        return self.app(environ, start)


class AddsToWSGIApp:
    """The same, with another name for what it wraps."""

    def __init__(self, app: Any) -> None:
        self.wsgi_app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return Adds(self.wsgi_app)(environ, start_response)


class AddsToApplication:
    """The same, with the name that PEP 3333 has."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return Adds(self.application)(environ, start_response)


class Answers(Adds):
    """Hand-written middleware: answers."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "OPTIONS":
            return self.app(environ, start_response)
        start_response("204 No Content", [("Access-Control-Allow-Origin", SPA), ("Set-Cookie", "a=1")])
        return []


def _layered(layer: Any) -> Callable[[Handlers], Any]:
    return lambda handlers: layer(ProxyFix(handlers.plain))


def _flask(handlers: Handlers, **options: Any) -> flask.Flask:
    app = flask.Flask("app")
    options = {"methods": ["GET", "OPTIONS"]} | options
    app.add_url_rule("/private", "page", handlers.view, **options)
    return app


def _in_flask(layer: Any) -> Callable[[Handlers], Any]:
    def make(handlers: Handlers) -> flask.Flask:
        app = _flask(handlers)
        app.wsgi_app = layer(ProxyFix(app.wsgi_app))
        return app

    return make


def _after_request(handlers: Handlers, **options: Any) -> flask.Flask:
    app = _flask(handlers, **options)

    @app.after_request
    def cors(response: flask.Response) -> flask.Response:
        response.headers["Access-Control-Allow-Origin"] = SPA
        response.headers["Set-Cookie"] = "tracker=1"
        return response

    return app


def _before_request(handlers: Handlers) -> flask.Flask:
    app = _flask(handlers)

    @app.before_request
    def cors() -> flask.Response | None:
        assert not authguard.flask.current_user.is_authenticated
        assert flask.request.get_data() == b""
        assert flask.current_app._get_current_object() is app
        fields = {"Access-Control-Allow-Origin": SPA}
        return flask.Response(SECRET_TEXT, headers=fields) if flask.request.method == "OPTIONS" else None

    return app


def _of_a_blueprint(handlers: Handlers) -> flask.Flask:
    app, blueprint = flask.Flask("app"), flask.Blueprint("some", "app")
    blueprint.add_url_rule("/private", "page", handlers.view)

    @blueprint.after_request
    def cors(response: flask.Response) -> flask.Response:
        response.headers["Access-Control-Allow-Origin"] = SPA
        return response

    app.register_blueprint(blueprint)
    return app


def _options_view(handlers: Handlers, **options: Any) -> flask.Flask:
    app = _flask(handlers, methods=["GET"], provide_automatic_options=False)

    @app.route("/private", methods=["OPTIONS"])
    def answer() -> Any:
        return SECRET_TEXT, {"Access-Control-Allow-Origin": SPA, "X-Secret": SECRET_TEXT}

    return app


def _async_options_view(handlers: Handlers) -> flask.Flask:
    app = _flask(handlers, methods=["GET"], provide_automatic_options=False)

    @app.route("/private", methods=["OPTIONS"])
    async def answer() -> Any:
        return "", {"Access-Control-Allow-Origin": SPA}

    return app


def _options_method(handlers: Handlers) -> flask.Flask:
    class Page(MethodView):
        def get(self) -> str:
            return handlers.view()

        def options(self) -> Any:
            return "", {"Access-Control-Allow-Origin": SPA}

    app = flask.Flask("app")
    app.add_url_rule("/private", view_func=Page.as_view("page"))
    return app


def _dispatched(handlers: Handlers) -> Any:
    return DispatcherMiddleware(handlers.plain, {"/private": Adds(handlers.plain)})


def _flask_dispatched(handlers: Handlers) -> Any:
    inner = flask.Flask("inner")
    inner.add_url_rule("/", "page", handlers.view, methods=["GET", "OPTIONS"])
    inner.wsgi_app = Adds(inner.wsgi_app)
    return DispatcherMiddleware(handlers.plain, {"/private": inner})


def _guard_inside(handlers: Handlers) -> Any:
    app = _after_request(handlers)
    authguard.flask.init_app(app, guard())
    return app


SET_UPS: dict[str, Callable[[Handlers], Any]] = {
    "a class that adds": _layered(Adds),
    "a class with `wsgi_app`": _layered(AddsToWSGIApp),
    "a class with `application`": _layered(AddsToApplication),
    "a class that answers": _layered(Answers),
    "a class that adds, in Flask": _in_flask(Adds),
    "a class that answers, in Flask": _in_flask(Answers),
    "after_request": _after_request,
    "after_request, without OPTIONS": functools.partial(_after_request, methods=["GET"]),
    "before_request": _before_request,
    "a blueprint": _of_a_blueprint,
    "a view for OPTIONS": _options_view,
    "an async view for OPTIONS": _async_options_view,
    "MethodView.options": _options_method,
    "DispatcherMiddleware": _dispatched,
    "Flask in DispatcherMiddleware": _flask_dispatched,
    "another guard inside": _guard_inside,
}


@BODIES
@pytest.mark.parametrize("name", SET_UPS)
def test_set_ups_work(name: str, body: bytes, handlers: Handlers, caplog: pytest.LogCaptureFixture) -> None:
    """The CORS layer answers, no view does, and there is nothing to warn of."""
    app = AuthGuardMiddleware(SET_UPS[name](handlers), guard=guard())
    answer = preflight_wsgi(app, "/private", body)
    assert answer.allows, answer
    assert (answer.body, answer.read, handlers.ran, caplog.records) == (b"", [], [], [])
    assert SECRET_TEXT not in str(answer.headers)
    assert "set-cookie" not in answer.headers


@BODIES
@pytest.mark.parametrize("error_handlers", [True, False])
@pytest.mark.parametrize("guard_first", [True, False], ids=["guard first", "CORS first"])
@pytest.mark.parametrize(
    "make", [_after_request, _before_request, _options_view], ids=lambda made: made.__name__
)
def test_set_ups_work_with_init_app(
    make: Any, guard_first: bool, error_handlers: bool, body: bytes, handlers: Handlers
) -> None:
    """In whichever order guard and CORS were added."""
    if guard_first:
        made: list[flask.Flask] = []
        original = flask.Flask.__init__

        def init(self: flask.Flask, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            authguard.flask.init_app(self, guard(), error_handlers=error_handlers)
            made.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flask.Flask, "__init__", init)
            app = make(handlers)
    else:
        app = make(handlers)
        authguard.flask.init_app(app, guard(), error_handlers=error_handlers)
    answer = preflight_wsgi(app, "/private", body)
    assert answer.allows, answer
    assert (answer.body, handlers.ran) == (b"", [])


def test_an_error_handler_answers_what_a_function_raises(handlers: Handlers) -> None:
    """As in an application without a guard; CORS fields go on it, too."""
    app = _after_request(handlers)
    app.before_request(lambda: flask.abort(403))
    answer = preflight_wsgi(AuthGuardMiddleware(app, guard=guard()))
    assert (answer.status, answer.body, handlers.ran) == (403, b"", [])
    assert answer.headers["access-control-allow-origin"] == SPA


def test_a_function_that_fails_is_the_application_s_500(handlers: Handlers) -> None:
    """Its traceback goes where Flask sends it, and nothing of it to the caller."""
    app = _after_request(handlers)
    app.before_request(lambda: 1 / 0)
    answer = preflight_wsgi(AuthGuardMiddleware(app, guard=guard()))
    assert (answer.status, answer.body, handlers.ran) == (500, b"", [])
    app.after_request(lambda response: 1 / 0)
    assert preflight_wsgi(AuthGuardMiddleware(app, guard=guard())).status == 500


def test_paths_that_do_not_exist_look_the_same(handlers: Handlers) -> None:
    """A stranger does not learn what there is."""
    app = AuthGuardMiddleware(_after_request(handlers, methods=["GET"]), guard=guard())
    known, unknown = preflight_wsgi(app), preflight_wsgi(app, "/unknown")
    assert (known.status, unknown.status) == (200, 200)


class App:
    """A class of a WSGI application."""

    def __init__(self, handlers: Handlers, app: Any = None) -> None:
        self.handlers = handlers
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.handlers.plain(environ, start_response)


class Opaque:
    """Middleware that keeps what it wraps under a name of its own."""

    def __init__(self, app: Any) -> None:
        self.wrapped = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.wrapped(environ, start_response)


class Hidden(Adds):
    """Middleware that has kept what it wraps in another place, too."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.kept = {"app": app}
        self.next = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.next(environ, start_response)


class Served(flask.Flask):
    """Flask with a way of its own to be called."""

    handlers: Handlers

    def own(self, environ: Any, start_response: Any) -> Any:
        return self.handlers.plain(environ, start_response)


def _closure(handlers: Handlers) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        return handlers.plain(environ, start_response)

    return app


def _generator(handlers: Handlers) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        yield from handlers.plain(environ, start_response)

    return app


def _shared_view(handlers: Handlers) -> flask.Flask:
    app = _flask(handlers, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/private", "page", handlers_view(app), methods=["OPTIONS"])
    return app


def handlers_view(app: flask.Flask) -> Any:
    """The view that is there already, as a second decorator gets it."""
    return app.view_functions["page"]


def _shared_view_of_two_names(handlers: Handlers) -> flask.Flask:
    app = _flask(handlers, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/private", "other", handlers_view(app), methods=["OPTIONS"])
    return app


def _shared_method(handlers: Handlers) -> flask.Flask:
    class Page(MethodView):
        def get(self) -> str:
            return handlers.view()

        options = get

    app = flask.Flask("app")
    app.add_url_rule("/private", view_func=Page.as_view("page"))
    return app


def _own_dispatch(handlers: Handlers) -> flask.Flask:
    class Page(MethodView):
        def get(self) -> str:
            return ""

        def options(self) -> str:
            return ""

        def dispatch_request(self, **_: Any) -> Any:
            return handlers.view()

    app = flask.Flask("app")
    app.add_url_rule("/private", view_func=Page.as_view("page"))
    return app


def _view_class(handlers: Handlers) -> flask.Flask:
    class Page(View):
        methods = ["GET", "OPTIONS"]

        def options(self) -> str:
            return ""

        def dispatch_request(self, **_: Any) -> Any:
            return handlers.view()

    app = flask.Flask("app")
    app.add_url_rule("/private", view_func=Page.as_view("page"))
    return app


def _own_method(handlers: Handlers) -> Any:
    app = Served("app")
    app.handlers = handlers
    return app.own


ATTACKED: dict[str, Callable[[Handlers], Any]] = {
    "a function": lambda handlers: handlers.plain,
    "a closure": _closure,
    "a partial": lambda handlers: functools.partial(handlers.plain),
    "a generator": _generator,
    "a class": App,
    "a class with an `app` that is none": lambda handlers: App(handlers, {"name": "x"}),
    "a class with an `app` of another kind": lambda handlers: App(handlers, lambda one: one),
    "middleware of its own name": lambda handlers: Opaque(handlers.plain),
    "middleware that hides it": lambda handlers: Hidden(handlers.plain),
    "a mount": lambda handlers: DispatcherMiddleware(handlers.plain, {"/private": handlers.plain}),
    "beside a mount": lambda handlers: DispatcherMiddleware(handlers.plain, {"/other": Adds(handlers.plain)}),
    "Flask": _flask,
    "a method of a Flask class": _own_method,
    "a view with two decorators": _shared_view,
    "a view with two names": _shared_view_of_two_names,
    "MethodView with one method for all": _shared_method,
    "MethodView with its own dispatch": _own_dispatch,
    "View": _view_class,
}


@BODIES
@pytest.mark.parametrize("name", ATTACKED)
def test_no_handler_runs(name: str, body: bytes, handlers: Handlers) -> None:
    """Whatever does not look at the method is not reached, and the body is not read."""
    answer = preflight_wsgi(AuthGuardMiddleware(ATTACKED[name](handlers), guard=guard()), "/private", body)
    assert (answer.status, answer.headers, answer.body) == (204, {}, b"")
    assert (answer.read, handlers.ran) == ([], [])


@pytest.mark.parametrize("name", ATTACKED)
def test_an_open_path_is_as_before(name: str, handlers: Handlers) -> None:
    """On a path that is not protected the request passes on as any other."""
    app = AuthGuardMiddleware(ATTACKED[name](handlers), guard=guard(public_paths=["/private"]))
    assert preflight_wsgi(app).body == SECRET_TEXT.encode()
    assert len(handlers.ran) == 1


@BODIES
@pytest.mark.parametrize("lazy", [True, False], ids=["a generator", "a list"])
def test_passed_on_sealed(lazy: bool, body: bytes) -> None:
    """Nothing but status and CORS fields come out, and no body goes in."""
    seen: list[Any] = []
    closed: list[bool] = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def app(environ: Any, start_response: Any) -> Any:
        seen.extend([environ["wsgi.input"].read(), environ["CONTENT_LENGTH"]])
        seen.extend([environ["authguard.user"].is_authenticated, "HTTP_TRANSFER_ENCODING" in environ])
        fields = [
            ("Access-Control-Allow-Origin", "*"), ("ACCESS-CONTROL-MAX-AGE", "1"), ("Allow", "GET"),
            ("Vary", "Origin"), ("Set-Cookie", "a=1"), ("Location", "/x"), ("Content-Length", "23"),
            ("X-Secret", SECRET_TEXT), ("WWW-Authenticate", "Basic"), ("ETag", '"1"'),
        ]  # fmt: skip
        start_response("209 Of Its Own", fields)(SECRET_TEXT.encode())
        return Body([SECRET_TEXT.encode()])

    def generator(environ: Any, start_response: Any) -> Any:
        yield b""
        yield from app(environ, start_response)

    guarded = AuthGuardMiddleware(generator if lazy else app, guard=guard(preflight="pass"))
    answer = preflight_wsgi(guarded, "/private", body, Transfer_Encoding="chunked")
    assert seen == [b"", "0", False, False]
    assert closed == ([] if lazy else [True])
    assert (answer.status, answer.body, answer.read) == (209, b"", [])
    assert answer.headers == {
        "access-control-allow-origin": "*", "access-control-max-age": "1", "allow": "GET", "vary": "Origin",
        "content-length": "0",
    }  # fmt: skip


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found", "404 Not Found", "500 Oh"])
def test_a_status_passes_as_it_is(status: str) -> None:
    """It is for the application to say; a length goes with a status that may have a body."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [("Location", "/x")])
        return [b"x"]

    answer = preflight_wsgi(AuthGuardMiddleware(app, guard=guard(preflight="pass")))
    assert (answer.status, answer.body) == (int(status[:3]), b"")
    assert answer.headers == ({} if status[:3] == "204" else {"content-length": "0"})


def test_an_application_that_starts_nothing_is_a_bug() -> None:
    """A server would say so, too."""
    app = AuthGuardMiddleware(lambda environ, start_response: [], guard=guard(preflight="pass"))
    with pytest.raises(RuntimeError, match="start_response"):
        preflight_wsgi(app)


def test_a_rule_passes_on_its_paths_alone(handlers: Handlers) -> None:
    """All others are answered."""
    app = AuthGuardMiddleware(
        handlers.plain, guard=guard(protected_paths=["/", Rule("/api", preflight="pass")])
    )
    assert preflight_wsgi(app, "/api/x").headers == {
        "Access-Control-Max-Age".lower(): "5",
        "content-length": "0",
    }
    assert preflight_wsgi(app, "/private").headers == {}
    assert handlers.ran == ["/api/x"]


def test_one_warning_names_the_cures(handlers: Handlers, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each middleware, since each preflight would bring it otherwise."""
    app = AuthGuardMiddleware(handlers.plain, guard=guard())
    for path in ("/a", "/b"):
        preflight_wsgi(app, path)
    assert len(caplog.records) == 1
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("authguard", logging.WARNING)
    for cure in (
        "OPTIONS '/a'",
        "outside the guard",
        'Rule(…, preflight="pass")',
        'Guard(…, preflight="pass")',
    ):
        assert cure in record.getMessage()
