"""Add CORS fields to refusals, even if the guard is outside CORSMiddleware.

Without CORS fields, a browser hides status and body of a refusal from a page. The order in which the two were
added should not matter, so the guard finds the CORSMiddleware that it wraps, and lets it process the refusal
like a response of the application.
"""

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from authguard._layers import layers_of


def inside(app: Any) -> Callable[[Any], Any]:
    """Return a function that wraps a responder in a copy of the application's CORSMiddleware, if it has one.

    Args:
        app: the application that the guard wraps: a middleware stack, or a Starlette application.

    Returns:
        a function from an ASGI application that sends a refusal to one that adds the CORS fields.
    """
    for layer in layers_of(app):
        if _is_cors(type(layer)):  # type: ignore[arg-type]  # classes can be hashed
            return partial(_copied, layer)
        for added in getattr(layer, "user_middleware", ()):
            if _is_cors(added.cls):
                return partial(_built, added)
    return lambda responder: responder


@cache
def _is_cors(cls: type) -> bool:
    # The class is found by its name, so that no framework is imported; FastAPI uses Starlette's class.
    # Middleware may also be a function.
    return any(base.__name__ == "CORSMiddleware" for base in getattr(cls, "__mro__", ()))


def _copied(middleware: Any, responder: Any) -> Any:
    made = copy.copy(middleware)
    made.app = responder
    return made


def _built(added: Any, responder: Any) -> Any:
    return added.cls(responder, *added.args, **added.kwargs)
