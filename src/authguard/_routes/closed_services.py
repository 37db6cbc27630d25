"""Find a mounted identity service whose open paths the guard around it protects."""

from collections.abc import Iterator
from typing import Any

from authguard._core.guard import Guard
from authguard._core.policy.paths import split
from authguard._mounted import layers_and_kept


def closed_services(app: Any, guard: Guard) -> Iterator[str]:
    """Yield a sentence for each mounted service whose page or endpoints for signing in are closed.

    The service may have an endpoint below several prefixes, of which one is enough. A rule of the guard for a
    path of the service was written on purpose.

    Args:
        app: the application inside the guard, whose mounts are read.
        guard: the guard around it.
    """
    for mount, own in _services(app, "", set()):
        by_end: dict[tuple[str, ...], list[str]] = {}
        for rule in own.policy.public_rules:
            if rule.segments[-1:] == ("login",):
                by_end.setdefault(rule.segments[-2:], []).append(mount + rule.path)
        closed = [
            paths[0] for paths in by_end.values() if all(_is_closed(path, mount, guard) for path in paths)
        ]
        if closed:
            # protected_paths alone, without `/`, would open every other path
            beside = "" if guard.policy.rules else "'/' and "
            yield (
                f"the identity service at {mount!r} must be open in the guard around it, because it protects "
                f"itself, got {closed[0]!r}, which this guard protects, so that callers cannot sign in: "
                f"write {mount!r} in public_paths; if it is closed on purpose, write {beside}{closed[0]!r} "
                "in protected_paths"
            )


def _is_closed(path: str, mount: str, guard: Guard) -> bool:
    words = split(mount)
    verdict = guard.explain("POST", path)
    rules = guard.policy.rules
    is_meant = any(rule.name == verdict.rule and rule.segments[: len(words)] == words for rule in rules)
    return verdict.protected and not verdict.optional and not is_meant


def _services(app: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Guard]]:
    """Yield the path of each mounted service, and its own guard."""
    for layer in layers_and_kept(app):
        if path and getattr(layer, "protects_itself", False) is True:
            yield path, layer.guard
            return
        routes = getattr(layer, "routes", None)
        if not isinstance(routes, list) or id(routes) in seen:
            continue
        seen.add(id(routes))
        for route in routes:
            mount = getattr(route, "path", "")
            if not hasattr(route, "endpoint") and isinstance(mount, str) and "{" not in mount:
                yield from _services(getattr(route, "app", None), path + mount, seen)
