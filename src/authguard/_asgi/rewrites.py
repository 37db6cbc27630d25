"""Refuse requests that a layer inside of the guard has changed so that other rules apply.

Routers of Starlette and FastAPI check this when they are entered. Only routers with such layers do.
"""

from collections.abc import Awaitable
from itertools import takewhile
from types import FunctionType
from typing import Any

from authguard._asgi.request import HANDLED, ASGIApp, ASGIRequest, Receive, Scope, Send
from authguard._core.guard import Guard
from authguard._core.policy.mounts import below
from authguard._core.policy.policy import ask_the_same
from authguard._layers import attributes
from authguard._logs import where
from authguard._mounted import layers_and_kept

_PLAIN = ("starlette", "fastapi", "authguard")  # packages whose layers change neither method nor path
_BASE = "starlette.middleware.base"  # calls functions of the application


def check_routers(app: Any, seen: set[int] | None = None) -> None:
    """Let the routers below an application check that layers have not changed the request.

    Args:
        app: an application inside of the guard, or a layer around it; other frameworks are ignored.
        seen: the ids of the routers that have been searched.
    """
    seen = set() if seen is None else seen
    has_layers = False
    for layer in layers_and_kept(app):
        added = [getattr(each, "cls", None) for each in getattr(layer, "user_middleware", None) or ()]
        has_layers = has_layers or any(map(_may_change, (type(layer), *added)))
        router = getattr(layer, "router", layer)
        if not _is_router(router):
            continue
        has_layers = has_layers or any(_may_change(type(each)) for each in _own_layers(router))
        if has_layers:
            _let_check(router)
        _check_mounted(router, seen)
        return


def _check_mounted(router: Any, seen: set[int]) -> None:
    if id(router) in seen:
        return
    seen.add(id(router))
    for route in router.routes:
        included = getattr(route, "original_router", None)  # a router that `include_router` has added
        if included is not None:
            _check_mounted(included, seen)
        elif not hasattr(route, "endpoint"):
            check_routers(getattr(route, "app", None), seen)


def _is_router(layer: Any) -> bool:
    # by name, so that this needs no framework
    return any(
        (cls.__module__, cls.__name__) == ("starlette.routing", "Router") for cls in type(layer).__mro__
    )


def _may_change(layer: Any) -> bool:
    """Return whether a class or function of middleware may change the method or path of a request."""
    module = str(getattr(layer, "__module__", ""))
    return module == _BASE or module.partition(".")[0] not in _PLAIN


def _own_layers(router: Any) -> list[Any]:
    """Return the layers of a router itself, outermost first."""
    return list(takewhile(lambda layer: layer != router.app, layers_and_kept(router.middleware_stack)))


def _let_check(router: Any) -> None:
    """Let a router check each request, inside of its own layers."""
    own, checked = _own_layers(router), _CheckedRouter(router.app)
    if any(isinstance(layer, _CheckedRouter) for layer in own):
        return
    holder = own[-1] if own else router
    if isinstance(holder, FunctionType):
        for cell in holder.__closure__ or ():
            if cell.cell_contents == router.app:
                cell.cell_contents = checked
        return
    for name, value in list(attributes(holder)):
        if value == router.app:
            setattr(holder, name, checked)


class _CheckedRouter:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    # Avoids a coroutine for each connection.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        inner = scope
        while HANDLED in inner:  # for the guards around this one, too
            guard, decided = inner[HANDLED][:2]
            if _is_changed(inner, decided):
                _check_rules(inner, decided, guard)
            inner = decided
        return self.app(scope, receive, send)


def _is_changed(scope: Scope, decided: Scope) -> bool:
    """Return whether a scope has another method, path or mount point than the guard's."""
    if scope["path"] != decided["path"] or scope.get("method") != decided.get("method"):
        return True
    return _root_path(scope) != _root_path(decided) and not _is_mounted(scope, decided)


def _check_rules(scope: Scope, decided: Scope, guard: Guard) -> None:
    """Check that the same rules apply to a scope as to the guard's.

    Raises:
        RuntimeError: if other rules apply.
    """
    routed = below(_root_path(scope), scope["path"])
    mount_point = _root_path(scope if _is_mounted(scope, decided) else decided)
    now = ASGIRequest({**scope, "root_path": _root_path(decided), "path": mount_point + routed}, guard)
    find = guard.policy.find_for
    if not ask_the_same(find(ASGIRequest(decided, guard).request_key), find(now.request_key)):
        method, path = where(now)
        raise RuntimeError(
            f"middleware inside of the guard must not make {method} {path} of a request, because other rules "
            "apply to that than the guard used: put it around the guard, by app.add_middleware(…) after the "
            "guard has been added, or before the guard in a list middleware=[…]"
        )


def _root_path(scope: Scope) -> str:
    return scope.get("root_path") or ""


def _is_mounted(scope: Scope, decided: Scope) -> bool:
    """Return whether a mount or a host of Starlette is between the guard and this place."""
    return scope.get("endpoint") is not decided.get("endpoint")
