"""The documentation can be found: the README links each page, and the table of commands has each command."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "index.md")
DELIMITERS = re.compile(r"\|(?: *:?-+:? *\|)+")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def test_the_readme_links_each_page() -> None:
    """In its list of links, where people look for a page."""
    links = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Links\n")[2]
    assert [page.name for page in PAGES if f"(docs/{page.name})" not in links] == []


def test_each_command_is_in_the_table() -> None:
    """Those that have a section have a row, by their group and their own name."""
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    table = text.partition("| command | what it does |")[2].partition("\n\n")[0]
    listed = set()
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        first, *others = re.findall(r"`([\w -]+)`", row)
        listed |= {first, *(f"{first.rpartition(' ')[0]} {other}" for other in others)}
    assert set(re.findall(r"^## `(authguard [\w -]+)`$", text, re.MULTILINE)) == listed


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_each_table_has_a_head(page: Path) -> None:
    """A blank line inside of a table ends it, and the rows after it are shown as text."""
    lines = ["", *without_code(page.read_text(encoding="utf-8")).splitlines(), ""]
    heads = [
        (line, below)
        for above, line, below in zip(lines, lines[1:], lines[2:], strict=False)
        if line.startswith("|") and not above.startswith("|")
    ]
    assert [head for head, below in heads if not DELIMITERS.fullmatch(below.strip())] == []
