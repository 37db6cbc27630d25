"""Following a log: until when memory may be trusted, and what happens when the store is down or forgets."""

import logging
import threading
from collections.abc import Iterator

import pytest

from authguard import Principal, VerificationUnavailableError
from authguard.stores.follower import Follower
from authguard.stores.log import StoreDownError
from authguard.stores.marks import make_mark
from authguard.stores.revocations import SharedRevocations
from stores.fake_log import BOUND, NOW, FakeLog, World, revocations


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def principal(name: str = "t1") -> Principal:
    """The caller with a token."""
    return Principal("ada", token_id=name)


def revoke(world: World, name: str = "t1") -> None:
    """Revoke by another process."""
    world.marks.append(make_mark(token_id=name, until=NOW + 60))


def test_the_first_request_reads_the_log(world: World) -> None:
    """What was revoked before the process began is known to it."""
    revoke(world)
    process = revocations(world)
    assert not process.is_current()
    assert process.is_revoked(principal())
    assert process.is_current()


def test_memory_answers_within_the_bound(world: World) -> None:
    """Without asking the store."""
    process = revocations(world)
    process.is_revoked(principal())
    world.monotonic += BOUND - 0.001
    world.down = True
    assert not process.is_revoked(principal())
    assert world.readings == 1


def test_beyond_the_bound_the_log_is_read_first(world: World) -> None:
    """So that nothing is accepted later than the bound after its revocation."""
    process = revocations(world)
    process.is_revoked(principal())
    revoke(world)
    world.monotonic += BOUND
    assert process.is_revoked(principal())


def test_a_store_that_is_down_is_an_outage(world: World) -> None:
    """Beyond the bound, and not within; and the store is not asked by each request then."""
    process = revocations(world)
    process.is_revoked(principal())
    world.down = True
    world.monotonic += BOUND
    for _ in range(3):
        with pytest.raises(VerificationUnavailableError, match="the store is down"):
            process.is_revoked(principal())
    world.down = False
    with pytest.raises(VerificationUnavailableError):
        process.is_revoked(principal())
    world.monotonic += BOUND / 3
    assert not process.is_revoked(principal())
    assert process.health().reconnects == 1


def test_stale_memory_answers_for_as_long_as_it_is_told(world: World) -> None:
    """Where an operator prefers that to an outage."""
    process = revocations(world, stale=5.0)
    revoke(world)
    process.is_revoked(principal())
    world.down = True
    world.monotonic += BOUND
    assert process.is_revoked(principal())
    assert not process.is_revoked(principal("t2"))
    assert process.health().mode == "stale"
    world.monotonic += 5.0
    with pytest.raises(VerificationUnavailableError):
        process.is_revoked(principal())


def test_a_process_that_never_read_the_log_does_not_answer_from_stale_memory(world: World) -> None:
    """It has none."""
    world.down = True
    with pytest.raises(VerificationUnavailableError):
        revocations(world, stale=5.0).is_revoked(principal())


def test_a_store_that_has_lost_its_log_gets_it_back(world: World) -> None:
    """From a living process; a new one does not take the empty log for the truth."""
    revoke(world)
    living = revocations(world)
    assert living.is_revoked(principal())
    world.forget()
    late = threading.Thread(target=lambda: results.append(revocations(world).is_revoked(principal())))
    results: list[bool] = []
    late.start()
    world.monotonic += BOUND / 3
    living._follower.step()
    assert [mark.name for mark in world.marks] == ["t1"]
    world.monotonic += BOUND
    late.join(10)
    assert results == [True]
    assert living.is_revoked(principal())


def test_a_log_that_is_new_is_not_trusted_at_once(world: World) -> None:
    """Processes need a moment to write back what they hold."""
    world.forget()
    process = revocations(world)
    assert process._follower.step() == BOUND
    assert not process.is_current()
    world.monotonic += BOUND
    assert process._follower.step() == 0.0
    assert process.is_current()


def test_a_request_waits_for_a_new_log_that_the_thread_has_read(world: World) -> None:
    """It is no outage: the log is old enough a moment later."""
    world.forget()
    process = revocations(world)
    assert process._follower.step() == BOUND  # as the thread does

    def grow_older() -> None:
        world.began -= BOUND

    world.on_read = grow_older
    assert not process.is_revoked(principal())


def test_too_many_marks_for_memory_are_asked_for_one_by_one(world: World) -> None:
    """Nothing is forgotten: each request asks the store."""
    for number in range(12):
        revoke(world, f"t{number}")
    process = revocations(world, max_marks=10)
    assert process.is_revoked(principal("t3"))
    assert not process.is_revoked(principal("other"))
    assert process.health().mode == "checking"
    world.down = True
    world.monotonic += BOUND
    with pytest.raises(VerificationUnavailableError):
        process.is_revoked(principal("t3"))


def test_a_copy_that_lacks_marks_is_not_used_while_the_rest_is_read(world: World) -> None:
    """The marks of the next page have no room: from then on requests ask the store."""
    process = revocations(world, max_marks=10)
    process._follower.step()
    for number in range(30):
        revoke(world, f"t{number}")
    modes: list[bool] = []
    world.page_marks, world.on_read = 15, lambda: modes.append(process._follower.is_current())
    process._follower.step()
    assert modes == [True, False]


def overfull(world: World) -> SharedRevocations:
    """A process that cannot hold the twelve marks there are, which end in a minute."""
    for number in range(12):
        revoke(world, f"t{number}")
    process = revocations(world, max_marks=10)
    process.is_revoked(principal())
    assert process.health().mode == "checking"
    return process


def test_a_process_holds_marks_again_when_enough_have_ended(world: World) -> None:
    """A minute later it counts, and reads them all again; requests ask the store until it has."""
    process = overfull(world)
    world.now += 61
    world.marks.append(make_mark(token_id="later", until=world.now + 600))
    modes: list[str] = []
    world.on_read = lambda: modes.append(process.health().mode)
    world.monotonic += 61
    process._follower.step()
    assert (modes, process.health().mode) == (["checking"], "pushed")
    assert process.is_known_revoked(principal("later"))
    assert not process.is_known_revoked(principal("t1"))


def test_a_process_does_not_hold_marks_again_that_hardly_fit(world: World) -> None:
    """Else it would let go of them soon after."""
    process = overfull(world)
    world.now += 61
    world.marks += [make_mark(token_id=f"n{number}", until=world.now + 600) for number in range(10)]
    for _ in range(5):
        world.monotonic += 61
        process._follower.step()
        assert process.health().mode == "checking"
    assert process.is_revoked(principal("n9"))


def test_the_marks_in_the_store_are_counted_once_in_a_minute(world: World) -> None:
    """However often the log is read."""
    process = overfull(world)
    for seconds in (59, 2, 1, 1):
        world.monotonic += seconds
        process._follower.step()
    assert world.counts == 1


def test_an_outage_while_marks_are_read_again_loses_none(world: World) -> None:
    """The reading goes on where it stopped."""
    process = overfull(world)
    world.now += 61
    revoke(world, "later")
    world.marks[-1] = make_mark(token_id="later", until=world.now + 600)
    world.monotonic += 61

    def fail() -> None:
        raise StoreDownError("the store is down")

    world.on_read = fail
    with pytest.raises(StoreDownError):
        process._follower.step()
    world.on_read = lambda: None
    process._follower.step()
    assert process.health().mode == "pushed"
    assert process.is_known_revoked(principal("later"))


def test_marks_that_have_ended_take_no_room(world: World) -> None:
    """A process forgets them before it lets go of all."""
    process = revocations(world, max_marks=10)
    for _ in range(5):
        for number in range(6):
            world.marks.append(make_mark(token_id=f"t{number} {world.now}", until=world.now + 60))
        process._follower.step()
        assert process.health().mode == "pushed"
        world.now += 61


def test_an_outage_is_logged_once_a_minute(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """With its reason; and when it ends."""
    process = revocations(world)
    process.is_revoked(principal())
    world.down = True
    with caplog.at_level(logging.INFO, "authguard"):
        for _ in range(65):
            world.monotonic += 1.0
            with pytest.raises(StoreDownError):
                process._follower.step()
        world.down = False
        process._follower.step()
    levels = [(record.levelname, "the store is down" in record.getMessage()) for record in caplog.records]
    assert levels == [("WARNING", True), ("WARNING", True), ("INFO", False)]


def test_health_tells_how_the_log_is_followed(world: World) -> None:
    """Mode, lag, number and reason."""
    process = revocations(world)
    assert process.health().mode == "unused"
    revoke(world)
    process.is_revoked(principal())
    world.monotonic += 0.25
    health = process.health()
    assert (health.mode, health.lag, health.sequence, health.reason) == ("pushed", 0.25, 1, "")
    world.down = True
    world.monotonic += BOUND
    with pytest.raises(VerificationUnavailableError):
        process.is_revoked(principal())
    assert (process.health().mode, process.health().reason) == ("down", "the store is down")


def test_a_thread_of_the_parent_ends_in_the_child(world: World) -> None:
    """gevent takes it along when the process forks; the child has a thread of its own."""
    process = revocations(world)
    process.is_revoked(principal())
    thread = process._follower._thread
    assert thread is not None and thread.is_alive()
    process._follower._begin_process()
    process.is_revoked(principal())
    world.closed.set()
    thread.join(10)
    assert not thread.is_alive()
    assert process._follower._thread is not None and process._follower._thread.is_alive()
    process._follower.close()


def test_waiting_ends_with_the_bound(world: World) -> None:
    """Where a process does not confirm: it may not trust its memory any more then."""
    log = FakeLog(world)
    ticks = iter([0.0, 0.0, 0.4, 1.2])
    process = SharedRevocations(
        log, Follower(log, "store", bound=BOUND), clock=lambda: NOW, monotonic=lambda: next(ticks)
    )
    assert process.revoke(token_id="t1", until=NOW + 60, wait=True).sequence == 1
    assert next(ticks, None) is None
