"""Find the guard's state for the Flask request: of its own guard, or of one around the ASGI application."""

from typing import Any

from flask import has_request_context, request

from authguard._asgi.request import HANDLED as HANDLED_ON_SCOPE
from authguard._asgi.request import ASGIHandled
from authguard._asgi.request import handled_by_guard as handled_on_scope
from authguard._core.model import Auth
from authguard._wsgi.request import AUTH, HANDLED, SCOPE, USER, WSGIHandled

_NO_REQUEST = (
    "authguard.flask needs a request of Flask, and none is handled here: in FastAPI and Starlette, import "
    "from authguard.fastapi or authguard.starlette; in a thread or a command, pass the value that the view "
    "has read"
)


def handled_request() -> WSGIHandled | ASGIHandled:
    """Return the state that the guard stored for the current request.

    Raises:
        RuntimeError: if no guard handled it.
    """
    try:
        environ = request.environ
    except RuntimeError as error:  # the exception is caught, because a check would cost each request more
        raise RuntimeError(_NO_REQUEST) from error
    if HANDLED in environ:
        return WSGIHandled(environ, *environ[HANDLED])
    scope = environ.get(SCOPE) or {}
    if HANDLED_ON_SCOPE in scope:
        return handled_on_scope(scope)
    raise RuntimeError(
        "no AuthGuardMiddleware has seen this request: write init_app(app, guard) of authguard.flask, or "
        "app.wsgi_app = AuthGuardMiddleware(app.wsgi_app, guard=guard); to be guarded by an outer ASGI "
        "application, mount it by WSGIMiddleware of a2wsgi, which passes the caller on"
    )


def current_auth() -> Auth:
    """Return the caller of the current request and its scopes."""
    return auth_of(handled_request())


def auth_of(handled: WSGIHandled | ASGIHandled) -> Auth:
    """Return the caller of a request and its scopes."""
    auth: Auth = handled.environ[AUTH] if isinstance(handled, WSGIHandled) else handled.scope["auth"]
    return auth


def current_user() -> Any:
    """Return the application's user of the current request, or the principal if no user_loader is set."""
    handled = handled_request()
    return handled.environ[USER] if isinstance(handled, WSGIHandled) else handled.scope["user"]


def find_user() -> Any:
    """Return the user of the current request; None outside a request, and if no guard handled it."""
    if not has_request_context():
        return None
    environ = request.environ
    is_guarded = HANDLED in environ or HANDLED_ON_SCOPE in (environ.get(SCOPE) or {})
    return current_user() if is_guarded else None
