"""Compare docs/production.md with the log lines, limits and settings of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from authguard import identity
from authguard.identity.limits import DEFAULT_LIMITS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "production.md").read_text(encoding="utf-8")
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def log_lines() -> Iterator[tuple[str, str]]:
    """Yield level and text of each line that the service logs, without events."""
    package = Path(str(identity.__file__)).parent
    for file in sorted([*package.rglob("*.py"), *(package.parent / "cli" / "serving").glob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if ast.unparse(node.func.value) == "logger" and node.func.attr in LEVELS:
                text = node.args[0]
                assert isinstance(text, ast.Constant), f"{file.name}: {ast.unparse(text)}"
                if text.value != "%s":
                    yield node.func.attr.upper(), str(text.value)


@pytest.mark.slow
def test_each_log_line_is_documented() -> None:
    """The table has each log line of the service with its level, and no other line."""
    table = PAGE.partition("\n## Log lines\n")[2]
    rows = re.findall(r"^\| ([A-Z]+) \| `(.+?)` \| .+ \|$", table, re.MULTILINE)
    assert sorted(rows) == sorted(set(log_lines()))


def test_each_limit_is_documented() -> None:
    """The table of docs/identity.md has each limit with its default, and no other limit."""
    text = (DOCS / "identity.md").read_text(encoding="utf-8").partition("\n## Limits\n")[2]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) in (\d+) s \|", text, re.MULTILINE)
    results = {name: (int(count), int(seconds)) for name, count, seconds in rows}
    assert results == {name: (limit.count, limit.seconds) for name, limit in DEFAULT_LIMITS.items()}


def test_each_link_leads_somewhere() -> None:
    """The files and headings that the page links exist."""
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", PAGE):
        path = (DOCS / (target or "production.md")).resolve()
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {
                re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
            }
            assert anchor in slugs, anchor
