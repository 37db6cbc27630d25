"""Measure each step of a known token's request: the minimum of Python, and the total of authguard."""

import asyncio
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

from authguard import Guard
from authguard.asgi import AuthGuardMiddleware as ASGIMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIMiddleware
from benchmarks import apps, tokens
from benchmarks.pairing import Paired, clock, in_turns
from benchmarks.report import Findings
from benchmarks.traffic import bearer, environ, receive, scope, send, start_response

LOOPS = 1000
ENTRIES = 10_000


def run(rounds: int) -> Findings:
    """Time each step in turn with the others and with an empty loop.

    Args:
        rounds: the number of rounds.
    """
    findings = Findings()
    table = findings.table(
        "Steps of a known token's request",
        "Each step alone, in the least Python that does it, in turns with an empty loop; then the whole middleware "
        "around an application that does nothing, in turns with that application. Texts and bytes are fresh ones, as "
        "a server makes them, so that their hashes are not known yet.",
        "step", "median µs", "least µs",
    )  # fmt: skip
    steps = _steps()
    timers = {name: _timer(step, fresh) for name, (step, fresh) in steps.items()}
    times = in_turns({"empty": _timer(_nothing, range(LOOPS)), **timers, **_whole()}, rounds)
    total = [0.0, 0.0]
    for name in steps:
        # The cost of awaiting is compared with a coroutine; the others are compared with the empty loop.
        base = "a coroutine that does nothing" if name.startswith("one coroutine") else "empty"
        step = Paired(times[base], times[name])
        median, least = max(step.added, 0.0), max(step.added_least, 0.0)
        table.add(name, median, least)
        if name in ON_THE_WAY:
            total = [total[0] + median, total[1] + least]
    table.add("**sum of what a known token on ASGI needs at least**", *total)
    for kind in ("ASGI", "WSGI"):
        whole = Paired(times[f"{kind} bare"], times[f"{kind} guarded"])
        table.add(f"**the whole {kind} middleware**", whole.added, whole.added_least)
        findings.values[f"steps, {kind} whole µs"] = whole.added
    findings.values["steps, sum µs"] = total[0]
    return findings


# The steps that every ASGI guard with a memory needs; the others are for comparison.
ON_THE_WAY = (
    "clock: `time.time()`",
    "one coroutine frame: `await app(scope, receive, send)`",
    "header scan: one field among 12, by length, then by name",
    "SHA-256 of the field, 500 bytes",
    "look-up of the digest among 10,000",
    "look-up of path, method and mount",
    "copy of the scope with three more",
)


def _nothing(_: Any) -> None: ...


def _timer(step: Callable[[Any], Any], fresh: Any) -> Callable[[], float]:
    def run() -> float:
        made: Iterable[Any] = fresh() if callable(fresh) else fresh
        started = clock()
        for each in made:
            step(each)
        return (clock() - started) / LOOPS * 1e6

    return run


def _steps() -> dict[str, tuple[Callable[[Any], Any], Any]]:
    """Return each step as a function of one new object, and a function that makes LOOPS of these."""
    issuer = tokens.issuer("HS256")
    request = {**scope(bearer(issuer.token())), "state": {}}
    field: bytes = request["headers"][-1][1]
    path, names, lengths = "/items/12345", frozenset({b"authorization", b"x-api-key"}), frozenset({13, 9})
    by_digest = {sha256(b"%d" % n).digest(): (4e9, n) for n in range(ENTRIES)}
    by_field = {field[:-6] + b"%06d" % n: (4e9, n) for n in range(ENTRIES)}
    by_path = {(f"/items/{n}", "GET", ""): n for n in range(ENTRIES)}
    digests = list(by_digest)
    user, left = object(), object()

    def many(make: Callable[[int], Any]) -> Callable[[], list[Any]]:
        return lambda: [make(n) for n in range(LOOPS)]

    def scan(headers: Any) -> Any:
        match = None
        for field in headers:
            if len(field[0]) in lengths and field[0].lower() in names:
                match = field
        return match

    async def inner(scope: Any, receive: Any, send: Any) -> None: ...

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    def drive(app: Any) -> None:
        try:
            app(request, receive, send).send(None)
        except StopIteration:
            return

    return {
        "clock: `time.time()`": (lambda _: time.time(), range(LOOPS)),
        "a call of a Python function with three arguments": (lambda _: _three(1, 2, 3), range(LOOPS)),
        "a coroutine that does nothing": (lambda _: drive(inner), range(LOOPS)),
        "one coroutine frame: `await app(scope, receive, send)`": (lambda _: drive(outer), range(LOOPS)),
        "header scan: one field among 12, by length, then by name": (scan, many(lambda _: list(request["headers"]))),
        "header scan: with `lower()` on each name": (_scan_lower, many(lambda _: list(request["headers"]))),
        "SHA-256 of the field, 500 bytes": (lambda each: sha256(each).digest(), many(lambda _: _copy(field))),
        "look-up of the digest among 10,000": (by_digest.get, many(lambda n: _copy(digests[n]))),
        "look-up of the field itself among 10,000": (by_field.get, many(lambda n: _copy(field[:-6] + b"%06d" % n))),
        "look-up of path, method and mount": (
            lambda each: by_path.get((each, "GET", "")), many(lambda _: path[:1] + path[1:])),
        "copy of the scope with three more": (
            lambda _: {**request, "user": user, "auth": user, "authguard": left}, range(LOOPS)),
    }  # fmt: skip


def _three(a: Any, b: Any, c: Any) -> Any:
    return a


def _scan_lower(headers: Any) -> Any:
    return [(name, value) for name, value in headers if name.lower() == b"authorization"]


def _copy(data: bytes) -> bytes:
    return bytes(bytearray(data))


def _whole() -> dict[str, Callable[[], float]]:
    """Return both middlewares around applications that do nothing, and these applications alone."""
    issuer = tokens.issuer("HS256")
    token = issuer.token()
    guard = Guard(apps.jwt_verifier(issuer))

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        return []

    guarded, guarded_wsgi = ASGIMiddleware(app, guard=guard), WSGIMiddleware(wsgi, guard=guard)
    # the token is known from here on
    asyncio.run(guarded({**scope(bearer(token)), "state": {}}, receive, send))

    def scopes() -> list[dict[str, Any]]:
        return [{**scope(bearer(token)), "state": {}} for _ in range(LOOPS)]

    def environs() -> list[dict[str, Any]]:
        return [environ(bearer(token)) for _ in range(LOOPS)]

    def drive(of: Any) -> Callable[[Any], None]:
        def step(each: Any) -> None:
            try:
                of(each, receive, send).send(None)
            except StopIteration:
                return

        return step

    return {
        "ASGI bare": _timer(drive(app), scopes),
        "ASGI guarded": _timer(drive(guarded), scopes),
        "WSGI bare": _timer(lambda each: wsgi(each, start_response), environs),
        "WSGI guarded": _timer(lambda each: guarded_wsgi(each, start_response), environs),
    }
