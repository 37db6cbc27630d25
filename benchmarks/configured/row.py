"""One row of the table of configurations, and the proof that it guards."""

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
Sent = Callable[[], list[Field]]  # makes the fields of one request


@dataclass(frozen=True)
class Row:
    """One way to guard an application.

    Attributes:
        name: what the table calls it.
        face: `Starlette`, `FastAPI`, `Websocket` or `Flask`: what the bare application is.
        app: the application.
        good: makes the fields of a request with a good credential.
        bad: makes those of one whose credential must be refused; None for what is no guard.
        refusals: what the bad one, and none, may be answered with.
        without: what none is answered with instead, where that is enough.
        fresh: whether each request needs fields of its own.
        batch: how many requests are timed at once; fewer of what is slow.
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
        """Return what times a batch of requests.

        Some come before it, so that it begins with what was there in the rounds before: a round takes longer than the
        second for which a file of keys or a shared store is taken as it is.
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
        """Return a request as the server makes it."""
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
    """What a websocket receives until it is accepted."""
    return {"type": "websocket.connect"}


def prove(row: Row, runner: asyncio.Runner) -> None:
    """Ask with a good credential, twice, with a bad one and with none.

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
    """Return the status of one request; of a handshake that is accepted 200."""
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
    """Refusals are logged; the proof says what they were."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
