"""Quotas of several processes by each adapter: leases, refusals, the shutdown, and outages of the store."""

import asyncio
import json
import logging
from typing import Any

import pytest

from adapters.answering import GOOD, bearer
from adapters.faces import ASGI, ask_asgi
from adapters.quotas import EACH_FACE, World, remaining, rules
from authguard import Quota, Rule
from authguard.stores.counting.leases import LeasedQuotas
from stores.quota_backends import MemoryBackend

KNOWN = [bearer(GOOD)]
PER_MINUTE, PER_HOUR = Quota(40, 60), Quota(1000, 3600)


class Shared(World):
    """A guard with a store that processes share."""

    def __init__(self, *quotas: Quota, processes: int | None = None, **options: Any) -> None:
        self.backend = MemoryBackend()
        self.now = 1000.0
        store = LeasedQuotas(
            lambda timeout: self.backend,
            "memory://store",
            quotas_down="deny" if processes is None else "local",
            processes=processes,
            timeout=1.0,
            max_counters=1000,
            monotonic=lambda: self.now,
            tick=None,
        )
        store.keep()  # so that the store knows that it has no other process
        self.backend.calls.clear()
        super().__init__(quotas, store=store, **options)
        self.shared = store


@EACH_FACE
def test_a_quota_lets_its_count_through(ask: Any, make: Any) -> None:
    """The request above the quota is refused, and the fields have the remaining requests."""
    world = Shared(PER_MINUTE, PER_HOUR)
    app = make(world.guard, lambda: world.wall)
    answers = []
    for _ in range(41):
        world.now += 0.001
        answers.append(ask(app, "GET", "/private", KNOWN))
    assert [answer.status for answer in answers] == [200] * 40 + [429]
    assert [remaining(answer)["per-minute"] for answer in answers] == [*reversed(range(40)), 0]
    assert answers[-1].headers["retry-after"] == "61"
    assert json.loads(answers[-1].body)["violated-policies"] == ["per-minute"]
    assert len(world.backend.calls) < 20


@EACH_FACE
def test_a_store_that_is_down_is_no_fault_of_callers(ask: Any, make: Any) -> None:
    """An outage of the store is a 503 with Retry-After and a problem type, and without a challenge."""
    world = Shared(PER_MINUTE)
    app = make(world.guard, lambda: world.wall)
    world.backend.is_down = True
    for _ in range(3):
        answer = ask(app, "GET", "/private", KNOWN)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        problem = json.loads(answer.body)
        assert problem["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
        assert "www-authenticate" not in answer.headers
        assert b"memory" not in answer.body
    assert world.backend.calls == ["take"]
    (health,) = world.guard.health()
    assert (health.state, health.unavailable) == ("failing", 3)  # type: ignore[union-attr]


@EACH_FACE
def test_an_outage_has_no_line_for_each_request(
    ask: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the warning of the store, and no line for each refused request."""
    world = Shared(PER_MINUTE)
    app = make(world.guard, lambda: world.wall)
    world.backend.is_down = True
    assert [ask(app, "GET", "/private", KNOWN).status for _ in range(5)] == [503] * 5
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("authguard: memory://store cannot count quotas")


@EACH_FACE
def test_what_needs_no_quota_needs_no_store(ask: Any, make: Any) -> None:
    """A public path, a path without a cost and another refusal do not need the store."""
    world = Shared(PER_MINUTE, protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    world.backend.is_down = True
    assert ask(app, "GET", "/lenient", KNOWN).status == 200
    assert ask(app, "GET", "/elsewhere", KNOWN).status == 200
    assert ask(app, "GET", "/private", []).status == 401
    assert ask(app, "GET", "/admin", KNOWN).status == 403
    assert world.backend.calls == []


@EACH_FACE
def test_a_process_may_go_on_with_its_share(ask: Any, make: Any) -> None:
    """A process with a share admits a tenth of the quota during an outage, and then refuses by 429."""
    world = Shared(PER_MINUTE, PER_HOUR, processes=10)
    app = make(world.guard, lambda: world.wall)
    world.backend.is_down = True
    answers = [ask(app, "GET", "/private", KNOWN) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 4 + [429]
    assert [remaining(answer)["per-minute"] for answer in answers] == [3, 2, 1, 0, 0]


@EACH_FACE
def test_it_counts_again_when_the_store_is_back(ask: Any, make: Any) -> None:
    """Requests are counted again half a second after the store has recovered."""
    world = Shared(PER_MINUTE)
    app = make(world.guard, lambda: world.wall)
    world.backend.is_down = True
    assert ask(app, "GET", "/private", KNOWN).status == 503
    world.backend.is_down = False
    assert ask(app, "GET", "/private", KNOWN).status == 503
    world.now += 0.5
    assert ask(app, "GET", "/private", KNOWN).status == 200


@pytest.mark.parametrize("error", [ValueError("of a bug"), ConnectionError("refused"), TimeoutError()])
@EACH_FACE
def test_no_error_of_a_store_is_a_500(ask: Any, make: Any, error: Exception) -> None:
    """Each error of the store is a 503."""
    world = Shared(PER_MINUTE)
    app = make(world.guard, lambda: world.wall)
    world.backend.errors = [error]
    assert ask(app, "GET", "/private", KNOWN).status == 503


@pytest.mark.parametrize("make", ASGI.values(), ids=ASGI)
def test_what_is_borrowed_is_taken_by_the_event_loop(make: Any) -> None:
    """A request within the lease is counted in the event loop, without a worker thread."""
    world = Shared(PER_HOUR, protected_paths=["/private", Rule("/roles", cost=3)])
    app = make(world.guard, lambda: world.wall)
    for _ in range(2):
        world.now += 0.0001
        ask_asgi(app, "GET", "/private", KNOWN)

    def fail(*_: Any) -> Any:
        raise AssertionError("a thread was asked")

    world.shared.take = fail  # type: ignore[assignment]
    assert ask_asgi(app, "GET", "/private", KNOWN).status == 200
    assert ask_asgi(app, "GET", "/roles", KNOWN).status == 200


@pytest.mark.parametrize("make", [ASGI["starlette"], ASGI["fastapi"]], ids=["starlette", "fastapi"])
@pytest.mark.parametrize("is_down", [False, True])
def test_what_is_borrowed_is_given_back_when_the_application_shuts_down(make: Any, is_down: bool) -> None:
    """The lease is given back before the server learns of the shutdown, if the store is up."""
    world = Shared(PER_HOUR)
    app = make(world.guard, lambda: world.wall)
    for _ in range(2):
        world.now += 0.0001
        ask_asgi(app, "GET", "/private", KNOWN)
    assert world.backend.used() > 2
    world.backend.is_down = is_down
    used_at_end = _shut_down(app, world.backend.used)
    assert [used > 2 for used in used_at_end] == [is_down]


def test_a_store_that_lends_nothing_is_left_alone_when_the_application_shuts_down() -> None:
    """The shutdown of an application with an in-memory store calls no method of the store."""
    world = World([PER_HOUR])
    app = ASGI["starlette"](world.guard, lambda: world.wall)
    ask_asgi(app, "GET", "/private", KNOWN)
    assert _shut_down(app, lambda: 5) == [5]


def _shut_down(app: Any, look: Any) -> list[int]:
    """Start and shut down an application, and return the value of `look` before the shutdown completes."""
    seen: list[int] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            seen.append(look())

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))
    return seen
