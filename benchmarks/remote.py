"""Measure the cost of remote verification: introspection by a crowd, known tokens, and unknown keys."""

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from authguard import Guard, IntrospectionVerifier, JWTVerifier, RemoteKeySet
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token
from benchmarks import apps, crowd, kids, upstream
from benchmarks.crowd import beyond
from benchmarks.pairing import Paired, clock, in_turns
from benchmarks.report import Findings
from benchmarks.tokens import AUDIENCE, ISSUER
from benchmarks.traffic import asgi_timer, bearer, receive, scope, send
from benchmarks.upstream import DELAY, Documents, Upstream

KID = "a"
BATCH = 500
Verify = Callable[[str], Awaitable[Any]]


class Refused(Exception):
    """Report a valid token that was refused."""


def run(rounds: int) -> Findings:
    """Measure everything, with one endpoint.

    Args:
        rounds: the number of crowds and floods; known tokens are timed five times as often.
    """
    findings = Findings()
    key = ec.generate_private_key(ec.SECP256R1())
    public: Any = json.loads(ECAlgorithm.to_jwk(key.public_key()))
    keys = {"keys": [{**public, "kid": KID, "alg": "ES256"}]}
    active = {"active": True, "sub": "ann", "client_id": "app", "aud": AUDIENCE, "scope": "read"}
    with upstream.running(Documents(active, keys)) as endpoint:
        with asyncio.Runner() as runner:
            runner.run(_crowds(findings, endpoint, rounds))
            runner.run(_known(findings, endpoint, rounds))
        crowd.run(findings, endpoint, 5 * rounds)
        _paths(findings, key, keys, endpoint, 5 * rounds)
        kids.run(findings, key, KID, endpoint, rounds)
    return findings


# The contestants


def ours(url: str) -> Verify:
    """Return a function that sends a whole request through the middleware."""
    verifier = IntrospectionVerifier(f"{url}/i", client_id="api", client_secret="s", audience=AUDIENCE)
    middleware = AuthGuardMiddleware(_application, guard=Guard(verifier))

    @lru_cache
    def made(token: str) -> dict[str, Any]:  # the server makes it, so it is not the guard's time
        return scope(bearer(token))

    async def verify(token: str) -> None:
        await middleware(dict(made(token)), receive, send)

    return verify


async def _application(scope: Any, receive: Any, send: Any) -> None:
    if not scope["user"].is_authenticated:
        raise Refused


def fastmcp(url: str) -> Verify:
    """Return the verifier of fastmcp alone, with its cache, which is off by default."""
    from fastmcp.server.auth.providers.introspection import IntrospectionTokenVerifier

    verifier = IntrospectionTokenVerifier(
        introspection_url=f"{url}/i", client_id="api", client_secret="s", cache_ttl_seconds=30
    )

    async def verify(token: str) -> None:
        if await verifier.verify_token(token) is None:
            raise Refused  # it logs a warning also when the endpoint does not answer in time

    return verify


def authlib(url: str) -> Verify:
    """Return the validator of Authlib alone, as in its manual, blocking, in a thread for each caller."""
    from authlib.oauth2.rfc7662 import IntrospectTokenValidator

    client = httpx.Client(limits=httpx.Limits(max_connections=1000), timeout=10)

    class Validator(IntrospectTokenValidator):
        def introspect_token(self, token_string: str) -> Any:
            answer = client.post(f"{url}/i", data={"token": token_string}, auth=("api", "s"))
            answer.raise_for_status()
            return answer.json()

    validator = Validator()
    pool = ThreadPoolExecutor(200)

    def check(token: str) -> None:
        validator.validate_token(validator.authenticate_token(token), None, None)

    async def verify(token: str) -> None:
        await asyncio.get_running_loop().run_in_executor(pool, check, token)

    return verify


CONTESTANTS = {"authguard": ours, "fastmcp": fastmcp, "Authlib, threads": authlib}
#: The contestants with their numbers of simultaneous callers. Rivals take half a minute for 1,000.
CROWDS = [(name, callers) for callers in (1, 200) for name in CONTESTANTS] + [("authguard", 1000)]


# Introspection


async def _crowds(findings: Findings, endpoint: Upstream, rounds: int) -> None:
    table = findings.table(
        "Introspection by a crowd",
        f"Callers come all at once with one token that nobody knows yet; the endpoint, in a process of its own, answers "
        f"after {DELAY * 1000:.0f} ms. Calls that reach it, good tokens that were refused, how much longer than the "
        "endpoint's own time a caller waits from when it begins to ask (less than nothing, if the first has asked long "
        "before), how much longer than that it takes from when the first begins until all have their answer, and processor "
        "time for each caller; medians of the rounds. The garbage collector does not look through what was there before the "
        "crowd came. authguard: the whole request through the middleware; fastmcp: `IntrospectionTokenVerifier` alone, with "
        "its cache on; Authlib: `IntrospectTokenValidator` alone, in 200 threads.",
        "", "callers", "calls upstream", "refused", "p50 + ms", "p99 + ms", "all + ms", "CPU µs",
    )  # fmt: skip
    verifiers = {name: make(endpoint.url) for name, make in CONTESTANTS.items()}
    for verify in verifiers.values():
        await verify("warm-up")
    for name, callers in CROWDS:
        results = [
            await _crowd(verifiers[name], endpoint, f"{callers}-{number}", callers)
            for number in range(5 * rounds if name == "authguard" else rounds)
        ]
        calls, refused, p50, p99, last, computed = (
            statistics.median(column) for column in zip(*results, strict=True)
        )
        table.add(name, f"{callers:,}", f"{calls:.0f}", f"{refused:.0f}", p50, p99, last, computed)
        findings.values[f"crowd, {name}, {callers}, calls"] = calls
        findings.values[f"crowd, {name}, {callers}, p99"] = p99


async def _crowd(verify: Verify, endpoint: Upstream, token: str, callers: int) -> tuple[float, ...]:
    """Return calls, refusals, processor time, and median, 99th percentile and maximum of the durations."""
    refused = 0

    async def one() -> tuple[float, float]:
        nonlocal refused
        started = time.perf_counter()
        try:
            await verify(token)
        except Exception:
            refused += 1
        return started, time.perf_counter()

    gc.collect()
    gc.freeze()  # scanning the loaded rivals would take longer than all measured work
    before, started = endpoint.count("introspections"), clock()
    times = await asyncio.gather(*[one() for _ in range(callers)])
    computed = clock() - started
    gc.unfreeze()
    calls = endpoint.count("introspections") - before
    p50, p99, last = (above * 1e3 for above in beyond(times, DELAY))
    return calls, refused, p50, p99, last, computed / callers * 1e6


async def _known(findings: Findings, endpoint: Upstream, rounds: int) -> None:
    table = findings.table(
        "Introspection of a known token",
        "As above, one caller, and the token was asked about before: processor time for each call, in turns; medians, "
        "minima in brackets. Authlib remembers nothing, and asks each time.",
        "", "µs", "× authguard",
    )  # fmt: skip
    numbers = {"authguard": 2000, "fastmcp": 2000, "Authlib, threads": 5}
    verifiers = {name: make(endpoint.url) for name, make in CONTESTANTS.items()}
    times: dict[str, list[float]] = {name: [] for name in verifiers}
    for _ in range(rounds):
        for name, verify in verifiers.items():
            await verify("known")
            started = clock()
            for _ in range(numbers[name]):
                await verify("known")
            times[name].append((clock() - started) / numbers[name] * 1e6)
    for name, taken in times.items():
        ratio = statistics.median(taken) / statistics.median(times["authguard"])
        table.add(name, f"{statistics.median(taken):.1f} ({min(taken):.1f})", ratio)


# Known tokens


def _paths(
    findings: Findings, key: ec.EllipticCurvePrivateKey, keys: Any, endpoint: Upstream, rounds: int
) -> None:
    table = findings.table(
        "A known token, verified from afar",
        "Requests with a known ES256 token on Starlette, in turns; the verifiers differ in where they have the keys from, or "
        "ask an endpoint. Once a token is known they are one path. *Local keys again* is the noise.",
        "", "added µs", "× local keys",
    )  # fmt: skip
    token = issue_token(
        key, algorithm="ES256", headers={"kid": KID}, expires_in=3600, iss=ISSUER, aud=AUDIENCE, sub="ann"
    )
    options: dict[str, Any] = {"algorithms": ["ES256"], "issuer": ISSUER, "audience": AUDIENCE}
    verifiers = {
        "local keys": JWTVerifier(keys, **options),
        "local keys again": JWTVerifier(keys, **options),
        "remote keys": JWTVerifier(RemoteKeySet(f"{endpoint.url}/keys"), **options),
        "introspection": IntrospectionVerifier(
            f"{endpoint.url}/i", client_id="api", client_secret="s", audience=AUDIENCE
        ),
    }
    batch = [scope(bearer(token))] * BATCH
    with asyncio.Runner() as runner:
        timers = {
            name: asgi_timer(runner, apps.guarded_starlette(Guard(verifier)), lambda: batch)
            for name, verifier in verifiers.items()
        }
        timers["bare"] = asgi_timer(runner, apps.starlette(), lambda: batch)
        times = in_turns(timers, rounds)
    for name in verifiers:
        beside = Paired(times["local keys"], times[name])
        table.add(
            name, Paired(times["bare"], times[name]).added, f"{beside.ratio:.2f} ({beside.ratio_least:.2f})"
        )
        findings.values[f"{name}, × local keys"] = beside.ratio
