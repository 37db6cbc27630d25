"""Read requests, answers and code from the documents that the service follows, unchanged.

The documents have lost the indentation of their code. `indented` restores it; only base URLs are changed
besides.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pytest

from support import VECTORS

SEEDS = VECTORS.parent / "seeds"
needs_seeds = pytest.mark.skipif(not SEEDS.is_dir(), reason="the folder of the documents is not here")
AINATIVE = "https://api.ainative.studio"
INVORA = "https://api.invoratec.cn"


class Exchange(NamedTuple):
    """Hold a request of a document, and the JSON of its answer.

    Attributes:
        method: such as `POST`.
        path: with the names of its parameters in braces.
        headers: the fields of the request.
        body: its JSON; None without a body.
        answer: the JSON of the answer; None if the document shows none.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    answer: Any


def seed(name: str) -> str:
    """Return the text of a document; empty if the folder is missing."""
    path = SEEDS / f"{name}.txt"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def section(text: str, first: str, last: str) -> str:
    """Return the text between two lines; the second is the next line with its text."""
    lines = text.split("\n")
    begin = lines.index(first) + 1
    return "\n".join(lines[begin : lines.index(last, begin)])


def exchange(text: str) -> Exchange:
    """Read a request that is written as HTTP, and the JSON after `Response:`."""
    request, _, response = text.strip().partition("Response:")
    head, _, body = request.strip().partition("\n\n")
    first, *fields = head.split("\n")
    method, path = first.split(" ")
    headers = dict(field.split(": ", 1) for field in fields)
    answer, _ = json.JSONDecoder().raw_decode(response.strip()) if response.strip() else (None, 0)
    return Exchange(method, path, headers, json.loads(body) if body.strip() else None, answer)


def curl_examples(text: str) -> list[tuple[str, Any]]:
    """Return each curl command of the Invora document, and the JSON of its answer."""
    commands = re.finditer(r"^bash\n(curl .*?)响应\njson\n", text, re.MULTILINE | re.DOTALL)
    decode = json.JSONDecoder().raw_decode
    return [(command[1], decode(text, command.end())[0]) for command in commands]


def indented(code: str, depths: Iterable[tuple[str, int]]) -> str:
    """Put back the indentation of Python code.

    Args:
        code: the code in the document.
        depths: each change of depth, in order: the start of its first line, and the depth from there on.
            Lines in parentheses need no entry.
    """
    changes, depth, lines = list(depths), 0, []
    for line in code.split("\n"):
        if changes and line.startswith(changes[0][0]):
            depth = changes.pop(0)[1]
        lines.append("    " * depth + line if line else line)
    assert changes == [], "the document has no such line"
    return "\n".join(lines)


def served_at(text: str, bases: Mapping[str, str]) -> str:
    """Replace the base URLs of the document, the longest first."""
    for base in sorted(bases, key=len, reverse=True):
        text = text.replace(base, bases[base])
    return text


def shape_of(value: Any) -> Any:
    """Return the names of a JSON document in their order, and the shape of each of its values.

    Dates and times keep their punctuation; other text is replaced with its type.
    """
    if isinstance(value, dict):
        return [(name, shape_of(member)) for name, member in value.items()]
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return re.sub(r"\d", "0", value)
    return type(value).__name__
