"""A full disk: requests get 503, and acknowledged changes are stored when the disk has room again."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from authguard.identity import upgrade
from identity.client_load import Crowd, Person
from identity.full_disk import SmallDisk, small_disk
from identity.service_process import Connection, ServiceProcess
from own_postgres import own_postgres
from sizes import size

pytestmark = pytest.mark.slow

_SECONDS = 60.0


@contextlib.contextmanager
def sqlite_on(disk: SmallDisk) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return a database file on the disk, which needs no restart."""
    yield f"sqlite:///{disk.folder}/identity.db", lambda: None


@contextlib.contextmanager
def postgresql_on(disk: SmallDisk) -> Iterator[tuple[str, Callable[[], None]]]:
    """Run a server with its data on the disk, which may end when it cannot write its log."""
    with own_postgres(disk.folder) as server:

        def start_again() -> None:
            if server.has_ended:
                server.start()

        yield server.url, start_again


@pytest.mark.parametrize(("database_on", "megabytes"), [(sqlite_on, 24), (postgresql_on, 64)])
def test_full_disk(database_on, megabytes, tmp_path, record_property) -> None:
    """On a full disk writes get 503, and they succeed again when the disk has room; nothing is lost."""
    with small_disk(megabytes) as disk, database_on(disk) as (url, start_database):
        upgrade(url)
        service = ServiceProcess(tmp_path, TEST_DATABASE=url)
        service.start()
        try:
            people = [Person(f"p{index}", service.port) for index in range(4)]
            with Crowd(people) as crowd:
                for _ in range(size(1, 4)):
                    wait_for(crowd, 200, 40)
                    disk.fill()
                    wait_for(crowd, 503, size(40, 400))
                    disk.make_room()
                    start_database()
                    wait_for(crowd, 200, 40)
            answers = [answer.status for person in people for answer in person.connection.answers]
            service.restart(signal.SIGKILL)
            kept = sum(person.check_kept(size(10, 1_000)) for person in people)
            with contextlib.closing(Connection(service.port)) as probe:
                assert probe.get("/readyz").status == 200
            record_property(f"{database_on.__name__}: answers", len(answers))
            record_property(f"{database_on.__name__}: answers 503", answers.count(503))
            record_property(f"{database_on.__name__}: kept", kept)
        finally:
            service.end()


def wait_for(crowd: Crowd, status: int, number: int) -> None:
    """Wait for a number of answers with a status."""

    def count() -> int:
        assert not crowd.errors, crowd.errors
        return sum(answer.status == status for each in crowd.people for answer in each.connection.answers)

    goal, end = count() + number, time.monotonic() + _SECONDS
    while count() < goal:
        assert time.monotonic() < end, f"no answers {status}"
        threading.Event().wait(0.05)
