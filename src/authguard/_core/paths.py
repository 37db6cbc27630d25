"""Paths as segments: which are canonical, and how else a path might be read.

Law 6, the asymmetry: a path is public only if there is one way to read it (`is_canonical`) and
that way is listed; it is protected if any of its `readings` is. The readings undo what routers,
file systems and proxies have been seen to undo: a second decoding, backslashes, path parameters,
merged slashes, dot segments, case, compatibility characters. Nothing is rejected here.
"""

import re
import unicodedata
from itertools import product
from urllib.parse import unquote

Segments = tuple[str, ...]

#: Longer odd paths are not read in every way; the policy then asks for all it ever asks for.
LONGEST_ODD_PATH = 1024

# The common case, at once: segments of ordinary characters that do not end in a dot (so that none
# is "." or ".."), and maybe a last slash. Possessive, so that it takes linear time.
_CANONICAL = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,=:@.-]++(?<!\.))*+/?\Z")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # Unicode general categories
_FORBIDDEN = frozenset("\\;%?#\N{REPLACEMENT CHARACTER}")
_AUTHORITY = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*:/*[^/]*")
_PERCENT_U = re.compile(r"%u([0-9A-Fa-f]{4})")
_PARAMETERS = re.compile(r";[^/]*")
_SLASHES = re.compile(r"/{2,}")


def is_canonical(path: str) -> bool:
    """Whether every router, proxy and file system reads this decoded path the same way.

    The path starts with a slash; it has no empty inner segment, no segment that ends in a dot
    or a space, no control or format character, no backslash, none of `; % ? #`, and NFKC leaves
    it alone.
    """
    if not path.startswith("/"):
        return False
    if _CANONICAL.match(path):
        return True
    if not unicodedata.is_normalized("NFKC", path):
        return False
    if any(c in _FORBIDDEN or unicodedata.category(c) in _INVISIBLE for c in path):
        return False
    return all(segment and segment[-1] not in ". " for segment in path[1:].removesuffix("/").split("/"))


def split(path: str) -> Segments:
    """The segments of a path, without the empty ones at its ends."""
    return tuple(path.strip("/").split("/")) if path.strip("/") else ()


def fold(path: str) -> Segments:
    """The segments as the most forgiving router would compare them."""
    segments = (_fold_segment(segment) for segment in path.split("/"))
    return tuple(segment for segment in segments if segment)


def _fold_segment(segment: str) -> str:
    if segment.isascii() and segment.isprintable():
        return segment.lower().rstrip(". ")
    kept = "".join(c for c in segment if c not in _FORBIDDEN and unicodedata.category(c) not in _INVISIBLE)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kept).casefold()).strip(". \xa0")


def readings(path: str) -> set[Segments]:
    """Every way in which the path might plausibly be read, folded.

    The path must be at most `LONGEST_ODD_PATH` long: this makes up to a hundred forms of it.
    """
    texts = {path, _AUTHORITY.sub("", path, count=1)}
    found: set[Segments] = set()
    for _ in range(3):
        texts = {unicodedata.normalize("NFKC", text) for text in texts}
        for text in texts:
            found |= _readings_of_decoded(text)
        texts = {unquote(_PERCENT_U.sub(_from_percent_u, text)) for text in texts}
    return found


def _from_percent_u(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _readings_of_decoded(text: str) -> set[Segments]:
    found: set[Segments] = set()
    for backslash, parameters, merge in product((False, True), repeat=3):
        form = text.replace("\\", "/") if backslash else text
        form = _PARAMETERS.sub("", form) if parameters else form
        form = _SLASHES.sub("/", form) if merge else form
        found.add(fold(form))
        found.add(fold(_without_dot_segments(form)))
        for delimiter in "?#":
            if delimiter in form:
                found.add(fold(_without_dot_segments(form.partition(delimiter)[0])))
    return found


def _without_dot_segments(path: str) -> str:
    """RFC 3986 section 5.2.4, on a whole path."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept)
