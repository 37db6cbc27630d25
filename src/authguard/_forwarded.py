"""Warn if a guard is outside the middleware that reads forwarded fields of a proxy."""

from typing import Any

from authguard._layers import MAX_LAYERS
from authguard._logs import logger

# Layers of Werkzeug, uvicorn and Hypercorn, and subclasses, found by name so that no framework is imported.
_NAMES = frozenset(("ProxyFix", "ProxyFixMiddleware", "ProxyHeadersMiddleware"))


def warn_if_inside(app: Any, advice: str) -> None:
    """Log a warning about such a layer in an application.

    The guard would decide before that layer has set scheme, address and mount point. For example, it would
    redirect a browser to a login page without the prefix.

    Args:
        app: the application that the guard wraps.
        advice: the right order, in code.
    """
    layer = app
    for _ in range(MAX_LAYERS):
        if layer is None:
            return
        added = (
            middleware.cls for middleware in getattr(layer, "user_middleware", None) or ()
        )  # layers that Starlette has not built yet
        for kind in (type(layer), *added):
            if any(base.__name__ in _NAMES for base in getattr(kind, "__mro__", ())):
                logger.warning(
                    "%s is inside of the guard, which does not see the scheme, the address and the mount "
                    "point that it sets: put it around the guard, as in %s",
                    kind.__name__,
                    advice,
                )
                return
        layer = next((own for name in ("app", "wsgi_app", "application") if (own := _own(layer, name))), None)


def _own(layer: Any, name: str) -> Any:
    value = getattr(layer, name, None)
    return value if callable(value) else None
