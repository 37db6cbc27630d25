"""Compare paths with parameters: the paths they match, and the rules they meet."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from authguard._core.policy.paths import Segments, fold

# Values, of which at least one matches almost any parameter. The later ones are used if a rule names the
# earlier ones.
_VALUES = (
    "sample", "sample-2", "1", "2", "3", "1.5", "2.5", "00000000-0000-4000-8000-000000000000",
    "00000000-0000-4000-8000-000000000001", "2026-01-31", "2026-02-28", "a", "b", "ab", "abc",
)  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """Describe a parameter of a path.

    Args:
        regex: the regular expression of its values.
        choices: the only values, if they are known.
    """

    regex: str = "[^/]+"
    choices: tuple[str, ...] = ()

    @cached_property
    def values(self) -> tuple[str, ...]:
        """Return some possible values."""
        fitting = (value for value in _VALUES if re.fullmatch(self.regex, value))
        return self.choices or tuple(fitting) or _VALUES[:1]


@dataclass(frozen=True)
class Segment:
    """Describe the part of a path between two slashes: text, parameters, or both."""

    pieces: tuple[str | Parameter, ...]

    @cached_property
    def word(self) -> str | None:
        """Return the text, if the segment has no parameters."""
        return None if any(isinstance(piece, Parameter) for piece in self.pieces) else "".join(self._texts(0))

    @cached_property
    def folded(self) -> Segments:
        """Return the word as the most tolerant router would compare it; empty for a parameter."""
        return fold(self.word or "")

    @cached_property
    def spans(self) -> bool:
        """Return whether it may match several segments of a request's path."""
        return any(isinstance(piece, Parameter) and re.fullmatch(piece.regex, "a/b") for piece in self.pieces)

    @cached_property
    def may_be_empty(self) -> bool:
        """Return whether it may match an empty segment."""
        return self.fits("")

    def fits(self, word: str) -> bool:
        """Return whether it may match this word."""
        return bool(self._regex.fullmatch(word))

    def sample(self, rule_words: Collection[str]) -> str:
        """Return a word that it matches; if possible, one that no rule names."""
        if self.word is not None:
            return self.word
        words = ("".join(self._texts(number)) for number in range(len(_VALUES)))
        return next((word for word in words if word not in rule_words), "".join(self._texts(0)))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        parts = (
            f"(?:{piece.regex})" if isinstance(piece, Parameter) else re.escape(piece)
            for piece in self.pieces
        )
        return re.compile("".join(parts))

    def _texts(self, number: int) -> Iterator[str]:
        for piece in self.pieces:
            if isinstance(piece, str):
                yield piece
            else:
                yield piece.values[number % len(piece.values)]


#: The segments after the first slash. The last one is empty if the path ends in a slash.
Template = tuple[Segment, ...]

#: All paths below a mount point whose routes cannot be listed. A parameter of a route may be equal to it, so
#: compare it with `is`.
ANYTHING_BELOW = Segment((Parameter(".*"),))


def template(pieces: Sequence[str | Parameter]) -> Template:
    """Return the template of a path, from its texts and parameters."""
    segments: list[list[str | Parameter]] = [[]]
    for piece in pieces:
        if isinstance(piece, Parameter):
            segments[-1].append(piece)
            continue
        first, *others = piece.split("/")
        segments[-1].append(first)
        for other in others:
            segments.append([other])
    return tuple(Segment(tuple(segment)) for segment in segments[1:])


def samples(path: Template, rule_words: Collection[str]) -> list[list[str]]:
    """Return paths that match a template, as segments; several if their number can differ.

    Args:
        path: the template.
        rule_words: words in rules, for which rules may decide differently.
    """
    plain = [segment.sample(rule_words) for segment in path]
    paths = [plain]
    for at, segment in enumerate(path):
        if segment.spans:
            deeper = segment.sample({*rule_words, plain[at]})
            paths.append([*plain[:at], plain[at], deeper, *plain[at + 1 :]])
            if segment.may_be_empty:
                paths.append([*plain[:at], "", *plain[at + 1 :]])
    return paths


def meeting(path: Template, rule: Sequence[str], rule_words: Collection[str]) -> list[str] | None:
    """Return a path, as segments, that matches both the template and the rule; None if none does.

    Args:
        path: the template.
        rule: the segments of a rule, including `*` and `**`.
        rule_words: as for `samples`.
    """
    if not path:
        return [] if all(segment == "**" for segment in rule) else None
    if not rule:
        return samples(path, rule_words)[0]
    head, rest = path[0], path[1:]
    ways = [(rule[:taking], rest, rule[taking:]) for taking in range(len(rule), 0, -1)] if head.spans else []
    if rule[0] == "**":
        ways += [((), path, rule[1:]), (("*",), rest, rule)]
    elif rule[0] == "*" or head.fits(rule[0]):
        ways.append((rule[:1], rest, rule[1:]))
    for words, path_below, rule_below in ways:
        below = meeting(path_below, rule_below, rule_words)
        if below is not None:
            return [head.sample(rule_words) if word in ("*", "**") else word for word in words] + below
    return None


def can_meet(path: Template, rule: Sequence[str], *, below: bool, any_case: bool, unlisted: bool) -> bool:
    """Return whether a path matches both the template and the rule.

    Args:
        path: the template.
        rule: the segments of a rule, including `*` and `**`.
        below: whether the rule also covers the paths below it.
        any_case: whether letter case is ignored, as by rules that protect.
        unlisted: whether `ANYTHING_BELOW` may be any path; otherwise only one that the rule does not spell
            out.
    """
    if not path or (len(path) == 1 and path[0].word == ""):
        return all(segment == "**" for segment in rule)
    head, rest = path[0], path[1:]
    if not rule:
        return below or all(segment.may_be_empty for segment in path)
    ways: list[tuple[Template, Sequence[str]]] = []
    if rule[0] == "**":
        ways += [(path, rule[1:]), (rest, rule)]
    elif rule[0] == "*" or _may_be(head, rule[0], any_case=any_case):
        ways.append((rest, rule[1:]))
    if head.spans:
        heads = (rule[:number] for number in range(1, len(rule) + 1))
        ways += [(rest, rule[len(words) :]) for words in heads if _may_span(head, words, below=below)]
    if head is ANYTHING_BELOW and not unlisted:
        ways = [way for way in ways if {*rule[: len(rule) - len(way[1])]} <= {"*", "**"}]
    return any(
        can_meet(path_below, rule_below, below=below, any_case=any_case, unlisted=unlisted)
        for path_below, rule_below in ways
    )


def _may_be(segment: Segment, word: str, *, any_case: bool) -> bool:
    """Return whether a segment may match the word of a rule."""
    if segment.word is None:
        return segment.fits(word)
    return segment.word == word or (any_case and segment.folded == fold(word))


def _may_span(segment: Segment, words: Sequence[str], *, below: bool) -> bool:
    """Return whether a segment that spans several may match the words of a rule, or their beginning."""
    filler = segment.sample(())
    several = "/".join(filler if word in ("*", "**") else word for word in words)
    return segment.fits(several) or (below and segment.fits(f"{several}/{filler}"))
