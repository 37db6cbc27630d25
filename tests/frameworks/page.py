"""Write the tables of docs/frameworks.md from the tests, so that they show exactly the tested versions.

Run it as a program after a change, in the environment of `make frameworks`:
`PYTHONPATH=src:tests .venv-frameworks/bin/python -m frameworks.page`.
"""

import re
from importlib.metadata import version
from pathlib import Path

from frameworks.faces import FRAMEWORKS
from frameworks.own_answers import CHANGED, OWN, WITHOUT_HANDSHAKE_ANSWERS
from frameworks.servers import KINDS, SERVED, Kind

PATH = Path(__file__).parents[2] / "docs" / "frameworks.md"


def frameworks() -> str:
    """Return the table of frameworks."""
    rows = ["| framework | version | interface | the caller | tried on |", "|---|---|---|---|---|"]
    for name, framework in FRAMEWORKS.items():
        tried = ", ".join(kind for kind, served in SERVED if served == name)
        number = version(framework.distribution) if framework.distribution else "any"
        rows.append(f"| {name} | {number} | {framework.interface.upper()} | `{framework.caller}` | {tried} |")
    return "\n".join(rows)


def servers() -> str:
    """Return the table of servers."""
    rows = ["| server | version | command | answers of the server itself |", "|---|---|---|---|"]
    for name, kind in KINDS.items():
        command = re.sub(
            r"--\S+ (127\.0\.0\.1\S*|\{port\}|warning|0|1)( |$)|--no-\S+ ", "", kind.command
        ).strip()
        own = "; ".join(f"{case}: {_told(statuses)}" for case, statuses in OWN[name].items())
        rows.append(f"| {name} | {_version(kind)} | `{command}` | {own} |")
    return "\n".join(rows)


def changes() -> str:
    """Return the list of answers that a server changes, or whose requests it changes."""
    changed = [
        (server, name, case.status) for server, cases in CHANGED.items() for name, case in cases.items()
    ]
    refused = [
        (server, "a websocket that is refused for any reason", 403) for server in WITHOUT_HANDSHAKE_ANSWERS
    ]
    return "\n".join(f"* {server}: {name}: {status}" for server, name, status in [*changed, *sorted(refused)])


def _told(statuses: set[int]) -> str:
    words = [str(status) for status in sorted(statuses) if status]
    return " or ".join([*words, *(["no answer"] if 0 in statuses else [])])


def _version(kind: Kind) -> str:
    if kind.folder is None:
        return version(kind.distribution)
    (path,) = kind.folder.glob(f"{kind.distribution}-*.dist-info")
    return path.name.removesuffix(".dist-info").partition("-")[2]


def written() -> str:
    """Return the page with the current tables."""
    text = PATH.read_text(encoding="utf-8")
    for name, table in (("frameworks", frameworks()), ("servers", servers()), ("changes", changes())):
        begin, end = f"<!-- {name} -->\n\n", f"\n\n<!-- end of {name} -->"
        before, rest = text.split(begin, 1)
        text = before + begin + table + end + rest.split(end.lstrip(), 1)[1]
    return text


if __name__ == "__main__":
    PATH.write_text(written(), encoding="utf-8")
