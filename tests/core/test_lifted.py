"""Rules for quotas or redirects that lift the requirement of a broader rule."""

import logging
from typing import Any

import pytest

from authguard import Guard, JWTVerifier, Quota, Rule
from authguard._core.policy.lifted import lifted

SECRET = "a-secret-of-at-least-thirty-two-bytes"
MANY = Quota(5, 60)

ADMIN = Rule("/admin", roles=["ADMIN"])


def paths_of(*rules: Rule) -> list[str]:
    """Return the paths of the rules that lift a requirement."""
    return [rule.path for rule, _ in lifted(rules)]


@pytest.mark.parametrize(
    "options",
    [
        {"quota": MANY},
        {"cost": 5},
        {"cost": 0},
        {"login_redirect": False},
        {"login_path": "/login"},
        {"preflight": "pass"},
        {"quota": MANY, "methods": ["POST"]},
    ],
    ids=str,
)
def test_a_rule_with_another_purpose(options: dict[str, Any]) -> None:
    """A rule that states no requirement lifts that of the rule above it."""
    assert paths_of(ADMIN, Rule("/admin/export", **options)) == ["/admin/export"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optional": "strict"},
        {"quota": MANY, "roles": ["ADMIN"]},
        {"quota": MANY, "scopes": ["export"]},
        {"cost": 5, "credentials": ["bearer"]},
    ],
    ids=str,
)
def test_a_rule_that_says_who_may_pass(options: dict[str, Any]) -> None:
    """A rule that states a requirement, or only a path, is meant as it is."""
    assert paths_of(ADMIN, Rule("/admin/export", **options)) == []


@pytest.mark.parametrize(
    ("broader", "rule"),
    [
        (Rule("/", scopes=["a"]), Rule("/a/*/b", cost=2)),
        (Rule("/**", scopes=["a"]), Rule("/a", cost=2)),
        (Rule("/a/*", scopes=["a"]), Rule("/a/b", cost=2)),
        (Rule("/a/**", scopes=["a"]), Rule("/a/**/b", cost=2)),
        (Rule("/a", scopes=["a"]), Rule("/a", cost=2, methods=["POST"])),
        (Rule("/a", scopes=["a"], methods=["POST"]), Rule("/a/b", cost=2)),
        (Rule("/a", scopes=["a"], methods=["GET"]), Rule("/a/b", cost=2, methods=["GET", "POST"])),
        (Rule("/a", max_age=60), Rule("/a/b", cost=2)),
        (Rule("/a", quota=MANY), Rule("/a/b", cost=2)),
        (Rule("/a", quota=MANY), Rule("/a/b", login_redirect=False)),
    ],
)
def test_a_broader_rule_of_each_form(broader: Rule, rule: Rule) -> None:
    """Each rule that would decide otherwise, and asks for something, is a broader one."""
    assert paths_of(broader, rule) == paths_of(rule, broader) == [rule.path]


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("/a", scopes=["a"]), Rule("/b", cost=2)],
        [Rule("/a/b", scopes=["a"]), Rule("/a", cost=2)],
        [Rule("/a", scopes=["a"], methods=["POST"]), Rule("/a/b", cost=2, methods=["GET"])],
        [Rule("/"), Rule("/a", cost=2)],
        [ADMIN, Rule("/admin/help"), Rule("/admin/help/export", cost=2)],
        [Rule("/a", quota=MANY), Rule("/a/b", quota=MANY)],
        [Rule("/a", quota=MANY), Rule("/a/b", cost=0)],
        [Rule("/a/*", scopes=["a"]), Rule("/*/b", scopes=["b"]), Rule("/c", cost=2)],
    ],
)
def test_no_broader_rule_asks_for_anything(rules: list[Rule]) -> None:
    """A rule beside, above or below others, or below one that admits all callers, lifts nothing."""
    assert paths_of(*rules) == []


def test_a_guard_warns_when_it_is_built(caplog: pytest.LogCaptureFixture) -> None:
    """The WARNING of the guard names both rules, the requirement and the remedy."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer="a", audience="b")
    with caplog.at_level(logging.WARNING, "authguard"):
        Guard(verifier, quotas=[], protected_paths=[ADMIN, Rule("/admin/export", cost=5)])
    (line,) = caplog.messages
    assert (
        "Rule('/admin/export', cost=5) decides instead of Rule('/admin', roles=['ADMIN']), whose "
        "requirement (one of the roles ADMIN) it does not repeat: write roles=['ADMIN'] in both"
    ) in line


def test_ten_thousand_rules_are_compared_in_little_work() -> None:
    """Rules are compared by their tree, and not each with each."""
    rules = [Rule(f"/a/{number}", cost=2) for number in range(10_000)]
    assert len(paths_of(Rule("/a", scopes=["a"]), *rules)) == 10_000
