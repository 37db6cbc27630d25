"""An application that must not start, since a decorator guards nothing in it."""

from typing import Any

from authguard._asgi.request import ASGIApp, Receive, Scope, Send
from authguard._endpoint import check_order, order_error
from authguard.errors import ConfigurationError

_MAX_LAYERS = 100  # of middleware; a layer that wraps itself must end, too


def startable(app: ASGIApp) -> ASGIApp:
    """Return the application, or an application in its place that fails when it is started or called.

    Args:
        app: what the middleware wraps.

    Raises:
        ConfigurationError: if it must not start, and is the whole application.
    """
    if _is_whole(app):
        check_order(app)
        return app
    # The framework puts its layers together when it is started. An error from here would be taken
    # by servers for a lifespan that is not supported.
    error = order_error(app)
    return app if error is None else _Failing(error)


def _is_whole(app: Any) -> bool:
    for _ in range(_MAX_LAYERS):
        if app is None or hasattr(app, "user_middleware"):  # of Starlette and FastAPI
            break
        app = getattr(app, "app", None)
    return app is not None


class _Failing:
    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self._error)})
        raise self._error.with_traceback(None)  # each request raises it, and would make it longer


def at_startup(app: ASGIApp) -> ASGIApp:
    """Return the application to start, now that it is complete."""
    error = order_error(app)
    return app if error is None else _Failing(error)
