"""Find routes that a pattern such as `/admin/*` begins with, and does not cover."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from authguard._core.guard import Guard
from authguard._core.policy.paths import split
from authguard._core.policy.policy import Verdict
from authguard._core.policy.rules import Requirement, Rule
from authguard._core.request import WEBSOCKET
from authguard._routes.paths import Template, samples
from authguard._routes.templates import spelled_path
from authguard._routes.unreached import is_implied


class Page(NamedTuple):
    """Hold a route as a guard sees it.

    Attributes:
        path: its path, below the application of the guard.
        required: the requirements of the route itself, by method.
        root_path: the mount point of this application; empty for none.
    """

    path: Template
    required: Mapping[str, Sequence[Requirement]]
    root_path: str = ""


def uncovered_beginnings(pages: Iterable[Page], guard: Guard) -> Iterator[tuple[Rule, str]]:
    """Yield each protected rule that ends in `/*`, while a route equal to its beginning demands less.

    A rule for just this route was written on purpose. So was a pattern with other wildcards, or of methods
    that the route does not have.

    Args:
        pages: all routes inside the guard.
        guard: the rules.

    Yields:
        the rule, and a text with the remedy, which continues "got …".
    """
    policy = guard.policy
    named = {rule.segments for rule in policy.rules}
    rules = [rule for rule in policy.protected_rules if _is_for_an_area(rule) and _area(rule) not in named]
    if not rules:
        return
    by_path: dict[tuple[str, ...], list[Page]] = {}
    for page in pages:
        path = _without_slash(page.path)
        for each in {path, (*split(page.root_path), *path)}:  # rules may include the mount point
            by_path.setdefault(each, []).append(page)
    for rule in rules:
        for verdict in _weaker(rule, by_path.get(_area(rule), ()), guard):
            yield rule, _sentence(rule, verdict, is_open_by_default=not policy.public_rules)
            break


def _is_for_an_area(rule: Rule) -> bool:
    is_open = rule.optional and not rule.requirement
    words = _area(rule)
    return rule.segments[-1:] == ("*",) and bool(words) and not {"*", "**"} & {*words} and not is_open


def _area(rule: Rule) -> tuple[str, ...]:
    return tuple(rule.segments[:-1])


def _without_slash(path: Template) -> tuple[str, ...]:
    """Return the segments of a path as a rule has them, without the empty one after a slash at the end."""
    segments = tuple(spelled_path(path))
    return segments[:-1] if path and path[-1].word == "" else segments


def _weaker(rule: Rule, pages: Iterable[Page], guard: Guard) -> Iterator[Verdict]:
    """Yield the decision about each method of the pages for which less is required than by a rule."""
    methods = rule.methods | {"HEAD", WEBSOCKET} if "GET" in rule.methods else rule.methods
    for page in pages:
        path = "/" + "/".join(samples(page.path, ())[0])
        if guard.policy.is_login_page(path) or path in guard.policy.served:
            continue
        for method, own in page.required.items():
            if methods and method not in methods:
                continue
            verdict = guard.explain(method, path, page.root_path)
            is_closed = verdict.protected and not verdict.optional
            given = [*own, *([Requirement(), *verdict.requirements] if is_closed else [])]
            if not is_implied(rule.requirement, given):
                yield verdict


def _sentence(rule: Rule, verdict: Verdict, *, is_open_by_default: bool) -> str:
    area = "/" + "/".join(_area(rule))
    if verdict.protected and not verdict.optional:
        purpose = f"if {area!r} requires less on purpose, write {area!r} in protected_paths, too"
    else:
        beside = " beside '/**'" if is_open_by_default else ""
        purpose = f"if {area!r} is open on purpose, write {area!r}{beside} in public_paths"
    return (
        f"{rule.path!r} in protected_paths, which covers the paths below {area!r}, and not the route "
        f"{area!r}: write {area!r}, which covers both; {purpose}"
    )
