"""Measure a flood of invalid tokens beside valid traffic: the cost for other callers, and lost memories."""

import asyncio
import secrets
import statistics
import tempfile
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware

from authguard import APIKey, APIKeyVerifier, Guard
from authguard.asgi import AuthGuardMiddleware
from benchmarks import apps, growth, sockets, tokens
from benchmarks.report import Findings
from benchmarks.sockets import load_together as load
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer
from benchmarks.traffic import ask_asgi, bearer

KNOWN = 1000
SECONDS, ROUNDS, CONNECTIONS = 1, 5, 8


def run(findings: Findings, issuer: Issuer, garbage: int) -> None:
    """Measure both parts.

    Args:
        findings: receives the tables.
        issuer: of the valid tokens.
        garbage: the number of invalid credentials to send in process.
    """
    _forgets(findings, garbage)
    _slows(findings, issuer)


def _forgets(findings: Findings, garbage: int) -> None:
    """Send garbage between two passes of known credentials, and count those that were verified again."""
    table = findings.table(
        "What a flood makes the guard forget",
        f"{KNOWN:,} credentials are known; then {garbage:,} distinct invalid ones of each kind come; then the known ones again.",
        "flood", "known ones that had to be verified again",
    )  # fmt: skip
    signer, stranger = growth.FastSigner(), growth.FastSigner()
    verifier = growth.Counting(signer.secret, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    keys = ["sk_live_" + secrets.token_urlsafe(32) for _ in range(KNOWN)]
    store = APIKeyVerifier({key: APIKey("robot") for key in keys})
    looked_up = _CountedLookup(keys)
    # Remembered for longer than the flood lasts, so that a repeated look-up means a lost entry, not an
    # expired one.
    by_function = APIKeyVerifier(looked_up, header="X-Other-Key", prefixes=["ok_"], cache_ttl=3600)
    guard = Guard(verifier, store)
    app = apps.starlette(Middleware(AuthGuardMiddleware, guard=guard))
    other = apps.starlette(Middleware(AuthGuardMiddleware, guard=Guard(by_function)))
    known = [bearer(signer.token(number)) for number in range(KNOWN)]
    lost = 0
    with asyncio.Runner() as runner:

        def send(to: Any, field: tuple[str, str], status: int) -> None:
            if ask_asgi(runner, to, field) != status:
                raise RuntimeError(f"a credential was not answered with {status}")

        for field in known:
            send(app, field, 200)
        for key in keys:
            send(other, ("x-other-key", key), 200)
        before = (verifier.lookups, looked_up.hits)
        for number in range(garbage):
            send(app, bearer(stranger.token(number)), 401)
        lookups = verifier.lookups
        for field in known:
            send(app, field, 200)
        table.add(f"{garbage:,} forged HS256 tokens", str(verifier.lookups - lookups))
        lost += verifier.lookups - lookups
        for _ in range(garbage // 10):
            send(other, ("x-other-key", "sk_live_" + secrets.token_urlsafe(32)), 401)
        for key in keys:
            send(other, ("x-other-key", key), 200)
        table.add(f"{garbage // 10:,} unknown API keys", str(looked_up.hits - before[1]))
        lost += looked_up.hits - before[1]
    findings.values["flood, lost entries"] = lost


class _CountedLookup:
    """Look up a key by its digest, like a query of a database, and count the calls."""

    def __init__(self, keys: list[str]) -> None:
        from authguard import digest_api_key

        self.keys = {digest_api_key(key): APIKey("robot") for key in keys}
        self.hits = 0

    async def __call__(self, digest: str) -> APIKey | None:
        key = self.keys.get(digest)
        self.hits += key is not None
        return key


def _slows(findings: Findings, issuer: Issuer) -> None:
    """Load one server with valid traffic: alone, beside a flood, and beside more valid traffic."""
    from benchmarks.rivals import starlette_pyjwt

    table = findings.table(
        "What a flood costs valid traffic",
        f"One uvicorn with httptools; {CONNECTIONS} connections with a known HS256 token, and as many that send "
        f"distinct forged ones; medians of {ROUNDS} runs of {SECONDS} second. The flood's share of the processor "
        "follows from the rates of both, beside their rates alone. Valid traffic's median may grow by 1 / (1 - "
        "share), since the two share one process: that is 1.00 in the last columns. The control is as much valid "
        "traffic again in the place of the flood. By hand: Starlette's AuthenticationMiddleware with PyJWT.",
        "", "valid alone: median ms", "beside the flood: median ms", "flood's share", "grew by × explained", "control",
    )  # fmt: skip
    for contestant in (apps.OURS[0], starlette_pyjwt.RIVAL):
        with (
            tempfile.TemporaryDirectory() as folder,
            sockets.serving(sockets.serve_uvicorn("httptools"), contestant.build(issuer)) as port,
        ):
            script = _script(Path(folder), issuer.algorithm)
            good = sockets.command(port, issuer.token(), SECONDS, CONNECTIONS)
            bad = sockets.command(port, None, SECONDS, CONNECTIONS, script)
            load(good)
            rounds = [(load(good), load(bad), load(good, bad), load(good, good)) for _ in range(ROUNDS)]
        alone = statistics.median(valid.median for (valid,), *_ in rounds)
        beside = statistics.median(both[0].median for _, _, both, _ in rounds)
        share = statistics.median(_share(*each[:3]) for each in rounds)
        grew = statistics.median(
            _grew(valid, both, _share(valid, bad, both)) for valid, bad, both, _ in rounds
        )
        control = statistics.median(_grew(valid, same, 0.5) for valid, _, _, same in rounds)
        table.add(contestant.name, alone, beside, f"{share:.0%}", grew, control)
        if contestant in apps.OURS:
            findings.values["flood, × share"] = grew / control


def _share(valid: list[sockets.Load], flood: list[sockets.Load], both: list[sockets.Load]) -> float:
    """Return the flood's share of the processor while both run."""
    work = both[1].rate / flood[0].rate
    return work / (work + both[0].rate / valid[0].rate)


def _grew(valid: list[sockets.Load], both: list[sockets.Load], share: float) -> float:
    """Return by how much the median grew, in comparison with the growth that the share explains."""
    return both[0].median / valid[0].median * (1 - share)


def _script(folder: Path, algorithm: str) -> Path:
    """Return the script that makes wrk send one forged token after the other."""
    stranger = tokens.issuer(algorithm)
    path = folder / "flood.lua"
    listed = ",\n".join(f'"Bearer {stranger.token()}"' for _ in range(1000))
    path.write_text(
        f"local tokens = {{\n{listed}\n}}\nlocal turn = 0\n"
        "request = function()\n  turn = turn % #tokens + 1\n"
        '  return wrk.format(nil, nil, {["Authorization"] = tokens[turn]})\nend\n'
    )
    return path
