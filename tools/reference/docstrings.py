"""Write a docstring as Markdown: paragraphs, and a list for each of `Args`, `Raises` and so on."""

import inspect
import re

_SECTIONS = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Returns": "Returns",
    "Yields": "Yields",
    "Raises": "Raises",
}
_SECTION = re.compile(rf"^({'|'.join(_SECTIONS)}):$", re.MULTILINE)
_ENTRY = re.compile(r"^(?P<name>\**[\w.]+(?:, \**[\w.]+)*): (?P<text>.*)$", re.DOTALL)


def as_markdown(docstring: str | None) -> str:
    """Return a docstring as Markdown, with an empty line at its end; empty without a docstring.

    Args:
        docstring: as `__doc__` has it.
    """
    head, *rest = _SECTION.split(inspect.cleandoc(docstring or ""))
    parts = [_escaped(head.strip())]
    for name, body in zip(rest[::2], rest[1::2], strict=True):
        block, after = _indented(body)
        parts.append(f"{_SECTIONS[name]}:\n\n{_entries(block)}")
        parts.append(_escaped(after.strip()))
    return "\n\n".join(part for part in parts if part) + "\n"


def first_paragraph(docstring: str | None) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join(inspect.cleandoc(docstring or "").partition("\n\n")[0].split())


def _indented(body: str) -> tuple[str, str]:
    """Return the indented lines at the beginning of a section, and the lines after them."""
    lines = body.strip("\n").split("\n")
    end = next((n for n, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def _entries(block: str) -> str:
    """Return the entries of a section as a list; a section without names, such as `Returns`, unchanged."""
    text = inspect.cleandoc("\n" + block)
    entries: list[list[str]] = []
    for line in text.split("\n"):
        if line and (not line.startswith(" ") or not entries):
            entries.append([line])
        else:
            entries[-1].append(line)
    items = []
    for lines in entries:
        words = " ".join(" ".join(lines).split())
        match = _ENTRY.match(words)
        items.append(f"* `{match['name']}`: {match['text']}" if match else words)
    return "\n".join(items) if all(item.startswith("* ") for item in items) else " ".join(items)


def _escaped(text: str) -> str:
    """Return paragraphs with escapes, so that no text outside code counts as HTML."""
    lines = []
    for line in text.split("\n"):
        is_code = line.startswith("    ")
        lines.append(
            line if is_code else re.sub(r"<(?=[a-z/])(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", "&lt;", line)
        )
    return "\n".join(lines)
