"""The follower of a log: the time that memory is valid, and a store that is down or loses its log."""

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
from support import no_more_threads


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def principal(name: str = "t1") -> Principal:
    """Return the caller with a token."""
    return Principal("ada", token_id=name)


def revoke(world: World, name: str = "t1") -> None:
    """Revoke in another process."""
    world.marks.append(make_mark(token_id=name, until=NOW + 60))


def test_the_first_request_reads_the_log(world: World) -> None:
    """A process knows the revocations from before its start."""
    revoke(world)
    process = revocations(world)
    assert not process.is_current()
    assert process.is_revoked(principal())
    assert process.is_current()


def test_memory_answers_within_the_bound(world: World) -> None:
    """Memory answers within the bound without a question to the store."""
    process = revocations(world)
    process.is_revoked(principal())
    world.monotonic += BOUND - 0.001
    world.down = True
    assert not process.is_revoked(principal())
    assert world.readings == 1


def test_a_process_without_room_for_a_thread_reads_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process without room for a thread reads the log in requests, and starts its thread later."""
    process = revocations(world)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more_threads)
        assert not process.is_revoked(principal())
        revoke(world)
        world.monotonic += BOUND
        assert process.is_revoked(principal())
        process.close()
    world.monotonic += BOUND
    assert process.is_revoked(principal())
    assert process._follower._thread is not None


def test_beyond_the_bound_the_log_is_read_first(world: World) -> None:
    """A request after the bound reads the log first."""
    process = revocations(world)
    process.is_revoked(principal())
    revoke(world)
    world.monotonic += BOUND
    assert process.is_revoked(principal())


def test_a_store_that_is_down_is_an_outage(world: World) -> None:
    """A store that is down is an outage after the bound, and is not called for each request."""
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
    """With `stale` memory answers for that time in an outage."""
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
    """A process that has never read the log does not answer from stale memory."""
    world.down = True
    with pytest.raises(VerificationUnavailableError):
        revocations(world, stale=5.0).is_revoked(principal())


def test_a_store_that_has_lost_its_log_gets_it_back(world: World) -> None:
    """A living process writes a lost log back, and a new process does not use the empty log."""
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
    """A new log is not used before the bound, so that processes can write their marks back."""
    world.forget()
    process = revocations(world)
    assert process._follower.step() == BOUND
    assert not process.is_current()
    world.monotonic += BOUND
    assert process._follower.step() == 0.0
    assert process.is_current()


def test_a_request_waits_for_a_new_log_that_the_thread_has_read(world: World) -> None:
    """A request waits for a new log, and is no outage."""
    world.forget()
    process = revocations(world)
    assert process._follower.step() == BOUND  # as the thread does

    def grow_older() -> None:
        world.began -= BOUND

    world.on_read = grow_older
    assert not process.is_revoked(principal())


def test_too_many_marks_for_memory_are_asked_for_one_by_one(world: World) -> None:
    """With too many marks for memory, each request asks the store."""
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
    """Memory without room for the next page of marks is not used."""
    process = revocations(world, max_marks=10)
    process._follower.step()
    for number in range(30):
        revoke(world, f"t{number}")
    modes: list[bool] = []
    world.page_marks, world.on_read = 15, lambda: modes.append(process._follower.is_current())
    process._follower.step()
    assert modes == [True, False]


def overfull(world: World) -> SharedRevocations:
    """Return a process that cannot hold its twelve marks, which end in a minute."""
    for number in range(12):
        revoke(world, f"t{number}")
    process = revocations(world, max_marks=10)
    process.is_revoked(principal())
    assert process.health().mode == "checking"
    return process


def test_a_process_holds_marks_again_when_enough_have_ended(world: World) -> None:
    """A process reads the marks again a minute later, if enough of them have ended."""
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
    """A process does not read marks again that fill its memory almost completely."""
    process = overfull(world)
    world.now += 61
    world.marks += [make_mark(token_id=f"n{number}", until=world.now + 600) for number in range(10)]
    for _ in range(5):
        world.monotonic += 61
        process._follower.step()
        assert process.health().mode == "checking"
    assert process.is_revoked(principal("n9"))


def test_the_marks_in_the_store_are_counted_once_in_a_minute(world: World) -> None:
    """The marks in the store are counted once in a minute."""
    process = overfull(world)
    for seconds in (59, 2, 1, 1):
        world.monotonic += seconds
        process._follower.step()
    assert world.counts == 1


def test_an_outage_while_marks_are_read_again_loses_none(world: World) -> None:
    """An outage during a new reading of the marks loses none of them."""
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
    """A process removes ended marks before it gives up its memory."""
    process = revocations(world, max_marks=10)
    for _ in range(5):
        for number in range(6):
            world.marks.append(make_mark(token_id=f"t{number} {world.now}", until=world.now + 60))
        process._follower.step()
        assert process.health().mode == "pushed"
        world.now += 61


def _hang(world: World) -> None:
    """Let each read take as long as a store that hangs: until its timeouts have passed."""

    def wait() -> None:
        world.monotonic += 2 * BOUND
        raise StoreDownError("no answer in time")

    world.on_read = wait


def test_requests_do_not_wait_for_a_store_that_hangs_in_turns(world: World) -> None:
    """After a read without an answer in time, the requests that have waited for it are refused at once."""
    process = revocations(world)
    _hang(world)
    for _ in range(40):
        with pytest.raises(VerificationUnavailableError, match="no answer in time"):
            process.is_revoked(principal())
    assert world.readings == 1
    world.on_read = lambda: None
    world.monotonic += BOUND
    assert not process.is_revoked(principal())


def test_no_request_waits_for_an_attempt_to_read_a_store_that_hangs(world: World) -> None:
    """While one request tries the store again, the others are refused without waiting for its lock."""
    process = revocations(world)
    _hang(world)
    with pytest.raises(VerificationUnavailableError):
        process.is_revoked(principal())
    errors: list[Exception] = []

    def ask() -> None:
        try:
            process.is_revoked(principal())
        except VerificationUnavailableError as error:
            errors.append(error)

    def ask_meanwhile() -> None:
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(10)

    world.on_read = ask_meanwhile
    world.monotonic += BOUND
    assert not process.is_revoked(principal())
    assert errors


def test_an_outage_is_logged_once_a_minute(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """An outage is logged with its reason once a minute, and its end is logged too."""
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
    """The health has mode, lag, sequence and reason."""
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


@pytest.mark.slow
def test_a_thread_of_the_parent_ends_in_the_child(world: World) -> None:
    """A thread that gevent copies to a forked child ends, and the child has its own."""
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
    """`revoke` with `wait` ends after the bound, because another process may not use its memory then."""
    log = FakeLog(world)
    ticks = iter([0.0, 0.0, 0.4, 1.2])
    process = SharedRevocations(
        log, Follower(log, "store", bound=BOUND), clock=lambda: NOW, monotonic=lambda: next(ticks)
    )
    assert process.revoke(token_id="t1", until=NOW + 60, wait=True).sequence == 1
    assert next(ticks, None) is None
