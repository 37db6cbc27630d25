"""Follow a preflight through routes of Starlette and FastAPI; run only routes made to answer it."""

import sys
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

from authguard._asgi.request import ASGIApp, Receive, Scope, Send
from authguard._preflight.layers import has_base, is_a

_ONLY_OPTIONS = {"OPTIONS"}
_METHODS = ("get", "head", "post", "put", "patch", "delete", "query")

#: Takes an application and its handler, and returns the application without handlers.
Hollow = Callable[[Any, Any], ASGIApp]


def stack(app: Any) -> Any:
    """Return the middleware stack of an application, built as at the first request."""
    if app.middleware_stack is None:
        app.middleware_stack = app.build_middleware_stack()
    return app.middleware_stack


def application(app: Any, layers: ASGIApp) -> ASGIApp:
    """Return layers with the application in their scope, as the application sets it.

    Args:
        app: the application.
        layers: its middleware, around a responder.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app
        if root_path := getattr(app, "root_path", ""):  # FastAPI's
            scope["root_path"] = root_path
        await layers(scope, receive, send)

    return answer


def router_of(app: Any) -> Any:
    """Return the router of this method; None for another object."""
    is_method = isinstance(app, MethodType) and app.__name__ == "app"
    return app.__self__ if is_method and is_a(app.__self__, "starlette.routing", "Router") else None


def routing(router: Any, hollow: Hollow, respond: ASGIApp) -> ASGIApp:
    """Return an application that follows the routes of a router, but runs no handler.

    A route that is registered only for OPTIONS is run, because its purpose is to answer preflights.

    Args:
        router: the router.
        hollow: returns a mounted application without its handlers.
        respond: answers instead of a handler.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("router", router)
        app = respond
        for route in router.routes:
            leaf, changes = _match(route, scope)
            if leaf is None:
                continue
            if is_for_options_alone(leaf, router.routes):
                scope.update(route.matches(scope)[1])
                app = route.handle
            else:
                scope.update(changes)
                app = _layers_of(leaf, hollow, respond)
            break
        await app(scope, receive, send)

    return answer


def _match(route: Any, scope: Scope) -> tuple[Any, Scope]:
    """Return the route of a request, also from an included router, and its changes to the scope."""
    match, changes = route.matches(scope)
    if match.name != "FULL":  # most routes end here
        return None, {}
    for leaf in _leaves([route]):
        if leaf is not route:
            match, changes = leaf.matches(scope)
        if match.name == "FULL":
            return leaf, changes
    return None, {}


def _leaves(routes: list[Any]) -> Iterator[Any]:
    """Yield the effective routes: newer versions of FastAPI store included routers apart."""
    contexts = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    for route in routes:
        if contexts is None or hasattr(route, "endpoint"):
            yield route
        else:
            yield from contexts([route])


def _layers_of(leaf: Any, hollow: Hollow, respond: ASGIApp) -> ASGIApp:
    """Return the middleware of a route or a mount around a responder."""
    kind = getattr(leaf, "original_route", leaf)
    app, endpoint = getattr(leaf, "app", None), getattr(leaf, "endpoint", None)
    is_mounted = is_a(kind, "starlette.routing", "Mount") or is_a(kind, "starlette.routing", "Host")
    if is_mounted:
        return hollow(app, None)
    return hollow(app, endpoint) if is_a(kind, "starlette.routing", "Route") else respond


def is_for_options_alone(leaf: Any, routes: list[Any]) -> bool:
    """Return whether the handler of a route receives only OPTIONS requests.

    Args:
        leaf: the route.
        routes: all routes beside it, which must not have the same handler.
    """
    endpoint, methods = getattr(leaf, "endpoint", None), getattr(leaf, "methods", None)
    if endpoint is None:
        return False
    if methods == _ONLY_OPTIONS:
        return all(
            getattr(other, "methods", None) == _ONLY_OPTIONS
            for other in _leaves(routes)
            if getattr(other, "endpoint", None) is endpoint
        )
    return isinstance(endpoint, type) and _has_options_method(endpoint)


def _has_options_method(endpoint: Any) -> bool:
    """Return whether a class of endpoints has its own method for OPTIONS."""
    if not has_base(endpoint, "starlette.endpoints", "HTTPEndpoint"):
        return False
    plain = sys.modules["starlette.endpoints"].HTTPEndpoint
    options = getattr(endpoint, "options", None)
    is_plain = endpoint.dispatch is plain.dispatch and endpoint.__await__ is plain.__await__
    is_shared = any(getattr(endpoint, name, None) is options for name in _METHODS)
    return options is not None and is_plain and not is_shared
