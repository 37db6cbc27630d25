"""The memory of used proofs."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from authguard._core.proofs import replays
from authguard._core.proofs.replays import UsedProofs
from authguard.errors import VerificationUnavailableError
from support import NOW


def test_a_proof_is_used_once():
    """The second use of a proof is a replay."""
    used = UsedProofs(10, 60)
    assert [used.use("key", "a", NOW + 30, NOW) for _ in range(3)] == [True, False, False]


def test_keys_are_kept_apart():
    """Two keys may use the same `jti`."""
    used = UsedProofs(10, 60)
    assert used.use("one", "a", NOW + 30, NOW)
    assert used.use("two", "a", NOW + 30, NOW)


def test_another_date_makes_no_other_proof():
    """A `jti` with another `iat` is a replay."""
    used = UsedProofs(10, 60)
    assert used.use("key", "a", NOW + 30, NOW)
    assert not used.use("key", "a", NOW + 59, NOW)


@pytest.mark.parametrize("until", [NOW, NOW + 0.5, NOW + 7.4, NOW + 7.5, NOW + 30, NOW + 60])
def test_a_proof_is_known_until_it_expires(until):
    """A proof is known until the moment it expires."""
    used = UsedProofs(10, 60)
    assert used.use("key", "a", until, NOW)
    assert not used.use("key", "a", until, until)


def test_room_is_made_when_proofs_expire():
    """Expired proofs are removed."""
    used = UsedProofs(10, 60)
    for number in range(1000):
        now = NOW + number * 10
        assert used.use("key", str(number), now + 30, now)
        assert len(used) <= 10


def test_a_key_has_its_share():
    """A key has a limited number of proofs, and the other keys are not affected."""
    used = UsedProofs(1000, 60)
    for number in range(1000):
        assert used.use("busy", str(number), NOW + number % 60, NOW)
    with pytest.raises(VerificationUnavailableError):
        used.use("busy", "one more", NOW + 30, NOW)
    assert used.use("other", "a", NOW + 30, NOW)
    assert used.use("busy", "later", NOW + 200, NOW + 100)


def test_a_full_store_refuses(monkeypatch):
    """A full memory refuses a new proof, and keeps the others."""
    monkeypatch.setattr(replays, "_MAX_PROOFS", 20)
    used = UsedProofs(10, 60)
    for number in range(20):
        assert used.use(f"key {number % 2}", str(number), NOW + 30, NOW)
    with pytest.raises(VerificationUnavailableError):
        used.use("new", "a", NOW + 30, NOW)
    assert len(used) == 20


@pytest.mark.slow
def test_a_full_store_stays_small():
    """100,000 proofs take less than 20 MB, and one more is refused."""
    used = UsedProofs(1000, 60)
    keys = [f"{number:043d}" for number in range(100)]
    tracemalloc.start()
    try:
        for number in range(100_000):
            assert used.use(keys[number % 100], f"{number:022d}", NOW + number % 60, NOW)
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert size < 20e6
    with pytest.raises(VerificationUnavailableError):
        used.use("new", "a", NOW + 30, NOW)
    assert len(used) == 100_000


def test_none_of_100000_replays_is_accepted():
    """A hundred proofs are refused at each of a thousand further uses until they expire."""
    used = UsedProofs(1000, 60)
    assert all(used.use("key", str(number), NOW + 60, NOW) for number in range(100))
    times = (NOW + second * 60 / 999 for second in range(1000))
    assert not any(used.use("key", str(number), NOW + 60, now) for now in times for number in range(100))


def test_of_many_threads_one_wins():
    """Of eight threads with the same proof one succeeds."""
    used = UsedProofs(100_000, 60)
    with ThreadPoolExecutor(8) as pool:
        for number in range(300):
            attempts = [pool.submit(used.use, "key", str(number), NOW + 30, NOW) for _ in range(8)]
            assert sum(attempt.result() for attempt in attempts) == 1
