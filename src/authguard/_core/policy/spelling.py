"""Find the spelling that works here for path patterns in the syntax of other routers and proxies.

The result is for error messages only. A translation never covers less than the original, as far as a rule can
express it, and `Spelling.wider` tells whether it covers more.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote

from authguard._core.policy.paths import is_canonical

# Segments `$id`, `::id` and `+` (MQTT). OData and FHIR have real segments with `$`.
_REAL_DOLLAR = (
    "all|apply|batch|count|crossjoin|entity|filter|it|links|metadata|query|ref|root|search|this|value"
    "|closure|convert|document|everything|evaluate|expand|export|find|graphql|import|lastn|lookup|match|meta"
    "|populate|stats|subset|subsumes|transform|translate|validate"
)
_WHOLE = rf"(?:\$(?!(?:{_REAL_DOLLAR})(?:[/(]|\Z))[^\W\d]\w*|::[^\W\d]\w*|\+)(?=/|\Z)"
#: Text that real paths do not contain, but patterns of other routers do; see `is_foreign`.
_FOREIGN = re.compile(
    r"[{}<>\[\]|^]"
    r"|[/.-]:[^\W\d]"  # Express, Rails: `/:id`, `/a-:id`; but `/v1/users:batchGet` is a real path
    rf"|/{_WHOLE}"
    r"|\$\Z|\.\+|\)\+|[^/],/"  # the end and repetitions of a regular expression; a list in one text
    # `(:format)`, `(..)`, `(/x)`, or a group that is a segment
    r"|\(\.?:|\(\.+\)|\([^()]*/|/\([^/]*\)(?=/|\Z)"
    r"|/\*{3}|/\*{1,2}[^*/]|[^*/]\*"  # `*` and `**` match whole segments
)
_HTTP_METHODS = (
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "REPORT",
    "QUERY", "WEBSOCKET", "WS", "ANY", "ALL", "*",
)  # fmt: skip
_METHOD = "(?:" + "|".join(map(re.escape, _HTTP_METHODS)) + ")"
_METHODS_BEFORE = re.compile(rf"({_METHOD}(?:[,|]\s*{_METHOD})*):?\s+(?=/)", re.IGNORECASE)
#: nginx: `location ~* \.php$ {`, or without the word.
_LOCATION = re.compile(r"(?:location\s+)?(~\*?(?=[\s^\\/.])|\^~|=)?\s*(.*?)\s*\{?\Z", re.DOTALL)
_ORIGIN = re.compile(r"[A-Za-z*][A-Za-z0-9+.-]*://[^/?#]*|[A-Za-z0-9.-]+:[0-9]+(?=/)")
_QUOTED_PATH = re.compile(r"[\"'`](/[^\"'`]*)[\"'`]")
_QUERY = re.compile(r"(?<!\()\?(?=[\w.\[\]-]+=).*|#.*", re.DOTALL)
_ALTERNATIVES = re.compile(r"\((?:\?:)?([\w.~-]+(?:\|[\w.~-]+)+)\)(?![?*+])|\{([\w.~-]+(?:,[\w.~-]+)+)\}")
_END = re.compile(r"[\s,;]+\Z")  # after the last of several paths
_PAIRS = (("(", ")"), ("{", "}"), ("[", "]"), ("<", ">"))
_MAX_ALTERNATIVES = 16

_PIECE = re.compile(
    r"""
    (?P<slash>(?:/|\\/)+\??)
  | (?P<whole>(?<=/)WHOLE)
  | (?P<brace>\$?\{(?:[^{}]|\{[^{}]*\})*\})
  | (?P<angle><[^<>]*>)
  | (?P<bracket>\[\[[^\[\]]*\]\]|\[(?:\\.|[^\]\\])*\])
  | (?P<group>\((?:\\.|\[[^\]]*\]|[^()\\]|\((?:\\.|[^()\\])*\))*+\))
  | (?P<colon>(?<=[/.-]):[^\W\d]\w*)
  | (?P<anything>\.[*+]\??)
  | (?P<star>\*+(?:[^\W\d]\w*)?)
  | (?P<literal>\\[.~@,=!&_-])
  | (?P<wild>\\.?|[{}<>()\[\]|^%?])
  | (?P<text>.)
    """.replace("WHOLE", _WHOLE),
    re.VERBOSE | re.DOTALL,
)
_ANY_SEGMENT = frozenset({"", "str", "string", "default", "unicode", "[^/]+", "[^\\/]+"})
_CONVERTERS = _ANY_SEGMENT | {"int", "float", "uuid", "slug", "any", "path", "re", "regex"}
_REPEATED = frozenset({"colon", "group", "bracket", "brace", "angle"})
_IS_REST = re.compile(r"[({](?:\?:)?\\?/")  # `{/:format}` and `(/.*)?`: optional rest of a path
#: ASP.NET `{*path}`, URI templates `{+path}`, API Gateway `{proxy+}`, Rocket `<path..>`, Go `{path...}`, and
#: gRPC `{name=projects/*}`.
_IS_REST_NAME = re.compile(r"[*+]|[\w-]*(?:[*+]|\.\.\.?|=.*\*.*)\Z")
_IS_REGEX = re.compile(r"[\\?*|\[\]^$/]|\A\.?:|\A\.+\Z|\.\+")


@dataclass(frozen=True, slots=True)
class Spelling:
    """Name the rules to write instead.

    Args:
        paths: their patterns.
        methods: their methods, if the original names some.
        wider: whether they cover more than the original.
        scopes: scopes or roles, where the original is a mapping to them.
    """

    paths: tuple[str, ...]
    methods: tuple[str, ...] = ()
    wider: bool = False
    scopes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write the rules as Python literals."""
        options = "".join(
            f", {name}={list(value)!r}"
            for name, value in (("methods", self.methods), ("scopes", self.scopes))
            if value
        )
        return ", ".join(f"Rule({path!r}{options})" if options else repr(path) for path in self.paths)


def is_foreign(path: str) -> bool:
    """Tell whether a path contains the syntax of another router, which would match nothing here."""
    return bool(_FOREIGN.search(path))


def spelling_of(value: object) -> Spelling | None:
    """Translate a pattern, or an object that has one, such as a compiled regular expression.

    Returns:
        the rules; None if it contains no pattern.
    """
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, bytes):
        return _of_text(value.decode("utf-8", "replace"))
    if isinstance(value, PurePath):
        return _of_text(value.as_posix())
    if isinstance(value, (list, tuple)):
        return _of_several(value)
    for name in ("path", "rule", "pattern"):  # a route of Starlette, Werkzeug, Django; a compiled regex
        pattern = getattr(value, name, None)
        if pattern is not None and not callable(pattern):
            return spelling_of(pattern if isinstance(pattern, (str, bytes)) else str(pattern))
    return None


def spelling_of_mapping(paths: Mapping[Any, Any]) -> str:
    """Write a mapping from paths to scopes or methods as a list of rules."""
    rules: list[str] = []
    for path, names in paths.items():
        spelling = spelling_of(path)
        words = [names] if isinstance(names, str) else names if isinstance(names, Iterable) else ()
        listed = tuple(name for name in words if isinstance(name, str))
        if spelling is not None and all(name in _HTTP_METHODS for name in listed):
            spelling = replace(spelling, methods=listed)
        elif spelling is not None:
            spelling = replace(spelling, scopes=listed)
        rules.append(str(spelling or "'/admin'"))
    return f"[{', '.join(rules)}]"


def _of_several(items: Sequence[Any]) -> Spelling | None:
    """Translate a list given instead of a path: several paths, or a path with a view or its methods."""
    if len(items) > 1 and _methods_in(items[0]) and not _methods_in(items[1]):
        items = [items[1], items[0], *items[2:]]  # ("GET", "/a")
    first = spelling_of(items[0]) if items else None
    if first is None:
        return None
    if all(isinstance(item, str) and "/" in item for item in items):
        spellings = [_of_text(item) for item in items]
        return Spelling(
            tuple(path for spelling in spellings for path in spelling.paths),
            wider=any(spelling.wider for spelling in spellings),
        )
    for item in items[1:]:
        if methods := _methods_in(item):
            return replace(first, methods=methods_of(methods))
    return first


def _methods_in(item: object) -> list[str]:
    """Return the methods that an object names, one or a list; empty if it names anything else."""
    names = [item] if isinstance(item, str) else item if isinstance(item, (list, tuple, set)) else []
    methods = [name.upper() for name in names if isinstance(name, str)]
    return methods if set(methods) <= set(_HTTP_METHODS) else []


def _of_text(text: str) -> Spelling:
    text = _END.sub("", text.strip().strip("\"'`").strip())
    methods: tuple[str, ...] = ()
    if named := _METHODS_BEFORE.match(text):
        methods = methods_of(re.split(r"[,|]\s*", named[1].upper()))
        text = text[named.end() :]
    elif text in _HTTP_METHODS and text.isalpha():  # the origin without a path
        return Spelling(("/admin",), methods_of([text]))
    text, wider = _without_surroundings(text)
    translated = [_translate(part) for part in _alternatives(text)]
    paths = tuple(dict.fromkeys(path for path, _ in translated))
    return Spelling(paths, methods, wider or any(covers_more for _, covers_more in translated))


def methods_of(names: Iterable[str]) -> tuple[str, ...]:
    """Translate names of methods in capitals; empty for all methods."""
    other_names = {"HEAD": "GET", "WS": "WEBSOCKET", "WEBSOCKETS": "WEBSOCKET"}
    methods = tuple(dict.fromkeys(other_names.get(name, name) for name in names))
    return () if {"*", "ANY", "ALL"}.intersection(methods) else methods


def _without_surroundings(text: str) -> tuple[str, bool]:
    """Remove nginx's words, the origin, quotes and the query around a path."""
    wider = False
    if not text.startswith("/") and (location := _LOCATION.match(text)):
        modifier, text = location.groups(default="")
        wider = modifier == "="
        if modifier.startswith("~") and not text.startswith("^"):
            text = ".*" + text  # a regular expression that may match anywhere in the path
    if origin := _ORIGIN.match(text):
        text, wider = text[origin.end() :], True
    elif not text.startswith("/") and (quoted := _QUOTED_PATH.findall(text)):
        text = ",".join(quoted)
    if "/" not in text and re.search(r"\\\w\w", text):
        text = text.replace("\\", "/")  # a path in the style of Windows
    without_query = _QUERY.sub("", text)
    return without_query, wider or without_query != text


def _alternatives(text: str) -> list[str]:
    """Return the alternatives of `/a, /b`, `/a|/b`, `/(a|b)` and `/{a,b}` as separate patterns."""
    parts = [part for part in re.split(r"[\s,|;]+(?=\^?/)", text) if part] or [""]
    is_split = all(
        part.count(opening) == part.count(closing) for part in parts for opening, closing in _PAIRS
    )
    waiting = parts if is_split else [text]
    alternatives: list[str] = []
    while waiting and len(alternatives) + len(waiting) <= _MAX_ALTERNATIVES:
        part = waiting.pop(0)
        match = _ALTERNATIVES.search(part)
        if match is None:
            alternatives.append(part)
        else:
            words = re.split(r"[|,]", match[1] or match[2])
            waiting = [part[: match.start()] + word + part[match.end() :] for word in words] + waiting
    return alternatives + waiting


@dataclass(slots=True)
class _Segment:
    """Hold one segment of a pattern, as it is read.

    Args:
        text: its literal text.
        wild: the number of its parts that match other text.
        deep: whether it may be several segments.
        optional: whether it may be missing.
        typed: whether only some values match, such as integers.
    """

    text: str = ""
    wild: int = 0
    deep: bool = False
    optional: bool = False
    typed: bool = False

    def add(self, *, deep: bool = False, optional: bool = False, typed: bool = False) -> None:
        self.wild += 1
        self.deep = self.deep or deep
        self.optional = self.optional or optional
        self.typed = self.typed or typed

    @property
    def is_whole(self) -> bool:
        """Return whether the segment is a single parameter."""
        return self.wild == 1 and not self.text

    @property
    def may_be_missing(self) -> bool:
        """Return whether a path may lack the segment, unless it matches several."""
        return self.optional and self.is_whole and not self.deep


def _translate(text: str) -> tuple[str, bool]:
    """Translate one pattern; the second result is whether the rule covers more."""
    plain = re.sub(r"\A(?:\(\?[a-z]+\))?(?:\^|\\A)?!?|\\[Zz]\Z|\{?\$\}?\Z", "", text)
    is_exact = plain != text and text.endswith(("$", "$}", "\\Z", "\\z"))
    plain = unquote(re.sub(r";[^/]*", "", plain)).lstrip("/")
    if text == "*":
        plain = "**"  # without a slash before it, it matches every path
    segments = list(_read(f"/{plain}"))
    while segments[-1].may_be_missing and not any(segment.wild for segment in segments[:-1]):
        segments.pop()  # `/users/:id?`: the plain path also covers the paths below it
        is_exact = True
        if not segments:
            return "/**", True
    words: list[str] = []
    wider = False
    for segment in segments:
        word, covers_more = _word(segment)
        wider = wider or covers_more
        if word == "..":
            words = words[:-1]
        elif word not in ("", ".") and not (word == "**" and words[-1:] == ["**"]):
            words.append(word)
    is_prefix = bool(words) and not {"*", "**"}.intersection(words)
    return "/" + "/".join(words), wider or (is_exact and is_prefix)


def _word(segment: _Segment) -> tuple[str, bool]:
    if segment.wild:
        is_any = segment.is_whole and not segment.typed and not segment.may_be_missing
        return "**" if segment.deep or segment.may_be_missing else "*", not is_any
    word = unicodedata.normalize("NFKC", "".join(filter(_is_visible, segment.text)))
    is_odd = not is_canonical(f"/{word}") or is_foreign(f"/{word}") or is_foreign(f"/{word}/")
    if word in ("", ".", "..") or not is_odd:
        return word, False
    return "*", True


def _is_visible(character: str) -> bool:
    return not unicodedata.category(character).startswith("C")


def _read(text: str) -> Iterator[_Segment]:
    segment = _Segment()
    before = "slash"
    for piece in islice(_PIECE.finditer(text), 1, None):  # the first one is before the first slash
        kind, written = str(piece.lastgroup), piece[0]
        is_whole = before == "slash" and text[piece.end() : piece.end() + 1] in ("", "/")
        if kind == "slash":
            yield segment
            segment = _Segment()
        elif kind in ("group", "brace") and _IS_REST.match(written):
            yield segment
            segment = _Segment(wild=1, deep=True, typed=True)
        elif kind in ("text", "literal"):
            _add_text(segment, written, before)
        elif kind in ("star", "wild"):
            _add_star(segment, written, before)
        elif kind in ("anything", "colon", "whole"):
            segment.add(deep=kind == "anything")
        elif kind == "group":
            _add_group(segment, written[1:-1], before, is_whole=is_whole)
        elif kind == "bracket":
            _add_bracket(segment, written[1:-1], is_whole=is_whole)
        else:
            _add_parameter(
                segment, kind, written.strip("$<>") if kind == "angle" else written.lstrip("$")[1:-1]
            )
        before = kind
    yield segment


def _add_text(segment: _Segment, written: str, before: str) -> None:
    if written == "+" and before in _REPEATED:
        _repeat(segment, deep=before == "colon")  # Express: `/:path+`
    else:
        segment.text += written.removeprefix("\\")


def _repeat(segment: _Segment, *, deep: bool) -> None:
    """Repeat the part before a quantifier; text in parentheses is then no longer literal text."""
    if not segment.wild:
        segment.text = re.sub(r"\([^()]*\)\Z", "", segment.text)
        segment.add(typed=True)
    segment.deep = segment.deep or deep


def _add_star(segment: _Segment, written: str, before: str) -> None:
    if written in ("*", "?") and before in _REPEATED:
        segment.optional = True
        _repeat(segment, deep=written == "*" and before == "colon")
    elif written.startswith("*"):
        segment.add(deep=len(written) > 1)
    else:
        segment.add(typed=True)


def _add_group(segment: _Segment, inner: str, before: str, *, is_whole: bool) -> None:
    """Add a group in parentheses: text as in `/Products(1)`, or a part of a regular expression."""
    if before == "colon":  # the values of a parameter such as `:id`
        segment.typed = True
    elif _IS_REGEX.search(inner):
        regex = re.sub(r"\A\?(?:P?<\w+>|:)", "", inner)
        is_any = regex in _ANY_SEGMENT or regex in (".*", ".+")
        segment.add(deep=bool(re.search(r"\.[*+]|/(?!\])", regex)), typed=not is_any)
    elif not is_whole:  # otherwise it is a group of Next.js, which is not in the path
        segment.text += f"({inner})"


def _add_bracket(segment: _Segment, inner: str, *, is_whole: bool) -> None:
    """Add `[id]`, `[...slug]` or `[[...slug]]` of Next.js, or the characters of a regular expression."""
    name = re.fullmatch(r"(\[)?(\.\.\.)?[\w-]+\]?", inner) if is_whole else None
    if name is None:
        segment.add(deep=inner.startswith("^") and "/" not in inner, typed=True)
    else:
        segment.add(deep=bool(name[2]), optional=bool(name[1]))


def _add_parameter(segment: _Segment, kind: str, inner: str) -> None:
    """Add `{name:converter}`, or `<converter:name>`, which is `<name:converter>` for Bottle and Sanic."""
    first, *others = inner.split(":", 1)
    converter = "".join(others)
    if kind == "angle" and first in _CONVERTERS:
        converter = first if others else ""
    is_rest = bool(_IS_REST_NAME.match(first) or re.search(r"\.[*+]|\A\*+\Z", converter))
    is_any = converter in _ANY_SEGMENT or converter in ("path", ".*", ".+")
    segment.add(
        deep=is_rest or converter == "path",
        optional=inner.endswith("?") or (kind == "brace" and "=" in inner),
        typed=not is_any,
    )
