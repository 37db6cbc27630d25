"""List the routes of a Django project's URLconf."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.urls import get_resolver
from django.urls.resolvers import RoutePattern

from authguard._signatures.registered import RegisteredRoute


def project_routes() -> Iterator[RegisteredRoute]:
    """Yield the routes of the URLconf; below a pattern that is no `path(…)`, they cannot be read."""
    patterns: Any = get_resolver().url_patterns  # pyright does not see the list of a cached property
    yield from _routes(patterns, "/")


def _routes(patterns: Iterable[Any], prefix: str) -> Iterator[RegisteredRoute]:
    for pattern in patterns:
        if not isinstance(pattern.pattern, RoutePattern):
            yield RegisteredRoute(prefix, None, is_opaque=True)
            continue
        path = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _routes(pattern.url_patterns, path)
        else:
            yield RegisteredRoute(path, pattern.callback)
