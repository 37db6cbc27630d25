"""Guard Flask: `init_app`, `current_user`, `requires`, and refusals through Flask's own handlers."""

import functools
import inspect
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from authguard._extras import elsewhere, needs_extra

with needs_extra("flask"):
    from flask import Flask, request
    from flask.globals import app_ctx
    from flask.views import View
    from werkzeug.local import LocalProxy

from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS, Principal
from authguard._core.options import check_clock, check_flag, check_object, named_options
from authguard._core.policy.names import LEFT_OUT
from authguard._core.policy.rules import Requirement
from authguard._endpoint import decorator_of, requirement_of
from authguard._flask import handled
from authguard._flask.client import AuthGuardClient
from authguard._flask.middleware import put_around
from authguard._flask.refusal import RefusedHTTPException, refused
from authguard._flask.sessions import BrowserSessions
from authguard._logs import log_refusal
from authguard._preflight.sealed import SEARCH
from authguard.drivers import run_anywhere
from authguard.errors import ConfigurationError
from authguard.wsgi import AuthGuardMiddleware

__all__ = [
    "AuthGuardClient",
    "AuthGuardMiddleware",
    "BrowserSessions",
    "RefusedHTTPException",
    "current_principal",
    "current_user",
    "current_user_of",
    "init_app",
    "requires",
]

if not TYPE_CHECKING:
    __getattr__ = elsewhere(__name__)

for _public in (AuthGuardClient, BrowserSessions, RefusedHTTPException):
    _public.__module__ = __name__  # the module from which users import the name

_INIT_APP = (
    "init_app(app, Guard(…)) for the Flask application itself, and not for a Blueprint; "
    "install(app, Guard(…)) of authguard.fastapi for FastAPI"
)

_INSTEAD = "decorate the views with it, or write bp.before_request(requires(…)) for all views of a blueprint"

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


class Decorator(Protocol):
    """Decorate a view; or, without an argument, check the caller of the current request."""

    @overload
    def __call__(self, view: ViewT, /) -> ViewT: ...
    @overload
    def __call__(self) -> None: ...


UserT = TypeVar("UserT")

#: The caller: the principal, or the result of `user_loader`; `ANONYMOUS` on open paths.
current_user = cast("Principal", LocalProxy(handled.current_user))

#: The principal of the caller, independent of `user_loader`; `ANONYMOUS` on open paths.
current_principal = cast("Principal", LocalProxy(lambda: handled.current_auth().principal))


def current_user_of(kind: type[UserT]) -> UserT:
    """Return `current_user` for an application whose `user_loader` returns users of one class.

    Write it once: `current_user = current_user_of(User)`. On open paths the value may be `ANONYMOUS`, which
    has `is_authenticated`. Using it for a caller of another class is a TypeError.

    Args:
        kind: the class.
    """
    check_object(kind, "kind", type, "current_user_of(User)", or_none=False)

    def find() -> Any:
        user = handled.current_user()
        if user is ANONYMOUS or isinstance(user, kind):
            return user
        raise TypeError(
            f"the caller is a {type(user).__qualname__}, and not a {kind.__qualname__}: write the class that "
            "user_loader returns"
        )

    return cast("UserT", LocalProxy(find))


@named_options
def init_app(
    app: Flask, guard: Guard, *, error_handlers: bool = True, clock: Callable[[], float] = time.time
) -> None:
    """Guard everything that the application serves, and applications that are already mounted beside it.

    Call it before `app.wsgi_app` is used elsewhere: requests that do not pass the guard get 500. Applications
    that a `DispatcherMiddleware` mounts beside it afterwards are outside the guard: a WARNING names them. A
    `ProxyFix` may be added before or afterwards. Callbacks of the guard, such as `user_loader`, run in the
    application context of the request. Templates have `current_user`.

    Calling it again with the same guard changes nothing.

    Args:
        app: the application.
        guard: the rules.
        error_handlers: let refusals go through the application's own error handlers and `after_request`
            functions (Flask-CORS is one). These cannot let a request pass. With False, the guard answers
            itself, outside Flask.
        clock: seconds since the epoch; for tests.

    Raises:
        ConfigurationError: if `app` is not a Flask application, `guard` is not a Guard, or `clock` is not a
            function.
    """
    check_object(app, "app", Flask, _INIT_APP, or_none=False)
    check_object(guard, "guard", Guard, _INIT_APP, or_none=False)
    check_flag(error_handlers, "error_handlers")
    check_clock(clock)
    if app.extensions.get("authguard") is guard:
        return
    put_around(app, guard, error_handlers=error_handlers, clock=clock)
    app.extensions["authguard"] = guard
    # The first context processor, so that an application may define its own current_user.
    app.template_context_processors[None].insert(0, functools.partial(_for_templates, app))


def _for_templates(app: Flask) -> dict[str, Any]:
    if "current_user" in app.jinja_env.globals:
        return {}
    return {"current_user": handled.find_user()}


@named_options
def requires(
    *scopes: str,
    any_of: Iterable[str] = LEFT_OUT,
    roles: Iterable[str] = LEFT_OUT,
    acr: str | Iterable[str] | None = None,
    max_age: float | timedelta | None = None,
) -> Decorator:
    """Require scopes, roles or a recent sign-in of the caller; with no arguments, any authenticated caller.

    It decorates views and helpers: functions, `async` or not, methods and class-based views. Name and
    signature are kept. Write it below the decorator of the route. Above it, it has no effect, and the first
    request gets an error that names the correct order. `bp.before_request(requires("read"))` guards all views
    of a blueprint.

    Args:
        scopes: all of these scopes.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: how the caller must have signed in: one of these values of the claim `acr`.
        max_age: seconds, or a timedelta, since the caller signed in, at most, by the claim `auth_time`.

    Raises:
        ConfigurationError: if a class cannot be guarded, or a name can never match.
    """
    requirement = requirement_of(scopes, any_of, roles, acr, max_age)

    def guard_function(view: Any) -> Any:
        return _guarded_function(view, requirement)

    def guard_class(view: Any) -> Any:
        return _guarded_class(view, decorate)

    def check_now() -> None:
        if not _is_without_view():
            _authorize(requirement)

    decorate = decorator_of(
        requirement, guard_function, guard_class, "a view class", instead=_INSTEAD, check_now=check_now
    )
    return cast("Decorator", decorate)


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


def _is_without_view() -> bool:
    """Return whether no view runs for the request: Flask answers an OPTIONS, or the guard a preflight."""
    automatic = getattr(request.url_rule, "provide_automatic_options", False)
    return SEARCH in request.environ or (request.method == "OPTIONS" and automatic)


def _authorize(requirement: Requirement) -> None:
    """Raise the refusal if the caller does not meet a requirement."""
    current = handled.handled_request()
    auth, charge = handled.auth_of(current), current.decision.charge
    if requirement.is_met_by(auth.principal, current.at) and (charge is None or charge.taken is not None):
        return  # decided here, without a request view and a flow
    view = current.request
    flow = current.guard.authorize(
        view,
        auth,
        current.error,
        requirement,
        current.at,
        charge=charge,
        terms=current.decision.terms,
    )
    denied = run_anywhere(flow)
    if denied is not None:
        log_refusal(view, denied)
        raise refused(app_ctx.app, denied.refusal)


def _guarded_class(view: Any, decorate: Callable[[Any], Any]) -> Any:
    """Return a class of views that applies its decorators to its dispatch function."""
    if not issubclass(view, View):
        raise ConfigurationError(
            "@requires() must decorate a function or a class of flask.views.View, got the class "
            f"{view.__qualname__}: decorate its methods"
        )
    view.decorators = [*view.decorators, decorate]
    return view
