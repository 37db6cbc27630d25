"""Measure a request in this process, without a server: known and first-seen credentials, refusals."""

import asyncio
import contextlib
import gc
import io
import secrets
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import jwt
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser

from authguard import APIKey, APIKeyVerifier, Guard
from authguard.asgi import AuthGuardMiddleware
from benchmarks import apps, floor, proof, tokens
from benchmarks.apps import Contestant
from benchmarks.pairing import Paired, clock, in_turns
from benchmarks.readers import with_fast, without_fast
from benchmarks.report import Findings
from benchmarks.rivals import rivals
from benchmarks.rivals.starlette_pyjwt import guarded
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer
from benchmarks.traffic import Field, asgi_timer, bearer, environ, receive, scope, send, wsgi_timer

# Requests of a batch: so many that the processor's caches, as the previous contestant has left them, matter
# little.
KNOWN, FIRST_SEEN = 400, 50
# The bare application in comparison with itself: the distance of its row from zero is the uncertainty of the
# others.
NOISE = Contestant("bare Starlette again", "starlette", apps.starlette, lambda issuer: apps.starlette())
# Not a guard: the cheapest solution that remembers tokens.
FLOOR = Contestant(
    "the floor: no guard, see benchmarks/floor.py", "starlette", apps.starlette, floor.starlette, algorithms=apps.ALL
)  # fmt: skip
IN_CLEAR = Contestant(
    "the floor, with tokens kept in clear", "starlette", apps.starlette, floor.starlette_in_clear
)
# Not a guard: the cost of any typed dependency.
DEPENDENCY = Contestant(
    "bare FastAPI, a dependency that does nothing", "fastapi", apps.fastapi,
    lambda issuer: apps.fastapi_with_a_dependency(), algorithms=("HS256", "RS256"),
)  # fmt: skip


def run(rounds: int) -> Findings:
    """Measure everything that needs no server.

    Args:
        rounds: the number of times that each contestant is timed.
    """
    with without_fast():  # authguard without its extras
        return _run(rounds)


def _run(rounds: int) -> Findings:
    findings = Findings()
    issuers = {algorithm: tokens.issuer(algorithm) for algorithm in tokens.ALGORITHMS}
    contestants = [*apps.OURS, *rivals()]
    _proofs(findings, contestants, issuers)
    _added(findings, contestants, issuers, rounds)
    _best_rivals(findings, contestants)
    _other_credentials(findings, issuers["HS256"], rounds)
    _beside_pyjwt(findings, issuers, rounds)
    _refusals(findings, issuers, rounds)
    _memory(findings, issuers["HS256"])
    return findings


def _proofs(findings: Findings, contestants: Sequence[Contestant], issuers: dict[str, Issuer]) -> None:
    cases = ("good", "tampered", "forged", "expired", "wrong audience", "wrong issuer", "none")
    table = findings.table(
        "Proof",
        "Before anything is timed, everybody answers 200 to good tokens and refuses the others, for each "
        "algorithm that they are timed with; else the run ends here. The status by case, with HS256. "
        "fastapi-users has no option to check the issuer.",
        "", *cases,
    )  # fmt: skip
    for contestant in contestants:
        answers = {a: proof.prove(contestant, issuers[a]) for a in contestant.algorithms}
        table.add(contestant.name, *(str(answers["HS256"][case]) for case in cases))


def batches(fields: Sequence[Field], size: int, wsgi: bool) -> Callable[[], Sequence[dict[str, Any]]]:
    """Return batches of requests: all with one field, or each with a field that was not sent before."""
    make = environ if wsgi else scope
    if len(fields) == 1:
        batch = [make(*fields)] * size
        return lambda: batch
    fresh: Iterator[Field] = iter(fields)
    return lambda: [make(next(fresh)) for _ in range(size)]


def timer(
    runner: asyncio.Runner, app: Any, fields: Sequence[Field], size: int, *, wsgi: bool = False
) -> Callable[[], float]:
    batch = batches(fields, size, wsgi)
    return wsgi_timer(app, batch) if wsgi else asgi_timer(runner, app, batch)


def together(
    contestants: Sequence[Contestant], issuer: Issuer, rounds: int
) -> dict[str, tuple[Paired, Paired]]:
    """Time known and first-seen tokens for all contestants and their bare applications in the same rounds."""
    token = issuer.token()
    timers: dict[str, Callable[[], float]] = {}
    with asyncio.Runner() as runner:
        for contestant in contestants:
            fresh = [bearer(issuer.token()) for _ in range((rounds + 1) * FIRST_SEEN)]
            app = contestant.build(issuer)
            timers |= {
                _bare(contestant): timer(
                    runner, contestant.bare(), [bearer(token)], KNOWN, wsgi=contestant.wsgi
                ),
                f"{contestant.name}, known": timer(runner, app, [bearer(token)], KNOWN, wsgi=contestant.wsgi),
                f"{contestant.name}, first seen": timer(runner, app, fresh, FIRST_SEEN, wsgi=contestant.wsgi),
            }
        times = in_turns(timers, rounds)
    return {
        contestant.name: (
            Paired(times[_bare(contestant)], times[f"{contestant.name}, known"]),
            Paired(times[_bare(contestant)], times[f"{contestant.name}, first seen"]),
        )
        for contestant in contestants
    }


def _bare(contestant: Contestant) -> str:
    """Return the timers of the bare applications, which contestants with the same one share."""
    return f"{contestant.bare.__module__}.{contestant.bare.__qualname__}"


def _added(
    findings: Findings, contestants: Sequence[Contestant], issuers: dict[str, Issuer], rounds: int
) -> None:
    table = findings.table(
        "Added to a request",
        "Microseconds that authentication adds to the bare application of the same framework, and the whole "
        "beside the bare application. All contestants of an algorithm run in the same rounds; medians of these, minima "
        "in brackets. **Known**: the same token again and again, so that whoever remembers it always hits. **First "
        "seen**: each token comes once, so that nobody can. Rivals remember nothing, and verify the signature each "
        "time; authguard remembers a verified token until it expires. The last column is the hit rate of the known "
        "requests and the lifetime of an entry; for first-seen tokens the hit rate is 0 %. *Bare Starlette again* is the "
        "noise: the same application once more. The *dependency that does nothing* guards nothing; it is what FastAPI itself takes "
        "for any dependency. Neither does *the floor*: the least that remembers, written out for this one case; its second row shows "
        "what it costs to keep a digest, and not the token.",
        "", "alg", "bare µs", "known: added µs", "known: × bare", "first seen: added µs", "first seen: × bare", "hits, lifetime",
    )  # fmt: skip
    for algorithm, issuer in issuers.items():
        some = [
            NOISE,
            *(each for each in (FLOOR, IN_CLEAR, DEPENDENCY, *contestants) if algorithm in each.algorithms),
        ]
        for name, (known, first) in together(some, issuer, rounds).items():
            table.add(
                name, algorithm, known.base_median, _pair(known.added, known.added_least),
                _pair(known.ratio, known.ratio_least), _pair(first.added, first.added_least),
                _pair(first.ratio, first.ratio_least), "100 %, until `exp`" if name.startswith("authguard") else "none",
            )  # fmt: skip
            findings.values |= {
                f"{name}, {algorithm}, known µs": known.added,
                f"{name}, {algorithm}, known ×": known.ratio,
                f"{name}, {algorithm}, first seen µs": first.added,
                f"{name}, {algorithm}, first seen ×": first.ratio,
            }


def _best_rivals(findings: Findings, contestants: Sequence[Contestant]) -> None:
    """Return how many times more than authguard the best rival adds to a request with a known token."""
    for name, wsgi, ours in (("best rival", False, apps.OURS[0]), ("best WSGI rival", True, apps.OURS[2])):
        theirs = [each for each in contestants if each.wsgi == wsgi and each not in apps.OURS]
        least = min(findings.values[f"{contestant.name}, HS256, known µs"] for contestant in theirs)
        findings.values[f"{name}, × ours"] = least / findings.values[f"{ours.name}, HS256, known µs"]


class KeyBackend(AuthenticationBackend):
    """Look up the digest of an API key in a dictionary, as written by hand."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = {sha256(key.encode()).digest(): "robot" for key in keys}

    async def authenticate(self, conn: Any) -> Any:
        key = conn.headers.get("x-api-key", "")
        owner = self.keys.get(sha256(key.encode()).digest())
        return None if owner is None else (AuthCredentials(["authenticated"]), SimpleUser(owner))


def _other_credentials(findings: Findings, issuer: Issuer, rounds: int) -> None:
    table = findings.table(
        "API keys and cookies",
        "As above. The keys are a mapping (from a function they are remembered for 30 s); the cookie carries an HS256 token. By hand: Starlette's "
        "AuthenticationMiddleware with the SHA-256 of the key in a dictionary.",
        "", "bare µs", "known: added µs", "known: × bare", "first seen: added µs", "first seen: × bare", "hits, lifetime",
    )  # fmt: skip
    keys = ["sk_live_" + secrets.token_urlsafe(32) for _ in range((rounds + 1) * FIRST_SEEN + 1)]
    verifier = APIKeyVerifier({key: APIKey("robot", scopes=["read"]) for key in keys})
    sent = [("x-api-key", key) for key in keys]
    cookies = [
        ("cookie", f"theme=dark; access_token={issuer.token()}") for _ in range((rounds + 1) * FIRST_SEEN + 1)
    ]
    by_cookie = apps.cookie_guard(issuer)
    mapped, until_exp = "100 %, as the mapping does not change", "100 %, until `exp`"
    cases = (
        ("API key, authguard on Starlette", apps.starlette, apps.guarded_starlette(Guard(verifier)), sent, mapped, False),
        ("API key, authguard on Flask", apps.flask_app, apps.guarded_flask(Guard(verifier)), sent, mapped, True),
        ("API key, Starlette by hand", apps.starlette, guarded(KeyBackend(keys)), sent, "none", False),
        ("cookie, authguard on Starlette", apps.starlette, apps.guarded_starlette(by_cookie), cookies, until_exp, False),
        ("cookie, authguard on Flask", apps.flask_app, apps.guarded_flask(by_cookie), cookies, until_exp, True),
    )  # fmt: skip
    for name, bare, app, (known, *fresh), lifetime, wsgi in cases:
        with asyncio.Runner() as runner:
            times = in_turns(
                {
                    "bare": timer(runner, bare(), [known], KNOWN, wsgi=wsgi),
                    "known": timer(runner, app, [known], KNOWN, wsgi=wsgi),
                    "first": timer(runner, app, fresh, FIRST_SEEN, wsgi=wsgi),
                },
                rounds,
            )
        known, first = Paired(times["bare"], times["known"]), Paired(times["bare"], times["first"])
        table.add(
            name, known.base_median, _pair(known.added, known.added_least), _pair(known.ratio, known.ratio_least),
            _pair(first.added, first.added_least), _pair(first.ratio, first.ratio_least), lifetime,
        )  # fmt: skip
        findings.values |= {f"{name}, known ×": known.ratio, f"{name}, known µs": known.added}


def _beside_pyjwt(findings: Findings, issuers: dict[str, Issuer], rounds: int) -> None:
    table = findings.table(
        "First-seen tokens beside PyJWT alone",
        "What the whole middleware adds on Starlette for a token that it has not seen, beside `jwt.decode` alone, "
        "with algorithms, audience and issuer given. PyJWT takes its key as text (the secret, or PEM, which it then "
        "reads for each token) or as a prepared key object, which for HS256 is the secret as bytes. **The ratio of the aims "
        "is against the key object**, which is PyJWT's faster form. The rows with `authguard[fast]` are the same guard, "
        "timed in the same rounds, with jiter and pybase64. First comes the signature alone, without which nobody can verify anything; then the floor, "
        "the least that can be done around it, which is no guard. Medians of the paired rounds, minima in brackets.",
        "", "signature alone µs", "× PyJWT, key object", "the floor adds µs", "× PyJWT, key object", "authguard adds µs", "PyJWT, key object µs", "× PyJWT, key object", "PyJWT, key text µs", "× PyJWT, key text",
    )  # fmt: skip
    for algorithm, issuer in issuers.items():
        prepared = jwt.get_algorithm_by_name(algorithm).prepare_key(issuer.verification)
        fresh = [issuer.token() for _ in range((rounds + 1) * FIRST_SEEN)]
        fields = [bearer(token) for token in fresh]
        with asyncio.Runner() as runner:
            app, fast = (apps.guarded_starlette(Guard(apps.jwt_verifier(issuer))) for _ in range(2))
            times = in_turns(
                {
                    "bare": timer(runner, apps.starlette(), fields, FIRST_SEEN),
                    "floor": timer(runner, floor.starlette(issuer), fields, FIRST_SEEN),
                    "guarded": timer(runner, app, fields, FIRST_SEEN),
                    "fast": _with_fast(timer(runner, fast, fields, FIRST_SEEN)),
                    "signature": _signatures(issuer, fresh),
                    "object": _decoder(prepared, algorithm, fresh),
                    "text": _decoder(issuer.verification, algorithm, fresh),
                },
                rounds,
            )
        least = Paired(times["bare"], times["floor"])
        floors = Paired(times["object"], _differences(least))
        alone = Paired(times["object"], times["signature"])
        for name, key in ((algorithm, "guarded"), (f"{algorithm}, authguard[fast]", "fast")):
            ours = Paired(times["bare"], times[key])
            objects, texts = (Paired(times[base], _differences(ours)) for base in ("object", "text"))
            table.add(
                name, _pair(alone.median, alone.least), _pair(alone.ratio, alone.ratio_least), _pair(least.added, least.added_least),
                _pair(floors.ratio, least.added_least / floors.base_least), _pair(ours.added, ours.added_least), _pair(objects.base_median, objects.base_least),
                _pair(objects.ratio, ours.added_least / objects.base_least), _pair(texts.base_median, texts.base_least),
                _pair(texts.ratio, ours.added_least / texts.base_least),
            )  # fmt: skip
            findings.values[f"cold, {name}, × PyJWT"] = objects.ratio
        findings.values[f"cold, {algorithm}, floor"] = floors.ratio


def _differences(pair: Paired) -> list[float]:
    """Return the difference between the second and the first, for each round."""
    return [b - a for a, b in zip(pair.base, pair.other, strict=True)]


def _with_fast(timed: Callable[[], float]) -> Callable[[], float]:
    def run() -> float:
        with with_fast():
            return timed()

    return run


def _signatures(issuer: Issuer, fresh: Sequence[str]) -> Callable[[], float]:
    check = floor.check(issuer)
    remaining = iter(fresh)

    def verify() -> float:
        batch = [next(remaining).encode().rpartition(b".") for _ in range(FIRST_SEEN)]
        ready = [(signed, floor.decoded(signature)) for signed, _, signature in batch]
        started = clock()
        for signed, signature in ready:
            check(signed, signature)
        return (clock() - started) / FIRST_SEEN * 1e6

    return verify


def _decoder(key: Any, algorithm: str, fresh: Sequence[str]) -> Callable[[], float]:
    remaining = iter(fresh)

    def decode() -> float:
        batch = [next(remaining) for _ in range(FIRST_SEEN)]
        started = clock()
        for token in batch:
            jwt.decode(token, key, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER)
        return (clock() - started) / FIRST_SEEN * 1e6

    return decode


def _refusals(findings: Findings, issuers: dict[str, Issuer], rounds: int) -> None:
    table = findings.table(
        "Refusals on Starlette",
        "Microseconds of the whole request, each token seen for the first time. The application is not reached, so "
        "that a refusal can cost less than the bare application's 200. Last column: lines logged by default.",
        "", "bare 200 µs", "accepting µs", "refusing µs", "× bare 200", "× accepting", "log lines",
    )  # fmt: skip
    cases = [("HS256", "none"), *((a, case) for a in issuers for case in ("expired", "forged"))]
    for algorithm, case in cases:
        issuer = issuers[algorithm]
        count = (rounds + 1) * FIRST_SEEN
        stranger = tokens.issuer(algorithm)
        make = {"none": lambda: "", "expired": issuer.expired, "forged": stranger.token}[case]
        good = [bearer(issuer.token()) for _ in range(count)]
        bad = [("x-nothing", "here")] if case == "none" else [bearer(make()) for _ in range(count)]
        logged = io.StringIO()
        with asyncio.Runner() as runner, contextlib.redirect_stderr(logged):
            app = apps.guarded_starlette(Guard(apps.jwt_verifier(issuer)))
            times = in_turns(
                {
                    "bare": timer(runner, apps.starlette(), good[:1], KNOWN),
                    "accept": timer(runner, app, good, FIRST_SEEN),
                    "refuse": timer(runner, app, bad, KNOWN if case == "none" else FIRST_SEEN),
                },
                rounds,
            )
        to_bare, to_accept = Paired(times["bare"], times["refuse"]), Paired(times["accept"], times["refuse"])
        table.add(
            "no credential: 401" if case == "none" else f"{case}, {algorithm}", to_bare.base_median, to_accept.base_median,
            _pair(to_bare.median, to_bare.least), _pair(to_bare.ratio, to_bare.ratio_least),
            "–" if case == "none" else _pair(to_accept.ratio, to_accept.ratio_least), str(len(logged.getvalue().splitlines())),
        )  # fmt: skip
        findings.values[f"{case}, {algorithm}, × bare"] = to_bare.ratio
        findings.values[f"{case}, {algorithm}, × accepting"] = to_accept.ratio


def _memory(findings: Findings, issuer: Issuer, count: int = 5000) -> None:
    guard = Guard(apps.jwt_verifier(issuer), cache_size=2 * count)

    async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

    app = AuthGuardMiddleware(nothing, guard=guard)
    scopes = [scope(bearer(issuer.token())) for _ in range(count)]

    async def fill() -> None:
        for each in scopes:
            await app(each, receive, send)

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    asyncio.run(fill())
    scopes.clear()
    gc.collect()
    used = (tracemalloc.get_traced_memory()[0] - before) / count / 1024
    tracemalloc.stop()
    table = findings.table(
        "Memory", "Of a remembered token with ten claims, by tracemalloc.", "", "KB for each of 5,000 tokens"
    )
    table.add("authguard", used)
    findings.values["memory KB"] = used


def _pair(median: float, least: float) -> str:
    return f"{median:.2f} ({least:.2f})"
