"""Hold docstrings, comments and errors to the style card of CONTRIBUTING.md, as far as words tell."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
# What is refused, with what to write instead. Each would be a sentence that a stranger reads twice.
REFUSED = {
    r"cannot be meant": "name the condition: contradict each other, are out of range, have the wrong type",
    r"\banew\b": "again",
    r"\bfor good\b": "permanently",
    r"\b[Nn]obody\b": "no caller, no user, an anonymous caller",
    r"\b[Ww]hoever\b": "the caller, the user, the operator",
    r"\bto mend\b|\bmends?\b": "correct, repair",
    r"\bbe it\b": "whether",
    r"\bin other clothes\b|\bgrows? old\b|\bsomebody plays\b": "the plain fact",
    r"\bsays? no\b|\bsaid no\b": "refuse, cancel",
    r"\bmake good\b|\bno good\b": "valid, invalid",
    r"\bif nothing is said\b": "by default",
    r"\btakes? over\b": "is used from then on, replaces",
    r"\blooks? after\b": "manage",
}
PATTERN = re.compile("|".join(f"(?:{pattern})" for pattern in REFUSED))


def sentences_of(source: str) -> Iterator[str]:
    """Yield each docstring, comment and text of a source file, with single spaces."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield " ".join(token.string.lstrip("#: ").split())
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


def refused_in(source: str) -> list[str]:
    """Return the words of a source file that are refused, each with what is around it."""
    return [
        sentence[max(0, match.start() - 40) : match.end() + 40]
        for sentence in sentences_of(source)
        for match in PATTERN.finditer(sentence)
    ]


def test_the_source_is_in_plain_words() -> None:
    """No docstring, comment or text of the source has a word that the style card refuses."""
    results = {
        file.relative_to(SOURCE).as_posix(): refused_in(file.read_text())
        for file in sorted(SOURCE.rglob("*.py"))
    }
    assert {name: words for name, words in results.items() if words} == {}


@pytest.mark.parametrize(
    "source",
    [
        '"""Refuse options.\n\nRaises:\n    ConfigurationError: if this cannot\n    be meant.\n"""',
        "x = 1  # whoever asks",
        "raise ValueError('sign in anew')",
    ],
)
def test_a_refused_word_is_seen(source: str) -> None:
    """It is seen in a docstring, also across lines, in a comment and in a text."""
    assert refused_in(source)


def test_plain_words_are_taken() -> None:
    """Sentences of the style card's form pass."""
    assert refused_in('"""Return the principal of a verified token."""  # the reason') == []
