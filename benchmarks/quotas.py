"""Measure the cost of quotas in a request with a known API key, and of other libraries."""

import asyncio
import secrets
from typing import Any

from authguard import APIKey, APIKeyVerifier, Guard, MemoryQuotas, Quota
from authguard.stores import Take
from benchmarks import apps
from benchmarks.inprocess import timer
from benchmarks.limiters import LIMITERS, keyshield
from benchmarks.pairing import Paired, Timer, clock, in_turns
from benchmarks.report import Findings
from benchmarks.traffic import ask_asgi

# The limits: more than is sent, and two.
ENOUGH, FEW = (10**8, 10**10), (2, 2_000)
_REQUESTS = 400
_TAKES = 2_000


def run(rounds: int) -> Findings:
    """Measure quotas.

    Args:
        rounds: the number of times that each contestant is timed.
    """
    findings = Findings()
    key = "sk_live_" + secrets.token_urlsafe(32)
    _prove(findings, key)
    _added(findings, key, rounds)
    _store(findings, rounds)
    return findings


def _guard(key: str, amounts: tuple[int, int] | None) -> Guard:
    keys = APIKeyVerifier({key: APIKey("robot", tier="free")})
    if amounts is None:
        return Guard(keys)
    return Guard(keys, quotas={"free": [Quota(amounts[0], 60), Quota(amounts[1], "day")], None: []})


def _contestants(key: str, amounts: tuple[int, int]) -> dict[str, tuple[Any, Any, list[tuple[str, str]]]]:
    """Return bare and limited applications, and their requests."""
    sent = [("x-api-key", key)]
    shielded, other = keyshield()
    return {
        "authguard, two quotas": (apps.starlette, apps.guarded_starlette(_guard(key, amounts)), sent),
        "authguard, two quotas, typed dependency": (apps.fastapi, apps.guarded_fastapi(_guard(key, amounts)), sent),
        **{name: (bare, build(amounts), sent) for name, bare, build in LIMITERS},
        "authguard, the key alone": (apps.starlette, apps.guarded_starlette(_guard(key, None)), sent),
        "keyshield, the key alone": (apps.fastapi, shielded, [("authorization", f"Bearer {other}")]),
    }  # fmt: skip


def _prove(findings: Findings, key: str) -> None:
    table = findings.table(
        "Quotas: proof",
        "The answers to three requests where two a minute are let through; else the run ends here. What verifies "
        "the key alone lets all of them through.",
        "", "1", "2", "3",
    )  # fmt: skip
    with asyncio.Runner() as runner:
        for name, (_, app, sent) in _contestants(key, FEW).items():
            statuses = [ask_asgi(runner, app, *sent) for _ in range(3)]
            table.add(name, *map(str, statuses))
            if statuses != [200, 200, 200 if name.endswith("alone") else 429]:
                raise SystemExit(f"{name} does not limit: {statuses}")


def _added(findings: Findings, key: str, rounds: int) -> None:
    table = findings.table(
        "Quotas",
        "Microseconds added to the bare application of the same framework by a known key with a quota for the "
        "minute and one for the day, in memory; medians of the rounds, minima in brackets. authguard verifies the key, "
        "decides both quotas in one step, and tells what remains in RateLimit fields. `limits`, slowapi and "
        "fastapi-limiter verify nothing, and decide one limit after the other; keyshield limits nothing.",
        "", "bare µs", "added µs", "× bare",
    )  # fmt: skip
    contestants = _contestants(key, ENOUGH)
    with asyncio.Runner() as runner:
        timers: dict[str, Timer] = {}
        for name, (bare, app, sent) in contestants.items():
            timers[bare.__qualname__] = timer(runner, bare(), sent, _REQUESTS)
            timers[name] = timer(runner, app, sent, _REQUESTS)
        times = in_turns(timers, rounds)
    for name, (bare, _, _) in contestants.items():
        pair = Paired(times[bare.__qualname__], times[name])
        added = f"{pair.added:.2f} ({pair.added_least:.2f})"
        table.add(name, pair.base_median, added, f"{pair.ratio:.2f} ({pair.ratio_least:.2f})")
        findings.values[f"quotas, {name}, µs"] = pair.added


def _store(findings: Findings, rounds: int) -> None:
    table = findings.table(
        "Quotas: the store alone",
        "Microseconds to take from a quota for the minute and one for the day, without a request.",
        "", "µs",
    )  # fmt: skip
    store = MemoryQuotas()
    takes = [Take((name, "ann"), quota, 1) for name, quota in (("minute", Quota(10**8, 60)), ("day", Quota(10**9, "day")))]  # fmt: skip
    from limits import RateLimitItemPerDay, RateLimitItemPerMinute
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

    items = (RateLimitItemPerMinute(10**8), RateLimitItemPerDay(10**9))
    fixed, moving = FixedWindowRateLimiter(MemoryStorage()), MovingWindowRateLimiter(MemoryStorage())

    def timed(take: Any) -> Timer:
        def time() -> float:
            started = clock()
            for _ in range(_TAKES):
                take()
            return (clock() - started) / _TAKES * 1e6

        return time

    times = in_turns(
        {
            "authguard, both in one step": timed(lambda: store.take(takes)),
            "limits, fixed windows, one after the other": timed(lambda: [fixed.hit(item, "ann") for item in items]),
            "limits, moving windows, one after the other": timed(lambda: [moving.hit(item, "ann") for item in items]),
        },
        rounds,
    )  # fmt: skip
    for name, each in times.items():
        table.add(name, f"{sorted(each)[len(each) // 2]:.2f} ({min(each):.2f})")
