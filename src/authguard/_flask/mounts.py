"""Warn of applications that are mounted around a guarded Flask application, outside its guard."""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

from authguard._layers import MAX_LAYERS
from authguard._logs import logger
from authguard._preflight.layers import is_guard


class OpenMounts:
    """Find open mounts at the first request, which has passed through all layers around the application.

    Args:
        middleware: the middleware of the guard.

    Attributes:
        is_checked: whether the first request has been seen.
    """

    def __init__(self, middleware: Any) -> None:
        self._middleware = middleware
        self.is_checked = False

    def warn(self) -> None:
        """Log a warning about them; call it at the first request."""
        self.is_checked = True
        paths: dict[str, None] = {}
        for layer in _callers(inspect.currentframe()):
            with suppress(Exception):  # arbitrary objects may be callers, with arbitrary attributes
                # This guard protects the application that was found.
                if is_guard(layer) and layer is not self._middleware:
                    paths.clear()
                paths.update(dict.fromkeys(self._open_in(layer)))
        if paths:
            logger.warning(
                "the applications mounted at %s are outside of the guard, because they were mounted after "
                "init_app: write app.wsgi_app = DispatcherMiddleware(app.wsgi_app, …), or SocketIO(app), "
                "before init_app, and list paths that may be open in public_paths",
                ", ".join(map(ascii, paths)),
            )

    def _open_in(self, layer: Any) -> Iterator[str]:
        """Yield the paths at which a layer has an application without a guard."""
        own = getattr(layer, "__dict__", {})
        mounts = own.get("mounts")  # the mounts of Werkzeug's DispatcherMiddleware
        for path, mounted in mounts.items() if isinstance(mounts, dict) else ():
            if isinstance(path, str) and callable(mounted) and not _has_guard(mounted):
                yield path
        # Mounts of its SharedDataMiddleware are files, which may be public on purpose, and Flask-SocketIO may
        # have functions that check the caller.
        exports, socket_path = own.get("exports"), own.get("engineio_path")
        paths = [path for path, _ in exports] if isinstance(exports, list) else []
        for path in [*paths, socket_path] if isinstance(socket_path, str) else paths:
            if callable(layer) and self._middleware.guard.explain("GET", path).protected:
                yield path


def _callers(frame: FrameType | None) -> Iterator[Any]:
    """Yield the objects whose methods are on the call stack, innermost first."""
    while frame is not None:
        code = frame.f_code
        if code.co_argcount and code.co_varnames[0] == "self":
            yield frame.f_locals.get("self")
        frame = frame.f_back


def _has_guard(layer: Any) -> bool:
    for _ in range(MAX_LAYERS):
        if layer is None or is_guard(layer):
            break
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)
    return layer is not None
