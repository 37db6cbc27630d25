"""Run the applications of a page of docs/coming-from, before and after."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "coming-from"
SECRET = "m1grate-0nly-Secret-of-enough-bytes-5Wd"
PASSWORD = "correct horse battery"


def blocks(page: str) -> dict[str, str]:
    """Return the blocks of Python of a page, by the heading above; each heading has one."""
    text = (FOLDER / page).read_text(encoding="utf-8")
    sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    results = {}
    for heading, section in zip(sections[::2], sections[1::2], strict=True):
        for block in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
            assert heading not in results, f"{page}: two blocks below {heading}"
            results[heading] = block
    return results


def run(page: str, heading: str, **given: Any) -> Any:
    """Run the block below a heading, and return its names as attributes.

    The attribute `scope` is the dictionary of names that its functions read.

    Args:
        page: a file of docs/coming-from.
        heading: the heading above the block.
        given: names for the block, from blocks above.
    """
    names: dict[str, Any] = {"__name__": "coming_from", **given}
    exec(compile(blocks(page)[heading], f"{page}, {heading}", "exec"), names)
    return SimpleNamespace(**names, scope=names)


def bearer(token: str) -> dict[str, str]:
    """Return the field that carries a token."""
    return {"Authorization": f"Bearer {token}"}
