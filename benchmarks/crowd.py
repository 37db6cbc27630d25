"""Measure a crowd over real sockets: uvicorn, and a thousand connections with one unknown token."""

import asyncio
import contextlib
import gc
import selectors
import socket
import statistics
import time
from collections.abc import Sequence
from typing import Any

from authguard import Guard, IntrospectionVerifier
from benchmarks import apps
from benchmarks.report import Findings
from benchmarks.report import number as number_of
from benchmarks.sockets import serve_uvicorn, serving
from benchmarks.tokens import AUDIENCE
from benchmarks.traffic import USUAL_FIELDS, bearer
from benchmarks.upstream import DELAY, Upstream

CROWDS = (200, 1000)
TIMEOUT = 10


class Waiting:
    """Wait as the cheapest guard would: the first caller waits for the endpoint, the others for the first."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.calls: dict[bytes, asyncio.Future[None]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        token = next(value for name, value in scope["headers"] if name == b"authorization")
        if token not in self.calls:
            self.calls[token] = asyncio.ensure_future(asyncio.sleep(DELAY))
        await self.calls[token]
        await self.app(scope, receive, send)


def run(findings: Findings, endpoint: Upstream, rounds: int) -> None:
    """Send the crowds to both servers in turns, through open connections."""
    table = findings.table(
        "Introspection by a crowd, over sockets",
        "uvicorn with httptools and Starlette in one process, a client in another, connections that are open: all send the "
        "same token, which nobody knows yet, and the endpoint answers after "
        f"{DELAY * 1000:.0f} ms. How much longer than that a caller waits, from its own first byte to its answer, and from the "
        "first byte of all to the last answer; medians of the rounds. *Bare* has no guard, but the first of the crowd waits "
        "for as long as the endpoint takes, and the others for it: so the rest of its time is the server's own. "
        "*Added* is the median of the differences within a round.",
        "", "callers", "calls upstream", "p50 + ms", "p99 + ms", "p99, added ms", "all + ms",
    )  # fmt: skip
    verifier = IntrospectionVerifier(
        f"{endpoint.url}/i", client_id="api", client_secret="s", audience=AUDIENCE
    )
    built = {"bare": Waiting(apps.starlette()), "authguard": apps.guarded_starlette(Guard(verifier))}
    gc.collect()
    gc.freeze()  # so that the forked servers do not scan the loaded rivals in garbage collection
    with contextlib.ExitStack() as stack:
        stack.callback(gc.unfreeze)
        serve = serve_uvicorn("httptools")
        ports = {name: stack.enter_context(serving(serve, app)) for name, app in built.items()}
        for callers in CROWDS:
            crowds: dict[str, list[tuple[float, ...]]] = {name: [] for name in ports}
            for number in range(rounds):
                for name, port in ports.items():
                    crowds[name].append(_crowd(port, callers, f"{callers}-{number}", endpoint))
            added = statistics.median(
                ours[2] - bare[2] for ours, bare in zip(crowds["authguard"], crowds["bare"], strict=True)
            )
            for name, each in crowds.items():
                calls, p50, p99, last = (statistics.median(column) for column in zip(*each, strict=True))
                more = "" if name == "bare" else number_of(added)
                table.add(name, f"{callers:,}", f"{calls:.0f}", p50, p99, more, last)
            findings.values[f"crowd over sockets, {callers}, p99 added"] = added


def beyond(times: Sequence[tuple[float, float]], delay: float) -> tuple[float, float, float]:
    """Return how far median, 99th percentile and maximum of the durations are above a time."""
    waits = sorted(ended - started for started, ended in times)
    last = max(ended for _, ended in times) - min(started for started, _ in times)
    return waits[len(waits) // 2] - delay, waits[int(len(waits) * 0.99)] - delay, last - delay


def _request(token: str) -> bytes:
    fields = [*USUAL_FIELDS, bearer(token)]
    lines = ["GET /p HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _crowd(port: int, callers: int, token: str, endpoint: Upstream) -> tuple[float, ...]:
    """Return the number of calls, and median, 99th percentile and maximum above the endpoint's time in ms."""
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        connections = []
        for _ in range(callers):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT))
            selector.register(connection, selectors.EVENT_READ)
            connections.append(connection)
        _send(selector, connections, _request(f"warm-up-{token}"))
        before = endpoint.count("introspections")
        times = _send(selector, connections, _request(token))
        calls = endpoint.count("introspections") - before
    return calls, *(above * 1e3 for above in beyond(times, DELAY))


def _send(
    selector: selectors.BaseSelector, connections: list[socket.socket], message: bytes
) -> list[tuple[float, float]]:
    """Return when each connection sent the request, and when it received the answer."""
    started, ended = {}, {}
    answers = dict.fromkeys(connections, b"")
    for connection in connections:
        started[connection] = time.perf_counter()
        connection.sendall(message)
    while len(ended) < len(connections):
        ready = selector.select(TIMEOUT)
        if not ready:
            raise RuntimeError("the server does not answer")
        for key, _ in ready:
            connection: Any = key.fileobj
            answers[connection] += connection.recv(65536)
            if not answers[connection].startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"a good token was refused: {answers[connection]!r}")
            if answers[connection].endswith(b"\r\n\r\nok"):
                ended[connection] = time.perf_counter()
    return [(started[connection], ended[connection]) for connection in connections]
