"""The thread that looks for keys that expire: when it runs, and what it outlives."""

import os
import threading
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.usecases.mails.background import BackgroundThread
from identity.keys import create_key, register
from identity.support import Postbox, service_at

pytestmark = pytest.mark.one_database  # threads

LONG = 86_400


class Steps:
    """Counts the steps of a thread; can fail."""

    def __init__(self) -> None:
        self.taken = threading.Semaphore(0)
        self.failures = 0
        self.threads: set[str] = set()

    def __call__(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.taken.release()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("ann@example.com")

    def wait(self) -> bool:
        """Wait for the next one."""
        return self.taken.acquire(timeout=10)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def thread(steps: Steps) -> Iterator[BackgroundThread]:
    thread = BackgroundThread(steps, LONG, name="key notices")
    yield thread
    thread.close()


def test_it_begins_once_with_a_step(thread, steps):
    """However often it is started; nothing runs before."""
    thread.wake()
    assert not steps.taken.acquire(blocking=False)
    for _ in range(3):
        thread.start()
    assert steps.wait()
    assert not steps.taken.acquire(blocking=False)
    assert steps.threads == {"authguard-key-notices"}


def test_it_takes_a_step_when_it_is_woken(thread, steps):
    """Without waiting for the interval."""
    thread.start()
    assert steps.wait()
    thread.wake()
    assert steps.wait()


def test_it_takes_a_step_after_the_interval(steps):
    """Also if nobody wakes it."""
    thread = BackgroundThread(steps, 0.001, name="key notices")
    thread.start()
    assert all(steps.wait() for _ in range(3))
    thread.close()


def test_it_outlives_a_failure(thread, steps, caplog):
    """A warning names the kind of error, and not its text."""
    steps.failures = 1
    thread.start()
    assert steps.wait()
    thread.wake()
    assert steps.wait()
    assert "not done yet: RuntimeError" in caplog.text
    assert "ann@example.com" not in caplog.text


def test_without_an_interval_there_is_none(steps):
    """`api_key_notice_interval = 0` leaves the work to the command."""
    thread = BackgroundThread(steps, 0, name="key notices")
    thread.start()
    thread.wake()
    thread.close()
    assert steps.threads == set()


def test_it_ends_when_it_is_closed(thread, steps):
    """And does not begin again: the connections are closed after that."""
    thread.start()
    assert steps.wait()
    thread.close()
    thread.start()
    assert not [each for each in threading.enumerate() if each.name == "authguard-key-notices"]


def test_each_forked_process_has_its_own(thread, steps):
    """Threads do not survive a fork: a worker that was forked from a process with one starts it again."""
    thread.start()
    assert steps.wait()
    thread.close()
    pid = os.fork()
    if pid == 0:
        thread.start()
        os._exit(0 if steps.wait() else 1)
    assert os.waitpid(pid, 0)[1] == 0


class SignallingPostbox(Postbox):
    """Tells when a mail has come."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Semaphore(0)

    def send(self, mail):
        super().send(mail)
        self.came.release()


@pytest.mark.parametrize("has_lifespan", [True, False])
def test_the_service_sends_by_itself(sqlite_url, clock, has_lifespan):
    """Soon after a key was made, be the service run alone or mounted, where there is no lifespan."""
    postbox = SignallingPostbox()
    with service_at(sqlite_url, clock=clock, postbox=postbox, api_key_notice_interval=LONG) as service:
        client = TestClient(Identity(service))
        if has_lifespan:
            client.__enter__()
        email = f"{has_lifespan}@example.com".lower()
        create_key(client, register(client, email))
        while "An API key was created" not in [mail.subject for mail in postbox.mails]:
            assert postbox.came.acquire(timeout=10)
        if has_lifespan:
            client.__exit__(None, None, None)


def test_a_service_without_requests_or_lifespan_has_no_thread(sqlite_url, clock):
    """Such as the parent of workers, and a command."""
    with service_at(sqlite_url, clock=clock, api_key_notice_interval=LONG) as service:
        Identity(service)
        assert not [each for each in threading.enumerate() if each.name == "authguard-key-notices"]
