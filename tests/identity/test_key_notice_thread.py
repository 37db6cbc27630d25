"""The thread that looks for expiring keys: its start, its steps, its failures and its end."""

import os
import threading
import warnings
from collections.abc import Iterator
from threading import Event

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.usecases.mails.background import BackgroundThread
from identity.keys import create_key, register
from identity.support import Postbox, service_at

pytestmark = pytest.mark.one_database  # threads do not depend on the database

LONG = 86_400


class Steps:
    """Counts the steps of a thread, and can raise."""

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
        """Wait for the next step."""
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
    """The thread starts once for several calls of `start`, and no step runs before."""
    thread.wake()
    assert not steps.taken.acquire(blocking=False)
    for _ in range(3):
        thread.start()
    assert steps.wait()
    assert not steps.taken.acquire(blocking=False)
    assert steps.threads == {"authguard-key-notices"}


def test_it_takes_a_step_when_it_is_woken(thread, steps):
    """A thread that is woken takes a step without waiting for the interval."""
    thread.start()
    assert steps.wait()
    thread.wake()
    assert steps.wait()


def test_it_takes_a_step_after_the_interval(steps):
    """The thread takes a step after each interval."""
    thread = BackgroundThread(steps, 0.001, name="key notices")
    thread.start()
    assert all(steps.wait() for _ in range(3))
    thread.close()


def test_it_outlives_a_failure(thread, steps, caplog):
    """The thread continues after a failure, and the warning has the kind of the error, but not its text."""
    steps.failures = 1
    thread.start()
    assert steps.wait()
    thread.wake()
    assert steps.wait()
    assert "not done yet: RuntimeError" in caplog.text
    assert "ann@example.com" not in caplog.text


def test_the_reason_of_an_outage_is_logged(caplog):
    """A step that meets an outage is logged with its reason."""
    failed = Event()

    def step():
        failed.set()
        raise StoreUnavailableError("database: the disk is full")

    thread = BackgroundThread(step, 60, name="key notices")
    thread.start()
    assert failed.wait(10)
    thread.close()
    assert "the key notices are not done yet: database: the disk is full" in caplog.text


def test_without_an_interval_there_is_none(steps):
    """With an interval of 0 no thread starts."""
    thread = BackgroundThread(steps, 0, name="key notices")
    thread.start()
    thread.wake()
    thread.close()
    assert steps.threads == set()


def test_it_ends_when_it_is_closed(thread, steps):
    """A closed thread ends, and does not start again."""
    thread.start()
    assert steps.wait()
    thread.close()
    thread.start()
    assert not [each for each in threading.enumerate() if each.name == "authguard-key-notices"]


def test_each_forked_process_has_its_own(thread, steps):
    """A forked process starts a thread of its own, because threads do not survive a fork."""
    thread.start()
    assert steps.wait()
    thread.close()
    with warnings.catch_warnings():
        # Later versions warn of threads before a fork, which earlier tests may have started.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        thread.start()
        os._exit(0 if steps.wait() else 1)
    assert os.waitpid(pid, 0)[1] == 0


class SignallingPostbox(Postbox):
    """A postbox that signals each mail."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Semaphore(0)

    def send(self, mail):
        super().send(mail)
        self.came.release()


@pytest.mark.slow
@pytest.mark.parametrize("has_lifespan", [True, False])
def test_the_service_sends_by_itself(sqlite_url, clock, has_lifespan):
    """The service sends the mail about a new key by itself, alone and mounted without a lifespan."""
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
    """A service without requests or lifespan, such as the parent of workers, starts no thread."""
    with service_at(sqlite_url, clock=clock, api_key_notice_interval=LONG) as service:
        Identity(service)
        assert not [each for each in threading.enumerate() if each.name == "authguard-key-notices"]
