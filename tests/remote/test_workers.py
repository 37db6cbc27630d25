"""Servers with several processes, of which each has connections of its own."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from remote.servers import answer
from support import AUDIENCE, claims, ec_key, jwk, make_token
from wire.servers import launch, stop

KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}
SERVERS = {
    "gunicorn": ("gunicorn", "remote.workers:wsgi", "--preload", "--workers", "2"),
    "uvicorn": ("uvicorn", "remote.workers:asgi", "--workers", "2", "--lifespan", "off"),
}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("name", SERVERS)
def test_workers_share_no_connection(server, name):
    """Two workers share no connection with each other, or with the parent of gunicorn's `--preload`."""
    server.pages["/introspect"] = answer({"active": True, "sub": "ann", "aud": AUDIENCE})
    server.pages["/jwks"] = answer(KEYS)
    now = time.time()
    signed = make_token(claims(exp=now + 600, iat=now), algorithm="ES256", key=ec_key(), kid="a")
    kind, target, *options = SERVERS[name]
    running = launch(kind, target, {"UPSTREAM": server.url, "JWT": signed}, *options)
    try:

        def ask(token):
            got = running.send("/", f"Authorization: Bearer {token}")
            assert got.status == 200, got.raw
            assert got.field("x-user") == "ann"
            return got.field("x-process")

        served = {}
        with ThreadPoolExecutor(8) as pool:
            while len(set(served.values())) < 2 and len(served) < 1000:
                tokens = [f"opaque-{len(served) + number}" for number in range(16)]
                served.update(zip(tokens, pool.map(ask, tokens), strict=True))
            assert len({*pool.map(ask, [signed] * 16)} - {*served.values()}) == 0
    finally:
        stop(running)
    ports = {process: set() for process in {*served.values(), "import"}}
    for seen in server.seen:
        if seen.path == "/introspect":
            ports[served.get(seen.form["token"][0], "import")].add(seen.port)
    assert len(ports) == 3
    assert len(set.union(*ports.values())) == sum(map(len, ports.values()))
    assert server.count("/introspect") == len(served) + (1 if name == "gunicorn" else 2)
