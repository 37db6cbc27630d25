"""Find rules for quotas or redirects that lift the requirements of a broader rule in passing."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from authguard._core.policy.paths import TooMuchWorkError, WorkBudget
from authguard._core.policy.rule_tree import RuleTree, most_specific
from authguard._core.policy.rules import Rule

_MAX_VISITS = 10_000


def lifted(rules: Sequence[Rule]) -> Iterator[tuple[Rule, str]]:
    """Yield each rule without a requirement that decides instead of a broader rule with a requirement.

    A rule with only a path, or with `optional`, is meant to admit more callers. A rule with only a quota, a
    cost or a login page is probably not, although the broader rule no longer decides.

    Args:
        rules: all protected rules of a guard.

    Yields:
        the rule, and a sentence with the remedy.
    """
    silent = [rule for rule in rules if _is_silent(rule)]
    if not silent:
        return
    tree = RuleTree(rules, protects=True)
    named = frozenset[str]().union(*(rule.methods for rule in rules)) | {"GET"}
    for rule in silent:
        for method in sorted(rule.methods or named):
            broader: list[Rule] = []
            with suppress(TooMuchWorkError):
                broader = _broader(tree, rule, method)
            requirements = [other for other in broader if other.requirement]
            quotas = [other for other in broader if other.quotas and not (rule.quotas or not rule.cost)]
            if requirements or quotas:
                yield rule, _sentence(rule, (requirements or quotas)[0])
                break


def _is_silent(rule: Rule) -> bool:
    says_other = rule.quotas or rule.cost != 1 or rule.login_path or not rule.login_redirect or rule.preflight
    return bool(says_other) and not rule.requirement and not rule.optional


def _broader(tree: RuleTree, rule: Rule, method: str) -> list[Rule]:
    """Return the rules that would decide without a rule."""
    matches = tree.covering(rule.segments, method, WorkBudget(_MAX_VISITS))
    (own,) = (match.specificity for match in matches if match.rule is rule)
    return [match.rule for match in most_specific([m for m in matches if m.specificity < own])]


def _sentence(rule: Rule, broader: Rule) -> str:
    required = broader.requirement
    lost, remedy = (
        (f"requirement ({required})", f"write {required.arguments()} in both")
        if required
        else ("quota", "write it in both, with a name")
    )
    return f"{rule!r} decides instead of {broader!r}, whose {lost} it does not repeat: {remedy}"
