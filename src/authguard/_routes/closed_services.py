"""Find a mounted identity service whose open paths the guard around it protects."""

from collections.abc import Iterator
from typing import Any

from authguard._core.guard import Guard
from authguard._core.policy.paths import split
from authguard._mounted import layers_and_kept


def closed_services(app: Any, guard: Guard) -> Iterator[str]:
    """Yield a sentence for each mounted service that callers cannot reach to sign in.

    A rule of the guard for a path of the service was written on purpose.

    Args:
        app: the application inside the guard, whose mounts are read.
        guard: the guard around it.
    """
    rules = {rule.name: rule for rule in guard.policy.rules}
    for mount, own in _services(app, "", set()):
        words = split(mount)
        for rule in own.policy.public_rules:
            if "*" in rule.path:
                continue
            path = mount + rule.path.rstrip("/")
            verdict = guard.explain(min(rule.methods, default="GET"), path)
            deciding = rules.get(verdict.rule)
            is_meant = deciding is not None and deciding.segments[: len(words)] == words
            if verdict.protected and not verdict.optional and not is_meant:
                yield (
                    f"the identity service at {mount!r} must be open in the guard around it, because it "
                    f"protects itself, got {path!r}, which this guard protects, so that callers cannot sign "
                    f"in there: write {mount!r} in public_paths"
                )
                break


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
