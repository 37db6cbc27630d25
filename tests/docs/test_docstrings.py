"""Hold docstrings to one beginning: a verb, so that each says what the thing does."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
# A new verb has a line there. Nouns, articles, question words and the third person have none.
VERBS = frozenset(Path(__file__).with_name("verbs.txt").read_text().split())


def misbegun(source: str) -> Iterator[str]:
    """Yield each docstring that does not begin with a verb, with its name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            words = (ast.get_docstring(node) or "").split()
            if words and words[0].rstrip(".,:;") not in VERBS:
                yield f"{getattr(node, 'name', 'module')}: {' '.join(words[:6])}"


def test_docstrings_begin_with_a_verb() -> None:
    """Each docstring of the source begins with a verb."""
    begun = {
        file.relative_to(SOURCE).as_posix(): list(misbegun(file.read_text()))
        for file in sorted(SOURCE.rglob("*.py"))
    }
    assert {name: lines for name, lines in begun.items() if lines} == {}


@pytest.mark.parametrize(
    "first",
    [
        "What a guard decides.",
        "Whether it may pass.",
        "The guard.",
        "A guard.",
        "`Guard`, built.",
        "If so.",
        "Decides it.",
    ],
)
def test_other_beginnings_are_seen(first: str) -> None:
    """Question words, articles, names of code and the third person are refused."""
    assert list(misbegun(f'def decide():\n    """{first}"""\n'))
