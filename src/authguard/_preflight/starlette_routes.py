"""Follow a preflight through routes of Starlette and FastAPI; run a route only if it is made to answer it."""

import sys
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

from authguard._asgi.request import ASGIApp, Receive, Scope, Send
from authguard._preflight.layers import has_base, is_a

_ONLY_OPTIONS = {"OPTIONS"}
_METHODS = ("get", "head", "post", "put", "patch", "delete", "query")

#: From an application, and what in it is a handler, to one without handlers.
Hollow = Callable[[Any, Any], ASGIApp]


def stack(app: Any) -> Any:
    """Return the middleware stack of an application, built as it is at the first request."""
    if app.middleware_stack is None:
        app.middleware_stack = app.build_middleware_stack()
    return app.middleware_stack


def application(app: Any, layers: ASGIApp) -> ASGIApp:
    """Return layers that see the application in their scope, as the application has it set.

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
    """Return the router whose routes this method looks through; None if it is no such method."""
    is_method = isinstance(app, MethodType) and app.__name__ == "app"
    return app.__self__ if is_method and is_a(app.__self__, "starlette.routing", "Router") else None


def routing(router: Any, hollow: Hollow, respond: ASGIApp) -> ASGIApp:
    """Return an application that goes where the routes of a router lead, and runs no handler.

    A route that is made for OPTIONS alone is run: it is there to answer preflights.

    Args:
        router: the router.
        hollow: makes an application without handlers of one that is mounted.
        respond: answers in the place of a handler.
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
    """Return the route that takes the request, also in an included router, and its changes to the scope."""
    match, changes = route.matches(scope)
    if match.name != "FULL":  # most routes are done with here
        return None, {}
    for leaf in _leaves([route]):
        if leaf is not route:
            match, changes = leaf.matches(scope)
        if match.name == "FULL":
            return leaf, changes
    return None, {}


def _leaves(routes: list[Any]) -> Iterator[Any]:
    """Yield routes as they are reached: newer versions of FastAPI keep included routers apart."""
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
    """Return whether a route has a handler that nothing but OPTIONS requests come to.

    Args:
        leaf: the route.
        routes: all routes beside it: its handler must not be theirs, too.
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
    """Return whether a class of endpoints dispatches OPTIONS to a method of its own."""
    if not has_base(endpoint, "starlette.endpoints", "HTTPEndpoint"):
        return False
    plain = sys.modules["starlette.endpoints"].HTTPEndpoint
    options = getattr(endpoint, "options", None)
    is_plain = endpoint.dispatch is plain.dispatch and endpoint.__await__ is plain.__await__
    is_shared = any(getattr(endpoint, name, None) is options for name in _METHODS)
    return options is not None and is_plain and not is_shared
