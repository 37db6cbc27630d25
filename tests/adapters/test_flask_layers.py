"""Middleware between the guard and a Flask application, which must not change the method or path."""

from collections.abc import Callable
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from adapters.answering import AUDIENCE, GOOD, ISSUER, NOW, PREFLIGHT, SECRET, bearer
from adapters.faces import Answer, ask_wsgi
from authguard import Guard, JWTVerifier, Rule
from authguard.flask import init_app
from authguard.wsgi import AuthGuardMiddleware


def overriding_methods(app: Any) -> Any:
    """Return middleware that overrides the method, as in the documentation of Flask."""

    def call(environ: Any, start_response: Any) -> Any:
        method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "").upper()
        environ["REQUEST_METHOD"] = method or environ["REQUEST_METHOD"]
        return app(environ, start_response)

    return call


def reverse_proxied(app: Any) -> Any:
    """Return middleware that reads the mount point from a field of a proxy."""

    def call(environ: Any, start_response: Any) -> Any:
        name = environ.get("HTTP_X_SCRIPT_NAME", "")
        if name and environ["PATH_INFO"].startswith(name):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = name, environ["PATH_INFO"][len(name) :]
        return app(environ, start_response)

    return call


def copied(app: Any) -> Any:
    """Return middleware that passes a copy of the environ."""
    return lambda environ, start_response: app({**environ}, start_response)


def site(layer: Callable[[Any], Any], **options: Any) -> Any:
    """Return an application with a layer inside of its guard."""
    app = flask.Flask("site")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule(
        "/<path:path>", "page", lambda path: flask.request.method, methods=["GET", "POST", "DELETE"]
    )
    app.wsgi_app = layer(app.wsgi_app)  # type: ignore[method-assign]
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    init_app(app, Guard(verifier, **options))
    middleware: Any = app.wsgi_app
    middleware._clock = lambda: NOW
    return app


@pytest.fixture(name="ask")
def _ask(caplog: pytest.LogCaptureFixture) -> Callable[..., Answer]:
    caplog.set_level("CRITICAL", logger="site")
    return ask_wsgi


def test_a_method_that_is_changed_meets_no_other_rule(ask: Callable[..., Answer]) -> None:
    """A layer that changes the method is a 500 if another rule would apply to the new method."""
    app = site(
        overriding_methods, protected_paths=["/", Rule("/items", methods=["DELETE"], scopes=["admin"])]
    )
    fields = [bearer(GOOD), ("X-HTTP-Method-Override", b"DELETE")]
    assert ask(app, "POST", "/items", fields).status == 500
    assert ask(app, "DELETE", "/items", [bearer(GOOD)]).status == 403
    assert ask(app, "POST", "/items", [bearer(GOOD)]).body == b"POST"


def test_a_method_that_changes_nothing_is_handed_on(ask: Callable[..., Answer]) -> None:
    """A layer may change the method if no rule depends on it."""
    app = site(overriding_methods)
    fields = [bearer(GOOD), ("X-HTTP-Method-Override", b"DELETE")]
    assert ask(app, "POST", "/items", fields).body == b"DELETE"


def test_a_path_that_is_changed_meets_no_other_rule(ask: Callable[..., Answer]) -> None:
    """A layer that changes the path is a 500 if the new path has another rule."""
    app = site(reverse_proxied, public_paths=["/public"])
    assert ask(app, "GET", "/public/secret", [("X-Script-Name", b"/public")]).status == 500
    assert ask(app, "GET", "/public/page").body == b"GET"
    assert ask(app, "GET", "/secret", [("X-Script-Name", b"/public")]).status == 401


def test_the_error_names_the_right_order(ask: Callable[..., Answer]) -> None:
    """The error tells the developer to put the layer around the guard."""
    app = site(reverse_proxied, public_paths=["/public"])
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(RuntimeError, match=r"put it around the guard, by app\.wsgi_app = .* after init_app"):
        ask(app, "GET", "/public/secret", [("X-Script-Name", b"/public")])
    app.wsgi_app = overriding_methods(app.wsgi_app)
    assert ask(app, "POST", "/secret", [("X-HTTP-Method-Override", b"GET")]).status == 401


@pytest.mark.parametrize("around", ["wsgi_app", "application"])
def test_the_middleware_of_wsgi_alone_checks_it_too(ask: Callable[..., Answer], around: str) -> None:
    """Without `init_app`, a layer that changes the method or path is a 500 if another rule applies."""
    app = flask.Flask("site")
    app.add_url_rule("/<path:path>", "page", lambda path: flask.request.method, methods=["POST", "DELETE"])
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    rules = Guard(verifier, protected_paths=[Rule("/items", methods=["DELETE"], scopes=["admin"])])
    if around == "wsgi_app":
        layered: Any = overriding_methods(app.wsgi_app)
        layered = type("Layer", (), {"app": app.wsgi_app, "__call__": staticmethod(layered)})()
        guarded = AuthGuardMiddleware(layered, guard=rules, clock=lambda: NOW)
    else:
        guarded = AuthGuardMiddleware(app, guard=rules, clock=lambda: NOW)
        app.wsgi_app = overriding_methods(app.wsgi_app)  # type: ignore[method-assign]
    override = [("X-HTTP-Method-Override", b"DELETE")]
    assert ask(guarded, "POST", "/items", override).status == 500
    assert ask(guarded, "POST", "/items").body == b"POST"
    assert ask(guarded, "POST", "/other", override).body == b"DELETE"


@pytest.mark.parametrize("layer", [copied, lambda app: DispatcherMiddleware(app, {"/other": copied(app)})])
def test_other_layers_are_as_before(ask: Callable[..., Answer], layer: Any) -> None:
    """Layers that pass the environ unchanged, and layers that mount another application, work."""
    app = site(layer, public_paths=["/public"])
    assert ask(app, "GET", "/public/page").body == b"GET"
    assert ask(app, "GET", "/page", [bearer(GOOD)]).body == b"GET"
    assert ask(app, "GET", "/page").status == 401
    assert ask(app, "OPTIONS", "/page", PREFLIGHT).status == 204
