"""Describe the places of an application, and what is in them: guards, routes, and other applications."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from authguard._core.guard import Guard
from authguard._core.policy.rules import Requirement
from authguard.cli.routes.paths import Template

#: The methods that an endpoint class may have.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Layer:
    """Describe a guard that a request passes.

    Attributes:
        guard: the guard.
        depth: how many segments of the path are above its application.
        root_path: what the application itself says where it is mounted, if it does.
    """

    guard: Guard
    depth: int
    root_path: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """Describe a route, and the guards around it.

    Attributes:
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
class RoutePlace:
    """Describe a place in an application; the fields are those of `Route`."""

    path: str = ""
    template: Template = ()
    layers: tuple[Layer, ...] = ()
    host: str = ""

    def below(self, path: str, template: Template) -> "RoutePlace":
        """Return the place below a mount point in this one."""
        return replace(self, path=self.path + path, template=self.template + template)

    def on(self, host: str) -> "RoutePlace":
        """Return this place for one host."""
        return replace(self, host=host)

    def inside(self, guard: Guard, root_path: str = "") -> "RoutePlace":
        """Return this place inside of a guard."""
        return replace(self, layers=(*self.layers, Layer(guard, len(self.template), root_path)))

    def route(
        self,
        path: str,
        template: Template,
        methods: tuple[str, ...],
        requirements: tuple[Requirement, ...] = (),
    ) -> Route:
        """Return a route in this place."""
        whole = self.below(path, template)
        return Route(whole.path or "/", whole.template, self.layers, self.host, methods, requirements)


class Inner(NamedTuple):
    """Name another application in a place, to look into.

    Attributes:
        app: the application.
        place: where it is.
    """

    app: Any
    place: RoutePlace


#: What the walk through the applications of one framework yields.
Step: TypeAlias = Route | Inner


def listed_methods(methods: set[str]) -> tuple[str, ...]:
    """Return methods without HEAD and OPTIONS, which come with the others."""
    return sort_methods({method for method in methods if method not in ("HEAD", "OPTIONS")} or methods)


def sort_methods(methods: set[str]) -> tuple[str, ...]:
    """Sort methods in the order of `METHODS`, and others after them."""
    rank = {method: number for number, method in enumerate(METHODS)}
    return tuple(sorted(methods, key=lambda method: (rank.get(method, len(rank)), method)))
