"""Measure a flood of tokens with unknown keys: the waiting time of valid tokens beside it."""

import asyncio
import base64
import logging
import secrets
import statistics
import tempfile
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import Route

from authguard import Guard, JWTVerifier, RemoteKeySet
from authguard.testing import issue_token
from benchmarks import apps, sockets
from benchmarks.report import Findings
from benchmarks.rivals.mcp_bearer import endpoint as mcp_endpoint
from benchmarks.tokens import AUDIENCE, ISSUER
from benchmarks.upstream import DELAY, Upstream

SECONDS, CONNECTIONS = 1, 8
GOOD = 3000  # more than one caller sends in a run


def authguard(url: str) -> Starlette:
    verifier = JWTVerifier(RemoteKeySet(url), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
    return apps.guarded_starlette(Guard(verifier))


def fastmcp(url: str) -> Starlette:
    from fastmcp.server.auth.middleware import RequireAuthMiddleware
    from fastmcp.server.auth.providers.jwt import JWTVerifier

    logging.getLogger("fastmcp").setLevel(logging.WARNING)  # log lines on a terminal would slow it down
    verifier = JWTVerifier(jwks_uri=url, algorithm="ES256", issuer=ISSUER, audience=AUDIENCE)
    route = Route("/p", RequireAuthMiddleware(mcp_endpoint, []))
    return Starlette(routes=[route], middleware=verifier.get_middleware())


def by_hand(url: str) -> Starlette:
    """Return Starlette's AuthenticationMiddleware with PyJWT's blocking client in a thread."""
    client = jwt.PyJWKClient(url)

    def check(token: str) -> Any:
        key = client.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, ["ES256"], audience=AUDIENCE, issuer=ISSUER)

    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            token = conn.headers.get("authorization", "").removeprefix("Bearer ")
            try:
                claims = await asyncio.to_thread(check, token)
            except jwt.PyJWTError:
                raise AuthenticationError("invalid token") from None
            return AuthCredentials(["authenticated"]), SimpleUser(claims["sub"])

    return apps.starlette(Middleware(AuthenticationMiddleware, backend=Backend()))


CONTESTANTS = {
    "authguard": authguard,
    "fastmcp JWTVerifier": fastmcp,
    "PyJWT's PyJWKClient, threads": by_hand,
}


def run(
    findings: Findings, key: ec.EllipticCurvePrivateKey, kid: str, endpoint: Upstream, rounds: int
) -> None:
    """Load each server: one caller alone, beside the flood, and beside as much valid traffic.

    Args:
        findings: receives the table.
        key: of the valid tokens.
        kid: the name of their key.
        endpoint: serves the key set.
        rounds: the number of rounds.
    """
    table = findings.table(
        "Good tokens beside a flood of unknown keys",
        f"One caller with good ES256 tokens, each sent for the first time, and {CONNECTIONS} connections that send "
        "tokens of which each names another key that is in no key set. uvicorn with httptools; the key set is by URL, and comes "
        f"after {DELAY * 1000:.0f} ms. Milliseconds until the caller has its answer; medians of {rounds} runs of {SECONDS} second. The "
        "control is as much valid traffic in the place of the flood. Fetches of the key set are those of all runs.",
        "", "alone: p50, p99 ms", "beside the flood: p50, p99 ms", "control: p50, p99 ms", "good ones refused", "flood/s", "fetches",
    )  # fmt: skip
    for name, build in CONTESTANTS.items():
        app, before = build(f"{endpoint.url}/keys"), endpoint.count("keys")
        with (
            tempfile.TemporaryDirectory() as folder,
            sockets.serving(sockets.serve_uvicorn("httptools"), app) as port,
        ):
            sockets.load(port, _token(key, kid))  # the key set is loaded after this
            loads = [_round(port, key, kid, Path(folder)) for _ in range(rounds)]
        alone, beside, flood, control = zip(*loads, strict=True)
        p99 = statistics.median(load.p99 for load in beside)
        refused = sum(load.refused for load in (*alone, *beside))
        rate = statistics.median(load.rate for load in flood)
        fetches = endpoint.count("keys") - before
        table.add(name, _both(alone), _both(beside), _both(control), f"{refused:,}", rate, f"{fetches:,}")
        findings.values[f"unknown keys, {name}, p99"] = p99 if refused == 0 else float("inf")


def _both(loads: tuple[sockets.Load, ...]) -> str:
    p50, p99 = (statistics.median(getattr(load, name) for load in loads) for name in ("median", "p99"))
    return f"{p50:.1f}, {p99:.1f}"


def _round(port: int, key: ec.EllipticCurvePrivateKey, kid: str, folder: Path) -> list[sockets.Load]:
    """Load a server with the caller alone, then also with the flood, and then also with valid traffic."""

    def good(connections: int) -> list[str]:
        script = _good(folder / f"good-{secrets.token_hex(4)}.lua", key, kid)
        return sockets.command(port, None, SECONDS, connections, script)

    flood = sockets.command(port, None, SECONDS, CONNECTIONS, _unknown(folder / "unknown.lua"))
    known = sockets.command(port, _token(key, kid), SECONDS, CONNECTIONS)
    (alone,) = sockets.load_together(good(1))
    beside, flooding = sockets.load_together(good(1), flood)
    control, _ = sockets.load_together(good(1), known)
    return [alone, beside, flooding, control]


def _token(key: ec.EllipticCurvePrivateKey, kid: str) -> str:
    headers = {"typ": "at+jwt", "kid": kid}
    return issue_token(
        key,
        algorithm="ES256",
        headers=headers,
        expires_in=3600,  # a run may take long
        iss=ISSUER,
        aud=AUDIENCE,
        sub="ann",
        jti=secrets.token_hex(8),
    )


def _good(path: Path, key: ec.EllipticCurvePrivateKey, kid: str) -> Path:
    """Return the script that makes wrk send one valid token after the other."""
    listed = ",\n".join(f'"Bearer {_token(key, kid)}"' for _ in range(GOOD))
    path.write_text(
        f"local tokens = {{\n{listed}\n}}\nlocal turn = 0\n"
        "request = function()\n  turn = turn % #tokens + 1\n"
        '  return wrk.format(nil, nil, {["Authorization"] = tokens[turn]})\nend\n'
    )
    return path


def _unknown(path: Path) -> Path:
    """Return the script that makes wrk send tokens of which no two name the same key."""
    before = _encoded(b'{"alg":"ES256", "kid": "')  # 24 bytes, so that the rest begins with a whole group
    after = _encoded(b'","typ":"at+jwt"}')
    payload = _encoded(
        b'{"iss":"%s","aud":"%s","sub":"ann","exp":4102444800}' % (ISSUER.encode(), AUDIENCE.encode())
    )
    signature = _encoded(secrets.token_bytes(64))
    groups = ",".join(f'"{_encoded(f"{number:03}".encode())}"' for number in range(1000))
    path.write_text(
        f"local groups = {{{groups}}}\nmath.randomseed({secrets.randbits(31)})\n"
        "local function some() return groups[math.random(#groups)] end\n"
        "request = function()\n"
        f'  local token = "Bearer {before}" .. some() .. some() .. some() .. some() .. "{after}.{payload}.{signature}"\n'
        '  return wrk.format(nil, nil, {["Authorization"] = token})\nend\n'
    )
    return path


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
