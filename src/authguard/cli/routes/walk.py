"""The routes of an application: through guards, wrappers and mounts, whatever the framework."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from authguard import asgi, wsgi
from authguard._core.guard import Guard
from authguard._core.policy.rules import Requirement
from authguard.cli.routes.paths import ANYTHING_BELOW, Template

# By these names wrappers have what they wrap: Starlette's middleware, Werkzeug's, a2wsgi, asgiref.
_WRAPPED = ("app", "wsgi_app", "wsgi_application")

#: The methods that an endpoint class may have.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Layer:
    """A guard that a request passes.

    Args:
        guard: the guard.
        depth: how many segments of the path are above its application.
        root_path: what the application itself says where it is mounted, if it does.
    """

    guard: Guard
    depth: int
    root_path: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A route.

    Args:
        path: as the application writes it, with its mount points.
        template: the same, in parts.
        layers: the guards around it, the outermost first.
        host: the host that it is for; empty for any.
        methods: such as `GET`, or `WEBSOCKET`; empty for all that there are.
        requirements: what it asks for by itself.
    """

    path: str
    template: Template
    layers: tuple[Layer, ...]
    host: str
    methods: tuple[str, ...]
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an application the walk is; the fields are those of `Route`."""

    path: str = ""
    template: Template = ()
    layers: tuple[Layer, ...] = ()
    host: str = ""

    def below(self, path: str, template: Template) -> "Place":
        """A mount point in this place."""
        return replace(self, path=self.path + path, template=self.template + template)

    def on(self, host: str) -> "Place":
        """This place for one host."""
        return replace(self, host=host)

    def inside(self, guard: Guard, root_path: str = "") -> "Place":
        """This place, once a guard is passed."""
        return replace(self, layers=(*self.layers, Layer(guard, len(self.template), root_path)))

    def route(
        self,
        path: str,
        template: Template,
        methods: tuple[str, ...],
        requirements: tuple[Requirement, ...] = (),
    ) -> Route:
        """A route in this place."""
        whole = self.below(path, template)
        return Route(whole.path or "/", whole.template, self.layers, self.host, methods, requirements)


class UnknownApplicationError(Exception):
    """The application is of no framework whose routes can be listed; the message is its class."""


def routes_of(app: Any) -> list[Route]:
    """Every route of an application.

    Args:
        app: of Starlette, FastAPI or Flask, or what is around one.

    Raises:
        UnknownApplicationError: if it is none of these.
    """
    found = list(walk(app, Place()))
    if [route.path for route in found] == ["/**"] and not found[0].methods:
        while (wrapped := _wrapped(app)) is not None:
            app = wrapped
        raise UnknownApplicationError(f"{type(app).__module__}.{type(app).__qualname__}")
    return found


def walk(app: Any, place: Place) -> Iterator[Route]:
    """The routes of an application in its place."""
    if isinstance(app, asgi.AuthGuardMiddleware | wsgi.AuthGuardMiddleware):
        root_path = app.root_path if isinstance(app, asgi.AuthGuardMiddleware) else ""
        yield from walk(app.app, place.inside(app.guard, root_path))
        return
    # What has not been imported made no application: nobody needs all frameworks.
    if sys.modules.get("starlette"):
        from authguard.cli.routes.starlette import walk_starlette

        found = walk_starlette(app, place)
        if found is not None:
            yield from found
            return
    if sys.modules.get("werkzeug"):
        from authguard.cli.routes.flask import walk_flask

        found = walk_flask(app, place)
        if found is not None:
            yield from found
            return
    wrapped = _wrapped(app)
    if wrapped is not None:
        yield from walk(wrapped, place)
    else:
        yield place.route("/**", (ANYTHING_BELOW,), ())


def _wrapped(app: Any) -> Any:
    return next((getattr(app, name) for name in _WRAPPED if hasattr(app, name)), None)


def listed(methods: set[str]) -> tuple[str, ...]:
    """Methods without HEAD and OPTIONS, which come with the others."""
    return in_order({method for method in methods if method not in ("HEAD", "OPTIONS")} or methods)


def in_order(methods: set[str]) -> tuple[str, ...]:
    """Methods in the order of `METHODS`, and others after them."""
    rank = {method: number for number, method in enumerate(METHODS)}
    return tuple(sorted(methods, key=lambda method: (rank.get(method, len(rank)), method)))
