"""A guard with a shared store: memory answers while it is current, and a store that is down is a 503."""

import asyncio
from collections.abc import Iterator

import pytest

from authguard import Guard, JWTVerifier
from authguard._core.answer.decision import Allow, Deny, Known
from authguard.drivers import asynchronous, blocking
from authguard.stores.marks import make_mark
from authguard.testing import issue_token
from stores.fake_log import BOUND, NOW, World, revocations
from support import FakeRequest

SECRET = "sh4red-0nly-Secret-of-enough-bytes-2Kd"
TOKEN = issue_token(SECRET, now=NOW, sub="ada", jti="t1")
PRESENTED = [(b"authorization", f"Bearer {TOKEN}".encode())]
KEY = ("GET", "/me", "")


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def a_guard(world: World) -> Guard:
    """Return a guard of one process."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return Guard(verifier, revocations=revocations(world))


def recall(guard: Guard) -> object:
    """Return the outcome of the straight path."""
    return guard.recall(PRESENTED, KEY, NOW)


def decide(guard: Guard, *, in_loop: bool = False) -> Allow | Known | Deny:
    """Return the decision of the flow."""
    flow = guard.decide(FakeRequest(path="/me", headers=PRESENTED), NOW, None)
    return asyncio.run(asynchronous.run(flow)) if in_loop else blocking.run(flow)


def test_a_new_process_reads_the_log_before_it_answers(world: World) -> None:
    """A new process reads the log in the flow of its first request."""
    guard = a_guard(world)
    assert not isinstance(recall(guard), Known)
    assert isinstance(decide(guard), Allow)
    assert isinstance(recall(guard), Known)


def test_memory_that_is_older_than_the_bound_is_not_trusted(world: World) -> None:
    """Memory that is older than the bound is not used, and the flow reads the log."""
    guard = a_guard(world)
    decide(guard)
    world.monotonic += BOUND
    assert not isinstance(recall(guard), Known)
    assert isinstance(decide(guard), Allow)


@pytest.mark.parametrize("in_loop", [False, True], ids=["thread", "loop"])
def test_a_revocation_of_another_process_is_401(world: World, in_loop: bool) -> None:
    """A remembered credential that another process has revoked is a 401 after the bound."""
    guard = a_guard(world)
    decide(guard)
    assert isinstance(recall(guard), Known)
    world.marks.append(make_mark(token_id="t1", until=NOW + 60))
    world.monotonic += BOUND
    decision = decide(guard, in_loop=in_loop)
    assert isinstance(decision, Deny) and decision.refusal.status == 401
    assert not isinstance(recall(guard), Known)


@pytest.mark.parametrize("in_loop", [False, True], ids=["thread", "loop"])
def test_a_store_that_is_down_is_503(world: World, in_loop: bool) -> None:
    """A store that is down is a 503 with Retry-After."""
    guard = a_guard(world)
    decide(guard)
    world.down = True
    world.monotonic += BOUND
    decision = decide(guard, in_loop=in_loop)
    assert isinstance(decision, Deny) and decision.refusal.status == 503
    assert "retry-after" in dict(decision.refusal.headers)


def test_a_known_caller_is_looked_up_once_for_each_change(world: World) -> None:
    """A known caller is looked up once for each change of the log."""
    guard = a_guard(world)
    decide(guard)
    process = guard._logouts.store  # type: ignore[union-attr]
    marks = process._follower.marks  # type: ignore[attr-defined]
    known = recall(guard)
    assert isinstance(known, Known)
    assert known.revision == marks.revision
    world.marks.append(make_mark(token_id="another", until=NOW + 60))
    process._follower.step()  # type: ignore[attr-defined]
    assert known.revision != marks.revision
    assert recall(guard) is known
    assert known.revision == marks.revision


def test_a_process_after_a_fork_takes_no_revision_for_one_of_its_parent(world: World) -> None:
    """After a fork a known caller is looked up again, even if the child has read as many marks."""
    guard = a_guard(world)
    follower = guard._logouts.store._follower  # type: ignore[union-attr, attr-defined]
    world.marks = [make_mark(token_id="another", until=NOW + 60)]
    decide(guard)
    assert isinstance(recall(guard), Known)
    world.marks = [make_mark(token_id="t1", until=NOW + 60)]
    follower._begin_process()
    follower.step()
    assert not isinstance(recall(guard), Known)
    assert isinstance(decide(guard), Deny)


def test_health_tells_of_the_store(world: World) -> None:
    """The health of a guard has name, mode, lag, sequence and outages of the store."""
    guard = a_guard(world)
    assert [(each.name, each.state) for each in guard.health()] == [("store", "unused")]
    decide(guard)
    world.monotonic += BOUND / 2
    (told,) = guard.health()
    assert (told.state, told.mode, told.lag, told.sequence, told.reconnects) == (  # type: ignore[union-attr]
        "fresh", "pushed", BOUND / 2, 0, 0,
    )  # fmt: skip


def test_closing_a_guard_leaves_the_store_open(world: World) -> None:
    """Closing a guard leaves its store open."""
    guard = a_guard(world)
    decide(guard)
    guard.close()
    asyncio.run(guard.aclose())
    assert isinstance(recall(guard), Known)
