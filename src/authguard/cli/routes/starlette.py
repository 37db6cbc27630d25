"""List the routes of Starlette and FastAPI applications."""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from starlette import convertors, routing
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.staticfiles import StaticFiles

from authguard._core.guard import Guard
from authguard._core.policy.rules import Requirement
from authguard._core.request import WEBSOCKET
from authguard._endpoint import required_by, required_by_dependencies
from authguard._routes.paths import ANYTHING_BELOW, Parameter, Template, template
from authguard.asgi import AuthGuardMiddleware
from authguard.cli.routes.model import METHODS, Inner, Route, RoutePlace, Step, listed_methods

_PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*(?::([A-Za-z_][A-Za-z0-9_]*))?\}")


def starlette_steps(app: Any, place: RoutePlace) -> Iterator[Step] | None:
    """Return the routes and mounts of a Starlette application; None for another application."""
    if isinstance(app, Starlette):
        root_path = getattr(app, "root_path", "")  # FastAPI's, inside its guard
        for middleware in app.user_middleware:
            guard = middleware.kwargs.get("guard")
            cls: Any = middleware.cls
            if isinstance(cls, type) and issubclass(cls, AuthGuardMiddleware) and isinstance(guard, Guard):
                place = place.inside(guard, root_path)
        return iter([Inner(app.router, place)])
    if isinstance(app, routing.Router):
        return _router(app, place)
    if isinstance(app, StaticFiles):
        return iter([place.route("/**", (ANYTHING_BELOW,), ("GET",))])
    return None


def _router(router: routing.Router, place: RoutePlace) -> Iterator[Step]:
    place = _inside_guards_of(router.middleware_stack, place)
    for route in _effective(router.routes):
        yield from _route(route, place)
    yield from _frontends(router, place)


def _effective(routes: Iterable[Any]) -> Iterable[Any]:
    """Return the effective routes: FastAPI adds prefixes and dependencies of included routers late."""
    if sys.modules.get("fastapi"):
        from fastapi import routing as fastapi_routing

        # Otherwise they were applied when the router was included.
        if hasattr(fastapi_routing, "iter_route_contexts"):
            return fastapi_routing.iter_route_contexts(list(routes))
    return routes


def _route(route: Any, place: RoutePlace) -> Iterator[Step]:
    kind = getattr(route, "original_route", route)
    if isinstance(kind, routing.Host):
        yield Inner(route.app, place.on(route.host))
    elif isinstance(kind, routing.Mount):
        yield Inner(route.app, place.below(route.path, _template(route.path)))
    elif isinstance(kind, routing.WebSocketRoute):
        yield _inside_guards_of(getattr(route, "app", None), place).route(
            route.path, _template(route.path), (WEBSOCKET,), _requirements(route)
        )
    elif isinstance(kind, routing.Route):
        place = _inside_guards_of(getattr(route, "app", None), place)
        for methods, requirements in _by_method(route):
            yield place.route(
                route.path, _template(route.path), methods, (*_requirements(route), *requirements)
            )


def _by_method(route: Any) -> Iterator[tuple[tuple[str, ...], tuple[Requirement, ...]]]:
    """Yield the methods of a route, and the requirements of each in an endpoint class."""
    endpoint = route.endpoint
    if isinstance(endpoint, type) and issubclass(endpoint, HTTPEndpoint):
        has = {method for method in METHODS if hasattr(endpoint, method.lower())}
        for method in listed_methods(has & set(route.methods or has)):
            yield (method,), required_by(getattr(endpoint, method.lower()))
    else:
        yield listed_methods(set(route.methods or ())), ()


def _requirements(route: Any) -> tuple[Requirement, ...]:
    return (
        *required_by(getattr(getattr(route, "dependant", None), "call", route.endpoint)),
        *required_by_dependencies(getattr(route, "dependant", None)),
    )


def _frontends(router: Any, place: RoutePlace) -> Iterator[Route]:
    """Yield the files served by FastAPI's `app.frontend()`, which it stores apart from its routes."""
    for context in getattr(router, "_iter_low_priority_routes", tuple)():
        prefix = getattr(context, "frontend_prefix", "")
        for route in getattr(getattr(context, "original_route", context), "routes", ()):
            path = (prefix + route.path).rstrip("/")
            requirements = tuple(required_by_dependencies(getattr(context, "dependant", None)))
            yield place.route(
                f"{path}/**",
                (*_template(path), ANYTHING_BELOW),
                listed_methods(set(route.methods)),
                requirements,
            )


def _inside_guards_of(app: Any, place: RoutePlace) -> RoutePlace:
    """Return this place inside the guards around one route or router."""
    while app is not None and not isinstance(app, Starlette | routing.Router):
        if isinstance(app, AuthGuardMiddleware):
            place = place.inside(app.guard)
        app = getattr(app, "app", None)
    return place


def _template(path: str) -> Template:
    pieces: list[str | Parameter] = []
    end = 0
    for match in _PARAMETER.finditer(path):
        pieces += [path[end : match.start()], Parameter(_regex(match[1] or "str"))]
        end = match.end()
    return template([*pieces, path[end:]])


def _regex(convertor: str) -> str:
    return convertors.CONVERTOR_TYPES[convertor].regex
