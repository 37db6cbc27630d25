"""Define one row of the table of configurations, and prove that it guards."""

import asyncio
import contextlib
import io
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.pairing import Timer
from benchmarks.proof import ProofError
from benchmarks.traffic import Field, asgi_timer, environ, scope, wsgi_timer

BATCH = 300
FIRST = 10  # requests before a batch, which are not timed

Request = dict[str, Any]
Sent = Callable[[], list[Field]]  # a function that makes the fields of one request


@dataclass(frozen=True)
class Row:
    """Describe one way to guard an application.

    Attributes:
        name: its name in the tables.
        face: the kind of the bare application: `Starlette`, `FastAPI`,
            `Websocket` or `Flask`.
        app: the application.
        good: makes the fields of a request with a valid credential.
        bad: makes the fields of a request whose credential must be refused; None if the row is no guard.
        refusals: the allowed statuses for an invalid credential, and for none.
        without: the status for a request without a credential, if it is not refused.
        fresh: whether each request needs fields of its own.
        batch: the number of requests that are timed at once; fewer for a slow row.
        method: of the requests.
    """

    name: str
    face: str
    app: Any
    good: Sent
    bad: Sent | None
    refusals: tuple[int, ...] = (401,)
    without: int | None = None
    fresh: bool = False
    batch: int = BATCH
    method: str = "GET"

    def timer(self, runner: asyncio.Runner) -> Timer:
        """Return a function that times a batch of requests.

        Some requests come before the batch, so that it begins in the state of earlier rounds: a round takes
        longer than the second after which a file of keys or a shared store is checked again.
        """
        timer = _timer_of(self.face, runner)
        first = timer(self.app, lambda: self._batch(FIRST))
        timed = timer(self.app, lambda: self._batch(self.batch))

        def time() -> float:
            first()
            return timed()

        return time

    def _batch(self, number: int) -> list[Request]:
        if self.fresh:
            return [self.request(self.good()) for _ in range(number)]
        return [self.request(self.good())] * number

    def request(self, fields: Iterable[Field]) -> Request:
        """Return a request in the form of a server."""
        if self.face == "Flask":
            return {**environ(*fields), "REQUEST_METHOD": self.method}
        if self.face == "Websocket":
            handshake = scope(*fields, path="/ws")
            del handshake["method"]
            return {**handshake, "type": "websocket", "scheme": "ws", "subprotocols": []}
        return {**scope(*fields), "method": self.method}


def _timer_of(face: str, runner: asyncio.Runner) -> Callable[[Any, Callable[[], list[Request]]], Timer]:
    if face == "Flask":
        return wsgi_timer
    if face == "Websocket":
        return lambda app, batch: asgi_timer(runner, app, batch, receive=connect)
    return lambda app, batch: asgi_timer(runner, app, batch)


async def connect() -> dict[str, Any]:
    """Yield the messages that a websocket receives until it is accepted."""
    return {"type": "websocket.connect"}


def prove(row: Row, runner: asyncio.Runner) -> None:
    """Send requests with a valid credential, twice, with an invalid one, and with none.

    Raises:
        ProofError: if the answers are not those of a guard.
    """
    good = (200,)
    cases: list[tuple[str, list[Field], tuple[int, ...]]]
    cases = [("good", row.good(), good), ("good again", row.good(), good)]
    if row.bad is not None:
        without = row.refusals if row.without is None else (row.without,)
        cases += [("bad", row.bad(), row.refusals), ("no", [], without), ("good at last", row.good(), good)]
    for case, fields, wanted in cases:
        status = _ask(row, runner, row.request(fields))
        if status not in wanted:
            raise ProofError(f"{row.name} on {row.face}: {case} credential: {status}, not {wanted}")


def _ask(row: Row, runner: asyncio.Runner, request: Request) -> int:
    """Return the status of one request; 200 for an accepted handshake."""
    with _quiet():
        if row.face == "Flask":
            statuses: list[str] = []
            body = row.app(request, lambda status, headers, exc_info=None: statuses.append(status))
            list(body)
            if hasattr(body, "close"):
                body.close()
            return int(statuses[0].split()[0])
        sent: list[dict[str, Any]] = []

        async def collect(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect" if row.face == "Websocket" else "http.request"}

        extensions = {"extensions": {"websocket.http.response": {}}} if row.face == "Websocket" else {}
        runner.run(row.app({**request, **extensions, "state": {}}, receive, collect))
    return 200 if sent[0]["type"] == "websocket.accept" else int(sent[0]["status"])


@contextlib.contextmanager
def _quiet() -> Any:
    """Silence the log of refusals, because the proof reports them."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
