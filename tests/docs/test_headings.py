"""Headings and the heads of tables name a thing or a task (rule 17 of the style card in CONTRIBUTING.md)."""

import re

import pytest

from docs.blocks import pages, read

QUESTION = r"(?:what|who|whose|whom|where|how|which|when|whether|why)"
#: A question that users search for.
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
    """No head of a column begins with a question word."""
    assert heads(read(page)) == []


def test_a_clause_is_seen() -> None:
    """A clause in a heading and in a table is reported, and one in a block of code is not."""
    text = "## What it costs\n\n```sh\n# what it does\n```\n\n| option | what it does |\n|---|---|\n"
    assert headings(text) == ["What it costs"]
    assert heads(text) == ["| option | what it does |"]


@pytest.mark.parametrize("page", PAGES)
def test_no_line_hides_the_rest_of_a_page(page: str) -> None:
    """No line begins with `<?` or `<!`, which begin a block of HTML until `?>` or `>`.

    A page may have comments.
    """
    assert re.findall(r"^ {0,3}<[?!](?!--).*$", without_code(read(page)), re.MULTILINE) == []
