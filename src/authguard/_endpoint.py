"""Store the requirements of endpoints and dependencies, and find endpoints that a decorator misses."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from authguard._core.options import type_of
from authguard._core.policy.rules import Requirement
from authguard._layers import MAX_LAYERS
from authguard._signatures.dependencies import misspelled_in, misspelled_scopes
from authguard._signatures.misused import check_endpoint, misused
from authguard._signatures.wrappers import guarded_by, has_wrappers, is_misplaced, unwrapped
from authguard.errors import ConfigurationError

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
    *,
    instead: str,
    check_now: Callable[[], None] | None = None,
) -> Callable[..., Any]:
    """Return the decorator of `requires` for a framework.

    Args:
        requirement: the requirement.
        guard_function: returns a function that checks the requirement before a given function.
        guard_class: returns a class that checks it before a given class.
        classes: the classes that can be guarded, for the error.
        instead: the spelling for a call with other arguments than an endpoint, for the error.
        check_now: checks the requirement, if the decorator is called without an argument.
    """

    def decorate(*endpoints: Any, **others: Any) -> Any:
        if check_now is not None and not endpoints and not others:
            return check_now()
        if others or len(endpoints) != 1:
            raise misused(requirement, len(endpoints) + len(others), instead)
        endpoint = endpoints[0]
        if isinstance(endpoint, staticmethod | classmethod):
            return type(endpoint)(decorate(endpoint.__func__))
        check_endpoint(endpoint, requirement, classes)
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


def check_order_of_flask(
    app: Any, when_complete: Callable[[], None], report: Callable[[str], object]
) -> None:
    """Repeat `check_order` before the first view, when a Flask application has all its views.

    WSGI has no startup event. While the order is wrong, Flask refuses each request with status 500.

    Args:
        app: a Flask application, its `wsgi_app`, or middleware around it; other applications are ignored.
        when_complete: called at the same time.
        report: called once with a wrong order, which an error handler of the application may hide.
    """
    for flask in flasks_below(app):
        _check_at_first_request(flask, when_complete, report)


def flasks_below(app: Any) -> Iterator[Any]:
    """Yield the Flask application below layers of middleware, if any.

    Args:
        app: a Flask application, its `wsgi_app`, or middleware around it.
    """
    layer = app
    for _ in range(MAX_LAYERS):
        owner = getattr(layer, "__self__", layer)  # the application of the bound method `Flask.wsgi_app`
        if isinstance(getattr(owner, "before_request_funcs", None), dict):
            yield owner
        if owner is not layer or layer is None:
            break
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)


def _check_at_first_request(
    flask: Any, when_complete: Callable[[], None], report: Callable[[str], object]
) -> None:
    functions = flask.before_request_funcs
    is_reported = False

    def check() -> None:
        nonlocal is_reported
        error = order_error(flask)
        if error is not None:
            if not is_reported:
                is_reported = True
                report(str(error))
            raise error
        when_complete()
        # So that later requests pay nothing for it. A new list, because Flask iterates over the old one now.
        functions[None] = [function for function in functions[None] if function is not check]

    functions.setdefault(None, []).insert(0, check)


def order_error(app: Any) -> ConfigurationError | None:
    """Return the error that `check_order` raises, if any."""
    misplaced = misplaced_in(app)
    return ConfigurationError("; ".join(misplaced)) if misplaced else None


def misplaced_in(app: Any) -> list[str]:
    """Return a sentence for each route of an application that `@requires` should guard, but does not.

    A function that was registered twice on purpose, once with the check, is not a fault.
    """
    routes = list(registered_routes(app))
    hooks = {id(hook): hook for route in routes for hook in route.hooks if _is_decorated(hook)}
    decorated = [route for route in routes if _is_decorated(route.endpoint)]
    used: set[int] = set()
    if decorated or hooks:
        calls = (call for route in routes for call in (*route.calls, *route.hooks))
        used = {id(wrapped) for call in calls for wrapped in unwrapped(call)}
    sentences = [
        f"@requires must be below @before_request ({_name(hook)}), got it above, where it guards nothing: "
        "write @before_request first, and @requires(...) below it"
        for hook in hooks.values()
        if _is_misplaced(hook, used)
    ]
    sentences += [
        f"@requires must be below the decorator of the route {route.path} ({_name(route.endpoint)}), got "
        "it above, where it guards nothing: write the decorator of the route first, and @requires(...) below "
        "it"
        for route in decorated
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
            for listed in route.listed:
                sentences += misspelled_scopes(listed, f"dependencies of the route {name}")
    return sentences


class RegisteredRoute(NamedTuple):
    """Hold a route, or a place below which routes cannot be read.

    Attributes:
        path: its path.
        endpoint: its endpoint.
        calls: the endpoint, and the dependencies of FastAPI, including nested ones.
        has_dependencies: whether FastAPI fills the parameters of the calls.
        listed: the `Depends` and `Security` of lists of dependencies.
        hooks: the `before_request` functions of a Flask application and its blueprints.
        is_opaque: whether this is such a place, such as the mount of an unknown application.
        methods: its methods; empty if it may have all.
    """

    path: str
    endpoint: Any
    calls: tuple[Any, ...] = ()
    has_dependencies: bool = False
    listed: tuple[Any, ...] = ()
    hooks: tuple[Any, ...] = ()
    is_opaque: bool = False
    methods: frozenset[str] = frozenset()


def registered_routes(app: Any) -> Iterator[RegisteredRoute]:
    """Yield the routes of an application, including those that are mounted in it.

    Args:
        app: an application of Starlette, FastAPI, Flask or Quart, or a wrapper of one. The routes of others
            cannot be read.
    """
    yield from _routes(app, "", {})


def _is_guarding(call: Any) -> bool:
    return bool(required_by(call))


def _is_decorator(call: Any) -> bool:
    module, name = getattr(call, "__module__", None), getattr(call, "__name__", None)
    return name == "requires" and module in ("authguard.fastapi", "authguard.starlette")


def _is_decorated(endpoint: Any) -> bool:
    """Return whether a decorator may guard an endpoint, so that its order must be checked."""
    return has_wrappers(endpoint) or inspect.isclass(getattr(endpoint, "view_class", None))


def _is_misplaced(endpoint: Any, used: set[int]) -> bool:
    view_class = getattr(endpoint, "view_class", None)  # a view of Flask
    if inspect.isclass(view_class):
        checked = {each for wrapped in unwrapped(endpoint) for each in requirements_of(wrapped)}
        return not checked.issuperset(requirements_of(view_class))
    return is_misplaced(endpoint, used)


def _routes(app: Any, path: str, seen: dict[int, Any]) -> Iterator[RegisteredRoute]:
    # By attribute name, so that no framework is needed. Routes of other frameworks may have a reference to
    # their application.
    while app is not None and id(app) not in seen:
        seen[id(app)] = app  # kept alive, so that no other object gets its id
        owner = getattr(app, "__self__", None)  # from the bound method `Flask.wsgi_app`
        for flask in (app, owner):
            if isinstance(getattr(flask, "view_functions", None), dict):
                yield from _views(flask, path)
                return
        routes = getattr(app, "routes", None)
        if isinstance(routes, list | tuple):
            for route in routes:
                yield from _of_route(route, path, seen)
            if _has_others(app):
                break
            return
        mounts = getattr(app, "mounts", None)  # the mounts of Werkzeug's DispatcherMiddleware
        for place, mounted in mounts.items() if isinstance(mounts, dict) else ():
            yield from _routes(mounted, path + str(place), seen)
        app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)
    yield RegisteredRoute(path, None, is_opaque=True)


def _has_others(app: Any) -> bool:
    """Return whether a router has pages besides its routes: FastAPI's `frontend`, or another default."""
    router = getattr(app, "router", app)
    default = getattr(router, "default", None)
    own = getattr(router, "not_found", None)
    return default != own or any(True for _ in getattr(router, "_iter_low_priority_routes", tuple)())


def _of_route(route: Any, path: str, seen: dict[int, Any]) -> Iterator[RegisteredRoute]:
    whole_path = path + str(getattr(route, "path", ""))
    included = getattr(route, "original_router", None)  # a router that FastAPI's `include_router` has added
    if included is not None:
        context = getattr(route, "include_context", None)
        prefix = path + str(getattr(context, "prefix", ""))
        for included_dependency in getattr(context, "dependencies", ()):
            yield RegisteredRoute(
                prefix or "/",
                None,
                (included_dependency.dependency,),
                has_dependencies=True,
                listed=(included_dependency,),
            )
        yield from _routes(included, prefix, seen)
    elif hasattr(route, "endpoint"):
        dependant = getattr(route, "dependant", None)
        calls = (route.endpoint, *_calls(dependant))
        listed = tuple(getattr(route, "dependencies", ()))
        methods = frozenset(getattr(route, "methods", None) or ())
        yield RegisteredRoute(
            whole_path, route.endpoint, calls, dependant is not None, listed, methods=methods
        )
    else:
        yield from _routes(getattr(route, "app", None), whole_path, seen)


def _calls(dependant: Any) -> Iterator[Any]:
    for dependency in getattr(dependant, "dependencies", ()):
        yield dependency.call
        yield from _calls(dependency)


def _views(app: Any, path: str) -> Iterator[RegisteredRoute]:
    of_blueprints = getattr(app, "before_request_funcs", {})
    hooks = tuple(hook for functions in of_blueprints.values() for hook in functions)
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if view is not None:
            methods = frozenset(rule.methods or ())
            yield RegisteredRoute(path + rule.rule, view, (view,), hooks=hooks, methods=methods)


def _name(endpoint: Any) -> str:
    if endpoint is None:
        return "include_router"
    return getattr(endpoint, "__qualname__", type(endpoint).__qualname__)
