"""List every route of an application, with the rule that protects it: `authguard routes`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from authguard._endpoint import misplaced_in
from authguard._routes.unreached import unreached_routes
from authguard.cli.output import MISUSED, Failure, echo_json, echo_table, note
from authguard.cli.routes.access import Answer, Row, rows_of
from authguard.cli.routes.findings import RouteFinding, rule_findings
from authguard.cli.routes.importing import find_application
from authguard.cli.routes.walk import UnknownApplicationError, routes_of
from authguard.errors import ConfigurationError

_COLOURS = {"public": "yellow", "optional": "yellow", "protected": "green", "unclassified": "red"}
_SEVERITIES = {"error": "red", "warning": "yellow", "note": "cyan"}
_SHOWN_EXCEPTIONS = 3


@click.command()
@click.argument("application", metavar="MODULE:APP")
@click.option(
    "--factory", is_flag=True, help="APP is a function without arguments that returns the application."
)
@click.option(
    "--unclassified", is_flag=True, help="Show only unclassified routes. The counts are of all routes."
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="PATTERN",
    help="Accept that the rule with this path matches no route, or causes another finding. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, with a sample path for each route.")
def routes(
    application: str, *, factory: bool, unclassified: bool, allowed: tuple[str, ...], as_json: bool
) -> None:
    """Show every route of a Starlette, FastAPI or Flask application, and the rule that protects it.

    The application is imported, with the current directory first on the path, and not served. A route is
    unclassified if no rule names it, protected_paths alone leaves it open, and it has no requirement of its
    own. The command also reports rules that match no route, and @requires in the wrong place. Exit status: 0,
    1 if a route is unclassified, a rule in protected_paths matches no route or @requires guards nothing, 2
    without an application or a guard.
    """
    app = find_application(application, factory=factory)
    try:
        all_routes = routes_of(app)
    except UnknownApplicationError as kind:
        text = f"the routes of a {kind} cannot be listed; those of Starlette, FastAPI and Flask can"
        raise Failure(f"{application}: {text}", MISUSED) from None
    if all_routes and not any(route.layers for route in all_routes):
        raise Failure(f"no AuthGuardMiddleware is around {application} or in it: add the guard", MISUSED)
    rows = rows_of(all_routes)
    try:
        findings = rule_findings(all_routes, allowed)
    except ConfigurationError as error:
        raise Failure(f"--allow: {error}", MISUSED) from None
    findings += [RouteFinding("error", "misplaced", "", text) for text in misplaced_in(app)]
    findings += [
        RouteFinding("warning" if each.is_page else "error", "unreached", each.path, each.sentence)
        for each in unreached_routes(app)
    ]
    shown = [row for row in rows if row.answer.access == "unclassified" or not unclassified]
    if as_json:
        echo_json([*map(_document, shown), *(finding.document() for finding in findings)])
    elif shown:
        cells = [[_methods(row), row.host + row.path, _access(row.answer), _by(row)] for row in shown]
        echo_table(["METHODS", "PATH", "ACCESS", "BY"], cells, {"ACCESS": _coloured})
    for finding in findings:
        note(f"{click.style(finding.severity, fg=_SEVERITIES[finding.severity])}: {finding.text}")
    counts: Counter[str] = Counter(row.answer.access for row in rows)
    note(_summary(counts, len(rows)))
    if counts["unclassified"] or any(finding.severity == "error" for finding in findings):
        raise SystemExit(1)


def _methods(row: Row) -> str:
    return ", ".join(row.methods) or "any"


def _access(answer: Answer) -> str:
    parts = [" and ".join(map(str, answer.requirements)), *map(str, answer.quotas)]
    if answer.cost != 1:
        parts.append(f"cost {answer.cost}")
    demands = ", ".join(filter(None, parts))
    return f"{answer.access}: {demands}" if demands else answer.access


def _coloured(cell: str) -> str:
    return click.style(cell, fg=_COLOURS[cell.partition(":")[0].strip()])


def _by(row: Row) -> str:
    exceptions = [f"{path} is {_access(answer)}" for path, answer in row.exceptions]
    if len(exceptions) > _SHOWN_EXCEPTIONS:
        exceptions[_SHOWN_EXCEPTIONS:] = [f"{len(exceptions) - _SHOWN_EXCEPTIONS} more paths differ"]
    but = f"; but {', '.join(exceptions)}" if exceptions else ""
    return "; ".join(row.answer.by) + but


def _summary(counts: Counter[str], total: int) -> str:
    parts = [f"{counts[access]} {access}" for access in _COLOURS if counts[access] or access != "optional"]
    return f"{total} {'route' if total == 1 else 'routes'}: {', '.join(parts)}"


def _document(row: Row) -> dict[str, Any]:
    return {
        "methods": list(row.methods) or None,
        "path": row.path,
        "host": row.host or None,
        "sample": row.sample,
        **_answer(row.answer),
        "exceptions": [{"path": path, **_answer(answer)} for path, answer in row.exceptions],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    requirements: Sequence[dict[str, Any]] = [
        {
            "scopes": sorted(requirement.scopes),
            "any_of": sorted(requirement.any_of),
            "roles": sorted(requirement.roles),
            "acr": list(requirement.acr),
            "max_age": requirement.max_age,
            "credentials": sorted(requirement.credentials),
        }
        for requirement in answer.requirements
    ]
    quotas = [
        {
            "name": quota.policy,
            "count": quota.count,
            "seconds": quota.seconds,
            "by": quota.by,
            "enforce": quota.enforce,
        }
        for quota in answer.quotas
    ]
    return {
        "access": answer.access,
        "requirements": requirements,
        "quotas": quotas,
        "cost": answer.cost,
        "by": list(answer.by),
    }
