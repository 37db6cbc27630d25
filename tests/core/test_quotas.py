"""Quotas that cannot be meant are refused when they are built."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from authguard import (
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    Guard,
    MemoryQuotas,
    Principal,
    Quota,
    Rule,
    Verdict,
)
from authguard._core.answer.charge import Charge
from authguard.drivers import run

PER_MINUTE = Quota(3, 60)


def guard(quotas: Any, *, store: Any = None, **options: Any) -> Guard:
    """A guard with quotas."""
    keys = APIKeyVerifier({"sk_live_0123456789-ann": APIKey("ann")})
    return Guard(keys, quotas=quotas, quota_store=store or MemoryQuotas(), **options)


BY_TIER = {"free": [PER_MINUTE], None: []}


def a_key(key: APIKey, quotas: Any = BY_TIER) -> Guard:
    """A guard with one key and quotas by tier."""
    return Guard(APIKeyVerifier({"sk_live_0123456789-ann": key}), quotas=quotas)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: guard({"free": [PER_MINUTE]}), "quotas must say what holds for callers without a tier"),
        (lambda: guard([Quota(1, 60), Quota(2, 60)]), "each of quotas must have a name of its own"),
        (lambda: guard(Quota(1, 60)), r"quotas must be a list, got a Quota: write \[Quota\(1, 60\)\]"),
        (lambda: guard("10/min"), r"got '10/min' \(str\): write \[Quota\(10, 60\)\]"),
        (lambda: guard({"free": None, None: []}), r"quotas of free must be .*got None: .* or \[\]"),
        (lambda: a_key(APIKey("ann", tier="fre")), r"must be one of quotas \('free', None\), got 'fre'"),
        (lambda: a_key(APIKey("ann", quotas=[PER_MINUTE]), None), r"key of 'ann' must be in .*quotas=\[\]"),
        (lambda: guard([(1, 60)]), "each of quotas must be a Quota"),
        (lambda: guard({"": [PER_MINUTE], None: []}), "each tier of quotas must be text"),
        (lambda: guard({"free": PER_MINUTE, None: []}), "quotas of free must be a list"),
        (lambda: guard([PER_MINUTE], protected_paths=[Rule("/a", cost=4)]), "cost of Rule.* must be at most"),
        (lambda: guard([], protected_paths=[Rule("/a", quota=PER_MINUTE, cost=4)]), "must be at most 3"),
        (
            lambda: guard([PER_MINUTE], protected_paths=[Rule("/a", quota=Quota(1, 9, name="per-minute"))]),
            "each quota must have a name of its own, got 'per-minute'",
        ),
        (
            lambda: guard(
                [],
                protected_paths=[
                    Rule("/a", quota=Quota(1, 9, name="x")), Rule("/b", quota=Quota(2, 9, name="x")),
                ],
            ),
            "each quota must have a name of its own, got 'x'",
        ),
        (lambda: guard([], public_paths=[Rule("/a", quota=PER_MINUTE)]), "public_paths must ask for nothing"),
        (lambda: guard([], public_paths=[Rule("/a", cost=2)]), "public_paths must ask for nothing, got"),
        (lambda: guard(None), "quota_store must be left out without quotas"),
        (lambda: Quota(1, "hour"), 'seconds of a Quota must be a number, a timedelta or "day"'),
        (lambda: Quota(1, 0.5), "seconds of a Quota must be a whole number of seconds"),
        (lambda: Quota(1, 60, name='say "x"'), "name of a Quota must be at most 128 printable ASCII"),
        (lambda: Quota(1, 60, by="address"), "by of a Quota must be"),  # type: ignore[arg-type]
        (lambda: Rule("/a", quota=[]), "quota must name at least one"),
        (lambda: Rule("/a", cost=-1), "cost must be a whole number of at least 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(build: Callable[[], Any], message: str) -> None:
    """When it is built, with what to change."""
    with pytest.raises(ConfigurationError, match=message):
        build()


@pytest.mark.parametrize(
    ("quota", "policy", "text"),
    [
        (Quota(1, 60), "per-minute", "1 per 60 seconds (per-minute)"),
        (Quota(5, timedelta(hours=1)), "per-hour", "5 per 3600 seconds (per-hour)"),
        (Quota(5, "day"), "per-day", "5 per calendar day (per-day)"),
        (Quota(5, 86_400), "per-24-hours", "5 per 86400 seconds (per-24-hours)"),
        (Quota(5, 90, enforce=False), "per-90-seconds", "5 per 90 seconds (per-90-seconds), not enforced"),
        (Quota(5, 90, name="burst"), "burst", "5 per 90 seconds (burst)"),
    ],
    ids=str,
)
def test_a_quota_has_a_name(quota: Quota, policy: str, text: str) -> None:
    """One that tells its time, unless it is given one."""
    assert (quota.policy, str(quota)) == (policy, text)


def test_a_quota_of_a_rule_is_named_after_it() -> None:
    """With its methods, so that no two rules share one by accident; and in ASCII."""
    rule = Rule("/caf\u00e9/*", methods=["POST", "GET"], quota=[PER_MINUTE, Quota(1, 1, name="burst")])
    assert [quota.policy for quota in rule.quotas] == ["GET POST /caf%C3%A9/* per-minute", "burst"]
    assert repr(rule).endswith(", quota=['GET POST /caf%C3%A9/* per-minute', 'burst'])")
    assert repr(Rule("/a", cost=5)) == "Rule('/a', cost=5)"


def test_a_path_that_is_too_odd_to_read_has_all_quotas() -> None:
    """It may be any of the paths that have one."""
    rules = [Rule("/a", quota=PER_MINUTE), Rule("/b", quota=Quota(9, 60), cost=3)]
    verdict = guard(None, protected_paths=rules).explain("GET", "//" * 4_000 + "a;" * 4_000)
    assert (len(verdict.quotas), verdict.cost) == (2, 3)


def test_many_tiers_do_not_fill_the_memory_of_a_guard_that_has_none() -> None:
    """Where all callers have the same quotas, a claim with another tier each time makes no difference."""
    quotas = guard([PER_MINUTE]).quotas
    assert quotas is not None
    policies = {
        id(quotas._limits_of(Principal("ann", tier=f"tier {number}"), Verdict(True))) for number in range(50)
    }
    assert len(policies) == 1


def test_names_with_a_percent_sign_are_told_as_they_are() -> None:
    """The field is filled in by a template."""
    charge = run_charge(guard([Quota(5, 60, name="100% of %d")]).quotas, Principal("ann"))
    assert charge.fields[1] == (b"ratelimit", b'"100% of %d";r=4;t=60')


def test_a_store_that_answers_something_else_is_our_fault() -> None:
    """It lets nobody through."""

    class Odd:
        def take(self, takes: Any) -> Any:
            return True

    with pytest.raises(TypeError, match="must return a Taken"):
        run_charge(guard([PER_MINUTE], store=Odd()).quotas, Principal("ann"))


def run_charge(quotas: Any, principal: Principal) -> Any:
    """Take from quotas as the flow of a request does."""
    charge = Charge(())
    run(quotas.charge(charge, principal, Verdict(True)))
    return charge
