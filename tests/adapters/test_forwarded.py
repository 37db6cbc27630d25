"""The middleware that reads the forwarded fields of a proxy, and the guard, in either order."""

import logging
import secrets
from types import SimpleNamespace
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import authguard.asgi
import authguard.wsgi
from adapters.faces import ask_asgi, ask_wsgi
from authguard import Guard, JWTVerifier
from authguard.fastapi import install
from authguard.flask import current_user, init_app

BROWSER = [("Accept", b"text/html"), ("Sec-Fetch-Mode", b"navigate")]
FORWARDED = [("X-Forwarded-Prefix", b"/shop"), ("X-Forwarded-Proto", b"https")]


def guard() -> Guard:
    """Return a guard with a login page."""
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    return Guard(verifier, login_path="/login")


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    """Answer by 200, as a WSGI application."""
    start_response("200 OK", [])
    return []


def fixed(app: Any, **options: Any) -> ProxyFix:
    """Return ProxyFix around an application, for a proxy that sends the prefix."""
    return ProxyFix(app, x_prefix=1, **options)


def flask_site(order: str) -> flask.Flask:
    """Return a Flask application with the guard and ProxyFix, added in this order."""
    app = flask.Flask("site")
    app.add_url_rule("/login", view_func=lambda: f"{current_user.subject}|{flask.request.script_root}")
    for step in order.split():
        if step == "guard":
            init_app(app, guard())
        else:
            app.wsgi_app = fixed(app.wsgi_app)  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize("order", ["guard fix", "fix guard", "fix fix guard", "fix guard fix"])
def test_flask_takes_both_orders(order: str, caplog: pytest.LogCaptureFixture) -> None:
    """The redirect goes to the login page below the prefix, where the login page is open."""
    app = flask_site(order)
    fields = [(name, b",".join([value] * order.count("fix"))) for name, value in FORWARDED]
    answer = ask_wsgi(app, "GET", "/page", [*BROWSER, *fields])
    assert (answer.status, answer.headers["location"]) == (303, "/shop/login?next=%2Fshop%2Fpage")
    page = ask_wsgi(app, "GET", "/login", [*BROWSER, *fields])
    assert (page.status, page.body) == (200, b"|/shop")
    assert caplog.records == []


def test_flask_keeps_the_guard_around_everything_else() -> None:
    """An application that is mounted beside the Flask application inside of ProxyFix is guarded."""
    app = flask.Flask("site")
    app.wsgi_app = fixed(DispatcherMiddleware(app.wsgi_app, {"/metrics": wsgi}))  # type: ignore[method-assign]
    init_app(app, guard())
    assert ask_wsgi(app, "GET", "/metrics/x").status == 401


class OwnFix(ProxyFix):
    """A subclass of ProxyFix, which may answer by itself, so that the guard stays outside of it."""


@pytest.mark.parametrize(
    "make",
    [
        lambda app: DispatcherMiddleware(fixed(app), {}),
        OwnFix,
        lambda app: SimpleNamespaceLayer(application=fixed(app)),
    ],
    ids=["below another", "derived", "below another by another name"],
)
def test_flask_warns_of_any_other(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Another layer than ProxyFix itself is logged as a warning that names the right order."""
    app = flask.Flask("site")
    app.wsgi_app = make(app.wsgi_app)
    init_app(app, guard())
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "app.wsgi_app = ProxyFix(app.wsgi_app) after init_app" in record.getMessage()
    assert ask_wsgi(app, "GET", "/page").status == 401


class SimpleNamespaceLayer(SimpleNamespace):
    """Middleware that keeps the inner application under another name."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.application(environ, start_response)


def test_wsgi_warns(caplog: pytest.LogCaptureFixture) -> None:
    """The wrong order of a WSGI application is logged as a warning, and the right one is not."""
    _ = authguard.wsgi.AuthGuardMiddleware(fixed(wsgi), guard=guard())
    assert "app = ProxyFix(AuthGuardMiddleware(app, guard=guard))" in caplog.text
    caplog.clear()
    fixed(authguard.wsgi.AuthGuardMiddleware(wsgi, guard=guard()))
    assert caplog.records == []


def added(app: Any, *, first: bool) -> Any:
    """Return an application with the guard and ProxyHeadersMiddleware, in one of the two orders."""
    for step in (first, not first):
        if step:
            app.add_middleware(ProxyHeadersMiddleware, trusted_hosts="*")
        elif isinstance(app, FastAPI):
            install(app, guard())
        else:
            app.add_middleware(authguard.asgi.AuthGuardMiddleware, guard=guard())
    return app


@pytest.mark.parametrize("make", [FastAPI, Starlette])
@pytest.mark.parametrize("first", [True, False])
def test_asgi_warns(make: Any, first: bool, caplog: pytest.LogCaptureFixture) -> None:
    """ProxyHeadersMiddleware that is added before the guard, and thus inside, is logged as a warning."""
    assert ask_asgi(added(make(), first=first), "GET", "/page", BROWSER).status == 303
    texts = [record.getMessage() for record in caplog.records if "Proxy" in record.getMessage()]
    assert len(texts) == first
    assert all("app.add_middleware(ProxyHeadersMiddleware) after" in text for text in texts)


def test_asgi_warns_of_what_is_inside_of_an_application(caplog: pytest.LogCaptureFixture) -> None:
    """A guard around the whole application finds middleware that the application has not built yet."""
    app = Starlette()
    app.add_middleware(ProxyHeadersMiddleware)
    _ = authguard.asgi.AuthGuardMiddleware(app, guard=guard())
    _ = authguard.asgi.AuthGuardMiddleware(ProxyHeadersMiddleware(app), guard=guard())
    assert len(caplog.records) == 2
    caplog.clear()
    ProxyHeadersMiddleware(authguard.asgi.AuthGuardMiddleware(Starlette(), guard=guard()))
    assert caplog.records == []


def test_a_layer_that_wraps_itself_ends() -> None:
    """The search for layers ends at a layer that wraps itself."""
    layer: Any = SimpleNamespaceLayer()
    layer.application = layer
    _ = authguard.wsgi.AuthGuardMiddleware(layer, guard=guard())
