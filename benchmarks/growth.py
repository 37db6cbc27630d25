"""Measure how the cost of a request grows: with rules, tokens, issuers, and simultaneous requests."""

import asyncio
import base64
import gc
import hashlib
import hmac
import itertools
import json
import multiprocessing
import os
import random
import secrets
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from authguard import APIKey, APIKeyVerifier, Guard, JWTVerifier, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.cli.serving.heap import YOUNG_OBJECTS
from benchmarks import apps, flood, stops, tokens
from benchmarks.pairing import Paired, clock, in_turns
from benchmarks.readers import without_fast
from benchmarks.report import Findings
from benchmarks.tokens import AUDIENCE, CLAIMS, Issuer
from benchmarks.traffic import asgi_timer, bearer, receive, scope, send

CACHE_SIZE = 10_000  # the guard's default
BATCH = 1000


def run(rounds: int) -> Findings:
    """Measure all growth, and the flood.

    Args:
        rounds: the number of times that each contestant is timed.
    """
    findings = Findings()
    quick = rounds < 10
    issuer = tokens.issuer("HS256")
    _rules(findings, issuer, rounds)
    _distinct_tokens(findings, 10_000 if quick else 1_000_000)
    _issuers(findings, rounds)
    _keys(findings, rounds, 10_000 if quick else 1_000_000)
    _concurrency(findings, issuer, rounds)
    with without_fast():
        stops.run(findings, rounds)
    flood.run(findings, issuer, 10_000 if quick else 100_000)
    return findings


def _rules(findings: Findings, issuer: Issuer, rounds: int) -> None:
    table = findings.table(
        "Rules",
        "Known HS256 token on Starlette; the rules are `/area7/*/part` and ask for scopes. The path that was asked for "
        "before, and paths that nobody has asked for yet.",
        "rules", "same path: added µs", "same path: × bare", "new paths: added µs",
    )  # fmt: skip
    counts = (1, 10, 100, 1000, 10_000)
    field = bearer(issuer.token())
    same, fresh = [scope(field)] * 200, (scope(field, path=f"/new/{n}") for n in itertools.count())
    with asyncio.Runner() as runner:
        timers = {"bare": asgi_timer(runner, apps.starlette(), lambda: same)}
        verifier = apps.jwt_verifier(issuer)
        for count in counts:
            app = apps.guarded_starlette(_with_rules(count, verifier))
            timers[f"{count} same"] = asgi_timer(runner, app, lambda: same)
            timers[f"{count} new"] = asgi_timer(runner, app, lambda: list(itertools.islice(fresh, 100)))
        timers["bare new"] = asgi_timer(
            runner, apps.starlette(), lambda: list(itertools.islice(fresh, 100))
        )  # answers 404, like the guarded applications
        times = in_turns(timers, rounds)
    added = {}
    for count in counts:
        known = Paired(times["bare"], times[f"{count} same"])
        new = Paired(times["bare new"], times[f"{count} new"])
        added[count] = (known.added, new.added)
        table.add(f"{count:,}", known.added, known.ratio, new.added)
    findings.values["rules, 10,000 beside 1"] = added[10_000][0] / added[1][0]


def _with_rules(number: int, verifier: JWTVerifier) -> Guard:
    rules = [Rule(f"/area{n}/*/part", scopes=[f"s{n % 7}"]) for n in range(number - 1)]
    return Guard(verifier, protected_paths=[*rules, "/"])


def _keys(findings: Findings, rounds: int, most: int) -> None:
    table = findings.table(
        "API keys in a mapping",
        "On Starlette, guards with so many keys. *Known* is the same key again and again; *first seen* are keys that come once.",
        "keys", "known: added µs", "known: × bare", "first seen: added µs",
    )  # fmt: skip
    counts = (1, 1000, most)
    robot = APIKey("robot", scopes=["read"])
    with asyncio.Runner() as runner:
        plain = [scope()] * 200
        timers: dict[str, Callable[[], float]] = {
            "bare": asgi_timer(runner, apps.starlette(), _always(plain))
        }
        for count in counts:
            keys = [f"sk_live_{secrets.token_urlsafe(32)}" for _ in range(count)]
            app = apps.guarded_starlette(Guard(APIKeyVerifier(dict.fromkeys(keys, robot)), cache_size=1000))
            # A small memory forgets keys, which are then sent again.
            fresh = (scope(("x-api-key", key)) for key in itertools.cycle(keys))
            timers[f"{count} known"] = asgi_timer(runner, app, _always([scope(("x-api-key", keys[0]))] * 200))
            timers[f"{count} fresh"] = asgi_timer(runner, app, _some(fresh, 50))
        times = in_turns(timers, rounds)
    added = {}
    for count in counts:
        known, first = (Paired(times["bare"], times[f"{count} {kind}"]) for kind in ("known", "fresh"))
        added[count] = first.added
        table.add(f"{count:,}", known.added, known.ratio, first.added if count > 1 else "–")
    findings.values["keys, most beside 1,000"] = added[most] / added[1000]


class Counting(JWTVerifier):
    """Count the verified tokens, which are those that the guard did not remember."""

    lookups = 0

    def flow(self, credential: Any, now: float) -> Any:
        self.lookups += 1
        return super().flow(credential, now)


class FastSigner:
    """Sign millions of HS256 tokens, several times faster than a library."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(40)
        self.header = _b64(b'{"alg":"HS256","typ":"at+jwt"}')

    def token(self, number: int) -> str:
        claims = {
            **CLAIMS,
            "sub": "42",
            "exp": 4_000_000_000,
            "iat": 1_700_000_000,
            "jti": f"token-{number:010}",
        }
        signed = self.header + b"." + _b64(json.dumps(claims, separators=(",", ":")).encode())
        return (signed + b"." + _b64(hmac.digest(self.secret.encode(), signed, hashlib.sha256))).decode()


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _distinct_tokens(findings: Findings, most: int) -> None:
    table = findings.table(
        "Distinct tokens through a bounded cache",
        f"HS256, the guard's default of {CACHE_SIZE:,} remembered tokens, around an application that does nothing. Each token "
        "comes once; then 20,000 requests come, drawn by a Zipf distribution (the second most active caller sends half as "
        "many requests as the first), which gives the hit rate. *Evicts* is once the cache is full, beside *fills*.",
        "tokens", "first seen, cache fills µs", "first seen, cache evicts µs", "process grew by MB", "hit rate", "µs at that rate",
    )  # fmt: skip
    counts = [count for count in (1, 100, 1000, 10_000, 100_000, 1_000_000) if count <= most]
    # Each measurement has a process of its own, so that its memory can be measured.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for count in counts:
            fills, evicts, grown, rate, cost = pool.submit(through_cache, count).result(timeout=300)
            table.add(f"{count:,}", fills, evicts, grown if count >= CACHE_SIZE else "–", f"{rate:.1%}", cost)
            findings.values[f"tokens, {count}, hit rate"] = rate
            findings.values[f"tokens, {count}, MB"] = grown


def through_cache(count: int) -> tuple[float, float, float, float, float]:
    """Send `count` distinct tokens, then a mix of them.

    Returns:
        Microseconds for a first-seen token while the cache fills and while it evicts, megabytes
        by which the process grew, hit rate of the mix, and microseconds for a request of it.
    """
    signer = FastSigner()
    verifier = Counting(signer.secret, algorithms=["HS256"], issuer=tokens.ISSUER, audience=AUDIENCE)

    async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

    app = AuthGuardMiddleware(nothing, guard=Guard(verifier, cache_size=CACHE_SIZE))
    with asyncio.Runner() as runner, without_fast():

        def timed(numbers: list[int]) -> float:
            batch = [scope(bearer(signer.token(number))) for number in numbers]
            return asgi_timer(runner, app, lambda: batch)()

        timed([-1] * BATCH)
        before, lookups = _resident(), verifier.lookups
        times = [timed(list(range(start, min(start + BATCH, count)))) for start in range(0, count, BATCH)]
        if verifier.lookups - lookups != count:
            raise RuntimeError("the verifier is asked in another way now: count there")
        grown = (_resident() - before) / 2**20
        full = CACHE_SIZE // BATCH
        fills = statistics.median(times[: full // 2])
        evicts = statistics.median(times[full:]) if times[full:] else float("nan")
        draw = _zipf(count)
        for _ in range(10):  # the cache learns the active tokens
            timed([next(draw) for _ in range(BATCH)])
        lookups = verifier.lookups
        mixed = [timed([next(draw) for _ in range(BATCH)]) for _ in range(20)]
    return fills, evicts, grown, 1 - (verifier.lookups - lookups) / (20 * BATCH), statistics.mean(mixed)


def _zipf(count: int) -> Iterator[int]:
    """Return numbers below `count` with a Zipf distribution: the frequency of a rank is 1/rank."""
    source = random.Random(7)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, count + 1)))
    while True:
        yield from source.choices(range(count), cum_weights=weights, k=BATCH)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _issuers(findings: Findings, rounds: int) -> None:
    table = findings.table(
        "Issuers",
        "A guard with a JWTVerifier for each issuer, HS256, on Starlette; tokens of all of them in turn.",
        "issuers", "known: added µs", "first seen: added µs",
    )  # fmt: skip
    counts = (1, 10, 100)
    with asyncio.Runner() as runner:
        plain = [scope()] * 100
        timers: dict[str, Callable[[], float]] = {"bare": asgi_timer(runner, apps.starlette(), lambda: plain)}
        for count in counts:
            issuers = [tokens.issuer("HS256") for _ in range(count)]
            urls = [f"https://issuer{n}.example" for n in range(count)]
            verifiers = [
                JWTVerifier(issuer.verification, algorithms=["HS256"], issuer=url, audience=AUDIENCE)
                for issuer, url in zip(issuers, urls, strict=True)
            ]
            app = apps.guarded_starlette(Guard(*verifiers))
            signed = itertools.cycle(zip(issuers, urls, strict=True))
            known = [scope(bearer(issuer.token(iss=url))) for issuer, url in itertools.islice(signed, 100)]
            fresh = (scope(bearer(issuer.token(iss=url))) for issuer, url in signed)
            timers[f"{count} known"] = asgi_timer(runner, app, _always(known))
            timers[f"{count} fresh"] = asgi_timer(runner, app, _some(fresh, 25))
        times = in_turns(timers, rounds)
    for count in counts:
        known, first = (Paired(times["bare"], times[f"{count} {kind}"]) for kind in ("known", "fresh"))
        table.add(f"{count:,}", known.added, first.added)


def _always(batch: list[dict[str, Any]]) -> Callable[[], list[dict[str, Any]]]:
    return lambda: batch


def _some(source: Iterator[dict[str, Any]], size: int) -> Callable[[], list[dict[str, Any]]]:
    return lambda: list(itertools.islice(source, size))


def _concurrency(findings: Findings, issuer: Issuer, rounds: int) -> None:
    table = findings.table(
        "Requests at a time",
        "So many requests are in flight in one event loop; the application waits three times. Microseconds for each, known "
        "HS256 token. *As served* is with the threshold of the garbage collector that `authguard serve` sets; with Python's "
        "own the collector looks through the requests that wait again and again.",
        "at a time", "bare µs", "added µs", "× bare", "as served: bare µs", "as served: added µs", "as served: × bare",
    )  # fmt: skip

    async def waiting(request: Any) -> PlainTextResponse:
        for _ in range(3):
            await asyncio.sleep(0)
        return PlainTextResponse("ok")

    def app(*middleware: Middleware) -> Starlette:
        return Starlette(routes=[Route("/p", waiting)], middleware=middleware)

    guarded = app(Middleware(AuthGuardMiddleware, guard=Guard(apps.jwt_verifier(issuer))))
    field = bearer(issuer.token())
    added = {}
    with asyncio.Runner() as runner:
        for count in (1, 10, 100, 1000):
            bare, ours = (_together(runner, each, field, count) for each in (app(), guarded))
            times = in_turns(
                {
                    "bare": bare,
                    "ours": ours,
                    "bare served": _as_served(bare),
                    "ours served": _as_served(ours),
                },
                rounds,
            )
            both = Paired(times["bare"], times["ours"])
            served = Paired(times["bare served"], times["ours served"])
            added[count] = served.added
            table.add(
                f"{count:,}", both.base_median, both.added, both.ratio, served.base_median, served.added, served.ratio
            )  # fmt: skip
    findings.values["callers, 1,000 beside 1"] = added[1000] / added[1]


def _as_served(timed: Callable[[], float]) -> Callable[[], float]:
    def run() -> float:
        before = gc.get_threshold()
        gc.set_threshold(YOUNG_OBJECTS, *before[1:])
        try:
            return timed()
        finally:
            gc.set_threshold(*before)

    return run


def _together(runner: asyncio.Runner, app: Any, field: Any, count: int) -> Callable[[], float]:
    repeats = max(1, 200 // count)

    async def batch() -> float:
        scopes = [[{**scope(field), "state": {}} for _ in range(count)] for _ in range(repeats)]
        started = clock()
        for some in scopes:
            await asyncio.gather(*(app(each, receive, send) for each in some))
        return (clock() - started) / (count * repeats) * 1e6

    return lambda: runner.run(batch())
