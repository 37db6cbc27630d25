"""The pages of docs/coming-from have one form: before, after and changes; a test runs their blocks."""

import re
from pathlib import Path

import pytest

from migrations.support import FOLDER, blocks

PAGES = sorted(page.name for page in FOLDER.glob("*.md"))
ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "migrations"
MAX_LINES = 42


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_changes(page: str) -> None:
    """A page lists the changes for users and for code, and the versions that it was tried with."""
    text = (FOLDER / page).read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert {"Changes for your users", "Changes for your code"} <= set(headings)
    assert "\nTried with " in text.partition("\n## ")[0]


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_short_and_run_by_a_test(page: str) -> None:
    """A block is short, and its heading is in the test of the page."""
    text = (TESTS / f"test_{page.removesuffix('.md').replace('-', '_')}.py").read_text(encoding="utf-8")
    for heading, block in blocks(page).items():
        assert f'"{heading}"' in text, heading
        assert len([line for line in block.splitlines() if line.strip()]) <= MAX_LINES, heading
        assert max(map(len, block.splitlines())) <= 110, heading


def test_the_versions_are_those_that_are_installed() -> None:
    """The versions of the pages are pinned; after an update, run `make frameworks` and write the new ones."""
    files = ("constraints.txt", "tests/frameworks/constraints.txt", "Makefile")
    pinned = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    texts = [(FOLDER / page).read_text(encoding="utf-8") for page in PAGES]
    tried = [pair for text in texts for pair in _tried(text)]
    assert tried
    # A package may have another version for each version of Python.
    is_pinned = [re.search(rf"(?i)\b{name}=={re.escape(version)}\b", pinned) for name, version in tried]
    assert [pair for pair, is_installed in zip(tried, is_pinned, strict=True) if not is_installed] == []


def _tried(text: str) -> list[tuple[str, str]]:
    """Return the packages that a page was tried with, by their names in a registry, and their versions."""
    line = re.search(r"^Tried with (.+?)\.(?: |$)", text, re.MULTILINE)
    assert line is not None
    line = line[1].replace("Django REST framework", "djangorestframework")
    return [(name.lower(), version) for name, version in re.findall(r"([\w-]+) ([\d.]+)", line)]
