"""Check that each docstring begins with a verb, so that it names an action."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.sentences import HEADINGS, source_files

# A new verb has a line there; nouns, articles, question words and the third person have none.
VERBS = frozenset(Path(__file__).with_name("verbs.txt").read_text().split())


def misbegun(source: str) -> Iterator[str]:
    """Yield each docstring that does not begin with a verb, with its name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            words = (ast.get_docstring(node) or "").split()
            if words and words[0].rstrip(".,:;") not in VERBS:
                yield f"{getattr(node, 'name', 'module')}: {' '.join(words[:6])}"


def test_docstrings_begin_with_a_verb() -> None:
    """Each docstring of the project begins with a verb, except those of tests."""
    begun = {
        name: [line for line in misbegun(source) if not (name.startswith(HEADINGS) and is_heading(line))]
        for name, source in source_files().items()
    }
    assert {name: lines for name, lines in begun.items() if lines} == {}


def is_heading(line: str) -> bool:
    """Return whether a docstring of tests/providers is that of a module or of its function `guard`."""
    return line.startswith(("module: ", "guard: "))


def test_private_and_nested_docstrings_are_seen() -> None:
    """Docstrings of private classes and methods, and of nested functions, are checked like public ones."""
    source = """
class _Kept:
    '''What is kept.'''
    def _find(self):
        '''Where it is.'''
        def inner():
            '''Who asks.'''
"""
    assert len(list(misbegun(source))) == 3


def test_all_folders_are_read() -> None:
    """The source, the tools, the benchmarks, the examples and the helpers of tests are read."""
    folders = {name.split("/")[0] for name in source_files()}
    assert folders == {"src", "tools", "benchmarks", "examples", "tests"}
    assert "tests/conftest.py" in source_files()


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
    """A docstring that begins with a question word, an article, a name or the third person is reported."""
    assert list(misbegun(f'def decide():\n    """{first}"""\n'))
