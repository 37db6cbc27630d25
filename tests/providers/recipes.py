"""Write the blocks of docs/providers.md from the functions that the tests run."""

import inspect
import re
from pathlib import Path
from textwrap import dedent

from providers.catalogue import MODULES

PATH = Path(__file__).parents[2] / "docs" / "providers.md"
BLOCK = re.compile(r"^## ([^\n]+)\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMPORTS = re.compile(r"^```python\n(import os\n.*?)^```$", re.MULTILINE | re.DOTALL)


def recipes() -> dict[str, str]:
    """Return the block of each provider, by the heading of its section."""
    return {title(name): recipe(name) for name in MODULES}


def title(name: str) -> str:
    """Return the heading: the docstring of the function."""
    return str(MODULES[name].guard.__doc__).removesuffix(".")


def recipe(name: str) -> str:
    """Return the body of the function, as in its module."""
    source = inspect.getsource(MODULES[name].guard)
    _, _, body = source.split('"""', 2)
    return re.sub(r"^return Guard\(", "guard = Guard(", dedent(body.lstrip("\n")), flags=re.MULTILINE)


def written() -> str:
    """Return the page with the current blocks."""
    blocks = recipes()

    def block(match: re.Match[str]) -> str:
        return f"## {match[1]}\n\n```python\n{blocks.get(match[1], match[2])}```"

    return BLOCK.sub(block, PATH.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PATH.write_text(written(), encoding="utf-8")
