"""Give refusals their CORS fields, also when the guard stands outside CORSMiddleware.

A browser shows a page neither status nor body of a refusal without them. In which order the two
were added should not matter, so the guard finds the middleware that it wraps, and lets it treat
the refusal as it would treat the application's own response.
"""

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any

_MAX_LAYERS = 100  # of middleware; one that wraps itself must end, too


def inside(app: Any) -> Callable[[Any], Any]:
    """Return how to put a responder inside a copy of the application's CORSMiddleware, if it has any.

    Args:
        app: what the guard wraps: a middleware stack, or a whole Starlette application.

    Returns:
        a function from an ASGI application that sends a refusal to one that sends it with CORS fields.
    """
    layer = app
    for _ in range(_MAX_LAYERS):
        if layer is None:
            break
        if _is_cors(type(layer)):  # type: ignore[arg-type]  # classes can be hashed
            return partial(_copied, layer)
        for added in getattr(layer, "user_middleware", ()):
            if _is_cors(added.cls):
                return partial(_built, added)
        layer = getattr(layer, "app", None)
    return lambda responder: responder


@cache
def _is_cors(cls: type) -> bool:
    # By name, so that this needs no framework; FastAPI's is Starlette's. Middleware may be a function, too.
    return any(base.__name__ == "CORSMiddleware" for base in getattr(cls, "__mro__", ()))


def _copied(middleware: Any, responder: Any) -> Any:
    made = copy.copy(middleware)
    made.app = responder
    return made


def _built(added: Any, responder: Any) -> Any:
    return added.cls(responder, *added.args, **added.kwargs)
