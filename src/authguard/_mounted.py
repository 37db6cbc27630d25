"""Find the mount point that a wrapped application sets itself, which a guard outside must know.

Under ASGI, FastAPI and Django replace the server's mount point by their own `root_path` or
`FORCE_SCRIPT_NAME`. They remove it from the path, so a guard around the whole application must do the same,
or it would decide about another path.
"""

import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from authguard._layers import MAX_LAYERS, attributes, takes
from authguard.errors import ConfigurationError


def own_root_path(app: Any) -> str:
    """Return the mount point that an application sets itself; empty if it sets none.

    Args:
        app: the application that the guard wraps, or middleware around it.
    """
    for layer in layers_and_kept(app):
        if _sets_root_path(layer):
            return _root_path_of(layer)
        if hasattr(layer, "routes"):  # a mount with a path adds its own mount point
            break
    return ""


def mount_error(app: Any) -> ConfigurationError | None:
    """Return the error of an application that serves the same pages with and without a mount point.

    This happens if an application with its own mount point is mounted at `/` beside others: `/api/admin` and
    `/admin` are then the same page, and rules for one of them would not apply to the other.

    Args:
        app: the application that the guard wraps, or middleware around it.
    """
    own = own_root_path(app)
    for mounted in _mounted_at_root(app, set()):
        root_path = _root_path_of(mounted)
        if root_path.strip("/") and root_path != own:
            return ConfigurationError(
                f"root_path of an application that is mounted at '/' must be empty, got {root_path!r}: its "
                f"pages would be below {root_path!r} and below '/' alike, and rules for one of the two would "
                "not hold for the other; give the root path to the server instead, such as by --root-path"
            )
    return None


def layers_and_kept(app: Any) -> Iterator[Any]:
    """Yield an application and the layers below it, which middleware may store under any name.

    Args:
        app: the outermost layer; None has no layers.
    """
    seen: list[Any] = []
    while app is not None and len(seen) < MAX_LAYERS:
        if any(app is layer for layer in seen):  # a router has its own method as its default
            break
        seen.append(app)
        yield app
        app = app.app if hasattr(app, "app") else _kept(app)


def _kept(layer: Any) -> Any:
    """Return the application that middleware stores under another name, or a function in its closure.

    None if it has several, because it then chooses among them itself.
    """
    if isinstance(layer, FunctionType):
        values = list(_closure(layer))
    else:
        values = [value for _, value in attributes(layer)]
    kept = [value for value in values if _is_application(value)]
    return kept[0] if len(kept) == 1 else None


def _is_application(value: Any) -> bool:
    try:
        return not isinstance(value, type) and takes(value, 3)
    except Exception:  # noqa: BLE001 (a proxy may raise outside of a request)
        return False


def _closure(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the cell of the closure is empty
            continue


def _mounted_at_root(app: Any, seen: set[int]) -> Iterator[Any]:
    for layer in layers_and_kept(app):
        routes = getattr(layer, "routes", None)
        if not isinstance(routes, list) or id(routes) in seen:
            continue
        seen.add(id(routes))
        for route in routes:
            # `Mount("/")` has an empty path, and `Host` none.
            if hasattr(route, "endpoint") or getattr(route, "path", "") != "":
                continue
            mounted = getattr(route, "app", None)
            yield from filter(_sets_root_path, layers_and_kept(mounted))
            yield from _mounted_at_root(mounted, seen)


def _names(layer: Any) -> set[str]:
    # The class is found by its name, so that no framework is imported. In Flask and Quart, `root_path` is a
    # folder.
    return {f"{base.__module__}.{base.__qualname__}" for base in type(layer).__mro__}


def _sets_root_path(layer: Any) -> bool:
    return bool(_names(layer) & {"fastapi.applications.FastAPI", "django.core.handlers.asgi.ASGIHandler"})


def _root_path_of(layer: Any) -> str:
    if "fastapi.applications.FastAPI" in _names(layer):
        return str(layer.root_path or "")
    return str(sys.modules["django.conf"].settings.FORCE_SCRIPT_NAME or "")
