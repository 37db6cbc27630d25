"""Refuse requests that a layer inside the guard has changed so that other rules apply."""

from typing import TYPE_CHECKING, Any

from flask import Flask, request

from authguard._core.guard import Guard
from authguard._core.policy.policy import ask_the_same
from authguard._core.request import RequestKey
from authguard._logs import where
from authguard._preflight.flask_views import flask_of
from authguard._wsgi.request import HANDLED, WSGIHandled, WSGIRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_METHOD = "authguard.method"


def has_layers(app: Flask, inner: Any) -> bool:
    """Return whether another layer is between the guard and the application."""
    return flask_of(inner) is not app


def note_method(environ: "WSGIEnvironment") -> None:
    """Store the method in the environ, as the guard sees it."""
    environ[_METHOD] = environ["REQUEST_METHOD"]


def check_unchanged() -> None:
    """Check, before a view runs, that the same rules apply to the request as when the guard decided.

    Raises:
        RuntimeError: if a layer has changed method, path or mount point, so that other rules apply.
    """
    environ = request.environ
    if HANDLED not in environ or _METHOD not in environ:
        return
    handled = WSGIHandled(environ, *environ[HANDLED])
    decided, now = handled.request, _request(environ, handled.guard)
    # The method is the one that Flask uses, which may differ from that of `environ`.
    key: RequestKey = (environ[_METHOD], decided.path, decided.root_path)
    if key == now.request_key:
        return
    find = handled.guard.policy.find_for_http
    if not ask_the_same(find(key), find(now.request_key)):
        method, path = where(now)
        raise RuntimeError(
            f"a layer inside of the guard must not make {method} {path} of a request, because other rules "
            "apply to that than the guard used: put it around the guard, by "
            "app.wsgi_app = Layer(app.wsgi_app) after init_app(app, guard)"
        )


def _request(environ: "WSGIEnvironment", guard: Guard) -> WSGIRequest:
    return WSGIRequest(environ, guard, environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
