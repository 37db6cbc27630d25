"""Find the faults that `authguard routes` reports, such as rules that match no route."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from authguard._core.guard import Guard
from authguard._core.policy.lifted import lifted
from authguard._core.policy.patterns import parse_pattern
from authguard._core.policy.rules import Rule
from authguard._core.request import WEBSOCKET
from authguard._routes.beginnings import Page, uncovered_beginnings
from authguard._routes.paths import Template, can_meet, samples, template
from authguard.cli.routes.model import METHODS, Layer, Route

#: Findings of this severity make the command fail.
Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class RouteFinding:
    """Describe a fault of the application, or a part that cannot be checked.

    Attributes:
        severity: the severity of the fault.
        kind: an identifier for programs, such as `unmatched`.
        path: the path or pattern that is affected.
        text: a sentence for people, with the remedy.
    """

    severity: Severity
    kind: str
    path: str
    text: str

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON with the members of a route, so that programs can read both alike."""
        return {
            "methods": [], "path": self.path, "host": None, "sample": None, "access": self.kind,
            "requirements": [], "by": [self.text], "exceptions": [], "severity": self.severity,
        }  # fmt: skip


def rule_findings(routes: Sequence[Route], allowed: Sequence[str]) -> list[RouteFinding]:
    """Find the rules that match no route, miss the route that they begin with, or lift requirements.

    Args:
        routes: all routes of the application.
        allowed: patterns of rules that are accepted as they are.

    Raises:
        ConfigurationError: if a pattern in `allowed` is the pattern of no rule.
    """
    allowed_segments = {parse_pattern(pattern): pattern for pattern in allowed}
    unneeded = dict(allowed_segments)
    findings: list[RouteFinding] = []
    seen: set[tuple[str, ...]] = set()
    for guard in dict.fromkeys(layer.guard for route in routes for layer in route.layers):
        of_rules = [
            (rule, RouteFinding("error", "lifted", rule.path, sentence))
            for rule, sentence in lifted(guard.policy.protected_rules)
        ]
        of_rules += [
            (
                rule,
                RouteFinding("error", "uncovered", rule.path, f"patterns must cover their area, got {text}"),
            )
            for rule, text in uncovered_beginnings(_pages(routes, guard), guard)
        ]
        for rule in guard.policy.rules:
            seen.add(rule.segments)
            if finding := _finding_of(rule, guard, routes):
                of_rules.append((rule, finding))
        for rule, finding in of_rules:
            if rule.segments in allowed_segments:
                unneeded.pop(rule.segments, None)
            else:
                findings.append(finding)
    for segments, pattern in unneeded.items():
        reason = "the rule matches a route" if segments in seen else "no rule has this path"
        text = f"--allow {pattern} is not needed: {reason}"
        findings.append(RouteFinding("warning", "unneeded", pattern, text))
    return findings


def _finding_of(rule: Rule, guard: Guard, routes: Sequence[Route]) -> RouteFinding | None:
    protects = any(other is rule for other in guard.policy.protected_rules)
    shown = f"{rule!r} in {'protected_paths' if protects else 'public_paths'}"
    targets = [(route, target) for route in routes for target in _targets(route, guard, protects=protects)]
    targets = [(route, target) for route, target in targets if _methods_meet(rule, route, protects=protects)]
    own = [template([path]) for path in (*guard.policy.login_paths, *guard.policy.served)]
    # As in the policy: a public pattern with wildcards, and the root, open only the paths that they match.
    covers_below = protects or (bool(rule.segments) and not {"*", "**"}.intersection(rule.segments))
    meets = partial(can_meet, rule=rule.segments, below=covers_below, any_case=protects)
    if any(meets(target, unlisted=False) for target in (*own, *(target for _, target in targets))):
        return None
    for route, target in targets:
        if meets(target, unlisted=True):
            text = f"{shown} may match something below {route.path}, whose routes cannot be listed"
            return RouteFinding("note", "unknown", rule.path, text)
    nothing = f"{shown} matches no route, so it {'protects' if protects else 'opens'} nothing"
    remedy = f"write the path of a route, remove it, or accept it with --allow {rule.path!r}"
    return RouteFinding("error" if protects else "warning", "unmatched", rule.path, f"{nothing}: {remedy}")


def _targets(route: Route, guard: Guard, *, protects: bool) -> Iterator[Template]:
    """Yield the paths of a route as a guard sees them. Protected rules may include the mount point."""
    for layer in route.layers:
        if layer.guard is guard:
            below = route.template[layer.depth :]
            yield below
            if protects:
                yield _mount(layer, route) + below


def _pages(routes: Sequence[Route], guard: Guard) -> Iterator[Page]:
    for route in routes:
        required = dict.fromkeys(route.methods or METHODS, route.requirements)
        for layer in route.layers:
            if layer.guard is guard:
                above = "".join(f"/{word}" for word in samples(route.template[: layer.depth], ())[0])
                yield Page(route.template[layer.depth :], required, layer.root_path or above)


def _mount(layer: Layer, route: Route) -> Template:
    return template([layer.root_path]) if layer.root_path else route.template[: layer.depth]


def _methods_meet(rule: Rule, route: Route, *, protects: bool) -> bool:
    if not rule.methods or not route.methods:
        return True
    names = set(rule.methods)
    if "GET" in names:
        names |= {"HEAD", WEBSOCKET} if protects else {"HEAD"}
    if "OPTIONS" in names and route.methods != (WEBSOCKET,):
        return True  # frameworks and CORS middleware answer it for routes that do not list it
    return not names.isdisjoint(route.methods)
