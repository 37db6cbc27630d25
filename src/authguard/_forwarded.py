"""Warn where a guard stands outside of the middleware that reads what a proxy has forwarded."""

from typing import Any

from authguard._logs import logger

# By name, so that this needs no framework: of Werkzeug, uvicorn and Hypercorn, and what derives from them.
_NAMES = frozenset(("ProxyFix", "ProxyFixMiddleware", "ProxyHeadersMiddleware"))
_MAX_LAYERS = 100  # of middleware; one that wraps itself must end, too


def warn_if_inside(app: Any, advice: str) -> None:
    """Warn of such a layer in an application.

    The guard decides by the scheme, the address and the mount point before that layer has set them: it would
    send a browser to a login page without the prefix.

    Args:
        app: what the guard wraps.
        advice: the right order, in code.
    """
    layer = app
    for _ in range(_MAX_LAYERS):
        if layer is None:
            return
        added = (
            middleware.cls for middleware in getattr(layer, "user_middleware", None) or ()
        )  # of Starlette
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
