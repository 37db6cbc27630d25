"""Headings and the heads of tables name a thing or a task (rule 17 of the style card in CONTRIBUTING.md)."""

import re

import pytest

from docs.blocks import pages, read

QUESTION = r"(?:what|who|whose|whom|where|how|which|when|whether|why)"
#: A question that users have, and look for.
ALLOWED = {"Why was it refused?"}
PAGES = [*pages(), "SECURITY.md", "CONTRIBUTING.md"]


def without_code(text: str) -> str:
    """Return a page without its fenced blocks, whose comments look like headings."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def headings(text: str) -> list[str]:
    """Return the headings that are a clause without a noun before it, such as "What it costs"."""
    named = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return [
        heading
        for heading in named
        if re.match(rf"{QUESTION}\b", heading, re.IGNORECASE) and heading not in ALLOWED
    ]


def heads(text: str) -> list[str]:
    """Return the heads of tables with such a clause."""
    rows = re.findall(r"^(\|.*\|)\n\|[-:| ]+\|$", without_code(text), re.MULTILINE)
    return [row for row in rows if re.search(rf"\| {QUESTION}\b", row, re.IGNORECASE)]


@pytest.mark.parametrize("page", PAGES)
def test_a_heading_names_a_thing(page: str) -> None:
    """No heading begins with a question word."""
    assert headings(read(page)) == []


@pytest.mark.parametrize("page", PAGES)
def test_the_head_of_a_column_names_a_thing(page: str) -> None:
    """No column is called by a question word."""
    assert heads(read(page)) == []


def test_a_clause_is_seen() -> None:
    """As a heading and in a table, and not in a block of code."""
    text = "## What it costs\n\n```sh\n# what it does\n```\n\n| option | what it does |\n|---|---|\n"
    assert headings(text) == ["What it costs"]
    assert heads(text) == ["| option | what it does |"]
