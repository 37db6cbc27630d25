"""The links of the documentation lead to each page and each heading."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.blocks import ROOT, pages, read

DELIMITERS = re.compile(r"\|(?: *:?-+:? *\|)+")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def linked(page: str) -> Iterator[tuple[str, str]]:
    """Yield path and anchor of each link of a page to a file of the project."""
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", without_code(read(page))):
        path, _, anchor = target.partition("#")
        linked_path = (ROOT / page).parent / path if path else ROOT / page
        yield Path(os.path.relpath(linked_path, ROOT)).as_posix(), anchor


def slugs(page: str) -> set[str]:
    """Return the anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", without_code(read(page)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_each_page_can_be_reached_from_the_readme() -> None:
    """Each page is reached by links from README; parts of the Python API are in the navigation."""
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.endswith(".md") and (ROOT / page).is_file():
            reached.add(page)
            waiting += [path for path, _ in linked(page)]
    assert [page for page in pages() if page not in reached and "/api-" not in page] == []


@pytest.mark.parametrize("page", pages())
def test_each_link_leads_somewhere(page: str) -> None:
    """The file and the heading of each link exist."""
    dead = [
        f"{path}#{anchor}"
        for path, anchor in linked(page)
        if not (ROOT / path).exists() or (anchor and path.endswith(".md") and anchor not in slugs(path))
    ]
    assert dead == []


@pytest.mark.parametrize("page", pages())
def test_each_table_has_a_head(page: str) -> None:
    """Each table has a head, because a blank line in a table makes text of the rows after it."""
    lines = ["", *without_code(read(page)).splitlines(), ""]
    heads = [
        (line, below)
        for above, line, below in zip(lines, lines[1:], lines[2:], strict=False)
        if line.startswith("|") and not above.startswith("|")
    ]
    assert [head for head, below in heads if not DELIMITERS.fullmatch(below.strip())] == []
