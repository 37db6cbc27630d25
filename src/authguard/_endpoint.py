"""Store the requirements of endpoints and dependencies, and find endpoints that a decorator misses."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

from authguard._core.options import got, several_names, type_of
from authguard._core.policy.names import spelled_names
from authguard._core.policy.rules import Requirement
from authguard._layers import MAX_LAYERS, layers_of
from authguard._signatures.dependencies import misspelled_in, misspelled_scopes, signatures_read_once
from authguard._signatures.fields import unread_by
from authguard._signatures.listed import listed_in, unread_lists
from authguard._signatures.misused import NoDepends, check_endpoint, misused, spelled
from authguard._signatures.reached import identity, reached, unwrapped
from authguard._signatures.registered import RegisteredRoute, registered_routes
from authguard._signatures.uncalled import is_decorator, lacking_call, uncalled_in, unused_in
from authguard._signatures.unused_results import check_is_kept, is_result_unused
from authguard._signatures.wrappers import Decorated, guarded_by
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
        ConfigurationError: if the decorator has no parentheses, scopes are in a list, a list is empty, a name
            can never match, or the caller throws the decorator away.
    """
    if scopes and callable(scopes[0]):
        raise ConfigurationError(
            f"@requires must be called, got {type_of(scopes[0])}: write @requires(), with parentheses"
        )
    written = spelled_names(scopes, "scopes")
    if written and any(map(_is_no_scope, scopes)):
        raise ConfigurationError(
            f"the scopes of @requires must be separate arguments of text, got {', '.join(map(got, scopes))}: "
            f"write @requires({written})"
        )
    requirement = Requirement(scopes, any_of, roles, *others)
    requirement.check_not_empty(any_of=any_of, roles=roles)
    if is_result_unused("requires", is_decorator):
        raise ConfigurationError(
            f"{spelled(requirement)} must decorate a function, got a call whose result is thrown away, so "
            f"that it guards nothing: write @{spelled(requirement)} above a function"
        )
    return requirement


def _is_no_scope(value: Any) -> bool:
    """Return whether an argument is a list of scopes, a text of several, or a member of an Enum."""
    if isinstance(value, str):
        return value.split() != [value] or bool(several_names(value))
    return isinstance(value, list | tuple | set | frozenset | Enum)


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
            check_is_kept(requirement)
            guarded_by(endpoint, wrapper)
        return wrapper

    return Decorating(decorate, requirement, guard_function.__module__)


class Decorating(NoDepends):
    """Decorate endpoints: the result of `requires`, which checks nothing before it decorates a function.

    Args:
        decorate: the decorator.
        requirement: the requirement.
        module: the module of its `requires`.
    """

    def __init__(self, decorate: Callable[..., Any], requirement: Requirement, module: str) -> None:
        self._decorate = decorate
        self._requirement = requirement
        self.__module__ = module
        mark(self, requirement)

    def __call__(self, *endpoints: Any, **others: Any) -> Any:
        """Decorate an endpoint."""
        return self._decorate(*endpoints, **others)

    def __bool__(self) -> bool:
        """Refuse a test for truth, which each caller would pass.

        Raises:
            ConfigurationError: always, except for FastAPI, which asserts that it has a dependency.
        """
        frame = inspect.currentframe()
        caller = None if frame is None else frame.f_back
        if caller is not None and caller.f_globals.get("__name__", "").partition(".")[0] == "fastapi":
            return True
        raise ConfigurationError(
            f"{self.spelled()} must decorate a function, got a test for truth, which each caller would pass: "
            f"write @{self.spelled()} above a function, or compare it with None by `is`"
        )

    def spelled(self) -> str:
        """Return the call of `requires`, for errors."""
        return spelled(self._requirement)


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
    sentences = list(_above(routes))
    sentences += [
        f"requires in a dependency of the route {route.path} ({_name(route.endpoint)}) must be called, got "
        f"a dependency that only calls it, which requires nothing: write Depends({call})"
        for route in routes
        for call in filter(None, map(lacking_call, route.calls))
    ]
    sentences += [
        f"requires in a dependency of the route {route.path} ({_name(route.endpoint)}) must be that of "
        f"authguard.fastapi, got that of {'.'.join(call.__module__.split('.')[:2])}: import requires from "
        "authguard.fastapi"
        for route in routes
        if route.has_dependencies
        for call in route.calls
        if _is_of_other_framework(call)
    ]
    sentences += [text for route in routes for text in unread_lists(route.endpoint, route.path, required_by)]
    sentences += _late(routes)
    sentences += _in_functions(routes)
    return list(dict.fromkeys(sentences))


def _in_functions(routes: Iterable[RegisteredRoute]) -> Iterator[str]:
    """Yield a sentence for each check that a function of a route writes so that it guards nothing."""
    # Many routes have the same dependencies. Those by id that have no fault are not examined again; they are
    # kept alive, so that no other object gets their ids.
    sound: dict[int, Any] = {}
    sound_types: dict[int, Any] = {}
    with signatures_read_once():
        for route in routes:
            calls = [call for call in route.calls if call is route.endpoint or id(call) not in sound]
            sentences = list(_of_functions(route._replace(calls=tuple(calls))))
            if route.has_dependencies:
                sentences += unread_by(route, _with_endpoint(route), is_guarding, sound_types)
            if not sentences and route.has_dependencies:
                sound.update((id(call), call) for call in calls if call is not route.endpoint)
            yield from sentences


def _of_functions(route: RegisteredRoute) -> Iterator[str]:
    """Yield the same for one route."""
    yield from unused_in(route.calls, f"the route {route.path}", is_guarding)
    for hook in route.hooks:
        yield from unused_in([hook.function], hook.decorator, is_guarding)
    if route.has_dependencies:
        name = _with_endpoint(route)
        yield from misspelled_in(route.calls, name, is_guarding)
        dependencies = [call for call in route.calls if call is not route.endpoint]
        yield from uncalled_in(dependencies, name, is_guarding)
        for listed in route.listed:
            yield from misspelled_scopes(listed, f"dependencies of the route {name}", is_guarding)


def _above(routes: Iterable[RegisteredRoute]) -> Iterator[str]:
    """Yield a sentence for each function of an application that is registered without its `@requires`."""
    routes = list(routes)
    hooks = {id(hook.function): hook for route in routes for hook in route.hooks}
    endpoints = (call for route in routes for call in route.calls)
    decorated = Decorated((*endpoints, *(hook.function for hook in hooks.values())))
    for hook in hooks.values():
        if decorated.is_misplaced(hook.function):
            yield (
                f"@requires must be below {hook.decorator} ({_name(hook.function)}), got it above, where it "
                f"guards nothing: write {hook.decorator} first, and @requires(...) below it"
            )
    for route in routes:
        if _lacks_class(route.endpoint) or decorated.is_misplaced(route.endpoint):
            yield (
                f"@requires must be below the decorator of the route {route.path} ({_name(route.endpoint)}), "
                "got it above, where it guards nothing: write the decorator of the route first, and "
                "@requires(...) below it"
            )


def _is_of_other_framework(call: Any) -> bool:
    """Return whether a dependency is the result of `requires(…)` of Flask or Django."""
    return type(call) is Decorating


def is_guarding(call: Any) -> bool:
    """Return whether a callable checks the caller."""
    return bool(required_by(call))


def _lacks_class(endpoint: Any) -> bool:
    """Return whether a view of Flask does not have the decorators of its class."""
    view_class = getattr(endpoint, "view_class", None)
    if not inspect.isclass(view_class):
        return False
    checked = {each for wrapped in reached(endpoint) for each in requirements_of(wrapped)}
    listed = listed_in(view_class, "decorators", required_by)
    required = {*requirements_of(view_class), *(each for check in listed for each in requirements_of(check))}
    return not checked.issuperset(required)


def _late(routes: Iterable[RegisteredRoute]) -> Iterator[str]:
    """Yield a sentence for each check that was added to a route or blueprint after its registration."""
    for route in routes:
        for hook in route.hooks:
            if not hook.is_called and is_guarding(hook.function):
                check = spelled(requirements_of(hook.function)[0])
                yield (
                    f"the functions of a blueprint must be added before register_blueprint, got {check} "
                    f"added later, so that it guards nothing: write bp.before_request({check}) above it"
                )
        required = required_by(route.endpoint)
        if required and not route.around.is_included and _is_replaced(route):
            yield (
                f"the route {route.path} ({_name(route.endpoint)}) must be added with its guarded endpoint, "
                "got an endpoint that was replaced later, which is not called, so that it guards nothing: "
                f"write @{spelled(required[-1])} below the decorator of the route"
            )


def _is_replaced(route: RegisteredRoute) -> bool:
    """Return whether a route of Starlette or FastAPI calls the function that its endpoint wraps."""
    dependant = getattr(route.route, "dependant", None)
    app = getattr(route.route, "app", None)
    calls = list(layers_of(app)) if dependant is None else [dependant.call]
    behind = [each for call in calls for each in reached(call)]
    called = set(map(identity, behind))
    if identity(route.endpoint) in called or called.isdisjoint(map(identity, unwrapped(route.endpoint))):
        return False
    checked = {requirement for each in behind for requirement in required_by(each)}
    return not checked.issuperset(required_by(route.endpoint))


def _with_endpoint(route: RegisteredRoute) -> str:
    return f"{route.path} ({_name(route.endpoint)})"


def _name(endpoint: Any) -> str:
    if endpoint is None:
        return "include_router"
    return getattr(endpoint, "__qualname__", type(endpoint).__qualname__)
