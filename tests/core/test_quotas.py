"""Quotas that contradict each other or are out of range are refused when they are built."""

import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authguard import (
    APIKey,
    APIKeyFile,
    APIKeyVerifier,
    ConfigurationError,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryQuotas,
    Principal,
    Quota,
    Rule,
    Verdict,
    digest_api_key,
)
from authguard._core.answer.charge import Charge
from authguard._core.quota_store import QuotaHealth
from authguard.drivers import run

PER_MINUTE = Quota(3, 60)
SECRET = secrets.token_urlsafe(40)


def known(**options: Any) -> APIKeyVerifier:
    """Return a verifier with one known key."""
    return APIKeyVerifier({"sk_live_0123456789-ann": APIKey("ann", **options)})


KEYS = known()


class TakesOnly:
    """Take, without a method to give back."""

    def take(self, takes: Any) -> Any:
        """Take nothing."""


def guard(quotas: Any, *, store: Any = None, **options: Any) -> Guard:
    """Return a guard with quotas."""
    return Guard(KEYS, quotas=quotas, quota_store=store or MemoryQuotas(), **options)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: guard({"free": [PER_MINUTE]}), "quotas must include callers without a tier"),
        (lambda: guard([Quota(1, 60), Quota(2, 60)]), "each of quotas must have a name of its own"),
        (lambda: guard(Quota(1, 60)), r"quotas must be a list, got a Quota: write \[Quota\(1, 60\)\]"),
        (lambda: guard("10/min"), r"got '10/min' \(str\): write \[Quota\(10, 60\)\]"),
        (lambda: guard({"free": None, None: []}), r"quotas of free must be .*got None: .* or \[\]"),
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
        (lambda: guard([], store=TakesOnly()), r"quota_store must be an object with give_back\(…\)"),
        (lambda: guard([], store="redis://x"), r'got str: write quota_store=RedisQuotas\("redis://…"\)'),
        (lambda: Guard(KEYS, protected_paths=[Rule("/a", cost=2)]), "cost must be left out without quotas"),
        (lambda: Rule("/a", quota=PER_MINUTE, cost=0), "quota must be left out with cost=0"),
        (lambda: Guard(known(quotas=[PER_MINUTE])), "quotas of a key must be in a guard that counts"),
        (lambda: Guard(known(tier="fre"), quotas={"free": [PER_MINUTE], None: []}), "got 'fre'"),
        (lambda: Quota(1, "hour"), 'seconds of a Quota must be a number, a timedelta or "day"'),
        (lambda: Quota(1, 0.5), "seconds of a Quota must be a whole number of seconds"),
        (lambda: Quota(1, 60, name='say "x"'), "name of a Quota must be at most 128 printable ASCII"),
        (lambda: Quota(1, 60, by="address"), "by of a Quota must be"),  # type: ignore[arg-type]
        (lambda: Rule("/a", quota=[]), "quota must name at least one"),
        (lambda: Rule("/a", cost=-1), "cost must be a whole number of at least 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(build: Callable[[], Any], message: str) -> None:
    """A quota that is ambiguous or out of range is refused, with the correction."""
    with pytest.raises(ConfigurationError, match=message):
        build()


@pytest.mark.parametrize(
    ("value", "write"),
    [
        ("10/minute", r"Quota\(10, 60\)$"),
        ("10 per 5 minutes", r"Quota\(10, 300\)$"),
        ("1000/day", r"Quota\(1000, 86400\)$"),
        ("ten a minute", r'Quota\(10, 60\) for a minute, or Quota\(10, "day"\)$'),
        (7, r'Quota\(7, 60\) for a minute, or Quota\(7, "day"\)$'),
        (None, r'Quota\(10, 60\) for a minute, or Quota\(10, "day"\)$'),
    ],
)
def test_a_quota_without_seconds_is_refused(value: Any, write: str) -> None:
    """A quota without seconds is refused with the call for its rate."""
    with pytest.raises(ConfigurationError, match=f"a Quota must have a count and seconds, .*: write {write}"):
        Quota(value)
    with pytest.raises(ConfigurationError, match="a Quota must have a count and seconds"):
        Quota(value, name="burst")  # type: ignore[call-arg]


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
    """A quota without a name is named after its period."""
    assert (quota.policy, str(quota)) == (policy, text)


def test_a_quota_of_a_rule_is_named_after_it() -> None:
    """A quota of a rule is named after its methods and its path, in ASCII."""
    rule = Rule("/caf\u00e9/*", methods=["POST", "GET"], quota=[PER_MINUTE, Quota(1, 1, name="burst")])
    assert [quota.policy for quota in rule.quotas] == ["GET POST /caf%C3%A9/* per-minute", "burst"]
    assert repr(rule).endswith(", quota=['GET POST /caf%C3%A9/* per-minute', 'burst'])")
    assert repr(Rule("/a", cost=5)) == "Rule('/a', cost=5)"


def test_a_path_that_is_too_odd_to_read_has_all_quotas() -> None:
    """A path that is too odd to read has all quotas and the largest cost."""
    rules = [Rule("/a", quota=PER_MINUTE), Rule("/b", quota=Quota(9, 60), cost=3)]
    verdict = guard(None, protected_paths=rules).explain("GET", "//" * 4_000 + "a;" * 4_000)
    assert (len(verdict.quotas), verdict.cost) == (2, 3)


@pytest.mark.parametrize(("method", "path"), [("GET", "/FREE"), ("get", "/free"), ("GET", "//free")])
def test_a_path_that_is_only_like_a_free_one_costs_something(method: str, path: str) -> None:
    """A path that is similar to one with the cost 0 has the cost 1."""
    rules = [Rule("/free", methods=["GET"], cost=0)]
    some = guard([PER_MINUTE], protected_paths=rules, public_paths=["/open"])
    assert some.explain("GET", "/free").cost == 0
    assert some.explain(method, path).cost == 1


def test_many_tiers_do_not_fill_the_memory_of_a_guard_that_has_none() -> None:
    """Many tiers share one policy if the quotas do not depend on the tier."""
    quotas = guard([PER_MINUTE]).quotas
    assert quotas is not None
    policies = {
        id(quotas._limits_of(Principal("ann", tier=f"tier {number}"), Verdict(True))) for number in range(50)
    }
    assert len(policies) == 1


def test_names_with_a_percent_sign_are_told_as_they_are() -> None:
    """A name with a percent sign is in the field as it is."""
    charge = run_charge(guard([Quota(5, 60, name="100% of %d")]).quotas, Principal("ann"))
    assert charge.fields[1] == (b"ratelimit", b'"100% of %d";r=4;t=60')


def test_a_store_that_answers_something_else_is_our_fault() -> None:
    """A store that returns another type makes a TypeError, and no request passes."""

    class Odd:
        def take(self, takes: Any) -> Any:
            return True

        def give_back(self, taken: Any) -> None:
            """Give nothing back."""

    with pytest.raises(TypeError, match="must return a Taken"):
        run_charge(guard([PER_MINUTE], store=Odd()).quotas, Principal("ann"))


def run_charge(quotas: Any, principal: Principal) -> Any:
    """Take from quotas as the flow of a request does."""
    charge = Charge(())
    run(quotas.charge(charge, principal, Verdict(True)))
    return charge


class Noting(MemoryQuotas):
    """Record the keys of the counters."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[Any] = []

    def take(self, takes: Any) -> Any:
        self.keys += [take.key for take in takes]
        return super().take(takes)


def counted_as(issuer: str | None, subject: str) -> Any:
    """Return the key of the counter of a caller, without the name of the quota."""
    store = Noting()
    run_charge(guard([PER_MINUTE], store=store).quotas, Principal(subject, issuer=issuer))
    ((_, *key),) = store.keys
    return key


def test_a_counter_keeps_at_most_200_characters_of_its_caller() -> None:
    """A counter of a long caller has a digest instead of issuer and subject, so that keys are unique."""
    assert counted_as(None, "a" * 200) == [None, "a" * 200]
    assert counted_as("i" * 100, "a" * 100) == ["i" * 100, "a" * 100]
    longer = [(None, "a" * 201), ("i" * 101, "a" * 100), ("i" * 100, "a" * 101), ("j" * 100, "a" * 101)]
    keys = [counted_as(*caller) for caller in longer]
    assert [(issuer, len(digest)) for issuer, digest in keys] == [("", 64)] * 4
    assert len({digest for _, digest in keys}) == 4


@pytest.mark.parametrize(
    ("of_guard", "of_key"),
    [
        ([Quota(9, 60, name="key-per-minute")], [PER_MINUTE]),
        ([], [Quota(9, 60, name=f"{'a' * 125}b"), Quota(2, 60, name=f"{'a' * 125}c")]),
    ],
    ids=["name of the guard", "long names"],
)
def test_quotas_of_a_key_share_no_name(of_guard: list[Quota], of_key: list[Quota]) -> None:
    """Quotas of a key with a name of the guard's quotas, or with one shared name, are refused."""
    quotas = guard(of_guard).quotas
    assert quotas is not None
    principal = Principal("ann", method="api_key", key_id="k", quotas=tuple(of_key))
    with pytest.raises(ConfigurationError, match="each quota must have a name of its own"):
        run(quotas.charge(Charge(()), principal, Verdict(True)))


def test_a_tier_in_a_file_of_keys_has_quotas(tmp_path: Path) -> None:
    """An unknown tier in a file of keys is refused when the guard is built."""
    path = tmp_path / "keys.json"
    digest = digest_api_key("sk_live_0123456789-ann")
    path.write_text(json.dumps({digest: {"subject": "ann", "tier": "fre"}}))
    keys = APIKeyVerifier(APIKeyFile(path))
    with pytest.raises(ConfigurationError, match="got 'fre'"):
        Guard(keys, quotas={"free": [PER_MINUTE], None: []})


@pytest.mark.parametrize(
    ("admitted", "refused", "reason", "state"),
    [(0, 0, "", "unused"), (1, 0, "", "fresh"), (0, 1, "", "fresh"), (1, 0, "full", "failing")],
)
def test_health_has_the_words_of_remotes(admitted: int, refused: int, reason: str, state: str) -> None:
    """The state is "unused", "fresh" after a count, and "failing" while new callers are refused."""
    assert QuotaHealth("memory", 1, 10, admitted, refused, 0, reason).state == state


def _jwt(**options: Any) -> JWTVerifier:
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer="demo", audience="demo", **options)


def _introspection(**options: Any) -> IntrospectionVerifier:
    return IntrospectionVerifier(
        "https://auth.example.com/introspect", client_id="api", client_secret=SECRET, **options
    )


BY_TIER: dict[str | None, list[Quota]] = {"free": [PER_MINUTE], None: []}


@pytest.mark.parametrize(
    "verifiers",
    [(_jwt(),), (KEYS,), (_jwt(), KEYS), (_introspection(),), (_introspection(jwt=_jwt()),)],
    ids=["jwt", "keys", "both", "introspection", "introspection-of-jwt"],
)
def test_tiers_that_no_caller_has_are_warned_of(
    verifiers: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """A guard warns of quotas by tier if no verifier gives its callers a tier: they limit no caller."""
    Guard(*verifiers, quotas=BY_TIER)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "got ['free'], and no verifier with tiers" in record.getMessage()
    assert "tier_claim='tier'" in record.getMessage()


@pytest.mark.parametrize(
    "verifiers",
    [
        (_jwt(tier_claim="tier"),),
        (_jwt(), known(tier="free")),
        (APIKeyVerifier(lambda digest: None),),
        (_introspection(tier_claim="tier"),),
        (_introspection(jwt=_jwt(tier_claim="tier")),),
    ],
    ids=["jwt", "keys", "function", "introspection", "introspection-of-jwt"],
)
def test_tiers_that_a_caller_may_have_are_not_warned_of(
    verifiers: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged if one verifier gives tiers, or may give them."""
    Guard(*verifiers, quotas=BY_TIER)
    assert caplog.records == []


def test_quotas_of_callers_without_a_tier_alone_are_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A mapping with None alone has no tiers."""
    Guard(_jwt(), quotas={None: [PER_MINUTE]})
    assert caplog.records == []
