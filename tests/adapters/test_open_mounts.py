"""Applications that are mounted around a Flask application after `init_app`, outside of its guard."""

import logging
import secrets
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.middleware.shared_data import SharedDataMiddleware

import authguard.flask
import authguard.wsgi
from adapters.faces import ask_wsgi
from authguard import Guard, JWTVerifier


def guard() -> Guard:
    """Return a guard with public paths only, so that Flask gets each request."""
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    return Guard(verifier, public_paths=["/**"])


def site(*, is_guarded: bool = True) -> flask.Flask:
    """Return an application with an open page."""
    app = flask.Flask("site")
    app.add_url_rule("/", view_func=lambda: "")
    if is_guarded:
        authguard.flask.init_app(app, guard())
    return app


def plain(environ: Any, start_response: Any) -> list[bytes]:
    """Answer by 200, as an application without a guard."""
    start_response("200 OK", [])
    return []


def warnings_of(app: Any, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of two requests."""
    with caplog.at_level(logging.WARNING, "authguard"):
        assert [ask_wsgi(app, "GET", "/").status for _ in range(2)] == [200, 200]
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    "around",
    [
        lambda app: DispatcherMiddleware(app, {"/metrics": plain, "/admin": site(is_guarded=False)}),
        lambda app: ProxyFix(DispatcherMiddleware(app, {"/admin": plain, "/metrics": ProxyFix(plain)})),
        lambda app: DispatcherMiddleware(DispatcherMiddleware(app, {"/admin": plain}), {"/metrics": plain}),
    ],
    ids=["both", "below", "twice"],
)
def test_an_open_mount_is_warned_of_once(around: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One warning names the open mounts, and advises to add them before `init_app`."""
    app = site()
    app.wsgi_app = around(app.wsgi_app)  # type: ignore[method-assign]
    [warning] = warnings_of(app, caplog)
    assert "'/admin'" in warning
    assert "'/metrics'" in warning
    assert "before init_app" in warning


@pytest.mark.parametrize(
    "around",
    [
        lambda app: app,
        ProxyFix,
        lambda app: DispatcherMiddleware(app, {}),
        lambda app: DispatcherMiddleware(app, {"/admin": site()}),
        lambda app: DispatcherMiddleware(app, {"/admin": ProxyFix(site().wsgi_app)}),
    ],
    ids=["none", "other middleware", "nothing mounted", "guarded", "guarded below"],
)
def test_a_mount_with_a_guard_is_no_open_one(around: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A mounted application with a guard of its own is not warned of, also below other middleware."""
    app = site()
    app.wsgi_app = around(app.wsgi_app)  # type: ignore[method-assign]
    assert warnings_of(app, caplog) == []


def in_a_function(app: Any) -> Any:
    """Return middleware that is a function."""

    def called(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return called


class OwnDispatcher(DispatcherMiddleware):
    """A subclass of Werkzeug's dispatcher."""


@pytest.mark.parametrize("make", [DispatcherMiddleware, OwnDispatcher])
@pytest.mark.parametrize(
    "wrap", [lambda app: app, ProxyFix, in_a_function], ids=["plain", "fixed", "function"]
)
def test_a_mount_beside_the_application_itself_is_warned_of(
    make: Any, wrap: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An open mount in `DispatcherMiddleware(app, …)` is warned of, also below a function."""
    application = wrap(make(site(), {"/metrics": plain, "/guarded": site()}))
    [warning] = warnings_of(application, caplog)
    assert "'/metrics'" in warning
    assert "/guarded" not in warning


def test_whatever_calls_is_looked_at_with_care(caplog: pytest.LogCaptureFixture) -> None:
    """A layer whose attributes raise errors does not prevent the warning and the answer."""

    class Raises:
        def __init__(self, app: Any) -> None:
            self._wrapped = app

        def __getattr__(self, name: str) -> Any:
            raise LookupError(name)

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return self._wrapped(environ, start_response)

    [warning] = warnings_of(DispatcherMiddleware(Raises(site()), {"/metrics": plain}), caplog)
    assert "'/metrics'" in warning


def test_a_refused_request_warns_too(caplog: pytest.LogCaptureFixture) -> None:
    """A refused request also causes the warning."""
    app = flask.Flask("site")
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    authguard.flask.init_app(app, Guard(verifier))
    assert ask_wsgi(DispatcherMiddleware(app, {"/metrics": plain}), "GET", "/").status == 401
    assert "'/metrics'" in caplog.text


def test_a_mount_inside_of_another_guard_is_guarded(caplog: pytest.LogCaptureFixture) -> None:
    """A mount inside of another guard is not warned of, and one outside of that guard is."""
    inner = DispatcherMiddleware(site(), {"/metrics": plain})
    guarded = authguard.wsgi.AuthGuardMiddleware(inner, guard=guard())
    assert warnings_of(guarded, caplog) == []
    guarded = authguard.wsgi.AuthGuardMiddleware(
        DispatcherMiddleware(site(), {"/metrics": plain}), guard=guard()
    )
    [warning] = warnings_of(DispatcherMiddleware(guarded, {"/admin": plain}), caplog)
    assert "'/admin'" in warning
    assert "/metrics" not in warning


@pytest.mark.parametrize(("public", "warned"), [(["/"], True), (["/", "/files"], False)])
def test_files_that_the_guard_would_protect_are_warned_of(
    public: list[str], warned: bool, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    """Static files outside of the guard are warned of, unless their path is public."""
    app = flask.Flask("site")
    app.add_url_rule("/", view_func=lambda: "")
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    authguard.flask.init_app(app, Guard(verifier, public_paths=public))
    served = SharedDataMiddleware(app.wsgi_app, {"/files": str(tmp_path)})
    app.wsgi_app = served  # type: ignore[method-assign]
    assert len(warnings_of(app, caplog)) == warned


def test_what_is_mounted_before_is_guarded(caplog: pytest.LogCaptureFixture) -> None:
    """An application that is mounted before `init_app` is inside of the guard."""
    app = site(is_guarded=False)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/admin": plain})  # type: ignore[method-assign]
    authguard.flask.init_app(app, guard())
    assert warnings_of(app, caplog) == []


class Sockets:
    """Answer below a path like the middleware of Flask-SocketIO, which keeps the application beside it."""

    def __init__(self, app: flask.Flask) -> None:
        self.flask_app, self.wsgi_app, self.engineio_path = app, app.wsgi_app, "/socket.io/"
        app.wsgi_app = self  # type: ignore[method-assign]

    def __call__(self, environ: Any, start_response: Any) -> Any:
        inner = plain if environ["PATH_INFO"].startswith(self.engineio_path) else self.wsgi_app
        return inner({**environ}, start_response)


@pytest.mark.parametrize(
    ("public", "is_before", "warned"),
    [(["/"], False, True), (["/", "/socket.io"], False, False), (["/"], True, False)],
    ids=["after", "public", "before"],
)
def test_sockets_around_the_guard_are_warned_of(
    public: list[str], is_before: bool, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Flask-SocketIO after `init_app` is outside of the guard, and warned of unless its path is public."""
    app = flask.Flask("site")
    app.add_url_rule("/", view_func=lambda: "")
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    if is_before:
        Sockets(app)
    authguard.flask.init_app(app, Guard(verifier, public_paths=public))
    if not is_before:
        Sockets(app)
    warnings = warnings_of(app, caplog)
    assert ["'/socket.io/'" in warning and "SocketIO(app), before" in warning for warning in warnings] == (
        [True] if warned else []
    )
    assert ask_wsgi(app, "GET", "/socket.io/").status == (401 if is_before else 200)
