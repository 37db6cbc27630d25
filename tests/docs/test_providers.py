"""The blocks of docs/providers.md are the functions that tests/providers runs.

After a change there, write them again: `PYTHONPATH=tests python -m providers.recipes`.
"""

import os
import re

import pytest

from authguard import Guard
from providers.catalogue import NAMES, PROVIDERS
from providers.recipes import BLOCK, IMPORTS, PATH, recipe, recipes, title, written

TEXT = PATH.read_text(encoding="utf-8")
SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]


def test_each_block_is_the_function_that_is_tested() -> None:
    """The blocks are the functions of all providers, in the order of the list."""
    assert dict(BLOCK.findall(TEXT)) == recipes()
    assert [section.partition("\n")[0] for section in SECTIONS] == [title(name) for name in NAMES]
    assert written() == TEXT


@pytest.mark.parametrize("name", NAMES)
def test_a_block_runs_with_the_imports_above(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block builds its guard with the imports of the page and without a request."""
    (imports,) = IMPORTS.findall(TEXT)
    monkeypatch.setenv("CLUSTER_CA", os.environ["SSL_CERT_FILE"])
    for variable, value in PROVIDERS[name].environ.items():
        monkeypatch.setenv(variable, value)
    namespace: dict[str, object] = {}
    exec(compile(imports + recipe(name), "providers.md", "exec"), namespace)
    assert isinstance(namespace["guard"], Guard)


@pytest.mark.parametrize("section", SECTIONS, ids=[section.partition("\n")[0] for section in SECTIONS])
def test_a_section_says_values_caller_and_mistakes(section: str) -> None:
    """A section has values, caller and mistakes once in this order, and a short block."""
    assert re.findall(r"^\* \*\*(\w+)\*\*: ", section, re.MULTILINE) == ["Values", "Caller", "Mistakes"]
    ((_, block),) = BLOCK.findall(f"## {section}")
    assert len(block.splitlines()) <= 20
