"""Find routes that the dependencies of a router or of an application of FastAPI do not guard."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from authguard._core.policy.rules import Requirement
from authguard._core.request import WEBSOCKET
from authguard._endpoint import required_by, required_by_dependencies
from authguard._routes.paths import ANYTHING_BELOW, Template, samples
from authguard._routes.templates import spelled_path, template_of
from authguard._signatures.dependencies import markers_of, takes_scopes
from authguard._signatures.misused import spelled
from authguard._signatures.registered import PlacedGuard, RegisteredRoute, registered_routes
from authguard.errors import ConfigurationError

_MAX_DEPTH = 8  # dependencies of dependencies
_HANDLERS = ("get", "post", "put", "patch", "delete")


class UnreachedRoute(NamedTuple):
    """Describe a route or a mount that dependencies seem to guard, but do not.

    Attributes:
        path: its path.
        sentence: a sentence with the remedy.
        is_page: whether FastAPI itself serves it, as `/docs`.
    """

    path: str
    sentence: str
    is_page: bool = False


def unreached_error(app: Any, *guards: PlacedGuard) -> ConfigurationError | None:
    """Return the error of an application with such routes; None without one, or with pages of FastAPI only.

    Args:
        app: an application of FastAPI, or a wrapper of one.
        guards: the guards around it, which cannot be found from the application.
    """
    sentences = [each.sentence for each in unreached_routes(app, *guards) if not each.is_page]
    return ConfigurationError("; ".join(sentences)) if sentences else None


def unreached_routes(app: Any, *guards: PlacedGuard) -> list[UnreachedRoute]:
    """Return the routes, mounts and pages that dependencies do not guard, although they are around them.

    FastAPI applies the `dependencies` of routers and applications to its own path operations, when these are
    added. A route that checks the caller itself is no fault, and neither is one for which a rule requires as
    much. A rule for just this path, which opens it or has requirements, was written on purpose.

    Args:
        app: as for `unreached_error`.
        guards: as for `unreached_error`.
    """
    unreached: dict[str, UnreachedRoute] = {}
    pages: dict[str, list[Requirement]] = {}
    for route in registered_routes(app):
        placed = (*guards, *route.around.guards)
        outside = _lacking(route, _of_markers(route.around.outer), placed, route.around.mount)
        inside = _lacking(route, _of_own_lists(route), placed, "")
        if not outside and not inside:
            continue
        if _is_page(route.endpoint):
            if route.endpoint.__name__ != "swagger_ui_redirect":  # it shows nothing
                pages[route.path] = [*outside, *inside]
        elif inside:
            unreached.setdefault(route.path, UnreachedRoute(route.path, _sentence(route, inside)))
        else:
            mount = route.around.mount or "/"
            unreached.setdefault(mount, UnreachedRoute(mount, _sentence_of_mount(mount, outside)))
    listed = [*unreached.values()]
    if pages:
        listed.append(UnreachedRoute(next(iter(pages)), _sentence_of_pages(pages), is_page=True))
    return listed


def _is_page(endpoint: Any) -> bool:
    return getattr(endpoint, "__module__", None) == "fastapi.applications"


def _of_own_lists(route: RegisteredRoute) -> Iterator[Requirement]:
    """Yield the requirements in the lists of a route, and of its routers and application."""
    around, dependant = route.around, getattr(route.route, "dependant", None)
    called = {id(each.call) for each in getattr(dependant, "dependencies", ())}
    if dependant is not None:
        called |= {id(marker.dependency) for marker in around.applied}
    # FastAPI reads the lists of included routes later.
    listed = () if around.is_included or route.route is None else route.listed
    for marker in (*around.dependencies, *listed):
        if getattr(marker, "scopes", None) or id(marker.dependency) not in called:
            yield from _of_marker(marker)


def _of_markers(markers: Iterable[Any]) -> Iterator[Requirement]:
    for marker in markers:
        yield from _of_marker(marker)


def _of_marker(marker: Any, scopes: tuple[str, ...] = (), depth: int = 0) -> Iterator[Requirement]:
    """Yield the requirements of a `Depends` or `Security`, including those of nested dependencies."""
    dependency = marker.dependency
    scopes = (*scopes, *(getattr(marker, "scopes", None) or ()))
    requirements = required_by(dependency)
    yield from requirements
    if requirements and scopes and takes_scopes(dependency):
        yield Requirement(scopes)
    for nested in markers_of(dependency) if depth < _MAX_DEPTH else ():
        yield from _of_marker(nested, scopes, depth + 1)


def _lacking(
    route: RegisteredRoute, required: Iterable[Requirement], guards: Sequence[PlacedGuard], mount: str
) -> list[Requirement]:
    """Return the requirements that neither a route nor a rule has.

    Args:
        route: the route, or the place of a mounted application.
        required: all requirements.
        guards: the guards around it.
        mount: the mount point for which a rule may be written; empty for none.
    """
    requirements = list(dict.fromkeys(required))
    if not requirements:
        return []
    lacking: dict[Requirement, None] = {}
    for method, own in checked_methods(route):
        given = list(own)
        for placed in guards:
            of_rules = _of_rules(placed, method, route, mount)
            if of_rules is None:
                break
            given += of_rules
        else:
            lacking |= dict.fromkeys(each for each in requirements if not is_implied(each, given))
    return [
        each for each in lacking if not is_implied(each, [other for other in lacking if other is not each])
    ]


def checked_methods(route: RegisteredRoute) -> Iterator[tuple[str, list[Requirement]]]:
    """Yield each method of a route, with the requirements that its functions check.

    Args:
        route: the route.
    """
    endpoint, dependant = route.endpoint, getattr(route.route, "dependant", None)
    own: list[Requirement] = []
    if dependant is not None:
        call = endpoint if route.around.is_included else dependant.call
        listed = (*route.around.applied, *(route.listed if route.around.is_included else ()))
        own += [*required_by(call), *required_by_dependencies(dependant), *_of_markers(listed)]
    elif endpoint is not None:
        own += required_by(endpoint)
    else:
        hooks = [hook for hook in route.hooks if hook.decorator == "@before_request" and hook.is_called]
        own += [requirement for hook in hooks for requirement in required_by(hook.function)]
    handlers = [name for name in _HANDLERS if isinstance(endpoint, type) and hasattr(endpoint, name)]
    for name in handlers:
        yield name.upper(), [*own, *required_by(getattr(endpoint, name))]
    if not handlers:
        is_websocket = endpoint is not None and not hasattr(route.route, "methods")
        methods = route.methods - {"HEAD", "OPTIONS"} or {WEBSOCKET if is_websocket else "GET"}
        yield from ((method, own) for method in sorted(methods))


def _of_rules(
    placed: PlacedGuard, method: str, route: RegisteredRoute, mount: str
) -> list[Requirement] | None:
    """Return the requirements of a guard's rules for a route; None if a rule is for just its path."""
    policy = placed.guard.policy
    path = template_of(route.path[len(placed.path) :])
    sample = (*path, ANYTHING_BELOW) if route.endpoint is None else path
    words = {word for rule in policy.rules for word in rule.segments}
    verdict = placed.guard.explain(method, "/" + "/".join(samples(sample, words)[0]), placed.root_path)
    at_mount = template_of(mount[len(placed.path) :]) if mount else path
    own = {_segments(path), _segments(at_mount)}
    deciding = next((rule for rule in policy.rules if rule.name == verdict.rule), None)
    if deciding is not None and deciding.segments in own and deciding.requirement:
        return None
    if at_mount and (mount or route.endpoint is None):  # all that is below a mount
        own |= {(*_segments(at_mount), wildcard) for wildcard in ("*", "**")}
    # For the mount `/`, the rule `/**` decides. It also stands for "all checks are in the routes", so the
    # mount is open on purpose only if `/` is listed, too.
    if not verdict.protected and any(rule.segments in own for rule in policy.public_rules):
        return None
    is_closed = verdict.protected and not verdict.optional
    return [Requirement(), *verdict.requirements] if is_closed else []


def _segments(path: Template) -> tuple[str, ...]:
    """Return the segments of a path as a rule has them, without the empty one after a slash at the end."""
    segments = tuple(spelled_path(path))
    return segments[:-1] if path and path[-1].word == "" else segments


def is_implied(required: Requirement, given: Sequence[Requirement]) -> bool:
    """Return whether a caller who meets all given requirements meets another one.

    Args:
        required: the other one.
        given: the requirements that are met; empty if each caller passes.
    """
    scopes = frozenset[str]().union(*(each.scopes for each in given))
    return bool(given) and all(
        (
            required.scopes <= scopes,
            not required.any_of
            or bool(required.any_of & scopes)
            or any(each.any_of and each.any_of <= required.any_of for each in given),
            not required.roles or any(each.roles and each.roles <= required.roles for each in given),
            not required.acr or any(each.acr and {*each.acr} <= {*required.acr} for each in given),
            required.max_age is None
            or any(each.max_age is not None and each.max_age <= required.max_age for each in given),
            not required.credentials
            or any(each.credentials and each.credentials <= required.credentials for each in given),
        )
    )


def _sentence(route: RegisteredRoute, lacking: Sequence[Requirement]) -> str:
    name = getattr(route.endpoint, "__qualname__", type(route.endpoint).__qualname__)
    required = _joined(map(str, lacking))
    if getattr(route.route, "dependant", None) is not None:
        depends = ", ".join(f"Depends({spelled(each)})" for each in lacking)
        return (
            f"the route {route.path} ({name}) must be added when its lists of dependencies are complete, got "
            f"dependencies ({required}) that FastAPI does not call for it, because they were added later: "
            f"write dependencies=[{depends}] where the router or the route is created"
        )
    decorators = " and ".join(f"@{spelled(each)}" for each in lacking)
    return (
        f"the route {route.path} ({name}) must check its caller itself, got only dependencies of its router "
        f"({required}), which FastAPI calls for path operations alone, so that they do not guard it: write "
        f"{decorators} below its decorator, or {_rule(route.path, lacking)} in protected_paths; if it is "
        f"open on purpose, write {_pattern(route.path)!r} in public_paths"
    )


def _sentence_of_mount(mount: str, lacking: Sequence[Requirement]) -> str:
    pattern = _pattern(mount)
    opened = "'/' and '/**'" if pattern == "/" else repr(pattern)
    return (
        f"the mount {mount} must be guarded by a rule, got only dependencies of the application around it "
        f"({_joined(map(str, lacking))}), which FastAPI calls for path operations alone, so that they do not "
        f"guard it: write {_rule(mount, lacking)} in protected_paths; if it is open on purpose, write "
        f"{opened} in public_paths"
    )


def _sentence_of_pages(pages: dict[str, list[Requirement]]) -> str:
    lacking = list(dict.fromkeys(each for listed in pages.values() for each in listed))
    paths = ", ".join(map(repr, pages))
    rules = ", ".join(_rule(path, lacking) for path in pages)
    return (
        f"the pages {paths} of FastAPI must be guarded by rules, got only dependencies of the application "
        f"({_joined(map(str, lacking))}), which FastAPI does not call for them: write {rules} in "
        f"protected_paths, or FastAPI(openapi_url=None); if they are open on purpose, write {paths} in "
        "public_paths"
    )


def _rule(path: str, lacking: Sequence[Requirement]) -> str:
    scopes = frozenset[str]().union(*(each.scopes for each in lacking))
    others = (_without_scopes(each) for each in lacking)
    arguments = [Requirement(scopes).arguments(), *(each.arguments() for each in others)]
    return f"Rule({', '.join([repr(_pattern(path)), *filter(None, arguments)])})"


def _without_scopes(each: Requirement) -> Requirement:
    return Requirement((), each.any_of, each.roles, each.acr or None, each.max_age)


def _pattern(path: str) -> str:
    return "/" + "/".join(_segments(template_of(path)))


def _joined(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))
