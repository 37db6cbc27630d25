"""Keep an application from starting in which a decorator or a rule would guard nothing."""

from typing import Any

from authguard._asgi.raised import answer_raised
from authguard._asgi.request import ASGIApp, Receive, Scope, Send
from authguard._endpoint import order_error
from authguard._mounted import mount_error
from authguard.errors import ConfigurationError

_MAX_LAYERS = 100  # of middleware; a layer that wraps itself must end, too


def startable(app: ASGIApp, *, has_rules: bool) -> ASGIApp:
    """Return the application, or an application in its place that fails when it is started or called.

    Args:
        app: what the middleware wraps.
        has_rules: whether different paths have different rules.

    Raises:
        ConfigurationError: if it must not start, and is the whole application.
    """
    error = _error(app, has_rules=has_rules)
    answer_raised(app)
    whole = _whole(app)
    if whole is not None:
        if error is not None:
            raise error
        _check_when_called(whole, has_rules=has_rules)
    if error is None:
        return app
    # The framework puts its layers together when it is started. An error from here would be taken
    # by servers for a lifespan that is not supported.
    return _Failing(error)


def _whole(app: Any) -> Any:
    """Return the application of Starlette or FastAPI below middleware; None if there is none."""
    for _ in range(_MAX_LAYERS):
        if hasattr(app, "user_middleware"):
            return app
        app = getattr(app, "app", None)
    return None


def _check_when_called(app: Any, *, has_rules: bool) -> None:
    """Check again when the framework puts its layers together, as some servers have no lifespan."""
    build = app.build_middleware_stack

    def checked() -> Any:
        error = _error(app, has_rules=has_rules)
        if error is not None:
            raise error
        answer_raised(app)
        return build()

    app.build_middleware_stack = checked


class _Failing:
    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self._error)})
        raise self._error.with_traceback(None)  # each request raises it, and would make it longer


def at_startup(app: ASGIApp, *, has_rules: bool) -> ASGIApp:
    """Return the application to start, now that it is complete; see `startable`."""
    error = _error(app, has_rules=has_rules)
    answer_raised(app)
    return app if error is None else _Failing(error)


def _error(app: ASGIApp, *, has_rules: bool) -> ConfigurationError | None:
    return order_error(app) or (mount_error(app) if has_rules else None)
