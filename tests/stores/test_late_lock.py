"""The lock of a process that is created at its first use."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from authguard.stores.late_lock import LateLock


def test_the_lock_is_one_of_the_time_when_it_is_first_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is created at its first use, because gevent may have replaced the class of Python before."""
    made: list[str] = []
    late, make = LateLock(), threading.RLock
    monkeypatch.setattr(threading, "RLock", lambda: made.append("lock") or make())
    with late, late:
        assert made == ["lock"]
    with late:
        assert made == ["lock"]


def test_one_thread_at_a_time_is_let_in() -> None:
    """One thread at a time holds the lock, also if all threads begin at the same time."""
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
