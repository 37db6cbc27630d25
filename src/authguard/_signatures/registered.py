"""List the routes of an application, with the functions that its framework calls."""

from collections.abc import Iterator
from types import FunctionType
from typing import Any, NamedTuple

from authguard._core.guard import Guard

#: The decorators of Flask and its blueprints by the attributes that hold their functions.
_HOOKS_OF_FLASK = {
    "before_request_funcs": "before_request",
    "after_request_funcs": "after_request",
    "teardown_request_funcs": "teardown_request",
    "url_value_preprocessors": "url_value_preprocessor",
    "url_default_functions": "url_defaults",
    "template_context_processors": "context_processor",
}
_OF_TEMPLATES = {"globals": "template_global", "filters": "template_filter", "tests": "template_test"}
_HANDLERS_OF_STARLETTE = ("exception_handlers", "_exception_handlers", "_status_handlers")


class Hook(NamedTuple):
    """Hold a function that a framework calls besides the endpoints.

    Attributes:
        decorator: the decorator that registers such functions, as users write it.
        function: the function.
        is_called: whether the framework calls it.
    """

    decorator: str
    function: Any
    is_called: bool = True


class PlacedGuard(NamedTuple):
    """Hold a guard around a route.

    Attributes:
        guard: the guard.
        path: the path of its application.
        root_path: the mount point that FastAPI sets itself; usually empty.
    """

    guard: Guard
    path: str
    root_path: str


class Around(NamedTuple):
    """Hold the dependencies and guards around a route.

    Attributes:
        dependencies: the `Depends` and `Security` of the routers around it, and of its FastAPI application.
        outer: those of the applications in which its application is mounted.
        applied: those that FastAPI adds to an included route when it is called.
        is_included: whether it is a route of an included router, which FastAPI builds again.
        mount: the path of the outermost mount around it; empty for none.
        guards: the guards around it.
    """

    dependencies: tuple[Any, ...] = ()
    outer: tuple[Any, ...] = ()
    applied: tuple[Any, ...] = ()
    is_included: bool = False
    mount: str = ""
    guards: tuple[PlacedGuard, ...] = ()


class RegisteredRoute(NamedTuple):
    """Hold a route, or a place below which routes cannot be read.

    Attributes:
        path: its path.
        endpoint: its endpoint.
        calls: the endpoint, and the dependencies of FastAPI, including nested ones.
        has_dependencies: whether FastAPI fills the parameters of the calls.
        listed: the `Depends` and `Security` of lists of dependencies.
        hooks: the other functions of the application: around its endpoints, or for their exceptions.
        is_opaque: whether this is such a place, such as the mount of an unknown application.
        methods: its methods; empty if it may have all.
        route: the object of Starlette or FastAPI, if any.
        around: the dependencies and guards around it.
        is_variant: whether this is another path of a page that has its own route already.
    """

    path: str
    endpoint: Any
    calls: tuple[Any, ...] = ()
    has_dependencies: bool = False
    listed: tuple[Any, ...] = ()
    hooks: tuple[Hook, ...] = ()
    is_opaque: bool = False
    methods: frozenset[str] = frozenset()
    route: Any = None
    around: Around = Around()
    is_variant: bool = False


def registered_routes(app: Any) -> Iterator[RegisteredRoute]:
    """Yield the routes of an application, including those that are mounted in it.

    Args:
        app: an application of Starlette, FastAPI, Flask or Quart, or a wrapper of one. The routes of others
            cannot be read.
    """
    yield from _routes(app, "", {}, Around())


def _routes(app: Any, path: str, seen: dict[int, Any], around: Around) -> Iterator[RegisteredRoute]:
    # By attribute name, so that no framework is needed. Routes of other frameworks may have a reference to
    # their application.
    while app is not None and id(app) not in seen:
        seen[id(app)] = app  # kept alive, so that no other object gets its id
        guards = tuple(_guards_of(app, path))
        if guards:  # an application with a guard of its own does not depend on the one around it
            around = Around(guards=(*around.guards, *guards))
        owner = getattr(app, "__self__", None)  # from the bound method `Flask.wsgi_app`
        for flask in (app, owner):
            if isinstance(getattr(flask, "view_functions", None), dict):
                yield from _views(flask, path, around)
                return
        hooks = tuple(hook for hook in _hooks_of_starlette(app) if callable(hook.function))
        if hooks:
            yield RegisteredRoute(path, None, hooks=hooks)
        routes = getattr(app, "routes", None)
        if isinstance(routes, list | tuple):
            around = around._replace(dependencies=(*around.dependencies, *_dependencies_of(app)))
            for route in routes:
                yield from _of_route(route, path, seen, around)
            if _has_others(app):
                yield RegisteredRoute(path, None, is_opaque=True)
            return
        mounts = getattr(app, "mounts", None)  # the mounts of Werkzeug's DispatcherMiddleware
        for place, mounted in mounts.items() if isinstance(mounts, dict) else ():
            yield from _routes(mounted, path + str(place), seen, around)
        app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)
    yield RegisteredRoute(path, None, is_opaque=True, around=around)


def _guards_of(layer: Any, path: str) -> Iterator[PlacedGuard]:
    """Yield the guards of a layer of middleware, or of an application of Starlette, FastAPI or Flask.

    Args:
        layer: as for `_hooks_of_starlette`.
        path: its path.
    """
    extensions = getattr(layer, "extensions", None)
    of_flask = extensions.get("authguard") if isinstance(extensions, dict) else None
    for guard in (getattr(layer, "guard", None), of_flask):
        if isinstance(guard, Guard):
            yield PlacedGuard(guard, path, "" if guard is of_flask else str(getattr(layer, "root_path", "")))
    for owner in (layer, getattr(layer, "dependency_overrides_provider", None)):
        added = getattr(owner, "user_middleware", None)
        for middleware in added if isinstance(added, list) else ():
            guard = getattr(middleware, "kwargs", {}).get("guard")
            if isinstance(guard, Guard):
                yield PlacedGuard(guard, path, str(getattr(owner, "root_path", "")))


def _dependencies_of(app: Any) -> Iterator[Any]:
    """Yield the `Depends` and `Security` in the list of a router, or of an application of FastAPI."""
    listed = getattr(getattr(app, "router", app), "dependencies", None)
    for marker in listed if isinstance(listed, list) else ():
        if callable(getattr(marker, "dependency", None)):
            yield marker


def _has_others(app: Any) -> bool:
    """Return whether a router has pages besides its routes: FastAPI's `frontend`, or another default."""
    router = getattr(app, "router", app)
    default = getattr(router, "default", None)
    own = getattr(router, "not_found", None)
    return default != own or any(True for _ in getattr(router, "_iter_low_priority_routes", tuple)())


def _of_route(route: Any, path: str, seen: dict[int, Any], around: Around) -> Iterator[RegisteredRoute]:
    whole_path = path + str(getattr(route, "path", ""))
    included = getattr(route, "original_router", None)  # a router that FastAPI's `include_router` has added
    if included is not None:
        context = getattr(route, "include_context", None)
        prefix = path + str(getattr(context, "prefix", ""))
        applied = tuple(getattr(context, "dependencies", ()))
        for included_dependency in applied:
            yield RegisteredRoute(
                prefix or "/",
                None,
                (included_dependency.dependency,),
                has_dependencies=True,
                listed=(included_dependency,),
            )
        inner = around._replace(
            dependencies=(*around.dependencies, *applied),
            applied=(*around.applied, *applied),
            is_included=True,
        )
        yield from _routes(included, prefix, seen, inner)
        seen.pop(id(included), None)  # it may be included again, with other dependencies
    elif hasattr(route, "endpoint"):
        dependant = getattr(route, "dependant", None)
        calls = (route.endpoint, *_calls(dependant))
        listed = tuple(getattr(route, "dependencies", ()))
        yield RegisteredRoute(
            whole_path,
            route.endpoint,
            calls,
            dependant is not None,
            listed,
            methods=frozenset(getattr(route, "methods", None) or ()),
            route=route,
            around=around,
        )
    else:
        outer = (*around.outer, *around.dependencies)
        inner = Around((), outer, mount=around.mount or whole_path, guards=around.guards)
        yield from _routes(getattr(route, "app", None), whole_path, seen, inner)


def _calls(dependant: Any) -> Iterator[Any]:
    for dependency in getattr(dependant, "dependencies", ()):
        yield dependency.call
        yield from _calls(dependency)


def _hooks_of_starlette(layer: Any) -> Iterator[Hook]:
    """Yield the functions of `@app.middleware("http")` and of `@app.exception_handler(…)`.

    Args:
        layer: an application, or a layer or the router that it has built. The router of FastAPI leads to its
            application.
    """
    owners = (layer, getattr(layer, "dependency_overrides_provider", None))
    for owner in owners:
        added = getattr(owner, "user_middleware", None)
        for middleware in added if isinstance(added, list) else ():
            yield Hook("@middleware", getattr(middleware, "kwargs", {}).get("dispatch"))
        for name in _HANDLERS_OF_STARLETTE:
            handlers = getattr(owner, name, None)
            for handler in list(handlers.values()) if isinstance(handlers, dict) else ():
                yield Hook("@exception_handler", handler)
    yield Hook("@middleware", getattr(layer, "dispatch_func", None))


def _hooks_of_flask(app: Any) -> Iterator[Hook]:
    """Yield the functions around the views of an application and of its blueprints, and for exceptions."""
    for held, name in _HOOKS_OF_FLASK.items():
        of_blueprints = getattr(app, held, {})
        for functions in list(of_blueprints.values()):
            for function in functions:
                yield Hook(f"@{name}", function)
    yield from _of_templates(app)
    called = getattr(app, "before_request_funcs", {})
    for name, blueprint in getattr(app, "blueprints", {}).items():
        for function in getattr(blueprint, "before_request_funcs", {}).get(None, ()):
            if function not in called.get(name, ()):  # added after the blueprint was registered
                yield Hook("@before_request", function, is_called=False)
    for by_status in list(getattr(app, "error_handler_spec", {}).values()):
        for by_class in list(by_status.values()):
            for handler in by_class.values():
                yield Hook("@errorhandler", handler)


def _of_templates(app: Any) -> Iterator[Hook]:
    """Yield the functions that templates of Flask may call."""
    templates = getattr(app, "__dict__", {}).get(
        "jinja_env"
    )  # Flask creates it for the first of such functions
    for held, name in _OF_TEMPLATES.items():
        for function in list(getattr(templates, held, {}).values()):
            if type(function) is FunctionType:  # proxies such as `request` cannot be examined
                yield Hook(f"@{name}", function)


def _views(app: Any, path: str, around: Around) -> Iterator[RegisteredRoute]:
    yield RegisteredRoute(path, None, hooks=tuple(_hooks_of_flask(app)), around=around)
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if view is not None:
            methods = frozenset(rule.methods or ())
            yield RegisteredRoute(path + rule.rule, view, (view,), methods=methods)
