"""Measure the longest turn of the event loop: with new tokens, and in a full garbage collection."""

import asyncio
import gc
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from authguard import Guard
from benchmarks import apps, tokens
from benchmarks.pairing import clock
from benchmarks.report import Findings
from benchmarks.traffic import bearer, receive, scope, send

BURST = 10_000
CALLERS = (100, 1000)


def run(findings: Findings, rounds: int) -> None:
    """Send the bursts to a bare and to a guarded application in turns, and time garbage collections.

    Args:
        findings: receives the tables.
        rounds: the number of rounds.
    """
    _bursts(findings, rounds)
    _collection(findings)


def _bursts(findings: Findings, rounds: int) -> None:
    table = findings.table(
        "Bursts",
        f"{BURST:,} first-seen tokens on Starlette, from so many callers at a time, each of whom sends the next request when the last one "
        "is answered: the longest turn of the event loop, in ms of processor time, in which nothing else runs. *Added* is the "
        "median of the differences to the bare application, whose turns are as long as it takes to answer all callers once.",
        "", "callers", "bare ms", "guarded ms", "added ms", "added in all, µs for each",
    )  # fmt: skip
    for algorithm in ("HS256", "ES256", "EdDSA"):
        issuer = tokens.issuer(algorithm)
        fields = [bearer(issuer.token()) for _ in range(BURST + 1)]
        for callers in CALLERS:
            bare, guarded = [], []
            for _ in range(max(1, rounds // 3)):
                bare.append(_turns(apps.starlette(), fields, callers))
                guard = Guard(apps.jwt_verifier(issuer), cache_size=2 * BURST)
                guarded.append(_turns(apps.guarded_starlette(guard), fields, callers))
            longest = [statistics.median(turn for turn, _ in each) for each in (bare, guarded)]
            added = statistics.median(b[0] - a[0] for a, b in zip(bare, guarded, strict=True))
            each = statistics.median(b[1] - a[1] for a, b in zip(bare, guarded, strict=True)) / BURST * 1e3
            table.add(algorithm, f"{callers:,}", *longest, added, each)
            findings.values[f"burst, {algorithm}, {callers}, added ms"] = added


def _turns(app: Any, fields: Sequence[tuple[str, str]], callers: int) -> tuple[float, float]:
    """Return the longest turn, and the whole burst, in milliseconds."""
    # stored, because freeing all of them takes long
    requests = [{**scope(field), "state": {}} for field in fields]
    gc.collect()
    gc.freeze()
    try:
        return asyncio.run(_burst(app, iter(requests), callers))
    finally:
        gc.unfreeze()


async def _burst(app: Any, left: Iterator[dict[str, Any]], callers: int) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    await app(next(left), receive, send)  # objects that the first request creates exist after this
    longest, last, ended = 0.0, clock(), False

    def turn() -> None:
        nonlocal longest, last
        now = clock()
        longest, last = max(longest, now - last), now
        if not ended:
            loop.call_soon(turn)

    async def call() -> None:
        for request in left:
            await app(request, receive, send)
            await asyncio.sleep(0)

    started = clock()
    loop.call_soon(turn)
    await asyncio.gather(*(call() for _ in range(callers)))
    ended = True
    return longest * 1e3, (clock() - started) * 1e3


def _collection(findings: Findings, count: int = 10_000) -> None:
    """Return the time of a full collection of a guard's default memory, without older objects."""
    issuer = tokens.issuer("HS256")
    guard = Guard(apps.jwt_verifier(issuer), cache_size=2 * count)
    fields = [[(b"authorization", f"Bearer {issuer.token()}".encode())] for _ in range(count)]
    gc.collect()
    gc.freeze()
    for presented in fields:
        guard.recall(presented, ("/p", "GET", ""), time.time())
    times = []
    for _ in range(5):
        started = clock()
        gc.collect()
        times.append((clock() - started) * 1e3)
    gc.unfreeze()
    table = findings.table(
        "A full garbage collection",
        "Of what a guard remembers, in ms of processor time; `authguard serve` passes over all that was loaded at the start, as "
        "`gc.freeze()` does elsewhere.",
        "", "ms",
    )  # fmt: skip
    table.add(f"{count:,} remembered tokens", statistics.median(times))
    findings.values["full collection, ms"] = statistics.median(times)
