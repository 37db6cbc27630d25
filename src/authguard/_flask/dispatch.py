"""Refuse requests that reach Flask without having passed its guard."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from authguard._core.answer.decision import Deny
from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS_AUTH
from authguard._flask.refusal import RefusedHTTPException, answer_refused_handler, as_response
from authguard._logs import logger, where
from authguard._wsgi.request import HANDLED, SCOPE, WSGIRequest
from authguard.drivers import run_anywhere
from authguard.errors import UnexpectedError
from authguard.wsgi import outer_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_REASON = (
    "the request has not passed the guard, because app.wsgi_app was used elsewhere before init_app; each "
    "such request gets 500: call init_app before app.wsgi_app is used elsewhere, or give the application "
    'itself to the other layer, as by DispatcherMiddleware(site, {"/api": api})'
)


def check_dispatch(app: Flask, guard: Guard, clock: Callable[[], float]) -> None:
    """Let an application answer only the requests that have passed a guard.

    Code that has read `app.wsgi_app` before the guard was put around it calls Flask's own method, which calls
    `full_dispatch_request`. A function of `before_request` would also be called by tests that call
    `app.preprocess_request()`, and after functions that are registered earlier.

    Args:
        app: the application.
        guard: the rules.
        clock: seconds since the epoch.
    """
    dispatch = app.full_dispatch_request
    is_logged = False

    def full_dispatch_request(*given: Any) -> Response:
        nonlocal is_logged
        environ = request.environ
        handled = environ.get(HANDLED)
        # decided here, because most requests have one guard
        is_passed = handled is not None and handled[0] is guard and type(handled[3]) is not Deny
        if is_passed or _has_passed_around(environ, guard):
            try:
                return dispatch(*given)
            except RefusedHTTPException as error:  # by an error handler; Flask would answer with 500
                return answer_refused_handler(app, error)
        view = WSGIRequest(environ, guard, environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
        if not is_logged:
            is_logged = True
            logger.error("%s %s: %s", *where(view), _REASON)
        denied = run_anywhere(guard.refuse(view, UnexpectedError(_REASON), ANONYMOUS_AUTH, clock()))
        return as_response(denied.refusal)

    app.full_dispatch_request = full_dispatch_request  # type: ignore[method-assign]


def _has_passed_around(environ: "WSGIEnvironment", guard: Guard) -> bool:
    """Return whether a request has passed a guard around another guard, or around an ASGI application."""
    handled: Any = outer_of(environ) if HANDLED in environ or SCOPE in environ else None
    while handled is not None:
        if handled.guard is guard and not isinstance(handled.decision, Deny):
            return True
        handled = handled.outer
    return False
