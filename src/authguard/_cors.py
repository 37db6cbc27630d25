"""Refusals with CORS fields, also when the guard stands outside CORSMiddleware.

A browser shows a page neither status nor body of a refusal without them. In which order the two
were added should not matter, so the guard finds the middleware that it wraps, and lets it treat
the refusal as it would treat the application's own response.
"""

import copy
from functools import cache
from typing import Any

_DEEPEST = 100  # layers of middleware; one that wraps itself must end, too


def around(app: Any, responder: Any) -> Any:
    """The responder, inside a copy of the CORSMiddleware that the application has, if any.

    Args:
        app: what the guard wraps: a middleware stack, or a whole Starlette application.
        responder: an ASGI application that sends the refusal.
    """
    layer = app
    for _ in range(_DEEPEST):
        if layer is None:
            break
        if _is_cors(type(layer)):  # type: ignore[arg-type]  # classes can be hashed
            found = copy.copy(layer)
            found.app = responder
            return found
        for added in getattr(layer, "user_middleware", ()):
            if _is_cors(added.cls):
                return added.cls(responder, *added.args, **added.kwargs)
        layer = getattr(layer, "app", None)
    return responder


@cache
def _is_cors(cls: type) -> bool:
    # By name, so that this needs no framework; FastAPI's is Starlette's. Middleware may be a function, too.
    return any(base.__name__ == "CORSMiddleware" for base in getattr(cls, "__mro__", ()))
