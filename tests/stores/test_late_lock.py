"""The lock of a process that is made when it is first used."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from authguard.stores.late_lock import LateLock


def test_the_lock_is_one_of_the_time_when_it_is_first_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """gevent may have put its own in the place of Python's since the object was made."""
    made: list[str] = []
    late, make = LateLock(), threading.RLock
    monkeypatch.setattr(threading, "RLock", lambda: made.append("lock") or make())
    with late, late:
        assert made == ["lock"]
    with late:
        assert made == ["lock"]


def test_one_thread_at_a_time_is_let_in() -> None:
    """Also when all of them are the first."""
    late, inside, most = LateLock(), [0], [0]

    def enter(_: int) -> None:
        with late:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            threading.Event().wait(0.001)
            inside[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(50)))
    assert most == [1]
