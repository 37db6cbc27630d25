"""Compare the pictures of docs/pictures with the code that draws them."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tools.pictures.files import FOLDER, makers

ROOT = Path(__file__).parents[2]
DRAWN = {
    name: data for module in makers(with_browser=False).values() for name, data in module.pictures().items()
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_picture_is_what_the_code_draws(name: str) -> None:
    """A picture is the one that the code draws; `make pictures` draws it again."""
    assert (FOLDER / name).read_bytes() == DRAWN[name]


@pytest.mark.parametrize("name", DRAWN)
def test_the_picture_says_what_it_shows(name: str) -> None:
    """A picture has a title and a description for readers who cannot see it."""
    root = ET.fromstring(DRAWN[name])
    words = [root.findtext(f"{{http://www.w3.org/2000/svg}}{tag}") or "" for tag in ("title", "desc")]
    assert [len(text) > 10 for text in words] == [True, True]


def test_each_picture_of_a_page_has_a_text() -> None:
    """Each picture in a page has an alternative text."""
    empty = [
        path.name
        for path in (ROOT / "docs").rglob("*.md")
        if re.search(r"!\[\s*\]\(", path.read_text(encoding="utf-8"))
    ]
    assert empty == []


def test_each_drawn_picture_is_shown() -> None:
    """Each drawn picture is in a page of docs/ or in README."""
    texts = [
        path.read_text(encoding="utf-8") for path in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md")
    ]
    assert [name for name in DRAWN if not any(f"pictures/{name})" in text for text in texts)] == []
