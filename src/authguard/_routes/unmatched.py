"""Warn of rules that match no route, although a route has nearly the same path, or other methods."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from itertools import chain, takewhile
from typing import Any

from authguard._core.guard import Guard
from authguard._core.policy.paths import fold
from authguard._core.policy.policy import Verdict
from authguard._core.policy.rules import Rule
from authguard._logs import logger
from authguard._mounted import own_root_path
from authguard._routes.beginnings import Page, uncovered_beginnings
from authguard._routes.closed_services import closed_services
from authguard._routes.paths import ANYTHING_BELOW, Template, can_meet, samples
from authguard._routes.templates import spelled_path as _spelled
from authguard._routes.templates import template_of as _template
from authguard._routes.unreached import checked_methods, unreached_routes
from authguard._signatures.registered import PlacedGuard, RegisteredRoute, registered_routes
from authguard.errors import ConfigurationError

#: A route near an unmatched rule: its path, a method, the segments of the pattern that covers it, and how to
#: write the correction.
Near = tuple[str, str, Sequence[str], str]

_MAX_SHOWN = 10  # patterns in one line: a prefix that is missing concerns all of them
_MIN_LIKENESS = 0.8  # of two words; "user" and "users" have 0.89, "v1" and "v2" 0.5


class UnmatchedPatterns:
    """Look for patterns that match no route once, when the application has all its routes.

    Args:
        app: the application inside the guard. Nothing is logged about patterns that could match a route that
            cannot be read.
        guard: the rules.
    """

    def __init__(self, app: Any, guard: Guard) -> None:
        self._app = app
        self._guard = guard
        self._is_done = False

    def warn_once(self) -> None:
        """Log a warning that names the patterns, and others for closed services and pages of FastAPI."""
        if self._is_done:
            return
        self._is_done = True
        text = unmatched_patterns(registered_routes(self._app), self._guard)
        if text:
            logger.warning("%s", text)
        for sentence in closed_services(self._app, self._guard):
            logger.warning("%s", sentence)
        placed = PlacedGuard(self._guard, "", own_root_path(self._app))
        with suppress(ConfigurationError):  # for such faults, the application does not start
            for each in unreached_routes(self._app, placed):
                if each.is_page:
                    logger.warning("%s", each.sentence)


def unmatched_patterns(routes: Iterable[RegisteredRoute], guard: Guard) -> str:
    """Return a text that names patterns that miss a route, with the spelling that works; empty for none.

    Args:
        routes: all routes of the application inside the guard.
        guard: the rules.
    """
    listed = list(routes)
    pages = (_page(route) for route in listed if route.endpoint is not None)
    faults = [*_faults(listed, guard), *(text for _, text in uncovered_beginnings(pages, guard))]
    if not faults:
        return ""
    shown = "; got ".join(faults[:_MAX_SHOWN])
    more = f"; and {len(faults) - _MAX_SHOWN} more patterns" if len(faults) > _MAX_SHOWN else ""
    return f"patterns of a guard must match routes of the application, got {shown}{more}"


def _page(route: RegisteredRoute) -> Page:
    return Page(_template(route.path), dict(checked_methods(route)))


def _faults(registered: Iterable[RegisteredRoute], guard: Guard) -> Iterator[str]:
    """Yield a text for each unmatched pattern: the nearest route, and the pattern that covers it."""
    policy = guard.policy
    rules = [(rule, "protect") for rule in policy.protected_rules if _has_words(rule)]
    rules += [(rule, "open") for rule in policy.public_rules if _has_words(rule)]
    if not rules:
        return
    routes = _Routes(registered, (*policy.login_paths, *policy.served))
    for rule, effect in rules:
        is_matched = routes.has_path(rule)
        option = "protected_paths" if effect == "protect" else "public_paths"
        near = routes.with_other_methods(rule) if is_matched else _near_paths(rule, routes.paths)
        methods = f" with methods={sorted(rule.methods)}" if is_matched else ""
        for path, method, spelling in _uncovered(near, routes, guard, rule, effect):
            shown = f"{method} {path!r}" if is_matched else repr(path)
            yield (
                f"{rule.path!r}{methods} in {option}, which matches none and does not {effect} {shown}: "
                f"write {spelling}"
            )
            break
        variants = _near_paths(rule, routes.variants) if is_matched else ()
        for path, _, spelling in _uncovered(variants, routes, guard, rule, effect):
            yield (
                f"{rule.path!r} in {option}, which does not {effect} {path!r}, another path of the same "
                f"page: write a rule for {spelling}, too"
            )
            break


def _uncovered(
    near: Iterable[Near], routes: "_Routes", guard: Guard, rule: Rule, effect: str
) -> Iterator[tuple[str, str, str]]:
    """Yield path, method and spelling of the near routes whose access the rule would change."""
    by_name = {each.name: each for each in guard.policy.rules}
    for path, method, pattern, spelling in near:
        sample = "/" + "/".join(samples(routes.paths[path], ())[0])
        verdict = guard.explain(method, sample)
        deciding = by_name.get(verdict.rule)
        if verdict.by_default or (deciding and _replaces(rule, effect, verdict, deciding, pattern)):
            yield path, method, spelling


def _replaces(rule: Rule, effect: str, verdict: Verdict, deciding: Rule, pattern: Sequence[str]) -> bool:
    """Return whether an unmatched rule, spelled for a route, would replace the broader rule that decides.

    Args:
        rule: the unmatched rule.
        effect: `protect` or `open`.
        verdict: the decision about the route.
        deciding: the rule that decides about it, such as one for `/`.
        pattern: the segments of the pattern that covers the route.
    """
    if deciding.segments == tuple(pattern) or len(deciding.segments) > len(pattern):
        return False
    is_closed = verdict.protected and not verdict.optional
    if effect == "open":
        return is_closed
    asks_more = bool(rule.requirement) and rule.requirement not in verdict.requirements
    return not is_closed or asks_more or bool(rule.quotas) or rule.cost != verdict.cost


class _Routes:
    """Hold the paths of all routes, and the methods of each.

    Args:
        registered: the routes.
        own: the paths of the guard itself, which a rule may match.
    """

    def __init__(self, registered: Iterable[RegisteredRoute], own: Iterable[str]) -> None:
        routes = [route for route in registered if route.is_opaque or route.endpoint is not None]
        self.paths = {route.path: _template(route.path) for route in routes if not route.is_opaque}
        #: The paths that are another path of a page.
        self.variants = {route.path: self.paths[route.path] for route in routes if route.is_variant}
        self._methods: dict[str, list[frozenset[str]]] = {}
        for route in routes:
            self._methods.setdefault(route.path, []).append(route.methods)
        opaque = [(*_template(route.path.rstrip("/")), ANYTHING_BELOW) for route in routes if route.is_opaque]
        self._others = [*map(_template, own), *opaque]
        # Most patterns are the path of a route. To look that up costs less than to compare them with all.
        self._spelled = {tuple(_spelled(path)) for path in self.paths.values()}

    def has_path(self, rule: Rule) -> bool:
        """Return whether a rule matches the path of a route, or of the guard itself.

        Beside a route `/{tenant}/reports`, the rule `/reports` matches neither this route nor another one
        below a parameter, although a tenant may have the name `reports`. It matches `/{page}`.
        """
        if rule.segments in self._spelled or any(_meets(rule, path) for path in self._others):
            return True
        near = [(path, start) for path, start in _prefixed(rule, self.paths) if _has_prefix(self.paths[path])]
        if not near:
            return any(_meets(rule, segments) for segments in self.paths.values())
        prefixes = {tuple(path.split("/")[: start + 1]) for path, start in near}
        return any(
            _is_page(rule, segments) and not _begins(path, prefixes)
            if _has_prefix(segments)
            else _meets(rule, segments)
            for path, segments in self.paths.items()
        )

    def with_other_methods(self, rule: Rule) -> Iterator[Near]:
        """Yield the routes with the path of a rule, if no route that it matches has one of its methods.

        A rule with wildcards may be for methods that no route has yet, unless it is spelled like a route.
        """
        if not rule.methods or "OPTIONS" in rule.methods or rule.segments not in self._spelled:
            return
        matched = [path for path, segments in self.paths.items() if _meets(rule, segments)]
        methods = [methods for path in matched for methods in self._methods[path]]
        names = rule.methods | {"HEAD"} if "GET" in rule.methods else rule.methods
        is_any = any(not each or names & each for each in methods)
        if is_any or any(_meets(rule, path) for path in self._others):
            return
        for path in matched:
            if tuple(_spelled(self.paths[path])) == rule.segments:
                written = sorted(frozenset().union(*self._methods[path]) - {"HEAD", "OPTIONS"})
                for method in written:
                    yield path, method, rule.segments, f"methods={written}"


def _has_prefix(path: Template) -> bool:
    """Return whether the first segment of a path is a parameter."""
    return bool(path) and path[0].word is None


def _is_page(rule: Rule, path: Template) -> bool:
    """Return whether a rule matches a path itself, and not only a path above it."""
    return can_meet(path, rule.segments, below=False, any_case=True, unlisted=True)


def _begins(path: str, prefixes: Iterable[tuple[str, ...]]) -> bool:
    """Return whether the segments of a path begin with one of these prefixes."""
    segments = tuple(path.split("/"))
    return any(segments[: len(prefix)] == prefix for prefix in prefixes)


def _meets(rule: Rule, path: Template) -> bool:
    return can_meet(path, rule.segments, below=True, any_case=True, unlisted=True)


def _has_words(rule: Rule) -> bool:
    return any("*" not in segment for segment in rule.segments)


def _words(rule: Rule) -> tuple[str, ...]:
    """Return the segments before the first wildcard."""
    return tuple(takewhile(lambda segment: "*" not in segment, rule.segments))


def _near_paths(rule: Rule, paths: dict[str, Template]) -> Iterator[Near]:
    """Yield routes that a pattern was probably written for, with a method and the spelling that works."""
    method = min(rule.methods, default="GET")
    for path, pattern in _near(rule, paths):
        yield path, method, pattern, repr("/" + "/".join(pattern))


def _near(rule: Rule, paths: dict[str, Template]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield routes that a pattern was probably written for, and the segments of the pattern for each.

    The routes of a router with a prefix come first, then routes with a similar word.
    """
    for path, start in _prefixed(rule, paths):
        yield path, (*_spelled(paths[path][:start]), *rule.segments)
    for path, segments in paths.items():
        near = _respelled(rule.segments, _literals(segments))
        if near is not None:
            yield path, near


def _prefixed(rule: Rule, paths: dict[str, Template]) -> Iterator[tuple[str, int]]:
    """Yield the routes with the words of a rule below a prefix, and the number of segments of the prefix."""
    words = _words(rule)
    folded = fold("/".join(words))
    for path, segments in paths.items() if words else ():
        for start in range(1, len(segments) - len(words) + 1):
            each = segments[start : start + len(words)]
            if tuple(chain.from_iterable(segment.folded for segment in each)) == folded:
                yield path, start


def _respelled(pattern: Sequence[str], literals: Sequence[str]) -> list[str] | None:
    """Return a pattern with the one word of a path that is nearly the same; None without such a word.

    Args:
        pattern: the segments of the pattern. Those after `**` are not compared.
        literals: the words of the path.
    """
    end = pattern.index("**") if "**" in pattern else len(pattern)
    unlike = [place for place, word in enumerate(pattern[:end]) if word not in ("*", *literals[place:][:1])]
    if len(literals) < end or len(unlike) != 1:
        return None
    [place] = unlike
    is_near = _likeness(pattern[place], literals[place]) >= _MIN_LIKENESS
    return [*pattern[:place], literals[place], *pattern[place + 1 :]] if is_near else None


def _literals(segments: Template) -> list[str]:
    """Return the words of a path; for a parameter, an empty word, which no rule has."""
    return [segment.word or "" for segment in segments]


def _likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, word, other).ratio()
