"""What remote verification costs: `python -m benchmarks.remote`.

An introspection endpoint in a process of its own answers after 50 ms. Callers come all at once with
one token that nobody knows yet; then the token is known. Rivals are measured where they are installed
(`make bench` installs them); each is called as its manual says.
"""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from authguard import Guard, IntrospectionVerifier, JWTVerifier, RemoteKeySet
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token

DELAY = 0.05
AUDIENCE = "https://api.example"
ROUNDS = 5
ROUNDS_OF_A_THOUSAND = 2  # some rivals take half a minute for one
LIFETIME = 1200  # seconds, after which the endpoint ends by itself, should nobody end it
Verify = Callable[[str], Awaitable[Any]]


class Refused(Exception):
    """A good token was refused."""


# The endpoint


async def upstream(document: dict[str, Any], keys: dict[str, Any]) -> None:
    """Answer POST with the document after a while, GET /keys with the keys, and GET /count with a number."""
    calls = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"POST"):
                    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                    await reader.readexactly(int(fields[b"content-length"]))
                    calls += 1
                    await asyncio.sleep(DELAY)
                    answer: Any = document
                else:
                    answer = keys if head.startswith(b"GET /keys") else {"calls": calls}
                body = json.dumps(answer).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body)
                )
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.wait_for(server.serve_forever(), LIFETIME)


@contextlib.contextmanager
def running_upstream(document: dict[str, Any], keys: dict[str, Any]) -> Any:
    command = [sys.executable, "-m", "benchmarks.remote", json.dumps(document), json.dumps(keys)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def calls(url: str) -> int:
    return httpx.get(f"{url}/count").json()["calls"]


# Who is measured


def asgi(guard: Guard) -> tuple[AuthGuardMiddleware, Callable[[str], dict[str, Any]]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["user"].is_authenticated

    def scope(token: str) -> dict[str, Any]:
        return {
            "type": "http", "method": "GET", "path": "/", "root_path": "", "query_string": b"", "scheme": "http",
            "headers": [(b"host", b"x"), (b"accept", b"*/*"), (b"authorization", b"Bearer " + token.encode())],
        }  # fmt: skip

    return AuthGuardMiddleware(app, guard=guard), scope


async def nothing(*_: Any) -> None: ...


def ours(url: str) -> Verify:
    """A whole request through the middleware."""
    verifier = IntrospectionVerifier(f"{url}/i", client_id="api", client_secret="s", audience=AUDIENCE)
    middleware, scope = asgi(Guard(verifier))

    async def verify(token: str) -> None:
        await middleware(scope(token), nothing, nothing)

    return verify


def fastmcp(url: str) -> Verify:
    """The verifier alone, with its cache, which is off by default, switched on."""
    from fastmcp.server.auth.providers.introspection import IntrospectionTokenVerifier

    verifier = IntrospectionTokenVerifier(
        introspection_url=f"{url}/i", client_id="api", client_secret="s", cache_ttl_seconds=30
    )

    async def verify(token: str) -> None:
        if await verifier.verify_token(token) is None:
            raise Refused  # a good token: it says so when the endpoint does not answer in time

    return verify


def authlib(url: str) -> Verify:
    """The validator alone, as in its manual, blocking, in as many threads as there are callers."""
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


# Measuring


async def crowd(verify: Verify, token: str, callers: int) -> tuple[list[float], int]:
    """Seconds that each of the callers waits, who come all at once, and how many are refused."""
    refused = 0

    async def one() -> float:
        nonlocal refused
        started = time.perf_counter()
        try:
            await verify(token)
        except Exception:
            refused += 1
        return time.perf_counter() - started

    return await asyncio.gather(*[one() for _ in range(callers)]), refused


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def measure(name: str, make: Callable[[str], Verify], url: str, callers: int) -> None:
    """Print one line, of medians of rounds.

    Calls upstream, good tokens refused, how much longer than the endpoint a caller waits, and processor
    time for each caller, which a busy machine does not change.
    """
    try:
        verify = make(url)
    except ImportError:
        print(f"{name:<26}{callers:>8}   not installed")
        return
    await verify("warm-up")
    asked, waits, refusals, computed = [], [], [], []
    for number in range(ROUNDS if callers < 1000 else ROUNDS_OF_A_THOUSAND):
        before, started = calls(url), time.process_time()
        taken, refused = await crowd(verify, f"token-{name[:4]}-{callers}-{number}", callers)
        computed.append((time.process_time() - started) / callers)
        waits.append(taken)
        refusals.append(refused)
        asked.append(calls(url) - before)
    middle = statistics.median(percentile(wait, 0.5) for wait in waits) - DELAY
    most = statistics.median(percentile(wait, 0.99) for wait in waits) - DELAY
    print(
        f"{name:<26}{callers:>8}{statistics.median(asked):>8.0f}{statistics.median(refusals):>9.0f}"
        f"{middle * 1e3:>10.1f}{most * 1e3:>10.1f}{statistics.median(computed) * 1e6:>10.0f}",
        flush=True,
    )


async def warm(verify: Verify, token: str, number: int) -> float:
    """Microseconds of processor time for a known token: the best of rounds."""
    await verify(token)
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(number):
            await verify(token)
        best = min(best, time.process_time() - started)
    return best / number * 1e6


async def request_with(middleware: AuthGuardMiddleware, scope: dict[str, Any], token: str) -> None:
    await middleware(dict(scope), nothing, nothing)


async def warm_paths(key: ec.EllipticCurvePrivateKey, keys: dict[str, Any], url: str) -> None:
    """Local keys, remote keys and introspection: once a token is known they are the same path."""
    token = issue_token(key, algorithm="ES256", headers={"kid": "a"}, iss=url, aud=AUDIENCE)
    options: dict[str, Any] = {"algorithms": ["ES256"], "issuer": url, "audience": AUDIENCE}
    verifiers = {
        "local keys": JWTVerifier(keys, **options),
        "remote keys": JWTVerifier(RemoteKeySet(f"{url}/keys"), **options),
        "introspection": IntrospectionVerifier(
            f"{url}/i", client_id="api", client_secret="s", audience=AUDIENCE
        ),
    }
    paths = {}
    for name, verifier in verifiers.items():
        middleware, scope = asgi(Guard(verifier))

        paths[name] = partial(request_with, middleware, scope(token))
    times: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(10):
        for name, verify in paths.items():
            times[name].append(await warm(verify, token, 2000))
    local = min(times["local keys"])
    for name, taken in times.items():
        print(f"{name:<26}{min(taken):>10.2f}{min(taken) / local:>10.2f}", flush=True)


async def main() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public: Any = json.loads(ECAlgorithm.to_jwk(key.public_key()))
    keys = {"keys": [{**public, "kid": "a", "alg": "ES256"}]}
    document = {"active": True, "sub": "ann", "client_id": "app", "aud": AUDIENCE, "scope": "read"}
    with running_upstream(document, keys) as url:
        print(
            f"{'cold introspection':<26}{'callers':>8}{'calls':>8}{'refused':>9}"
            f"{'p50 + ms':>10}{'p99 + ms':>10}{'CPU µs':>10}"
        )
        for callers in (1, 200, 1000):
            for name, make in {"authguard": ours, "fastmcp": fastmcp, "Authlib, threads": authlib}.items():
                await measure(name, make, url, callers)
        print(f"\n{'warm introspection':<26}{'µs':>10}")
        for name, make, number in (
            ("authguard", ours, 2000),
            ("fastmcp", fastmcp, 2000),
            ("Authlib, threads", authlib, 5),
        ):
            with contextlib.suppress(ImportError):
                print(f"{name:<26}{await warm(make(url), 'known', number):>10.1f}", flush=True)
        print(f"\n{'warm request':<26}{'µs':>10}{'× local':>10}")
        await warm_paths(key, keys, url)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(upstream(json.loads(sys.argv[1]), json.loads(sys.argv[2])))
    else:
        asyncio.run(main())
