"""Run the remote of the benchmark: introspection and keys, in a process of its own, with delayed answers."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks import sockets

DELAY = 0.05  # seconds


@dataclass(frozen=True)
class Documents:
    """Hold the answers of the remote.

    Attributes:
        active: for any token (RFC 7662).
        keys: the key set (RFC 7517).
    """

    active: dict[str, Any]
    keys: dict[str, Any]


@dataclass(frozen=True)
class Upstream:
    """Represent the endpoint for its clients."""

    url: str

    def count(self, what: str) -> int:
        """Return the number of requests for `introspections` or `keys`."""
        return int(httpx.get(f"{self.url}/count").json()[what])


@contextlib.contextmanager
def running(documents: Documents) -> Iterator[Upstream]:
    """Run the endpoint during the block."""
    with sockets.serving(_serve, documents) as port:
        yield Upstream(f"http://127.0.0.1:{port}")


def _serve(documents: Documents, listening: socket.socket) -> None:
    asyncio.run(_answer(documents, listening))


async def _answer(documents: Documents, listening: socket.socket) -> None:
    """Answer a request: POST is introspection, GET /keys the key set, GET /count the numbers of requests."""
    counts = {"introspections": 0, "keys": 0}

    async def document(method: bytes, path: bytes) -> dict[str, Any]:
        if path == b"/count":
            return counts
        what = "introspections" if method == b"POST" else "keys"
        counts[what] += 1
        await asyncio.sleep(DELAY)
        return documents.active if method == b"POST" else documents.keys

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in lines if line)
                await reader.readexactly(int(fields.get(b"content-length", 0)))
                method, path, _ = request.split(b" ")
                body = json.dumps(await document(method, path)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body)
                )
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, sock=listening, backlog=1024) as server:
        await server.serve_forever()
