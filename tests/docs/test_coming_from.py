"""The pages of docs/coming-from have one form: before, after, and what changes; a test runs their blocks."""

import re
from pathlib import Path

import pytest

from migrations.support import FOLDER, blocks

PAGES = sorted(page.name for page in FOLDER.glob("*.md"))
TESTS = Path(__file__).parents[1] / "migrations"
MAX_LINES = 40


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_changes(page: str) -> None:
    """For users and for code, and with which versions it was tried."""
    text = (FOLDER / page).read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert {"What changes for your users", "What changes for your code"} <= set(headings)
    assert "\nTried with " in text.partition("\n## ")[0]


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_short_and_run_by_a_test(page: str) -> None:
    """The test names each heading that has a block below it."""
    text = (TESTS / f"test_{page.removesuffix('.md').replace('-', '_')}.py").read_text(encoding="utf-8")
    for heading, block in blocks(page).items():
        assert f'"{heading}"' in text, heading
        assert len([line for line in block.splitlines() if line.strip()]) <= MAX_LINES, heading
        assert max(map(len, block.splitlines())) <= 110, heading
