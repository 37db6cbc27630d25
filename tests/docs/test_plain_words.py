"""Check that docstrings, comments, errors and pages have no word that the style card refuses."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from docs.blocks import pages, read
from docs.sentences import source_files

# The refused words, with the words to write instead.
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
# Refused in pages as well: the beginning of a clause without a noun, and words of the older style.
OF_PAGES = {
    r"(?:^|[.:;|] )(?:What|Who)\b(?![^.|]*\?)": "a noun: the header, the caller",
    r"\b(?:is|are|stays?) good\b": "valid",
    r"\bstands? in\b": "is in",
    r"\bsays so\b": "names it, reports it",
}
# Refused in docstrings and comments as well: clauses without a noun, and words of the older style.
OF_PROSE = {
    **OF_PAGES,
    r"\b[Ww]hat\b": "a noun: the value, the answer, the fields",
    r"(?:^|[.:;] )(?:Whose|How|Where)\b(?![^.]*\?)": "a noun: the owner, the number, the place",
    r"\b(?:[Ee]very|[Aa]ny|[Ss]ome)body\b": "all callers, any user, a person",
    r"\b[Tt]here (?:is|are|was|were)\b": "the thing as the subject: a store has, the list is empty",
    r"\b[Ww]hatever\b|\b[Ww]hichever\b|\b[Hh]owever (?:many|often|long)\b": "regardless of, any",
    r"\bNone for none\b": "None without a key, None for no limit",
    r"\bfurther (?:in|out)\b": "inner, outer",
    r"\bfor how long\b|\bfrom when\b|\b(?:until|by) when\b": "the seconds, the time",
    r"\bas good as\b": "equal to",
    r"\bin the place of\b": "instead of",
    r"\btold apart\b|\btells? [a-z ]{0,20}apart\b": "distinguish",
    r"\bgo(?:es)? on\b": "continue",
    r"\b(?:is|are) to be\b|\bha(?:s|ve) to be\b": "must be",
}
PROSE_PATTERN = re.compile("|".join(f"(?:{pattern})" for pattern in [*REFUSED, *OF_PROSE]))
PAGE_PATTERN = re.compile("|".join(f"(?:{pattern})" for pattern in [*REFUSED, *OF_PAGES]))


def comments_of(source: str) -> Iterator[str]:
    """Yield each line of a comment of a source file."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield " ".join(token.string.lstrip("#: ").split())


def sentences_of(source: str) -> Iterator[str]:
    """Yield each docstring, comment and text of a source file, with single spaces."""
    yield from comments_of(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


def prose_of(source: str) -> Iterator[str]:
    """Yield each docstring and comment of a source file, with single spaces."""
    yield from comments_of(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield " ".join((ast.get_docstring(node) or "").split())


def refused_in(source: str) -> list[str]:
    """Return the refused words of a source file, each with its context."""
    return [
        sentence[max(0, match.start() - 40) : match.end() + 40]
        for sentence in sentences_of(source)
        for match in PATTERN.finditer(sentence)
    ]


def refused_in_prose(source: str) -> list[str]:
    """Return the refused words of docstrings and comments, each with its context; code is left out."""
    sentences = [re.sub(r"`[^`]*`|\"[^\"]*\"", "`x`", sentence) for sentence in prose_of(source)]
    return [
        sentence[max(0, match.start() - 40) : match.end() + 40]
        for sentence in sentences
        for match in PROSE_PATTERN.finditer(sentence)
    ]


def refused_in_page(text: str) -> list[str]:
    """Return the words of a page that are refused, outside of its code."""
    prose = re.sub(r"^```.*?^```$|`[^`]*`", "`x`", text, flags=re.MULTILINE | re.DOTALL)
    sentences = " ".join(prose.split())
    return [
        sentences[max(0, match.start() - 40) : match.end() + 40] for match in PAGE_PATTERN.finditer(sentences)
    ]


@pytest.mark.parametrize("page", [*pages(), "SECURITY.md"])
def test_pages_are_in_plain_words(page: str) -> None:
    """No page has a word that the style card refuses; the card in CONTRIBUTING.md quotes such words."""
    assert refused_in_page(read(page)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Sign in anew.",
        "A page. What each setting does is here.",
        "| a | Who has a token passes |",
        "The token\nstays good.",
        "Its queries stand in `storage`.",
    ],
)
def test_a_refused_word_of_a_page_is_seen(text: str) -> None:
    """A refused word is reported at the beginning of a sentence or a cell, and across lines."""
    assert refused_in_page(text)


def test_code_and_questions_of_a_page_pass() -> None:
    """A refused word is accepted in code, and at the beginning of a question."""
    assert (
        refused_in_page("See `nobody`.\n\n```sh\n# What is good\n```\n\nRun it. Who calls this API? You.")
        == []
    )


def test_the_source_is_in_plain_words() -> None:
    """No docstring, comment or text of the source has a word that the style card refuses."""
    results = {name: refused_in(text) for name, text in source_files().items() if name.startswith("src/")}
    assert {name: words for name, words in results.items() if words} == {}


@pytest.mark.parametrize("tests", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_docstrings_and_comments_are_in_plain_words(tests: bool) -> None:
    """No docstring and no comment of the project has a word that the style card refuses."""
    results = {name: refused_in_prose(text) for name, text in source_files(tests=tests).items()}
    assert {name: words for name, words in results.items() if words} == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "What a request has taken.",
        "Return what the caller lacks.",
        "Return the store; None if there is none.",
        "Keep the key for as long as it is good.",
        "Refuse it, whatever it is.",
        "Answer everybody.",
        "Change what a guard further out has counted.",
        "Return the calls. How many there are.",
        "Check a value that has to be text.",
    ],
)
def test_a_refused_word_of_prose_is_seen(sentence: str) -> None:
    """A refused word is reported in the docstring of a private function, and in a comment."""
    assert refused_in_prose(f'def _kept():\n    """{sentence}"""\n')
    assert refused_in_prose(f"x = 1  # {sentence}\n")


def test_texts_and_code_are_no_prose() -> None:
    """A refused word is accepted in the text of a program, and in code within a docstring."""
    assert refused_in_prose('"""Return `what`, or "there is none"."""\nTEXT = "What is there?"\n') == []


@pytest.mark.parametrize(
    "source",
    [
        '"""Refuse options.\n\nRaises:\n    ConfigurationError: if this cannot\n    be meant.\n"""',
        "x = 1  # whoever asks",
        "raise ValueError('sign in anew')",
    ],
)
def test_a_refused_word_is_seen(source: str) -> None:
    """A refused word is reported in a docstring, also across lines, in a comment and in a text."""
    assert refused_in(source)


def test_plain_words_are_taken() -> None:
    """Sentences in the form of the style card are accepted."""
    assert refused_in('"""Return the principal of a verified token."""  # the reason') == []
