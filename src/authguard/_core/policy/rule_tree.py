"""Find the rules that cover a path by a tree of segments, in a time that does not grow with their number."""

from collections.abc import Sequence
from typing import NamedTuple

from authguard._core.policy.paths import Segments, WorkBudget, fold
from authguard._core.policy.rules import Rule
from authguard._core.request import WEBSOCKET

#: The replacement for a method that is not a token of HTTP: every protecting rule applies to it.
ANY_METHOD = "\n"

#: The specificity of each segment of a rule; tuples of it are compared position by position.
_WORD, _STAR, _STARS = 3, 2, 1


class Match(NamedTuple):
    """Name a rule that covers a path, and its specificity: that of its segments, then that of its methods."""

    rule: Rule
    specificity: tuple[tuple[int, ...], int]


def most_specific(matches: Sequence[Match]) -> list[Match]:
    """Return the rules that decide; several only if they are equally specific."""
    if len(matches) < 2:
        return list(matches)
    best = max(match.specificity for match in matches)
    return [match for match in matches if match.specificity == best]


class _Node:
    __slots__ = ("below", "here", "next", "rank", "star", "stars")

    def __init__(self, rank: tuple[int, ...] = ()) -> None:
        self.rank = rank
        self.next: dict[str, _Node] = {}
        self.star: _Node | None = None
        self.stars: _Node | None = None
        self.here: list[Rule] = []  # rules that cover only this place
        self.below: list[Rule] = []  # rules that cover this place and all places below it


class RuleTree:
    """Hold rules in a tree of segments. A look-up follows the path, so 10,000 rules cost no more than ten.

    Args:
        rules: all rules of one kind.
        protects: True for rules that protect, which also cover the paths below.
        folded: True to compare segments regardless of their case.
    """

    def __init__(self, rules: Sequence[Rule], *, protects: bool, folded: bool = False) -> None:
        self._protects = protects
        self._has_stars = any("**" in rule.segments for rule in rules)
        self._root = _Node()
        for rule in rules:
            node = self._root
            for segment in fold(rule.path) if folded else rule.segments:
                node = _child(node, segment)
            wild = "*" in rule.segments or "**" in rule.segments
            covers = protects or (bool(rule.segments) and not wild)
            (node.below if covers else node.here).append(rule)

    def covering(self, path: Segments, method: str, visits: WorkBudget) -> list[Match]:
        """Return all rules that cover a path for a method, each once.

        Args:
            path: its segments.
            method: as rules write it; `WEBSOCKET` for a handshake.
            visits: the budget of places to visit.

        Raises:
            TooMuchWorkError: if more visits are needed than are left.
        """
        matches: list[Match] = []
        seen: set[_Node] = set()  # `**` stays at its place for any number of segments
        places = _with_stars([self._root]) if self._has_stars else [self._root]
        for segment in path:
            visits.spend(len(places))
            for place in places:
                if place.below and place not in seen:
                    seen.add(place)
                    matches += self._applying(place, place.below, method)
            places = _step(places, segment)
            if not places:
                return matches
            if self._has_stars:
                places = _with_stars(places)
        visits.spend(len(places))
        for place in places:
            rules = place.here if place in seen else [*place.below, *place.here]
            matches += self._applying(place, rules, method)
        return matches

    def _applying(self, place: _Node, rules: list[Rule], method: str) -> list[Match]:
        return [Match(rule, (place.rank, fit)) for rule in rules if (fit := self._fit(rule, method))]

    def _fit(self, rule: Rule, method: str) -> int:
        """Rate how closely a rule fits a method: not at all, for any method, as a GET, by its name."""
        if not rule.methods:
            return 1
        if method in rule.methods or (method == ANY_METHOD and self._protects):
            return 3
        if "GET" in rule.methods and (method == "HEAD" or (method == WEBSOCKET and self._protects)):
            return 2  # HEAD is never weaker than GET, and a handshake is a GET on the wire
        return 0


def _child(node: _Node, segment: str) -> _Node:
    if segment == "*":
        node.star = node.star or _Node((*node.rank, _STAR))
        return node.star
    if segment == "**":
        node.stars = node.stars or _Node((*node.rank, _STARS))
        return node.stars
    if (word := node.next.get(segment)) is None:
        word = node.next[segment] = _Node((*node.rank, _WORD))
    return word


def _step(places: list[_Node], segment: str) -> list[_Node]:
    """Return the places that a segment leads to from these places; a `**` also stays at its place."""
    reached: list[_Node] = []
    for place in places:
        if (word := place.next.get(segment)) is not None:
            reached.append(word)
        if place.star is not None:
            reached.append(place.star)
        if place.rank and place.rank[-1] == _STARS:
            reached.append(place)
    return reached


def _with_stars(places: list[_Node]) -> list[_Node]:
    """Return these places, and those that a `**` reaches by matching no segment; each once."""
    reached = dict.fromkeys(places)
    for place in places:
        stars = place.stars
        while stars is not None and stars not in reached:
            reached[stars] = None
            stars = stars.stars
    return list(reached)
