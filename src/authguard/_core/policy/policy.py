"""Compile the rules, and find the one that decides for a path, in time independent of their number."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from types import MappingProxyType

from authguard._core.memory import Memory
from authguard._core.model import Principal
from authguard._core.policy.mounts import Mount
from authguard._core.policy.paths import Segments, TooMuchWorkError, WorkBudget, fold, is_canonical, split
from authguard._core.policy.patterns import listed
from authguard._core.policy.rule_tree import ANY_METHOD, Match, RuleTree, most_specific
from authguard._core.policy.rules import Optional, Preflight, Requirement, Rule, first_lack
from authguard._core.quota import Quota
from authguard._core.request import HANDSHAKE, WEBSOCKET, RequestKey, http_method
from authguard.errors import ConfigurationError

#: Characters of a method; no standard method has more than twenty.
MAX_METHOD = 64
#: The number of places in the trees of rules that the decision about one path may visit.
MAX_VISITS = 10_000

_DEMANDS = ("protected", "requirements", "optional", "quotas", "cost")
_REMEMBERED_VERDICTS = 10_000
_MAX_REMEMBERED_CHARACTERS = 512  # so that the memory of verdicts stays under some 25 MB
# A request is decided in up to three steps; remembering the verdict saves the work in the later steps.
_REMEMBERED_LONG_PATHS = 16
_MAX_LONG_PATH_CHARACTERS = 16_384
# The names under which requests are counted that no rule decides about.
_BY_DEFAULT, _ODD_PATH, _SERVED = "(default)", "(odd path)", "(served by the guard)"
_CAPITALS = re.compile(r"[!#$%&'*+.^_`|~0-9A-Z-]+\Z")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Describe the requirements for one method and path.

    Attributes:
        protected: whether any caller is refused.
        requirements: all requirements that the caller must meet.
        optional: whether requests without a credential, or with an invalid one, pass as anonymous.
        login_path: the rule's own login page, if it names one.
        login_redirect: whether browsers are redirected to the login page.
        reason: which rule decided and why, in words.
        by_default: whether no rule names the path, so that the default decided.
        preflight: the handling of a CORS preflight; None for that of the guard.
        quotas: those of the rules, in addition to those of the guard.
        cost: the amount that a request takes from all quotas.
        rule: the name under which requests are counted: the name of the rule that decided (of several rules,
            the first by path), or a text in parentheses if no rule did. So the number of names is bounded by
            the number of rules.
    """

    protected: bool
    requirements: tuple[Requirement, ...] = ()
    optional: Optional | None = None
    login_path: str | None = None
    reason: str = ""
    by_default: bool = False
    preflight: Preflight | None = None
    quotas: tuple[Quota, ...] = ()
    cost: int = 1
    rule: str = _BY_DEFAULT
    login_redirect: bool = True

    def check(self, principal: Principal, now: float) -> None:
        """Raise an error unless the principal meets every requirement.

        Args:
            principal: the caller.
            now: seconds since the epoch.

        Raises:
            UnacceptedCredentialError: for the kind of the credential, which is checked first.
            InsufficientScopeError: for a scope or a role, which is checked second.
            InsufficientUserAuthenticationError: for the method or age of the sign-in.
        """
        lacking = first_lack(self.requirements, principal, now)
        if lacking is not None:
            raise lacking

    def admits(self, principal: Principal, now: float) -> bool:
        """Tell whether the principal meets every requirement.

        Args:
            principal: the caller.
            now: seconds since the epoch.
        """
        for requirement in self.requirements:
            if requirement.not_granted(principal):
                return False
            if requirement.asks_more and requirement.more_lacking(principal, now):
                return False
        return True


def ask_the_same(first: Verdict, second: Verdict) -> bool:
    """Return whether two verdicts have the same requirements, regardless of the names of their rules."""
    return all(getattr(first, name) == getattr(second, name) for name in _DEMANDS)


class Policy:
    """Decide by path and method which requests are protected (laws 5 and 6).

    Args:
        protected_paths: patterns or rules to protect; None for no list.
        public_paths: patterns or rules to open; None for no list.
        login_paths: pages that are public as written, because users sign in there.
        served: the paths that the guard answers itself, which are public, and the purpose of each.

    Raises:
        ConfigurationError: if a list is empty, or rules contradict each other.
    """

    def __init__(
        self,
        protected_paths: Iterable[str | Rule] | None,
        public_paths: Iterable[str | Rule] | None,
        login_paths: Iterable[str] = (),
        served: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        protected = _rules(protected_paths, "protected_paths")
        public = _rules(public_paths, "public_paths")
        _refuse_contradictions(protected, public)
        #: The rules of each list, and all rules, for commands that show their effects.
        self.protected_rules, self.public_rules = tuple(protected), tuple(public)
        self.rules = self.protected_rules + self.public_rules
        self.login_paths = frozenset(login_paths) | {r.login_path for r in protected if r.login_path}
        self._login = frozenset(split(path) for path in self.login_paths)
        self.served = dict(served)
        for path in filter(self.is_login_page, served):
            raise ConfigurationError(
                f"{served[path]} must have a path of its own, got the login page {path!r}"
            )
        for rule in protected:
            if rule.requirement and self.is_login_page(rule.path):
                raise ConfigurationError(
                    f"a login page must be open to each caller, got {rule} for it: leave the rule out, or "
                    "give the login page another path"
                )
        self._protected = RuleTree(protected, protects=True)
        self._protected_in_any_case = RuleTree(protected, protects=True, folded=True)
        self._public = RuleTree(public, protects=False)
        self._all_folded = all(fold(rule.path) == rule.segments for rule in protected)
        self._default_open = bool(protected) and not public
        self._requirements = tuple(dict.fromkeys(r.requirement for r in protected if r.requirement))
        self._quotas = _quotas_of(protected)
        self._cost = max([1, *(rule.cost for rule in protected)])
        #: Recent verdicts, by request key.
        self.memory: Memory[RequestKey, Verdict] = Memory(_REMEMBERED_VERDICTS)
        self._long_paths: Memory[RequestKey, Verdict] = Memory(_REMEMBERED_LONG_PATHS)
        self._combined: Memory[tuple[tuple[Rule, ...], tuple[Rule, ...], bool], Verdict] = Memory(1_000)

    def is_login_page(self, path: str) -> bool:
        """Tell whether this path, below the mount point, is a login page."""
        return is_canonical(path) and split(path) in self._login

    def find(self, method: str, path: str, root_path: str = "", misplaced: bool = False) -> Verdict:
        """Return the requirements for a caller.

        Args:
            method: the request's method; `WEBSOCKET` for a handshake.
            path: decoded, below `root_path`.
            root_path: the mount point of the application.
            misplaced: whether the path is as the server gave
                it, and has `root_path` in it, but not as its proper beginning.
        """
        request_key = (HANDSHAKE if method == WEBSOCKET else method, path, root_path)
        key: RequestKey = (*request_key, True) if misplaced else request_key
        size = len(path) + len(method) + len(root_path)
        memory = self.memory if size <= _MAX_REMEMBERED_CHARACTERS else self._long_paths
        verdict = memory.get(key)
        if verdict is None:
            verdict = self._decide(method, path or "/", root_path, misplaced)
            if size <= _MAX_LONG_PATH_CHARACTERS:
                memory.put(key, verdict)
        return verdict

    def find_for_http(self, request_key: RequestKey) -> Verdict:
        """Return the verdict about an HTTP request, which is never a handshake, regardless of its method.

        Args:
            request_key: as in `RequestView.request_key`, but with the method as the server gives it; or with
                `HANDSHAKE` itself.
        """
        method, path, root_path = request_key[:3]
        method = WEBSOCKET if method is HANDSHAKE else http_method(method)
        return self.find(method, path, root_path, len(request_key) > 3)

    def find_for(self, request_key: RequestKey) -> Verdict:
        """Return the verdict about a request; see `find`.

        Args:
            request_key: as in `RequestView.request_key`.
        """
        method, path, root_path = request_key[:3]
        return self.find(method, path, root_path, len(request_key) > 3)

    def _decide(self, method: str, path: str, root_path: str, misplaced: bool) -> Verdict:
        visits = WorkBudget(MAX_VISITS)
        try:
            mount = Mount(root_path)
            if misplaced or not mount.is_plain or not is_canonical(path):
                rules = self._in_every_way(method, mount.ways(path, misplaced=misplaced), visits)
                return self._together((), rules, odd=True)
            return self._decide_canonical(method, path, mount, visits)
        except TooMuchWorkError:
            reason = "an odd path, too long to be read in every way"
            return Verdict(
                True,
                self._requirements,
                reason=reason,
                quotas=self._quotas,
                cost=self._cost,
                rule=_ODD_PATH,
            )

    def _decide_canonical(self, method: str, path: str, mount: Mount, visits: WorkBudget) -> Verdict:
        segments = split(path)
        # The guard itself answers requests to its paths, but not handshakes: the application would receive
        # those.
        is_served = path in self.served and method != WEBSOCKET
        if is_served or self.is_login_page(path):
            return Verdict(False, reason=self.served.get(path, "the login page"), rule=_SERVED)
        opened = most_specific(self._public.covering(segments, method, visits))
        deciding = self._plainly(segments, method, visits)
        # The reason may include the mount point already, so callers must not append it.
        if mount.last_end(segments) > max(_words(opened), _words(deciding)):
            rules = self._in_every_way(method, mount.ways(path, misplaced=False), visits)
            opens = self._default_open and not rules
            return self._by_default() if opens else self._together((), rules, odd=True)
        # Rules that are written with the mount point also apply; see law 6.
        paths = [prefix + segments for prefix in mount.prefixes]
        plain = [match for path in paths for match in self._plainly(path, method, visits)]
        other = [match for path in paths for match in self._in_another_case(path, method, visits)]
        if opened and all(opened[0].specificity > winner.specificity for winner in plain + other):
            return Verdict(False, reason=f"public by {opened[0].rule}", rule=opened[0].rule.name)
        if plain or other:
            return self._together(tuple(match.rule for match in plain), tuple(match.rule for match in other))
        return self._by_default()

    def _by_default(self) -> Verdict:
        if self._default_open:
            return Verdict(False, reason="no protected path covers it", by_default=True)
        return Verdict(True, reason="everything is protected unless it is public", by_default=True)

    def _in_every_way(self, method: str, ways: Iterable[Segments], visits: WorkBudget) -> tuple[Rule, ...]:
        """Return every rule that covers a path in any of the ways to read it."""
        capitals, tree = _in_capitals(method), self._protected_in_any_case
        rules = {match.rule for way in ways for match in tree.covering(way, capitals, visits)}
        return tuple(sorted(rules, key=lambda rule: rule.path))

    def _together(self, plain: tuple[Rule, ...], other: tuple[Rule, ...], *, odd: bool = False) -> Verdict:
        """Return one verdict for all paths with the same rules, because paths may contain any numbers."""
        verdict = self._combined.get((plain, other, odd))
        if verdict is None:
            verdict = _combine(plain, other, odd=odd)
            self._combined.put((plain, other, odd), verdict)
        return verdict

    def _plainly(self, path: Segments, method: str, visits: WorkBudget) -> "list[Match]":
        """Return the most specific rules for the path and method as they are written."""
        return most_specific(self._protected.covering(path, method, visits))

    def _in_another_case(self, path: Segments, method: str, visits: WorkBudget) -> "list[Match]":
        """Return all rules that would cover the path if the case of path and method were ignored.

        No rule relaxes another one here: `/admin/PROFILE` is not `/admin/profile`.
        """
        folded, capitals = fold("/".join(path)), _in_capitals(method)
        if folded == path and capitals == method and self._all_folded:
            return []  # both trees would find the same rules
        plain = {match.rule for match in self._protected.covering(path, method, visits)}
        matches = self._protected_in_any_case.covering(folded, capitals, visits)
        return [match for match in matches if match.rule not in plain]


def _in_capitals(method: str) -> str:
    """Return the method as rules write it."""
    if len(method) > MAX_METHOD:
        return ANY_METHOD
    capitals = method.upper()
    return capitals if _CAPITALS.match(capitals) else ANY_METHOD


def _combine(plain: tuple[Rule, ...], other: tuple[Rule, ...], *, odd: bool) -> Verdict:
    """Return the strictest combination of all rules.

    Only a rule that covers the path as it is written can make it optional or free, or pass preflights on.
    """
    rules = sorted({*plain, *other}, key=lambda rule: rule.path)
    if not rules:
        return Verdict(True, reason="an odd path", rule=_ODD_PATH)
    modes: set[Optional | None] = {rule.optional if rule in plain else None for rule in rules}
    optional: Optional | None = None if None in modes else "strict" if "strict" in modes else "lenient"
    treated = {rule.preflight if rule in plain or rule.preflight != "pass" else None for rule in rules}
    preflight: Preflight | None = "answer" if "answer" in treated else None if None in treated else "pass"
    names = " and ".join(map(repr, rules))
    return Verdict(
        protected=True,
        requirements=tuple(dict.fromkeys(rule.requirement for rule in rules if rule.requirement)),
        optional=optional,
        login_path=next((rule.login_path for rule in rules if rule.login_path), None),
        login_redirect=all(rule.login_redirect for rule in rules),
        reason=f"protected by {names}" + (", in one way to read an odd path" if odd else ""),
        preflight=preflight,
        quotas=_quotas_of(rules),
        cost=max(rule.cost if rule in plain else max(rule.cost, 1) for rule in rules),
        rule=next(rule for rule in rules if rule in (plain or other)).name,
    )


def _quotas_of(rules: Iterable[Rule]) -> tuple[Quota, ...]:
    return tuple(dict.fromkeys(quota for rule in rules for quota in rule.quotas))


def _words(matches: Sequence[Match]) -> int:
    """Count the words before the first wildcard, in the rule with the fewest such words."""
    words = (list(takewhile(lambda segment: "*" not in segment, match.rule.segments)) for match in matches)
    return min(map(len, words), default=0)


def _rules(paths: Iterable[str | Rule] | None, name: str) -> list[Rule]:
    if paths is None:
        return []
    if isinstance(paths, Rule):
        raise ConfigurationError(f"{name} must be a list of paths and rules, got a Rule: write [{paths!r}]")
    rules = [path if isinstance(path, Rule) else Rule(path) for path in listed(paths, name)]
    if not rules:
        raise ConfigurationError(f"{name} must name at least one path, or be left out, got an empty list")
    return rules


def _refuse_contradictions(protected: Sequence[Rule], public: Sequence[Rule]) -> None:
    for rule in public:
        counts = rule.quotas or rule.cost != 1
        asks = rule.requirement or rule.optional or rule.login_path or not rule.login_redirect
        if asks or rule.preflight or counts:
            raise ConfigurationError(
                f"public_paths must ask for nothing, got {rule}: list it in protected_paths"
            )
    seen: dict[tuple[Segments, str], Rule] = {}
    for rule in (*protected, *public):
        for method in rule.methods or {""}:
            other = seen.setdefault((fold(rule.path), method), rule)
            if other is not rule:
                raise _same_path_error(other, rule, protected, public)


def _same_path_error(
    first: Rule, other: Rule, protected: Sequence[Rule], public: Sequence[Rule]
) -> ConfigurationError:
    in_both = any(rule is first for rule in protected) and any(rule is other for rule in public)
    if not in_both:
        return ConfigurationError(
            f"each path must have one rule, got {first} and {other} for the same path: keep one of them"
        )
    if first.segments or first.methods or first.requirement or first.optional:
        return ConfigurationError(
            f"each path must be in one list, got {first} in protected_paths and {other} in public_paths for "
            "the same path: keep one of them"
        )
    return ConfigurationError(
        f"each path must be in one list, got {first.path!r} in both, the same path: leave it out of "
        "protected_paths, since everything that public_paths does not open is protected"
    )
