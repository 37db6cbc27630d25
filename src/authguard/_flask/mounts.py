"""Warn of what is mounted around a guarded Flask application, and so outside of its guard."""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

from authguard._logs import logger
from authguard._preflight.layers import MAX_LAYERS, is_guard


class OpenMounts:
    """Find open mounts at the first request, which has come through all that is around the application.

    Args:
        middleware: that of the guard.
    """

    def __init__(self, middleware: Any) -> None:
        self._middleware = middleware
        self._is_checked = False

    def warn_once(self) -> None:
        """Warn of them, when the first request is handled."""
        if self._is_checked:
            return
        self._is_checked = True
        paths: dict[str, None] = {}
        for layer in _callers(inspect.currentframe()):
            with suppress(Exception):  # any object may call, and define its attributes as it likes
                if is_guard(layer) and layer is not self._middleware:  # it guards what has been found
                    paths.clear()
                paths.update(dict.fromkeys(self._open_in(layer)))
        if paths:
            logger.warning(
                "what is mounted at %s is outside of the guard, since it was put around the application "
                "after init_app: write app.wsgi_app = DispatcherMiddleware(app.wsgi_app, …) before init_app, "
                "and what may be open in public_paths",
                ", ".join(map(ascii, paths)),
            )

    def _open_in(self, layer: Any) -> Iterator[str]:
        """Yield where a layer has something without a guard of its own."""
        own = getattr(layer, "__dict__", {})
        mounts = own.get("mounts")  # of Werkzeug's DispatcherMiddleware
        for path, mounted in mounts.items() if isinstance(mounts, dict) else ():
            if isinstance(path, str) and callable(mounted) and not _has_guard(mounted):
                yield path
        exports = own.get("exports")  # of its SharedDataMiddleware: files, which may well be open
        for path, _ in exports if isinstance(exports, list) and callable(layer) else ():
            if self._middleware.guard.explain("GET", path).protected:
                yield path


def _callers(frame: FrameType | None) -> Iterator[Any]:
    """Yield the objects whose methods are being run, from the inside out."""
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
