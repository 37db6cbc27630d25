"""Read the parts of a Markdown page for the site: its title, first sentence, headings and links."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^(?P=indent)(?P=fence)`* *$", re.MULTILINE | re.DOTALL
)
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(?:.|\n(?!\n))+?(?<!`)\1(?!`)")
_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s]+)(?P<after>(?:\s+\"[^\"]*\")?\))")
_ATTRIBUTE = re.compile(r"(?P<before>\b(?:src|srcset|href)=\")(?P<target>[^\"]+)(?P<after>\")")
# MyST would join the lines of such a text without a space.
_PICTURE_TEXT = re.compile(r"!\[[^\]]*\]")
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *#* *$", re.MULTILINE)
_SENTENCE = re.compile(r"(.+?[.!?])(?=\s|$)", re.DOTALL)


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a page in order, each with whether it is code."""
    for is_fence, block in _split(_FENCE, text):
        if is_fence:
            yield True, block
        else:
            yield from _split(_CODE_SPAN, block)


def _split(pattern: re.Pattern[str], text: str) -> Iterator[tuple[bool, str]]:
    end = 0
    for match in pattern.finditer(text):
        yield False, text[end : match.start()]
        yield True, match[0]
        end = match.end()
    yield False, text[end:]


def without_blocks(text: str) -> str:
    """Return a page without its fenced blocks of code."""
    return "".join(piece for is_fence, piece in _split(_FENCE, text) if not is_fence)


def replace_links(text: str, replace: Callable[[str], str]) -> str:
    """Return a page with other targets of its links and pictures; code is not changed.

    Args:
        text: the page.
        replace: returns the new target for a target.
    """

    def replaced(match: re.Match[str]) -> str:
        return match["before"] + replace(match["target"]) + match["after"]

    # The text of a link may hold a code span, so the code is put back after the links are replaced.
    kept: list[str] = []
    marked = ""
    for is_code, piece in _pieces(text):
        if is_code:
            kept.append(piece)
        marked += f"\0{len(kept) - 1}\0" if is_code else piece
    marked = _PICTURE_TEXT.sub(lambda match: " ".join(match[0].split("\n")), marked)
    marked = _ATTRIBUTE.sub(replaced, _LINK.sub(replaced, marked))
    return re.sub("\0(\\d+)\0", lambda match: kept[int(match[1])], marked)


def plain(text: str) -> str:
    """Return a line of Markdown as text: without links, emphasis and code marks."""
    return re.sub(r"\*\*|`", "", without_links(text)).strip()


def without_links(text: str) -> str:
    """Return Markdown with the texts of links instead of the links."""
    return re.sub(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)", r"\1", text)


def anchors(text: str) -> list[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    seen: Counter[str] = Counter()
    names = []
    for match in _HEADING.finditer(without_blocks(text)):
        slug = re.sub(r"[^\w\- ]", "", plain(match[2]).lower()).replace(" ", "-")
        names.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return names


def title(text: str) -> str:
    """Return the text of the first heading."""
    match = _HEADING.search(without_blocks(text))
    if match is None:
        msg = f"a page must have a heading, got {text[:60]!r}"
        raise ValueError(msg)
    return plain(match[2])


def summary(text: str) -> str:
    """Return the first sentence of the first paragraph, without links; empty if a page has no paragraph."""
    body = _HEADING.split(without_blocks(text), maxsplit=1)[-1]
    for paragraph in re.split(r"\n\s*\n", body):
        if re.match(r"\s*(?:[A-Z`*\"]|\[[^!])", paragraph):
            words = " ".join(without_links(paragraph).split())
            match = _SENTENCE.match(words)
            return (match[1] if match else words).rstrip(":")
    return ""
