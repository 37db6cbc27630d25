"""The rules, compiled once: which of them decides for a path, in a time that does not grow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from authguard._core.memory import Memory
from authguard._core.model import Principal
from authguard._core.paths import LONGEST_ODD_PATH, Segments, fold, is_canonical, readings, split
from authguard._core.patterns import listed
from authguard._core.rules import WEBSOCKET, Optional, Requirement, Rule, first_lack
from authguard.errors import ConfigurationError

#: How specific each segment of a rule is; compared as tuples, so position by position.
_WORD, _STAR, _STARS = 3, 2, 1

#: Method, path and root path, as `Policy.find` takes them.
Asked: TypeAlias = tuple[str, str, str]

_REMEMBERED_VERDICTS = 10_000
_LONGEST_REMEMBERED_PATH = 512  # so that the memory above stays under some 10 MB


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy asks for one method and path.

    Attributes:
        protected: whether anybody is kept out at all.
        requirements: what the caller must have, all of them.
        optional: whether requests without, or with a bad, credential pass as anonymous.
        login_path: the rule's own login page, if it names one.
        reason: which rule decided and why, in words.
        by_default: whether no rule names the path, so that the default decided.
    """

    protected: bool
    requirements: tuple[Requirement, ...] = ()
    optional: Optional | None = None
    login_path: str | None = None
    reason: str = ""
    by_default: bool = False

    def check(self, principal: Principal, now: float) -> None:
        """Raise what is lacking, unless the principal meets every requirement.

        Args:
            principal: who is calling.
            now: seconds since the epoch.

        Raises:
            InsufficientScopeError: for a scope or a role; this comes first.
            InsufficientUserAuthenticationError: for how or when the caller has signed in.
        """
        lacking = first_lack(self.requirements, principal, now)
        if lacking is not None:
            raise lacking

    def admits(self, principal: Principal, now: float) -> bool:
        """Whether the principal meets every requirement.

        Args:
            principal: who is calling.
            now: seconds since the epoch.
        """
        for one in self.requirements:
            if one.not_granted(principal) or (one.signing_in and one.not_signed_in(principal, now)):
                return False
        return True


class Policy:
    """Decides by path and method alone what is protected (laws 5 and 6).

    Args:
        protected_paths: patterns or rules to protect; None for none.
        public_paths: patterns or rules to open; None for none.
        login_paths: pages that are open as they stand, since one signs in there.
        metadata_paths: where the resource's metadata is, which is for everybody (RFC 9728 3.1).

    Raises:
        ConfigurationError: for an empty list, or rules that contradict each other.
    """

    def __init__(
        self,
        protected_paths: Iterable[str | Rule] | None,
        public_paths: Iterable[str | Rule] | None,
        login_paths: Iterable[str] = (),
        metadata_paths: Iterable[str] = (),
    ) -> None:
        protected = _rules(protected_paths, "protected_paths")
        public = _rules(public_paths, "public_paths")
        _refuse_contradictions(protected, public)
        #: The rules of each list, and all of them, for commands that show what they decide.
        self.protected_rules, self.public_rules = tuple(protected), tuple(public)
        self.rules = self.protected_rules + self.public_rules
        self.login_paths = frozenset(login_paths) | {r.login_path for r in protected if r.login_path}
        self._login = frozenset(split(path) for path in self.login_paths)
        self.metadata_paths = frozenset(metadata_paths)
        self._protected = _Tree(protected, protects=True)
        self._protected_in_any_case = _Tree(protected, protects=True, folded=True)
        self._public = _Tree(public, protects=False)
        self._all_folded = all(fold(rule.path) == rule.segments for rule in protected)
        self._default_open = bool(protected) and not public
        self._requirements = tuple(dict.fromkeys(r.requirement for r in protected if r.requirement))
        #: What was decided of late, by what was asked.
        self.memory: Memory[Asked, Verdict] = Memory(_REMEMBERED_VERDICTS)
        self._combined: Memory[tuple[tuple[Rule, ...], tuple[Rule, ...]], Verdict] = Memory(1_000)

    def is_login_page(self, path: str) -> bool:
        """Whether one signs in at this path, below the mount point."""
        return is_canonical(path) and split(path) in self._login

    def find(self, method: str, path: str, root_path: str = "") -> Verdict:
        """What is asked of a caller.

        Args:
            method: the request's method; `WEBSOCKET` for a handshake.
            path: decoded, below `root_path`.
            root_path: where the application is mounted.
        """
        key = (method, path, root_path)
        verdict = self.memory.get(key)
        if verdict is None:
            verdict = self._decide(method, path or "/", root_path)
            if len(path) + len(method) + len(root_path) <= _LONGEST_REMEMBERED_PATH:
                self.memory.put(key, verdict)
        return verdict

    def _decide(self, method: str, path: str, root_path: str) -> Verdict:
        # Rules written with the mount point in them must hold as well; see law 6.
        mounts = [(), split(root_path)] if root_path else [()]
        if not is_canonical(path):
            return self._decide_odd(method, path, mounts)
        segments, capitals = split(path), method.upper()
        plain = [one for mount in mounts for one in self._plainly(mount + segments, capitals)]
        other = [one for mount in mounts for one in self._in_another_case(mount + segments, capitals)]
        if path in self.metadata_paths or self.is_login_page(path):
            return Verdict(
                False, reason="the resource's metadata" if path in self.metadata_paths else "the login page"
            )
        opened = _most_specific(self._public.covering(segments, method))
        if opened and all(opened[0].specificity > winner.specificity for winner in plain + other):
            return Verdict(False, reason=f"public by {opened[0].rule}")
        if plain or other:
            return self._together(tuple(one.rule for one in plain), tuple(one.rule for one in other))
        if self._default_open:
            return Verdict(False, reason="no protected path covers it", by_default=True)
        return Verdict(True, reason="everything is protected unless it is public", by_default=True)

    def _decide_odd(self, method: str, path: str, mounts: Sequence[Segments]) -> Verdict:
        """An odd path is protected, by every rule that covers it in any way to read it."""
        if len(path) > LONGEST_ODD_PATH:
            return Verdict(True, self._requirements, reason="an odd path, too long to be read in every way")
        ways = {fold("/".join(mount)) + way for way in readings(path) for mount in mounts}
        tree = self._protected_in_any_case
        found = {one.rule for way in ways for one in tree.covering(way, method.upper())}
        return _combine((), tuple(found), odd=True)

    def _together(self, plain: tuple[Rule, ...], other: tuple[Rule, ...]) -> Verdict:
        """One verdict for all paths with the same rules: paths with numbers in them never end."""
        verdict = self._combined.get((plain, other))
        if verdict is None:
            verdict = _combine(plain, other, odd=False)
            self._combined.put((plain, other), verdict)
        return verdict

    def _plainly(self, path: Segments, method: str) -> "list[_Found]":
        """The most specific rules, as the path is written."""
        return _most_specific(self._protected.covering(path, method))

    def _in_another_case(self, path: Segments, method: str) -> "list[_Found]":
        """All rules that would cover the path if case did not count.

        None of them gives relief from another: `/admin/PROFILE` is no `/admin/profile`.
        """
        folded = fold("/".join(path))
        if folded == path and self._all_folded:
            return []  # both trees would say the same
        plain = {one.rule for one in self._protected.covering(path, method)}
        return [one for one in self._protected_in_any_case.covering(folded, method) if one.rule not in plain]


def _combine(plain: tuple[Rule, ...], other: tuple[Rule, ...], *, odd: bool) -> Verdict:
    """The stricter of all. Only a rule that plainly covers the path can make it optional."""
    rules = sorted({*plain, *other}, key=lambda rule: rule.path)
    if not rules:
        return Verdict(True, reason="an odd path")
    modes: set[Optional | None] = {rule.optional if rule in plain else None for rule in rules}
    optional: Optional | None = None if None in modes else "strict" if "strict" in modes else "lenient"
    names = " and ".join(map(repr, rules))
    return Verdict(
        protected=True,
        requirements=tuple(dict.fromkeys(rule.requirement for rule in rules if rule.requirement)),
        optional=optional,
        login_path=next((rule.login_path for rule in rules if rule.login_path), None),
        reason=f"protected by {names}" + (", in one way to read an odd path" if odd else ""),
    )


class _Found(NamedTuple):
    rule: Rule
    specificity: tuple[tuple[int, ...], int]


def _most_specific(found: Sequence[_Found]) -> list[_Found]:
    """The rules that decide; several only if they tie."""
    if len(found) < 2:
        return list(found)
    best = max(one.specificity for one in found)
    return [one for one in found if one.specificity == best]


class _Node:
    __slots__ = ("below", "here", "next", "rank", "star", "stars")

    def __init__(self, rank: tuple[int, ...] = ()) -> None:
        self.rank = rank
        self.next: dict[str, _Node] = {}
        self.star: _Node | None = None
        self.stars: _Node | None = None
        self.here: list[Rule] = []  # rules for exactly this place
        self.below: list[Rule] = []  # rules for this place and all below it


class _Tree:
    """A tree of segments. A look-up walks the path, so 10,000 rules cost what ten do."""

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

    def covering(self, path: Segments, method: str) -> list[_Found]:
        """All rules that cover the path for this method."""
        found: list[_Found] = []
        places = _with_stars([self._root]) if self._has_stars else [self._root]
        for segment in path:
            for place in places:
                if place.below:
                    found += self._applying(place, place.below, method)
            places = _step(places, segment)
            if not places:
                return found
            if self._has_stars:
                places = _with_stars(places)
        for place in places:
            found += self._applying(place, [*place.below, *place.here], method)
        return found

    def _applying(self, place: _Node, rules: list[Rule], method: str) -> list[_Found]:
        return [_Found(rule, (place.rank, fit)) for rule in rules if (fit := self._fit(rule, method))]

    def _fit(self, rule: Rule, method: str) -> int:
        """How well the rule fits the method: not at all, for any method, as a GET, by its name."""
        if not rule.methods:
            return 1
        if method in rule.methods:
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
    return node.next.setdefault(segment, _Node((*node.rank, _WORD)))


def _step(places: list[_Node], segment: str) -> list[_Node]:
    """Where one segment leads from any of these places; `**` also stays where it is."""
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
    """These places, and what a `**` that stands for nothing adds to them; each once."""
    found = list(dict.fromkeys(places))
    for place in found:
        if place.stars is not None and place.stars not in found:
            found.append(place.stars)
    return found


def _rules(paths: Iterable[str | Rule] | None, name: str) -> list[Rule]:
    if paths is None:
        return []
    if isinstance(paths, Rule):
        raise ConfigurationError(f"{name} must be a list of paths and rules, got a Rule: write [{paths!r}]")
    rules = [path if isinstance(path, Rule) else Rule(path) for path in listed(paths, name)]
    if not rules:
        raise ConfigurationError(f"{name} is empty: leave it out, or name at least one path")
    return rules


def _refuse_contradictions(protected: Sequence[Rule], public: Sequence[Rule]) -> None:
    for rule in public:
        if rule.requirement or rule.optional or rule.login_path:
            raise ConfigurationError(f"{rule}: a public path can ask for nothing; list it in protected_paths")
    seen: dict[tuple[Segments, str], Rule] = {}
    for rule in (*protected, *public):
        for method in rule.methods or {""}:
            other = seen.setdefault((fold(rule.path), method), rule)
            if other is not rule:
                raise ConfigurationError(f"{other} and {rule} are for the same path; keep one of them")
