"""List the routes of an application through guards, wrappers and mounts, for any framework."""

import sys
from collections.abc import Iterator
from typing import Any

from authguard import asgi, wsgi
from authguard._core.guard import Guard
from authguard._routes.paths import ANYTHING_BELOW
from authguard.cli.routes.model import Inner, Route, RoutePlace, Step

# Attributes in which wrappers keep the wrapped application: Starlette's middleware, Werkzeug's, a2wsgi,
# asgiref.
_WRAPPED = ("app", "wsgi_app", "wsgi_application")


class UnknownApplicationError(Exception):
    """Report an application of an unknown framework; the message is its class."""


def routes_of(app: Any) -> list[Route]:
    """Return every route of an application.

    Args:
        app: an application of Starlette, FastAPI or Flask, with or without wrappers.

    Raises:
        UnknownApplicationError: if the framework is another.
    """
    routes = list(_walk(app, RoutePlace()))
    if [route.path for route in routes] == ["/**"] and not routes[0].methods:
        while (wrapped := _wrapped(app)) is not None:
            app = wrapped
        raise UnknownApplicationError(f"{type(app).__module__}.{type(app).__qualname__}")
    return routes


def guards_of(app: Any) -> list[tuple[Guard, str]]:
    """Return each guard of an application with the mount point of the guarded application.

    The outermost guard comes first.

    Args:
        app: any application, with guards around or inside it; or a guard itself.
    """
    if isinstance(app, Guard):
        return [(app, "")]
    guards: dict[tuple[int, str], tuple[Guard, str]] = {}
    for place in _places(app, RoutePlace()):
        for layer in place.layers:
            mount = "/".join(place.path.split("/")[: layer.depth + 1]) if layer.depth else ""
            guards.setdefault((id(layer.guard), mount), (layer.guard, mount))
    return list(guards.values())


def _places(app: Any, place: RoutePlace) -> Iterator[RoutePlace | Route]:
    """Yield each place that can be reached through an application."""
    yield place
    for step in _steps(app, place):
        if isinstance(step, Inner):
            yield from _places(step.app, step.place)
        else:
            yield step


def _walk(app: Any, place: RoutePlace) -> Iterator[Route]:
    """Yield the routes of an application, and of the applications that it contains."""
    for step in _steps(app, place):
        if isinstance(step, Inner):
            yield from _walk(step.app, step.place)
        else:
            yield step


def _steps(app: Any, place: RoutePlace) -> Iterator[Step]:
    """Return the routes of an application, and the applications that it contains."""
    if isinstance(app, asgi.AuthGuardMiddleware | wsgi.AuthGuardMiddleware):
        root_path = app.root_path if isinstance(app, asgi.AuthGuardMiddleware) else ""
        return iter([Inner(app.app, place.inside(app.guard, root_path))])
    steps = _steps_of_framework(app, place)
    if steps is not None:
        return steps
    wrapped = _wrapped(app)
    if wrapped is not None:
        return iter([Inner(wrapped, place)])
    return iter([place.route("/**", (ANYTHING_BELOW,), ())])


def _steps_of_framework(app: Any, place: RoutePlace) -> Iterator[Step] | None:
    """Return the steps of a framework's application; None for another application."""
    steps: Iterator[Step] | None = None
    # A framework that has not been imported did not create the application, and may not be installed.
    if sys.modules.get("starlette"):
        from authguard.cli.routes.starlette import starlette_steps

        steps = starlette_steps(app, place)
    if steps is None and sys.modules.get("werkzeug"):
        from authguard.cli.routes.flask import flask_steps

        steps = flask_steps(app, place)
    return steps


def _wrapped(app: Any) -> Any:
    return next((getattr(app, name) for name in _WRAPPED if hasattr(app, name)), None)
