"""Guard Flask: `init_app`, `current_user`, `requires`, and refusals through Flask's own handlers."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from authguard._extras import needs_extra

with needs_extra("flask"):
    from flask import Flask, Response, request
    from flask.views import View
    from werkzeug.exceptions import HTTPException, default_exceptions
    from werkzeug.local import LocalProxy

from authguard._core.answer.decision import Deny
from authguard._core.answer.refusal import Refusal
from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH, Principal
from authguard._core.options import check_flag, check_object
from authguard._core.policy.rules import Requirement
from authguard._endpoint import decorator_of, requirement_of
from authguard._logs import log_refusal, logger
from authguard._preflight.layers import MAX_LAYERS, is_guard
from authguard.drivers import run_anywhere
from authguard.errors import ConfigurationError
from authguard.wsgi import AUTH, USER, AuthGuardMiddleware, handled_by_guard, leave

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

__all__ = ["AuthGuardMiddleware", "RefusedHTTPException", "current_user", "init_app", "requires"]

_INIT_APP = (
    "init_app(app, Guard(…)) for the Flask application itself, and not for a Blueprint; "
    "install(app, Guard(…)) of authguard.fastapi for FastAPI"
)

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


def _current_user() -> Any:
    handled_by_guard(request.environ)
    return request.environ[USER]


#: Who is calling: the principal, or what `user_loader` made of it; `ANONYMOUS` on open paths.
current_user = cast("Principal", LocalProxy(_current_user))


class RefusedHTTPException(HTTPException):
    """Carry a refusal that Flask's error handlers see, by its class or by its status."""

    def __init__(self, refusal: Refusal) -> None:
        detail = None if refusal.error is None else refusal.error.detail
        HTTPException.__init__(self, detail, _as_response(refusal))
        self.refusal = refusal


@functools.cache
def _exception_for(status: int) -> type[RefusedHTTPException]:
    # Flask finds handlers by class, so that each status needs one: for 401 a RefusedHTTPException
    # that is an Unauthorized, too.
    bases = (RefusedHTTPException, default_exceptions.get(status, HTTPException))
    return type(RefusedHTTPException.__name__, bases, {"code": status})


def _as_response(refusal: Refusal) -> Response:
    return Response(refusal.body, refusal.status, list(refusal.headers))


def init_app(app: Flask, guard: Guard, *, error_handlers: bool = False) -> None:
    """Guard everything that the application serves, what is mounted beside it before included.

    What a `DispatcherMiddleware` mounts beside it afterwards is outside of the guard: a WARNING names it.

    Calling it again with the same guard changes nothing.

    Args:
        app: the application.
        guard: the rules.
        error_handlers: let refusals go through the application's own error handlers and
            `after_request` functions (Flask-CORS is one). They cannot let a request pass.

    Raises:
        ConfigurationError: if `app` is no Flask application, or `guard` is no Guard.
    """
    check_object(app, "app", Flask, _INIT_APP, or_none=False)
    check_object(guard, "guard", Guard, _INIT_APP, or_none=False)
    check_flag(error_handlers, "error_handlers")
    if app.extensions.get("authguard") is guard:
        return
    middleware = _ThroughFlask if error_handlers else AuthGuardMiddleware
    wrapped = middleware(app.wsgi_app, guard=guard)
    if isinstance(wrapped, _ThroughFlask):
        wrapped.flask = app
    app.wsgi_app = wrapped  # type: ignore[method-assign]
    app.extensions["authguard"] = guard
    app.before_request(functools.partial(_warn_once, app, []))


def _warn_once(app: Flask, checked: list[bool]) -> None:
    """Warn of open mounts at the first request, when Flask has all that is put around it."""
    if not checked:
        checked.append(True)
        if mounts := list(_open_mounts(app.wsgi_app)):
            logger.warning(
                "what is mounted at %s is outside of the guard, since it was put around the application "
                "after init_app: put it on before init_app, and what may be open in public_paths",
                ", ".join(map(ascii, mounts)),
            )


def _open_mounts(layer: Any) -> Iterator[str]:
    """Yield where something is mounted around the guard, without a guard of its own."""
    for _ in range(MAX_LAYERS):
        if layer is None or is_guard(layer):
            break
        mounts = getattr(layer, "mounts", None)  # of Werkzeug's DispatcherMiddleware
        for path, mounted in mounts.items() if isinstance(mounts, dict) else ():
            if not _has_guard(mounted):
                yield path
        layer = getattr(layer, "app", None)


def _has_guard(layer: Any) -> bool:
    for _ in range(MAX_LAYERS):
        if layer is None or is_guard(layer):
            break
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)
    return layer is not None


class _ThroughFlask(AuthGuardMiddleware):
    flask: Flask

    def answer(self, environ: "WSGIEnvironment", denied: Deny) -> "WSGIApplication":
        # The handlers may look at current_user, who is nobody now.
        paths = (environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
        leave(environ, ANONYMOUS_AUTH, ANONYMOUS, (self.guard, *paths, denied, self._clock()))
        with self.flask.request_context(environ):
            try:
                error = _exception_for(denied.refusal.status)(denied.refusal)
                result = self.flask.handle_user_exception(error)
                response: Any = self.flask.finalize_request(result, from_error_handler=True)
            except Exception as raised:  # noqa: BLE001 (a handler that raises lets nobody in)
                response = self.flask.handle_exception(raised)
        return cast("WSGIApplication", response)


def requires(
    *scopes: str,
    any_of: Iterable[str] = (),
    roles: Iterable[str] = (),
    acr: str | Iterable[str] | None = None,
    max_age: float | timedelta | None = None,
) -> Callable[[ViewT], ViewT]:
    """Require scopes, roles or a recent sign-in of the caller; with no arguments, any authenticated caller.

    For views and helpers: functions, `async` or not, methods and class-based views. Name and
    signature are kept. Write it below the decorator of the route; above it, it would guard
    nothing, and the first request is refused with an error that says so.

    Args:
        scopes: all of these scopes.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: how the caller must have signed in: one of these values of the claim `acr`.
        max_age: seconds, or a timedelta, since the caller signed in, at most, by the claim `auth_time`.

    Raises:
        ConfigurationError: for a class that cannot be guarded, or a name that cannot be matched.
    """
    requirement = requirement_of(scopes, any_of, roles, acr, max_age)

    def guard_function(view: Any) -> Any:
        return _guarded_function(view, requirement)

    def guard_class(view: Any) -> Any:
        return _guarded_class(view, decorate)

    decorate = decorator_of(requirement, guard_function, guard_class, "a view class")
    return decorate


def _guarded_function(view: Any, requirement: Requirement) -> Any:
    # A coroutine function stays one, so that Flask awaits a view and a view awaits a helper.
    if inspect.iscoroutinefunction(view):

        @functools.wraps(view)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            _authorize(requirement)
            return await view(*args, **kwargs)

        return guarded

    @functools.wraps(view)
    def guarded_now(*args: Any, **kwargs: Any) -> Any:
        _authorize(requirement)
        return view(*args, **kwargs)

    return guarded_now


def _authorize(requirement: Requirement) -> None:
    """Raise the refusal of a caller who does not meet a requirement."""
    handled = handled_by_guard(request.environ)
    view, charge = handled.request, handled.decision.charge
    flow = handled.guard.authorize(
        view,
        request.environ[AUTH],
        handled.error,
        requirement,
        handled.at,
        charge=charge,
        terms=handled.decision.terms,
    )
    denied = run_anywhere(flow)
    if denied is not None:
        log_refusal(view, denied)
        raise _exception_for(denied.refusal.status)(denied.refusal)


def _guarded_class(view: Any, decorate: Callable[[Any], Any]) -> Any:
    """Return a class of views, which applies its decorators to the function that dispatches."""
    if not issubclass(view, View):
        raise ConfigurationError(
            "@requires() must decorate a function or a class of flask.views.View, got the class "
            f"{view.__qualname__}: decorate its methods"
        )
    view.decorators = [*view.decorators, decorate]
    return view
