"""What the guard adds to a request, in this process: `make bench`.

Bare and guarded application run in turns, so that a drifting machine slows both alike; medians
of the differences are printed, and ratios are what to quote.
"""

import asyncio
import gc
import platform
import secrets
import statistics
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import flask
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from authguard import APIKey, APIKeyVerifier, Guard, JWTVerifier, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.flask import init_app
from authguard.testing import issue_token

ISSUER, AUDIENCE = "https://issuer.example", "https://api.example"
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "email": "ada@example.com", "sid": "s" * 22}
ROUNDS, REQUESTS, FIRST_SEEN = 40, 500, 2000
FIELDS = [
    (name, b"something")
    for name in (b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection",
                 b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"referer", b"x-request-id")
]  # fmt: skip


def signers() -> dict[str, tuple[Any, Any]]:
    """Signing and verification key for each algorithm."""
    secret = secrets.token_urlsafe(40)
    pairs: dict[str, tuple[Any, Any]] = {"HS256": (secret, secret)}
    for name, key in {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }.items():
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        pairs[name] = (key, public.decode())
    return pairs


def scope(*fields: tuple[bytes, bytes], path: str = "/p") -> dict[str, Any]:
    """A request as uvicorn hands it over."""
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("::1", 1),
        "server": ("::1", 80), "extensions": {}, "headers": [*FIELDS, *fields],
    }  # fmt: skip


def bearer(token: str) -> tuple[bytes, bytes]:
    return (b"authorization", b"Bearer " + token.encode())


async def receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Any) -> None: ...


async def time_asgi(app: Any, scopes: list[dict[str, Any]]) -> float:
    """Microseconds a request."""
    started = time.perf_counter()
    for one in scopes:
        await app({**one, "state": {}}, receive, send)
    return (time.perf_counter() - started) / len(scopes) * 1e6


def starlette(guard: Guard | None) -> Starlette:
    async def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/p", page)])
    if guard is not None:
        app.add_middleware(AuthGuardMiddleware, guard=guard)
    return app


async def paired(guard: Guard, *fields: tuple[bytes, bytes]) -> tuple[float, float]:
    """Median added microseconds, and ratio to bare, for a credential that is known."""
    bare, guarded, scopes = starlette(None), starlette(guard), [scope(*fields)] * REQUESTS
    await time_asgi(guarded, scopes)
    added, base = [], []
    for _ in range(ROUNDS):
        base.append(await time_asgi(bare, scopes))
        added.append(await time_asgi(guarded, scopes) - base[-1])
    return statistics.median(added), 1 + statistics.median(added) / statistics.median(base)


async def first_seen(
    guard: Guard, key: Any, algorithm: str, decode: Callable[[str], Any]
) -> tuple[float, float]:
    """Median added microseconds for a token never seen, and the ratio to PyJWT.decode alone."""
    tokens = [issue_token(key, algorithm=algorithm, jti=str(n), **CLAIMS) for n in range(FIRST_SEEN)]
    bare, guarded = starlette(None), starlette(guard)
    await time_asgi(bare, [scope()])
    await time_asgi(guarded, [scope()])
    added, alone = [], []
    for start in range(0, FIRST_SEEN, 50):
        some = tokens[start : start + 50]
        scopes = [scope(bearer(token)) for token in some]
        base = await time_asgi(bare, scopes)
        added.append(await time_asgi(guarded, scopes) - base)
        started = time.perf_counter()
        for token in some:
            decode(token)
        alone.append((time.perf_counter() - started) / len(some) * 1e6)
    return statistics.median(added), statistics.median(added) / statistics.median(alone)


def time_wsgi(app: Any, environ: dict[str, Any]) -> float:
    started = time.perf_counter()
    for _ in range(REQUESTS):
        app(dict(environ), lambda status, headers, exc_info=None: None)
    return (time.perf_counter() - started) / REQUESTS * 1e6


def flask_pair(guard: Guard, token: str) -> tuple[float, float]:
    """The same for Flask."""

    def build() -> flask.Flask:
        app = flask.Flask("bench")
        app.add_url_rule("/p", view_func=lambda: "ok", endpoint="p")
        return app

    bare, guarded = build(), build()
    init_app(guarded, guard)
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/p", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "x",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "HTTP_HOST": "x",
        "HTTP_ACCEPT": "*/*", "HTTP_USER_AGENT": "x", "HTTP_AUTHORIZATION": f"Bearer {token}",
    }  # fmt: skip
    time_wsgi(guarded, environ)
    added, base = [], []
    for _ in range(ROUNDS):
        base.append(time_wsgi(bare, environ))
        added.append(time_wsgi(guarded, environ) - base[-1])
    return statistics.median(added), 1 + statistics.median(added) / statistics.median(base)


def memory_of_known(key: Any, public: Any) -> float:
    """Kilobytes for each remembered principal."""
    guard = Guard(JWTVerifier(public, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE))

    async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

    app = AuthGuardMiddleware(nothing, guard=guard)
    scopes = [scope(bearer(issue_token(key, jti=str(n), scopes=["read"], **CLAIMS))) for n in range(5000)]

    async def fill() -> None:
        for one in scopes:
            await app(one, receive, send)

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    asyncio.run(fill())
    scopes.clear()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / 5000 / 1024


def with_rules(number: int, verifier: JWTVerifier) -> Guard:
    rules = [Rule(f"/area{n}/*/part", scopes=[f"s{n % 7}"]) for n in range(number - 1)]
    return Guard(verifier, protected_paths=[*rules, "/p"])


def main() -> None:
    pairs = signers()
    names = ("pyjwt", "cryptography", "starlette", "flask")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names))
    print(f"\n{'known credential':<34}{'added µs':>10}{'× bare':>10}")

    def row(name: str, numbers: tuple[float, float]) -> None:
        print(f"{name:<34}{numbers[0]:>10.2f}{numbers[1]:>10.2f}", flush=True)

    key, public = pairs["HS256"]
    verifier = JWTVerifier(public, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    token = issue_token(key, scopes=["read"], **CLAIMS)
    row("Starlette, token", asyncio.run(paired(Guard(verifier), bearer(token))))
    api_key = "sk_live_" + secrets.token_urlsafe(32)
    keys = Guard(APIKeyVerifier({api_key: APIKey("robot")}))
    row("Starlette, API key", asyncio.run(paired(keys, (b"x-api-key", api_key.encode()))))
    for number in (10, 10_000):
        row(
            f"Starlette, token, {number} rules",
            asyncio.run(paired(with_rules(number, verifier), bearer(token))),
        )
    row("Flask, token", flask_pair(Guard(verifier), token))

    print(f"\n{'first-seen token, Starlette':<34}{'added µs':>10}{'× PyJWT':>10}")
    for algorithm, (signing, verification) in pairs.items():
        guard = Guard(JWTVerifier(verification, algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE))
        prepared = jwt.get_algorithm_by_name(algorithm).prepare_key(verification)

        def decode(text: str, key: Any = prepared, algorithm: str = algorithm) -> Any:
            return jwt.decode(text, key, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER)

        row(algorithm, asyncio.run(first_seen(guard, signing, algorithm, decode)))
    print(f"\n{'memory of a remembered principal':<34}{memory_of_known(key, public):>10.2f} KB")


if __name__ == "__main__":
    main()
