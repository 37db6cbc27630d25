"""The mount point that a wrapped application sets by itself, which a guard outside has to know.

FastAPI and Django, on ASGI, use their own `root_path` or `FORCE_SCRIPT_NAME` in the place of the server's
mount point. They remove it from the path, so a guard around the whole application must do the same, or it
would decide about another path.
"""

import sys
from typing import Any

_MAX_LAYERS = 100  # of middleware; one that wraps itself must end, too


def own_root_path(app: Any) -> str:
    """Return the mount point that an application sets by itself; empty if it sets none.

    Args:
        app: the application that the guard wraps, or middleware around it.
    """
    layer: Any = app
    for _ in range(_MAX_LAYERS):
        # By name, so that this needs no framework. `root_path` of Flask and Quart is a folder.
        names = {f"{base.__module__}.{base.__qualname__}" for base in type(layer).__mro__}
        if "fastapi.applications.FastAPI" in names:
            return str(layer.root_path or "")
        if "django.core.handlers.asgi.ASGIHandler" in names:
            return str(sys.modules["django.conf"].settings.FORCE_SCRIPT_NAME or "")
        if not hasattr(layer, "app") or hasattr(
            layer, "routes"
        ):  # a mount's application is below another path
            break
        layer = layer.app
    return ""
