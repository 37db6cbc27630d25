"""The mount point that a wrapped application sets by itself, which a guard outside has to know.

FastAPI replaces the server's `root_path` by its own when it is called. Its router then removes that from
the path, so a guard around the whole application must do the same, or it would decide about another path.
"""

from typing import Any

_MAX_LAYERS = 100  # of middleware; one that wraps itself must end, too


def own_root_path(app: Any) -> str:
    """Return the mount point that an application sets by itself; empty if it sets none.

    Args:
        app: what the guard wraps: an application, or middleware around one.
    """
    layer = app
    for _ in range(_MAX_LAYERS):
        # By name, so that this needs no framework. `root_path` of Flask and Quart is a folder.
        if any(base.__name__ == "FastAPI" for base in type(layer).__mro__):
            return str(layer.root_path or "")
        if layer is None or hasattr(layer, "routes"):  # what is mounted further in is below another path
            break
        layer = getattr(layer, "app", None)
    return ""
