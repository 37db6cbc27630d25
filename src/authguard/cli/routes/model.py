"""Describe the places of an application and their contents: guards, routes, and other applications."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from authguard._core.guard import Guard
from authguard._core.policy.rules import Requirement
from authguard._routes.paths import Template

#: The methods that an endpoint class may define.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Layer:
    """Describe a guard that a request passes through.

    Attributes:
        guard: the guard.
        depth: the number of path segments above its application.
        root_path: the mount point that the application itself is configured with, if any.
    """

    guard: Guard
    depth: int
    root_path: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """Describe a route, and the guards around it.

    Attributes:
        path: as written in the application, with its mount points.
        template: the parsed path.
        layers: the guards around it, the outermost first.
        host: the host of the route; empty for any.
        methods: such as `GET` or `WEBSOCKET`; empty for all methods.
        requirements: the requirements of the route itself.
    """

    path: str
    template: Template
    layers: tuple[Layer, ...]
    host: str
    methods: tuple[str, ...]
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class RoutePlace:
    """Describe a place in an application; the fields are those of `Route`."""

    path: str = ""
    template: Template = ()
    layers: tuple[Layer, ...] = ()
    host: str = ""

    def below(self, path: str, template: Template) -> "RoutePlace":
        """Return the place below a mount point of this place."""
        return replace(self, path=self.path + path, template=self.template + template)

    def on(self, host: str) -> "RoutePlace":
        """Return this place, limited to one host."""
        return replace(self, host=host)

    def inside(self, guard: Guard, root_path: str = "") -> "RoutePlace":
        """Return this place inside a guard."""
        return replace(self, layers=(*self.layers, Layer(guard, len(self.template), root_path)))

    def route(
        self,
        path: str,
        template: Template,
        methods: tuple[str, ...],
        requirements: tuple[Requirement, ...] = (),
    ) -> Route:
        """Return a route at this place."""
        whole = self.below(path, template)
        return Route(whole.path or "/", whole.template, self.layers, self.host, methods, requirements)


class Inner(NamedTuple):
    """Describe another application to examine, and its place.

    Attributes:
        app: the application.
        place: its place.
    """

    app: Any
    place: RoutePlace


#: A step of the walk through the applications of one framework.
Step: TypeAlias = Route | Inner


def listed_methods(methods: set[str]) -> tuple[str, ...]:
    """Return methods without HEAD and OPTIONS, which frameworks add to the others."""
    return sort_methods({method for method in methods if method not in ("HEAD", "OPTIONS")} or methods)


def sort_methods(methods: set[str]) -> tuple[str, ...]:
    """Sort methods in the order of `METHODS`, and others after them."""
    rank = {method: number for number, method in enumerate(METHODS)}
    return tuple(sorted(methods, key=lambda method: (rank.get(method, len(rank)), method)))
