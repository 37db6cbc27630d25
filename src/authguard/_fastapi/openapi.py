"""Add the rules to the OpenAPI documents of a FastAPI application and of applications mounted in it."""

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI, routing
from starlette.routing import Mount

from authguard._core.guard import Guard
from authguard._endpoint import required_by, required_by_dependencies
from authguard._fastapi.dependencies import optional_user
from authguard._fastapi.operations import PROBLEM, PROBLEM_SCHEMA, OfRoute, Operation
from authguard._fastapi.schemes import BEARER, Schemes
from authguard._layers import layers_of

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def document_rules(app: FastAPI, guard: Guard, prefix: str = "", root_path: str | None = None) -> None:
    """Mark the operations that a guard protects in an application's document, and in those of mounted ones.

    Args:
        app: the application.
        guard: the guard around it.
        prefix: the mount point, below the guard.
        root_path: the root path of the guarded application; None if that is this application.
    """
    root_path = app.root_path if root_path is None else root_path
    if not _is_documented(app.openapi, guard):
        app.openapi = _Document(app, guard, prefix, root_path)  # type: ignore[method-assign]
    for path, mounted in _mounted(app.routes):
        document_rules(mounted, guard, prefix + path, root_path)


def _is_documented(openapi: Any, guard: Guard) -> bool:
    while isinstance(openapi, _Document):
        if openapi.guard is guard:
            return True
        openapi = openapi.original
    return False  # also if the application has replaced our function by its own


def _mounted(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, FastAPI]]:
    """Yield the FastAPI applications that are mounted in an application, with their mount points."""
    for route in routes:
        if isinstance(route, Mount):
            for layer in layers_of(route.app):
                if isinstance(layer, FastAPI):
                    yield prefix + route.path, layer
                    break
                below = getattr(layer, "routes", None)
                yield from _mounted(below if isinstance(below, list) else (), prefix + route.path)


class _Document:
    """Replace an application's `openapi`, and add the rules of a guard to its result."""

    def __init__(self, app: FastAPI, guard: Guard, prefix: str, root_path: str) -> None:
        self._app = app
        self.original = app.openapi
        self.guard = guard
        self._prefix = prefix
        self._root_path = root_path
        self._source: dict[str, Any] | None = None
        self._marked: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        # the documents of applications that are mounted later
        document_rules(self._app, self.guard, self._prefix, self._root_path)
        source = self.original()
        if source is not self._source:
            # FastAPI caches its document. The marks are added once, to a copy.
            marked = deepcopy(source)
            self._mark(marked)
            self._source, self._marked = source, marked
        return self._marked

    def _mark(self, document: dict[str, Any]) -> None:
        guard = self.guard
        components = document.setdefault("components", {})
        stated = components.setdefault("securitySchemes", {})
        schemes = Schemes(guard, stated, str(document.get("openapi", "")))
        if BEARER not in schemes.components:
            stated.pop(BEARER, None)  # added by `current_user`, which does not know the guard
        stated.update(schemes.components)
        of_routes = _of_routes(self._app.routes)
        for path, operations in document.get("paths", {}).items():
            sample = _sample(self._prefix + path, guard)
            for method in _METHODS:
                if method not in operations:
                    continue
                verdict = guard.explain(method.upper(), sample, self._root_path)
                of_route = of_routes.get((path, method), OfRoute())
                operation = Operation(guard, verdict, of_route, method, sample)
                operation.secure(operations[method], schemes)
                if operation.answer(operations[method]):
                    components.setdefault("schemas", {}).setdefault(PROBLEM, PROBLEM_SCHEMA)


def _of_routes(routes: Iterable[Any]) -> dict[tuple[str, str], OfRoute]:
    """Return the requirements of routes by decorators and dependencies, including those of included routers.

    By path and method as written in the document.
    """
    # FastAPI adds the dependencies of included routers late; older versions did so at once.
    contexts = getattr(routing, "iter_route_contexts", list)
    by_operation: dict[tuple[str, str], OfRoute] = {}
    for route in contexts(list(routes)):
        if getattr(route, "dependant", None) is None:
            continue
        requirements = (*required_by(route.dependant.call), *required_by_dependencies(route.dependant))
        of_route = OfRoute(tuple(dict.fromkeys(requirements)), _takes_optional_user(route.dependant))
        for method in route.methods or ():
            by_operation.setdefault((route.path_format, method.lower()), of_route)
    return by_operation


def _takes_optional_user(dependant: Any) -> bool:
    return any(
        dependency.call is optional_user or _takes_optional_user(dependency)
        for dependency in dependant.dependencies
    )


def _sample(path: str, guard: Guard) -> str:
    """Return a path that matches a template such as /items/{id} and that no rule names."""
    words = {word.lower() for rule in guard.policy.rules for word in rule.segments}
    word = next(word for word in ("x" * length for length in range(1, len(words) + 2)) if word not in words)
    return re.sub(r"\{[^}]*\}", word, path)


def empty_pages(app: FastAPI, guard: Guard) -> Iterator[str]:
    """Yield a sentence for each open page of the documentation whose document is protected.

    Args:
        app: the application.
        guard: its guard.
    """
    document = app.openapi_url
    if document is None or not _is_protected(guard, document):
        return
    for page in (app.docs_url, app.redoc_url):
        if page is not None and not _is_protected(guard, page):
            yield (
                f"{page} is public, and {document}, which it loads, is protected, so the page stays empty: "
                f"write public_paths=[…, {page!r}, {document!r}]"
            )


def _is_protected(guard: Guard, path: str) -> bool:
    verdict = guard.explain("GET", path)
    return verdict.protected and verdict.optional is None
