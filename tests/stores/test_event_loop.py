"""Revocations and proofs in an event loop, which they never block while the store hangs."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest

from authguard import MemoryRevocations, Principal, VerificationUnavailableError
from authguard._core.flow import Call
from authguard.drivers import asynchronous
from authguard.stores import RedisStore
from authguard.stores.log import StoreDownError
from authguard.stores.replays import Replays
from stores.servers import RedisServer

BOUND = 0.5


@pytest.fixture(name="store")
def _store(server: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(server.url, bound=BOUND)
    yield store
    store.close()


@pytest.fixture(name="hung")
def _hung(server: RedisServer, store: RedisStore) -> Iterator[RedisStore]:
    """Yield a store whose server accepts connections and does not answer."""
    store.replays("connected", 5)
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    yield store
    server.process.send_signal(signal.SIGCONT)


def turns_during(waiting: Awaitable[Any]) -> tuple[Any, int]:
    """Return the outcome, and the number of turns of the loop meanwhile."""

    async def count() -> tuple[Any, int]:
        task, turns = asyncio.ensure_future(waiting), 0
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return task.exception() or task.result(), turns

    return asyncio.run(count())


@pytest.mark.slow
def test_a_revocation_from_an_event_loop_holds(store: RedisStore) -> None:
    """`arevoke` revokes as `revoke` does, with the same receipt."""
    caller = Principal("ada", token_id="t1")
    assert not store.revocations.is_revoked(caller)
    receipt = asyncio.run(store.revocations.arevoke(token_id="t1", until=time.time() + 60, wait=True))
    assert receipt.sequence == 1
    assert store.revocations.is_known_revoked(caller)


def test_revocations_in_memory_have_it_too() -> None:
    """Revocations in memory have `arevoke` too, so that a store can replace them."""
    revocations = MemoryRevocations()
    asyncio.run(revocations.arevoke(session="s1", until=time.time() + 60))
    assert revocations.is_revoked(Principal("ada", claims={"sid": "s1"}))


@pytest.mark.slow
def test_revoking_does_not_block_the_loop(hung: RedisStore) -> None:
    """`arevoke` does not block the loop while the store hangs, and ends as an outage."""
    outcome, turns = turns_during(hung.revocations.arevoke(token_id="t1", until=time.time() + 60))
    assert isinstance(outcome, VerificationUnavailableError)
    assert turns > 100


@pytest.mark.slow
def test_asking_for_a_proof_does_not_block_the_loop(hung: RedisStore) -> None:
    """The question about a proof does not block the loop while the store hangs."""
    outcome, turns = turns_during(asynchronous.ask(Call(hung.replays, "digest", 5)))
    assert isinstance(outcome, VerificationUnavailableError)
    assert turns > 100


class Fake:
    """Be a store that can be down, with a clock."""

    def __init__(self) -> None:
        self.now, self.calls, self.down = 0.0, 0, False

    def use(self, digest: str, seconds: int) -> bool:
        """Return True, or raise while the store is down."""
        self.calls += 1
        if self.down:
            raise StoreDownError("down")
        return True


def test_a_store_that_is_down_is_asked_by_few() -> None:
    """While the store is down, one call in each pause reaches it, and the others are refused at once."""
    fake = Fake()
    replays = Replays(fake.use, "store", pause=1.0, monotonic=lambda: fake.now)
    assert replays("digest", 5)
    fake.down = True
    for _ in range(50):
        with pytest.raises(VerificationUnavailableError, match="down"):
            replays("digest", 5)
    assert fake.calls == 2
    fake.now, fake.down = 1.0, False
    assert replays("digest", 5)
    assert replays("digest", 5)


def test_while_one_asks_again_the_others_do_not_wait() -> None:
    """While one call tries the store again, the other calls are refused."""
    fake = Fake()
    refused: list[str] = []
    replays: Replays

    def use(digest: str, seconds: int) -> bool:
        if digest == "again":
            with pytest.raises(VerificationUnavailableError):
                replays("other", 5)
            refused.append("other")
        return fake.use(digest, seconds)

    replays = Replays(use, "store", pause=1.0, monotonic=lambda: fake.now)
    fake.down = True
    with pytest.raises(VerificationUnavailableError):
        replays("first", 5)
    fake.now, fake.down = 1.0, False
    assert replays("again", 5)
    assert (refused, replays("other", 5)) == (["other"], True)
