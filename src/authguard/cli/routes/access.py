"""Find which callers may use a route, and which rule of a guard or of the route decides."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from authguard._core.policy.policy import Verdict
from authguard._core.policy.rules import Requirement
from authguard._core.quota import Quota
from authguard._core.request import WEBSOCKET
from authguard._routes.paths import meeting, samples
from authguard.cli.routes.model import Layer, Route, sort_methods

Access: TypeAlias = Literal["public", "optional", "protected", "unclassified"]

# Stands for all methods, if the application does not list the methods.
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE", WEBSOCKET)


@dataclass(frozen=True, slots=True)
class Answer:
    """Describe the answer of the guards to a request.

    Attributes:
        access: the callers that may send it.
        requirements: all requirements that the caller must meet.
        quotas: the quotas of the rules, without those of the guards.
        cost: the amount that a request takes from the quotas.
        by: the rules that decide, in words; the outermost guard first.
    """

    access: Access
    requirements: tuple[Requirement, ...]
    quotas: tuple[Quota, ...]
    cost: int
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Describe a route, and the callers that may use it.

    Attributes:
        path: as written in the application.
        host: the host of the route; empty for any.
        sample: a path that represents the route.
        answer: the answer of the guards to a request for the route.
        exceptions: paths of the route for which other rules decide differently.
        methods: such as `GET` or `WEBSOCKET`; empty for all.
    """

    path: str
    host: str
    sample: str
    answer: Answer
    exceptions: tuple[tuple[str, Answer], ...]
    methods: tuple[str, ...]


def rows_of(routes: Iterable[Route]) -> list[Row]:
    """Return a row for each path and answer, with all methods that get this answer."""
    rows: dict[tuple[object, ...], Row] = {}
    for route in routes:
        for row in _rows(route):
            key = (row.path, row.host, row.sample, row.answer, row.exceptions)
            before = rows.get(key, row)
            every = before.methods and row.methods  # no path represents all of the route
            methods = sort_methods({*before.methods, *row.methods}) if every else ()
            rows[key] = replace(row, methods=methods)
    return list(rows.values())


def _rows(route: Route) -> Iterator[Row]:
    rules = [rule for layer in route.layers for rule in layer.guard.policy.rules]
    rule_words = {word for rule in rules for segment in rule.segments for word in (segment, segment.lower())}
    generic = samples(route.template, rule_words)
    special = [path for layer in route.layers for path in _named_paths(route, layer, rule_words)]
    grouped: dict[tuple[str, Answer, tuple[tuple[str, Answer], ...]], list[str]] = {}
    for method in route.methods or _ANY:
        answers = {_joined(path): _answer(route, method, path) for path in generic}
        # If a part of a route is open, all of it is unclassified.
        sample = next(
            (path for path, answer in answers.items() if answer.access == "unclassified"), next(iter(answers))
        )
        main = answers[sample]
        answers |= {_joined(path): _answer(route, method, path) for path in special}
        exceptions = tuple((path, answer) for path, answer in answers.items() if _differ(answer, main))
        grouped.setdefault((sample, main, exceptions), []).append(method)
    for (sample, main, exceptions), methods in grouped.items():
        shown = () if not route.methods and len(grouped) == 1 else tuple(methods)
        yield Row(route.path, route.host, sample, main, exceptions, shown)


def _named_paths(route: Route, layer: Layer, rule_words: set[str]) -> Iterator[list[str]]:
    """Yield paths of the route that rules name, with or without the mount point."""
    outer = samples(route.template[: layer.depth], rule_words)[0]
    for rule in layer.guard.policy.rules:
        below = meeting(route.template[layer.depth :], rule.segments, rule_words)
        if below is not None:
            yield outer + below
        if layer.depth:
            whole = meeting(route.template, rule.segments, rule_words)
            if whole is not None:
                yield whole


def _answer(route: Route, method: str, path: Sequence[str]) -> Answer:
    verdicts = [_verdict(layer, method, path) for layer in route.layers]
    reasons = [_reason(verdict, layer, path) for verdict, layer in zip(verdicts, route.layers, strict=True)]
    own = dict.fromkeys(filter(None, route.requirements)) or dict.fromkeys(route.requirements)
    reasons += [f"the route asks for {requirement}" for requirement in own]
    by_rules = [requirement for verdict in verdicts for requirement in verdict.requirements]
    requirements = tuple(dict.fromkeys(filter(None, (*by_rules, *own))))
    quotas = tuple(dict.fromkeys(quota for verdict in verdicts for quota in verdict.quotas))
    cost = max([verdict.cost for verdict in verdicts], default=1)
    access = _access(verdicts, route.requirements)
    return Answer(access, requirements, quotas, cost, tuple(reasons) or ("no guard",))


def _verdict(layer: Layer, method: str, path: Sequence[str]) -> Verdict:
    above, below = path[: layer.depth], path[layer.depth :]
    root_path = layer.root_path or (_joined(above) if above else "")
    return layer.guard.explain(method, _joined(below), root_path)


def _access(verdicts: Sequence[Verdict], requirements: Sequence[Requirement]) -> Access:
    if requirements or any(verdict.protected and not verdict.optional for verdict in verdicts):
        return "protected"
    if any(verdict.optional for verdict in verdicts):
        return "optional"
    # The innermost guard is the one closest to the route.
    return "public" if verdicts and not verdicts[-1].by_default else "unclassified"


def _reason(verdict: Verdict, layer: Layer, path: Sequence[str]) -> str:
    default = "by default: " if verdict.by_default else ""
    place = f"below {_joined(path[: layer.depth])}: " if layer.depth else ""
    return place + default + verdict.reason


def _differ(answer: Answer, other: Answer) -> bool:
    return replace(answer, by=()) != replace(other, by=())


def _joined(path: Sequence[str]) -> str:
    return "/" + "/".join(path)
