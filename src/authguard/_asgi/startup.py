"""Refuse to start an application in which a decorator or a rule would guard nothing."""

from collections.abc import Callable
from typing import Any

from authguard._asgi.raised import answer_raised
from authguard._asgi.request import ASGIApp, Receive, Scope, Send
from authguard._asgi.rewrites import check_routers
from authguard._core.guard import Guard
from authguard._endpoint import order_error
from authguard._layers import layers_of
from authguard._mounted import mount_error, own_root_path
from authguard._routes.unreached import unreached_error
from authguard._signatures.registered import PlacedGuard
from authguard.errors import ConfigurationError


def startable(app: ASGIApp, guard: Guard, *, when_complete: Callable[[], None]) -> ASGIApp:
    """Return the application, or another one that fails when it is started or called.

    Args:
        app: the application that the middleware wraps.
        guard: the rules.
        when_complete: called when an application of Starlette or FastAPI has all its routes.

    Raises:
        ConfigurationError: if the application must not start, and is complete.
    """
    error = _error(app, guard)
    answer_raised(app)
    check_routers(app)
    whole = _whole(app)
    if whole is not None:
        if error is not None:
            raise error
        _check_when_called(whole, guard, when_complete)
    elif _has_routes(app):
        when_complete()  # the framework, or the author of a mount, builds the layers now
    if error is None:
        return app
    # The framework builds its layers when it is started. Servers would treat an error raised here as a
    # lifespan that is not supported.
    return _Failing(error)


def _whole(app: Any) -> Any:
    """Return the application of Starlette or FastAPI below the middleware; None for another application."""
    return next((layer for layer in layers_of(app) if hasattr(layer, "user_middleware")), None)


def _has_routes(app: Any) -> bool:
    """Return whether a router of Starlette is below the middleware."""
    return any(isinstance(getattr(layer, "routes", None), list) for layer in layers_of(app))


def _check_when_called(app: Any, guard: Guard, when_complete: Callable[[], None]) -> None:
    """Check again when the framework builds its layers, because some servers have no lifespan."""
    build = app.build_middleware_stack

    def checked() -> Any:
        error = _error(app, guard)
        if error is not None:
            raise error
        answer_raised(app)
        check_routers(app)
        when_complete()
        return build()

    app.build_middleware_stack = checked


class _Failing:
    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self._error)})
        # each request raises the same exception, and would make its traceback longer
        raise self._error.with_traceback(None)


def at_startup(app: ASGIApp, guard: Guard) -> ASGIApp:
    """Return the application to start, now that it is complete; see `startable`."""
    error = _error(app, guard)
    answer_raised(app)
    check_routers(app)
    return app if error is None else _Failing(error)


def _error(app: ASGIApp, guard: Guard) -> ConfigurationError | None:
    return (
        order_error(app)
        or _instance_error(app)
        or (mount_error(app) if guard.policy.rules else None)
        or unreached_error(app, PlacedGuard(guard, "", own_root_path(app)))
    )


def _instance_error(app: Any) -> ConfigurationError | None:
    """Return the error of an application to which middleware was added as an instance.

    Starlette would call the instance with the application, as it calls a class.
    """
    added = getattr(_whole(app), "user_middleware", None) or ()
    for middleware in added:
        if isinstance(getattr(middleware.cls, "guard", None), Guard) and not isinstance(middleware.cls, type):
            return ConfigurationError(
                "add_middleware must get the class, got an AuthGuardMiddleware: write "
                "app.add_middleware(AuthGuardMiddleware, guard=guard)"
            )
    return None
