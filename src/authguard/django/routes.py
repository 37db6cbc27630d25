"""List the routes of a Django project's URLconf, and the views that `requires` does not guard there."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.urls import get_resolver
from django.urls.resolvers import LocalePrefixPattern, RegexPattern, RoutePattern

from authguard._endpoint import is_guarding, required_by
from authguard._routes.regex_paths import paths_of
from authguard._signatures.listed import unread_lists
from authguard._signatures.reached import own_attributes, owners
from authguard._signatures.registered import RegisteredRoute
from authguard._signatures.uncalled import unused_in
from authguard._signatures.wrappers import Decorated

_MAX_SHOWN = 5  # languages


def project_routes() -> Iterator[RegisteredRoute]:
    """Yield the routes of the URLconf; below a pattern of an unknown kind, they cannot be read."""
    patterns: Any = get_resolver().url_patterns  # pyright does not see the list of a cached property
    yield from _routes(patterns, "/")


def misplaced_in_project() -> list[str]:
    """Return a sentence for each view of the URLconf that `@requires` should guard, but does not."""
    patterns: Any = get_resolver().url_patterns
    views = [(path, view) for path, callback in _callbacks(patterns, "/") for view in _views_of(callback)]
    decorated = Decorated(view for _, view in views)
    sentences = [text for path, view in views for text in unused_in([view], f"the route {path}", is_guarding)]
    sentences += [text for path, view in views for text in unread_lists(view, path, required_by)]
    return [*dict.fromkeys(sentences)] + [
        f"@requires must guard the registered view of the route {path} ({_name(view)}), got it above the "
        "decorator of the route, or after path(…), where it guards nothing: write @requires(...) below the "
        "decorator of the route, or pass the decorated view to path(…)"
        for path, view in views
        if decorated.is_misplaced(view)
    ]


def _callbacks(patterns: Iterable[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _callbacks(pattern.url_patterns, path)
        else:
            yield path, pattern.callback


def _views_of(callback: Any) -> Iterator[Any]:
    """Yield the view of a route, and the functions that Django Ninja calls behind its view."""
    yield callback
    for owner in owners(callback):
        operations = own_attributes(owner).get("operations")
        for operation in operations if isinstance(operations, list) else ():
            yield own_attributes(operation).get("view_func")


def _name(view: Any) -> str:
    return str(getattr(view, "__qualname__", type(view).__qualname__))


def _routes(patterns: Iterable[Any], prefix: str, *, is_variant: bool = False) -> Iterator[RegisteredRoute]:
    for pattern in patterns:
        nested = getattr(pattern, "url_patterns", None)
        try:
            paths = _paths(pattern.pattern, is_endpoint=nested is None)
        except ValueError:
            yield RegisteredRoute(prefix, None, is_opaque=True)
            continue
        for number, path in enumerate(paths):
            is_another = is_variant or number > 0
            if nested is None:
                yield RegisteredRoute(prefix + path, pattern.callback, is_variant=is_another)
            else:
                yield from _routes(nested, prefix + path, is_variant=is_another)


def _paths(pattern: Any, *, is_endpoint: bool) -> list[str]:
    """Return the paths of one pattern, in the form of `path`; all but the first are variants of it.

    Raises:
        ValueError: if the pattern cannot be read.
    """
    if isinstance(pattern, RoutePattern):
        return [str(pattern)]
    if isinstance(pattern, LocalePrefixPattern):
        return _of_languages(pattern)
    if isinstance(pattern, RegexPattern):
        compiled: Any = pattern.regex  # pyright sees only the descriptor
        return paths_of(compiled.pattern, is_endpoint=is_endpoint)
    raise ValueError("the pattern is of an unknown class")


def _of_languages(pattern: Any) -> list[str]:
    codes = [code for code, _ in settings.LANGUAGES]
    if not pattern.prefix_default_language:
        codes = [code for code in codes if code != settings.LANGUAGE_CODE]
    kind = f"any({','.join(codes)}):" if 0 < len(codes) <= _MAX_SHOWN else ""
    prefixed = f"<{kind}language>/"
    return [prefixed] if pattern.prefix_default_language else ["", prefixed]
