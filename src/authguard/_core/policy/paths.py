"""Split paths into segments: tell which are canonical, and how else a path might be read.

Law 6, the asymmetry: a path is public only if it can be read in only one way (`is_canonical`) and that
reading is listed; it is protected if any of its `readings` is. The readings undo transformations of routers,
file systems and proxies: a second decoding, backslashes, path parameters, merged slashes, dot segments, case,
compatibility characters. No path is rejected here.

Each bound applies to the sent path and to the results of each expansion. A path that exceeds one raises
`TooMuchWorkError`, and the policy then applies all of its requirements.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import product
from urllib.parse import unquote

Segments = tuple[str, ...]

#: Characters of a canonical path; servers and proxies refuse or cut longer paths.
MAX_PATH = 8192
#: Characters of a path that is odd or not plain ASCII: as it is sent, and after each expansion.
MAX_ODD_PATH = 1024
#: Segments of a path.
MAX_SEGMENTS = 256
#: Characters that all readings of one path together may fold and normalize; see `WorkBudget`.
MAX_READ_CHARACTERS = 16_384
#: The greatest number of occurrences of a mount point in a path that is read in every way.
MAX_MOUNT_POINTS = 8
# Normalizing and folding characters beyond ASCII costs several times more than those of ASCII.
_COST_BEYOND_ASCII = 4

# The common case in one match: segments of ordinary characters that do not end in a dot (so that none is "."
# or ".."), and optionally a final slash. The quantifiers are possessive, so a match takes linear time.
_CANONICAL = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,=:@.-]++(?<!\.))*+/?\Z")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # Unicode general categories
_FORBIDDEN = frozenset("\\;%?#\N{REPLACEMENT CHARACTER}")
_SCHEME = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*:")
_AUTHORITY = re.compile(_SCHEME.pattern + "/*[^/]*")
_PERCENT_U = re.compile(r"%u([0-9A-Fa-f]{4})")
_PARAMETERS = re.compile(r";[^/]*")
_SLASHES = re.compile(r"/{2,}")


class TooMuchWorkError(Exception):
    """Refuse a path that would cost too much to be read in every way, or to be looked up."""


class WorkBudget:
    """Bound the work for a path.

    Args:
        units: the number of units: characters to read, or places of a tree to visit.
    """

    __slots__ = ("units",)

    def __init__(self, units: int) -> None:
        self.units = units

    def spend(self, units: int) -> None:
        """Take some units.

        Raises:
            TooMuchWorkError: if fewer units are left.
        """
        self.units -= units
        if self.units < 0:
            raise TooMuchWorkError


def is_canonical(path: str) -> bool:
    """Tell whether every router, proxy and file system reads this decoded path the same way.

    The path starts with a slash; it has no empty inner segment, no segment that ends in a dot
    or a space, no control or format character, no backslash, none of `; % ? #`, and NFKC leaves
    it alone. It is at most `MAX_PATH` long, at most `MAX_ODD_PATH` if it is not plain ASCII, and
    has at most `MAX_SEGMENTS` segments.
    """
    if not path.startswith("/") or len(path) > MAX_PATH or path.count("/") > MAX_SEGMENTS:
        return False
    if _CANONICAL.match(path):
        return True
    if len(path) > MAX_ODD_PATH or not unicodedata.is_normalized("NFKC", path):
        return False
    if any(c in _FORBIDDEN or unicodedata.category(c) in _INVISIBLE for c in path):
        return False
    return all(segment and segment[-1] not in ". " for segment in path[1:].removesuffix("/").split("/"))


def split(path: str) -> Segments:
    """Return the segments of a path, without the empty ones at its ends."""
    return tuple(path.strip("/").split("/")) if path.strip("/") else ()


def fold(path: str) -> Segments:
    """Return the segments as the most tolerant router would compare them."""
    if path.isascii() and path.isprintable():
        return tuple(filter(None, [segment.rstrip(". ") for segment in path.lower().split("/")]))
    return tuple(filter(None, map(_fold_segment, path.split("/"))))


def _fold_segment(segment: str) -> str:
    if segment.isascii() and segment.isprintable():
        return segment.lower().rstrip(". ")
    kept = "".join(c for c in segment if c not in _FORBIDDEN and unicodedata.category(c) not in _INVISIBLE)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kept).casefold())
    # For `re.I` and for programs that compare capital letters, i is equal to the dotless i, and to the
    # capital i with a dot, which casefold() writes as two characters.
    return folded.replace("\u0131", "i").replace("i\u0307", "i").strip(". \xa0")


def readings(*paths: str) -> set[Segments]:
    """Return every way in which a path might plausibly be read, folded.

    Args:
        paths: the path; or several texts, each of which a program may treat as the path.

    Raises:
        TooMuchWorkError: if the path is too long, before or after an expansion, or has too many readings.
    """
    reader = _Reader()
    # `http:/admin` has no authority (RFC 3986 section 3.2), but some programs treat `admin` as one.
    texts = {*paths, *(start.sub("", path, count=1) for path in paths for start in (_SCHEME, _AUTHORITY))}
    done: set[str] = set()
    for _ in range(3):
        texts = {reader.normalized(text) for text in texts} - done
        for text in texts:
            reader.read(text)
        done |= texts
        texts = {unquote(_PERCENT_U.sub(_from_percent_u, text)) for text in texts} - done
    return reader.readings


def _from_percent_u(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


class _Reader:
    """Read the texts of a path: each distinct form and each distinct segment is folded once."""

    def __init__(self) -> None:
        self.readings: set[Segments] = set()
        self._budget = WorkBudget(MAX_READ_CHARACTERS)
        self._forms: set[str] = set()
        self._folded: dict[str, str] = {}

    def normalized(self, text: str) -> str:
        """Normalize a text; its length is bounded before and afterwards."""
        if len(text) > MAX_ODD_PATH:
            raise TooMuchWorkError
        if text.isascii():
            return text
        self._budget.spend(_COST_BEYOND_ASCII * len(text))
        text = unicodedata.normalize("NFKC", text)
        if len(text) > MAX_ODD_PATH:
            raise TooMuchWorkError
        return text

    def read(self, text: str) -> None:
        """Add the readings of a decoded text."""
        for backslash, parameters, merge in product((False, True), repeat=3):
            form = text.replace("\\", "/") if backslash else text
            form = _PARAMETERS.sub("", form) if parameters else form
            self._add(_SLASHES.sub("/", form) if merge else form)

    def _add(self, form: str) -> None:
        if form in self._forms:
            return
        self._forms.add(form)
        segments = self._split(form)
        self._fold(segments)
        self._fold(_without_dot_segments(segments))
        for delimiter in "?#":
            if delimiter in form:
                self._fold(_without_dot_segments(self._split(form.partition(delimiter)[0])))

    def _split(self, form: str) -> list[str]:
        self._budget.spend(len(form))
        return form.split("/")

    def _fold(self, segments: Iterable[str]) -> None:
        folded = (self._folded_segment(segment) for segment in segments)
        self.readings.add(tuple(segment for segment in folded if segment))

    def _folded_segment(self, segment: str) -> str:
        folded = self._folded.get(segment)
        if folded is None:
            if not segment.isascii():
                self._budget.spend(_COST_BEYOND_ASCII * len(segment))
            folded = self._folded[segment] = _fold_segment(segment)
        return folded


def _without_dot_segments(segments: Iterable[str]) -> list[str]:
    """Remove dot segments from a whole path (RFC 3986 section 5.2.4)."""
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return kept
