"""Put a guard around Flask.

Callbacks run in the application context, and refusals go through Flask's error handlers.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, got_request_exception, has_app_context, has_request_context
from flask.globals import app_ctx, request_ctx
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wsgi import ClosingIterator

from authguard._core.answer.decision import Decision, Deny
from authguard._core.deciding.straight_path import Open
from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH
from authguard._core.request import Presented, RequestKey
from authguard._flask.dispatch import check_dispatch
from authguard._flask.mounts import OpenMounts
from authguard._flask.refusal import answer, answer_raised
from authguard._logs import logger
from authguard._wsgi.request import leave
from authguard._wsgi.rewrites import let_check
from authguard.errors import RefusedError
from authguard.wsgi import AuthGuardMiddleware, answer_in_flask, responder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_CONTEXT = "authguard.context"  # a key of the environ: the application context of callbacks
_RAISED = "authguard_raised"  # an attribute of an application context: the exception of the view


def put_around(app: Flask, guard: Guard, *, error_handlers: bool, clock: Callable[[], float]) -> None:
    """Put a guard around an application, but inside an existing ProxyFix.

    A ProxyFix sets scheme, address and mount point, which the guard needs, and answers no requests.

    Args:
        app: the application.
        guard: the rules.
        error_handlers: whether refusals go through the application's error handlers and after_request
            functions.
        clock: seconds since the epoch.
    """
    outer: Any = None
    inner: Any = app.wsgi_app
    while type(inner) is ProxyFix:
        outer, inner = inner, inner.app
    middleware = FlaskMiddleware(inner, app, guard, error_handlers=error_handlers, clock=clock)
    if outer is None:
        app.wsgi_app = middleware  # type: ignore[method-assign]
    else:
        outer.app = middleware
    check_dispatch(app, guard, clock)
    handlers = app.error_handler_spec[None][None]
    if handlers.get(RefusedError, answer_in_flask) is answer_in_flask:
        handlers[RefusedError] = answer_raised
    got_request_exception.connect(_note_raised, app)


def _begun(environ: "WSGIEnvironment", outer: Any) -> Any:
    """Return the context that was begun inside `outer`, or None; put the outer one back into the environ."""
    context = environ.get(_CONTEXT)
    if context is outer:
        return None
    environ[_CONTEXT] = outer
    return context


def _pop(context: Any, raised: BaseException | None = None) -> None:
    """End a context. Its teardown functions get the same argument as from Flask; many commit or roll back."""
    if context is not None:
        context.pop(getattr(context, _RAISED, raised))


def _note_raised(app: Flask, exception: BaseException, **_: Any) -> None:
    """Note the exception with which Flask ends a request.

    The function receives a signal, because Flask would call a function of `teardown_request` for each
    request.
    """
    if not app.should_ignore_error(exception):
        setattr(app_ctx, _RAISED, exception)


class FlaskMiddleware(AuthGuardMiddleware):
    """Guard a Flask application.

    Args:
        app: its `wsgi_app`, and the layers around it.
        flask: the application.
        guard: the rules.
        error_handlers: whether refusals go through the application's error handlers and after_request
            functions.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        flask: Flask,
        guard: Guard,
        *,
        error_handlers: bool,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(let_check(app, flask), guard=guard, clock=clock)
        self._flask = flask
        self._error_handlers = error_handlers
        self._open_mounts = OpenMounts(self)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle one request, and end the application context that `_decide` has begun."""
        if not self._open_mounts.is_checked:
            self._open_mounts.warn()
        outer = environ.get(_CONTEXT)  # the context of another guard, or of a request within a request
        try:
            if self.guard.calls_at_once:
                self._begin_context(environ)
            response = AuthGuardMiddleware.__call__(self, environ, start_response)  # cheaper than `super()`
        except BaseException as error:
            _pop(_begun(environ, outer), error)
            raise
        if environ.get(_CONTEXT) is outer:
            return response
        context = _begun(environ, outer)
        if has_request_context() and request_ctx.app is self._flask:
            # Before Flask 3.1.2, `stream_with_context` keeps its context in this way until the response is
            # closed.
            return ClosingIterator(response, partial(_pop, context))
        _pop(context)
        return response

    def _decide(
        self,
        environ: "WSGIEnvironment",
        presented: Presented,
        request_key: RequestKey,
        now: float,
        recalled: Open,
    ) -> Decision:
        """Decide in an application context, which callbacks and views share.

        Without callbacks the context of the view is enough; to begin another costs as much as the decision.
        """
        self._begin_context(environ)
        return super()._decide(environ, presented, request_key, now, recalled)

    def _begin_context(self, environ: "WSGIEnvironment") -> None:
        # As in Flask, an existing context is used, such as that of a test.
        if not has_app_context() or app_ctx.app is not self._flask:
            context = self._flask.app_context()
            context.push()
            environ[_CONTEXT] = context

    def answer(self, environ: "WSGIEnvironment", denied: Deny) -> "WSGIApplication":
        """Return the WSGI application that answers instead of Flask."""
        if not self._error_handlers:
            return super().answer(environ, denied)
        # The handlers may use current_user, which is anonymous now.
        paths = (environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
        leave(environ, ANONYMOUS_AUTH, ANONYMOUS, (self.guard, *paths, denied, self._clock()))
        context = self._flask.request_context(environ)
        try:
            try:
                context.push()
            except Exception:  # noqa: BLE001 (a store of sessions that is down must not hide the refusal)
                logger.warning("the session of a refused request cannot be opened", exc_info=True)
                return responder(denied.refusal)
            response: WSGIApplication = answer(self._flask, denied.refusal)
            return response
        finally:
            context.pop()
