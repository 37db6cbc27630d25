"""Store the requirements of endpoints and dependencies, and find endpoints that a decorator misses."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from authguard._core.options import type_of
from authguard._core.policy.rules import Requirement
from authguard._signatures import misspelled_in
from authguard.errors import ConfigurationError

_MAX_WRAPPERS = 100  # wrappers around a function; the search must also end for one that wraps itself

#: The wrappers that `requires` has created, by the endpoint that they guard.
_wrappers: "WeakKeyDictionary[Any, list[ref[Any]]]" = WeakKeyDictionary()


_MARK = "__authguard_requirements__"


def mark(endpoint: Any, requirement: Requirement) -> None:
    """Store a decorator's requirement on an endpoint, for code that lists the routes."""
    setattr(endpoint, _MARK, (*requirements_of(endpoint), requirement))


def requirements_of(endpoint: Any) -> tuple[Requirement, ...]:
    """Return the requirements that decorators have stored on an endpoint."""
    requirements: tuple[Requirement, ...] = getattr(endpoint, _MARK, ())
    return requirements


def requirement_of(
    scopes: tuple[Any, ...], any_of: Iterable[str], roles: Iterable[str], *others: Any
) -> Requirement:
    """Return the requirement of a decorator.

    Raises:
        ConfigurationError: if the decorator has no parentheses, scopes are in a list, a list is empty, or a
            name can never match.
    """
    if scopes and callable(scopes[0]):
        raise ConfigurationError(
            f"@requires must be called, got {type_of(scopes[0])}: write @requires(), with parentheses"
        )
    if len(scopes) == 1 and isinstance(scopes[0], (list, tuple, set, frozenset)):
        each = ", ".join(map(repr, scopes[0]))
        raise ConfigurationError(
            f"the scopes of @requires must be separate arguments, got a list: write @requires({each})"
        )
    requirement = Requirement(scopes, any_of, roles, *others)
    requirement.check_not_empty(any_of=any_of, roles=roles)
    return requirement


def decorator_of(
    requirement: Requirement,
    guard_function: Callable[[Any], Any],
    guard_class: Callable[[Any], Any],
    classes: str,
) -> Callable[[Any], Any]:
    """Return the decorator of `requires` for a framework.

    Args:
        requirement: the requirement.
        guard_function: returns a function that checks the requirement before a given function.
        guard_class: returns a class that checks it before a given class.
        classes: the classes that can be guarded, for the error.
    """

    def decorate(endpoint: Any) -> Any:
        if isinstance(endpoint, staticmethod | classmethod):
            return type(endpoint)(decorate(endpoint.__func__))
        if not callable(endpoint):
            raise ConfigurationError(
                f"@requires() must decorate a function or {classes}, got {type_of(endpoint)}"
            )
        wrapper = guard_class(endpoint) if inspect.isclass(endpoint) else guard_function(endpoint)
        mark(wrapper, requirement)
        if wrapper is not endpoint:
            guarded_by(endpoint, wrapper)
        return wrapper

    return decorate


def required_by(endpoint: Any) -> tuple[Requirement, ...]:
    """Return the requirements of an endpoint or dependency: a function, a class, an object or a partial."""
    while isinstance(endpoint, functools.partial) and not requirements_of(endpoint):
        endpoint = endpoint.func
    is_class = inspect.isclass(endpoint)
    # A dependency that is a class is created for each request, and an object is called.
    inner = endpoint.__init__ if is_class else getattr(type(endpoint), "__call__", None)  # noqa: B004
    return tuple(dict.fromkeys((*requirements_of(endpoint), *requirements_of(inner))))


def required_by_dependencies(dependant: Any) -> Iterator[Requirement]:
    """Yield the requirements of a FastAPI route's dependencies, including nested ones.

    Args:
        dependant: that of the route, or None.
    """
    for dependency in getattr(dependant, "dependencies", ()):
        requirements = required_by(dependency.call)
        if requirements and dependency.security_scopes_param_name:  # `Security(…, scopes=[…])`
            scopes = (*(dependency.parent_oauth_scopes or ()), *(dependency.own_oauth_scopes or ()))
            requirements = (*requirements, Requirement(scopes))
        yield from requirements
        yield from required_by_dependencies(dependency)


def guarded_by(endpoint: Any, wrapper: Any) -> None:
    """Note that a decorator created a wrapper that guards an endpoint."""
    try:
        _wrappers.setdefault(endpoint, []).append(ref(wrapper))
    except TypeError:
        return  # an unhashable object: its routes cannot be checked


def check_order(app: Any) -> None:
    """Refuse an application with a route whose `@requires` is above the route's decorator.

    Such a route calls the function without the check.

    Args:
        app: an application of Starlette, FastAPI or Flask, or a wrapper of one.

    Raises:
        ConfigurationError: names the routes and the right order.
    """
    error = order_error(app)
    if error is not None:
        raise error


def check_order_of_flask(app: Any) -> None:
    """Repeat `check_order` at the first request, when a Flask application has all its views.

    WSGI has no startup event. While the order is wrong, Flask refuses each request with status 500.

    Args:
        app: a Flask application, its `wsgi_app`, or middleware around it; other applications are ignored.
    """
    for flask in flasks_below(app):
        functions = flask.before_request_funcs
        functions.setdefault(None, []).insert(0, functools.partial(_check_order_once, flask, []))


def flasks_below(app: Any) -> Iterator[Any]:
    """Yield the Flask application below layers of middleware, if there is one.

    Args:
        app: a Flask application, its `wsgi_app`, or middleware around it.
    """
    layer = app
    for _ in range(_MAX_WRAPPERS):
        owner = getattr(layer, "__self__", layer)  # from the bound method `Flask.wsgi_app`
        if isinstance(getattr(owner, "before_request_funcs", None), dict):
            yield owner
        if owner is not layer or layer is None:
            break
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)


def _check_order_once(app: Any, checked: list[bool]) -> None:
    if not checked:
        check_order(app)
        checked.append(True)


def order_error(app: Any) -> ConfigurationError | None:
    """Return the error that `check_order` raises, if any."""
    misplaced = misplaced_in(app)
    return ConfigurationError("; ".join(misplaced)) if misplaced else None


def misplaced_in(app: Any) -> list[str]:
    """Return a sentence for each route of an application that `@requires` should guard and does not.

    A function that was registered twice on purpose, once with the check, is not a fault.
    """
    routes = list(_routes(app, "", {}))
    used = {id(wrapped) for route in routes for call in route.calls for wrapped in _unwrapped(call)}
    sentences = [
        f"@requires must be below the decorator of the route {route.path} ({_name(route.endpoint)}), got "
        "it above, where it guards nothing: write the decorator of the route first, and @requires(...) below "
        "it"
        for route in routes
        if _is_misplaced(route.endpoint, used)
    ]
    sentences += [
        f"requires in a dependency of the route {route.path} ({_name(route.endpoint)}) must be called, got "
        "Depends(requires), which requires nothing: write Depends(requires()), with parentheses"
        for route in routes
        if any(map(_is_decorator, route.calls))
    ]
    for route in routes:
        if route.has_dependencies:
            name = f"{route.path} ({_name(route.endpoint)})"
            sentences += misspelled_in(route.calls, name, _is_guarding)
    return sentences


class _Route(NamedTuple):
    """Hold a route.

    Attributes:
        path: its path.
        endpoint: its endpoint.
        calls: the endpoint, and the dependencies of FastAPI, including nested ones.
        has_dependencies: whether FastAPI fills the parameters of the calls.
    """

    path: str
    endpoint: Any
    calls: tuple[Any, ...]
    has_dependencies: bool = False


def _is_guarding(call: Any) -> bool:
    return bool(required_by(call))


def _is_decorator(call: Any) -> bool:
    module, name = getattr(call, "__module__", None), getattr(call, "__name__", None)
    return name == "requires" and module in ("authguard.fastapi", "authguard.starlette")


def _is_misplaced(endpoint: Any, used: set[int]) -> bool:
    view_class = getattr(endpoint, "view_class", None)  # of Flask
    if inspect.isclass(view_class):
        checked = {each for wrapped in _unwrapped(endpoint) for each in requirements_of(wrapped)}
        return not checked.issuperset(requirements_of(view_class))
    try:
        wrappers = _wrappers.get(endpoint, [])
    except TypeError:
        return False
    alive = [wrapper for wrapper in (reference() for reference in wrappers) if wrapper is not None]
    # `functools.wraps` gives the wrapper the name of the function. If the function still has that name, the
    # wrapper was created for another use, perhaps in another application.
    on_purpose = any(id(wrapper) in used for wrapper in alive) or (bool(alive) and _has_its_name(endpoint))
    return bool(wrappers) and not on_purpose


def _has_its_name(endpoint: Any) -> bool:
    named: Any = sys.modules.get(getattr(endpoint, "__module__", None) or "")
    for name in getattr(endpoint, "__qualname__", "<locals>").split("."):
        named = getattr(named, name, None)
    return named is endpoint


def _unwrapped(call: Any) -> Iterator[Any]:
    """Yield a callable and the callables that it wraps."""
    for _ in range(_MAX_WRAPPERS):
        if call is None:
            return
        yield call
        call = call.func if isinstance(call, functools.partial) else getattr(call, "__wrapped__", None)


def _routes(app: Any, path: str, seen: dict[int, Any]) -> Iterator[_Route]:
    # By attribute name, so that no framework is needed. Routes of other frameworks may have a reference to
    # their application.
    while app is not None and id(app) not in seen:
        seen[id(app)] = app  # kept alive, so that no other object gets its id
        owner = getattr(app, "__self__", None)  # from the bound method `Flask.wsgi_app`
        for flask in (app, owner):
            if isinstance(getattr(flask, "view_functions", None), dict):
                yield from _views(flask)
                return
        routes = getattr(app, "routes", None)
        if isinstance(routes, list | tuple):
            for route in routes:
                yield from _of_route(route, path, seen)
            return
        mounts = getattr(app, "mounts", None)  # of Werkzeug's DispatcherMiddleware
        for place, mounted in mounts.items() if isinstance(mounts, dict) else ():
            yield from _routes(mounted, path + str(place), seen)
        app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)


def _of_route(route: Any, path: str, seen: dict[int, Any]) -> Iterator[_Route]:
    whole_path = path + str(getattr(route, "path", ""))
    included = getattr(route, "original_router", None)  # of FastAPI's `include_router`
    if included is not None:
        context = getattr(route, "include_context", None)
        prefix = path + str(getattr(context, "prefix", ""))
        for included_dependency in getattr(context, "dependencies", ()):
            yield _Route(prefix or "/", None, (included_dependency.dependency,), has_dependencies=True)
        yield from _routes(included, prefix, seen)
    elif hasattr(route, "endpoint"):
        dependant = getattr(route, "dependant", None)
        calls = (route.endpoint, *_calls(dependant))
        yield _Route(whole_path, route.endpoint, calls, has_dependencies=dependant is not None)
    else:
        yield from _routes(getattr(route, "app", None), whole_path, seen)


def _calls(dependant: Any) -> Iterator[Any]:
    for dependency in getattr(dependant, "dependencies", ()):
        yield dependency.call
        yield from _calls(dependency)


def _views(app: Any) -> Iterator[_Route]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if view is not None:
            yield _Route(rule.rule, view, (view,))


def _name(endpoint: Any) -> str:
    if endpoint is None:
        return "include_router"
    return getattr(endpoint, "__qualname__", type(endpoint).__qualname__)
