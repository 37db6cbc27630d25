"""Find the fenced blocks of README and of all pages below docs."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```([\w-]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """Hold a fenced block of a page.

    Attributes:
        page: the path of the page below the root, such as `docs/start.md`.
        line: the number of its first line in the page.
        heading: the heading above it.
        language: of the fence, such as `python`; empty if it names none.
        text: the lines between the fences.
    """

    page: str
    line: int
    heading: str
    language: str
    text: str

    def __str__(self) -> str:
        """Return a name for the reports of tests."""
        return f"{self.page}:{self.line}"


def read(page: str) -> str:
    """Return the text of a page, by its path below the root."""
    return (ROOT / page).read_text(encoding="utf-8")


def pages() -> list[str]:
    """Return README and each page below docs, by their paths below the root."""
    results = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", *results]


def blocks(page: str, *languages: str) -> list[Block]:
    """Return the blocks of a page in order: all, or only those of some languages."""
    text = read(page)
    results = []
    for match in FENCE.finditer(text):
        headings = HEADING.findall(
            re.sub(r"^```.*?^```$", "", text[: match.start()], flags=re.DOTALL | re.MULTILINE)
        )
        line = text.count("\n", 0, match.start(3)) + 1
        results.append(Block(page, line, headings[-1] if headings else "", match[2], match[3]))
    return [block for block in results if not languages or block.language in languages]


def execute(block: Block, names: dict[str, object]) -> None:
    """Run a block of Python with these names, and add its own; errors name the line of the page."""
    exec(compile("\n" * (block.line - 1) + block.text, block.page, "exec"), names)
