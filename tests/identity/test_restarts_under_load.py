"""Restarts of PostgreSQL under load: at most one 503 a connection, and no lost changes."""

import signal
import threading
import time
from collections.abc import Iterator
from itertools import cycle, islice

import pytest

from authguard.identity import upgrade
from identity.client_load import Crowd, Person
from identity.service_process import ServiceProcess
from own_postgres import OwnPostgres, own_postgres
from sizes import size

pytestmark = pytest.mark.slow

#: An orderly end, and that of a crash.
ENDS = signal.SIGINT, signal.SIGQUIT


@pytest.fixture
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        upgrade(server.url)
        yield server


class Outages:
    """Restarts of a server, with their times."""

    def __init__(self, server: OwnPostgres) -> None:
        self.server = server
        self.times: list[tuple[float, float]] = []
        self._is_up = threading.Event()
        self._is_up.set()

    def restart(self, how: int) -> None:
        """Restart the server, and record the times."""
        self._is_up.clear()
        begun = time.monotonic()
        self.server.restart(how)
        self.times.append((begun, time.monotonic()))
        self._is_up.set()

    def wait(self) -> None:
        """Wait until the server runs, as `Retry-After` asks for."""
        assert self._is_up.wait(60)


def failures_in(person: Person, outages: Outages) -> list[int]:
    """Return the numbers of 503 of a connection in each restart, and check that no other 503 occurred."""
    failed = [answer for answer in person.connection.answers if answer.status == 503]
    counts = [
        sum(begun <= answer.ended and answer.begun <= ended for answer in failed)
        for begun, ended in outages.times
    ]
    assert sum(counts) == len(failed), "503 while the database was up"
    return counts


def test_restarts_of_the_database_under_load(server: OwnPostgres, tmp_path, record_property) -> None:
    """During five restarts under load each connection gets at most one 503, no 500, and loses nothing."""
    service, outages = ServiceProcess(tmp_path, TEST_DATABASE=server.url), Outages(server)
    service.start()
    try:
        people = [Person(f"p{index}", service.port, outages.wait) for index in range(size(8, 24))]
        with Crowd(people) as crowd:
            for how in islice(cycle(ENDS), 5):
                goal = crowd.answers() + size(8, 40)
                while crowd.answers() < goal:
                    time.sleep(0.01)
                outages.restart(how)
            goal = crowd.answers() + size(8, 40)
            while crowd.answers() < goal:
                time.sleep(0.01)
        assert set().union(*(person.statuses for person in people)) <= {200, 201, 503}
        counts = [failures_in(person, outages) for person in people]
        assert max(map(max, counts)) == 1
        kept = sum(person.check_kept(size(4, 1_000)) for person in people)
        record_property("answers", sum(len(person.connection.answers) for person in people))
        record_property("answers 503", sum(map(sum, counts)))
        record_property("kept", kept)
    finally:
        service.end()
