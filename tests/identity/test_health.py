"""The probes: `/healthz` for the process, `/readyz` for the parts that the service needs."""

import asyncio
import logging
import threading
from contextlib import ExitStack, contextmanager

import httpx2
import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from authguard.errors import ConfigurationError
from authguard.identity import Identity
from authguard.identity.api import health
from authguard.identity.mail.outbox import Outbox
from authguard.identity.storage import migrations
from identity.support import SECRET, postgres_database, service_at, upgrade


@pytest.fixture
def client(app):
    return TestClient(app)


def test_all_is_well(client):
    """Both probes answer 200 without a credential, and forbid caching."""
    for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
        response = client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": status})
        assert response.headers["cache-control"] == "no-store"
        assert client.head(path).status_code == 200


def fails(client, *parts):
    response = client.get("/readyz")
    assert client.get("/healthz").status_code == 200
    answer = (response.status_code, response.json(), response.headers["retry-after"])
    return answer == (503, {"status": "unavailable", "failing": list(parts)}, "1")


def test_tables_of_another_version(client, service, clock):
    """A database that was not upgraded makes the service unready."""
    with version(service, "0001"):
        assert fails(client, "migrations")
    clock.go_on(1)
    assert client.get("/readyz").status_code == 200


def test_tables_of_a_newer_version(client, service):
    """With a newer database a running process stays ready, and a new process does not start."""
    with version(service, "9999"):
        assert client.get("/readyz").status_code == 200
        with pytest.raises(ConfigurationError, match="got 9999"):
            Identity(service)


@contextmanager
def version(service, number):
    """Set the version of the database meanwhile."""

    def write(number):
        with service.database.write() as connection:
            connection.execute(text("UPDATE authguard_version SET version_num = :to"), {"to": number})

    write(number)
    try:
        yield
    finally:
        write(migrations._newest_revision())


def test_keys_that_cannot_be_read(url, clock):
    """A key that was encrypted with another secret makes the service unready."""
    with service_at(url, algorithm="ES256", clock=clock) as service:
        client = TestClient(Identity(service))
        with service_at(url, algorithm="ES256", clock=clock, secret=SECRET[::-1]) as other:
            other.rotate_keys()
        assert fails(client, "keys")


def test_an_outbox_that_is_full(client, service, monkeypatch):
    """A full outbox makes the service unready."""
    monkeypatch.setattr(service.outbox, "_size", 0)
    assert fails(client, "mail")


def test_room_in_the_outbox():
    """An outbox has room until it is full or closed."""
    outbox = Outbox(_Silent(), size=1, pause=60)
    assert outbox.has_room
    outbox.submit(lambda: None, print)
    assert not outbox.has_room
    outbox.close()
    assert not outbox.has_room


class _Silent:
    def send(self, mail):
        """Send nothing."""


def test_an_answer_is_kept_for_a_second(service, clock):
    """Readiness is computed once a second, also when the clock is set back."""
    readiness, looks = service.readiness, []
    look = readiness._look
    readiness._look = lambda now: looks.append(now) or look(now)
    for step in (0, 0.4, 0.4, 0.4, -100, 0.1):
        clock.go_on(step)
        readiness.find_failing()
    assert len(looks) == 3


@pytest.mark.slow
@pytest.mark.one_database
def test_a_database_that_hangs(client, service, monkeypatch):
    """While the database hangs, the probe answers in bounded time, and names the database."""
    monkeypatch.setattr(health, "_SECONDS", 0.05)
    release = threading.Event()
    monkeypatch.setattr(service.readiness, "find_failing", lambda: release.wait(10) and ())
    health_client = TestClient(Identity(service))
    try:
        assert fails(health_client, "database")
    finally:
        release.set()


@pytest.mark.slow
@pytest.mark.one_database
def test_a_database_that_is_gone(tmp_path, caplog, clock):
    """The probe names a missing database, and each change of readiness is logged once."""
    file = tmp_path / "identity.db"
    upgrade(f"sqlite:///{file}")
    with service_at(f"sqlite:///{file}", clock=clock) as service:
        client = TestClient(Identity(service))
        service._mails_thread.close()  # SQLite creates a missing file at the next read
        file.rename(tmp_path / "away.db")
        with caplog.at_level(logging.INFO, "authguard"):
            assert client.get("/readyz").json()["failing"] == ["database"]
            clock.go_on(2)
            client.get("/readyz")
            (tmp_path / "away.db").rename(file)
            clock.go_on(2)
            assert client.get("/readyz").status_code == 200
    messages = [record.getMessage() for record in caplog.records if "ready" in record.getMessage()]
    assert len(messages) == 2
    assert "database" in messages[0] and "ready again" in messages[1]


@pytest.mark.slow
@pytest.mark.one_database
def test_a_server_of_databases_that_refuses(clock):
    """A dropped database of PostgreSQL makes the service unready."""
    with ExitStack() as stack:
        url = stack.enter_context(postgres_database())
        upgrade(url)
        with service_at(url, clock=clock) as service:
            client = TestClient(Identity(service))
            assert client.get("/readyz").status_code == 200
            stack.close()  # drops the database, and ends its connections
            clock.go_on(2)
            assert fails(client, "database")


def test_another_secret_is_seen_at_the_start(url, clock):
    """With a secret that does not fit the signing keys, the application is not built."""
    with service_at(url, algorithm="ES256", clock=clock) as service:
        service.rotate_keys()
    with (
        service_at(url, algorithm="ES256", clock=clock, secret=SECRET[::-1]) as other,
        pytest.raises(ConfigurationError, match="previous_secret"),
    ):
        Identity(other)


@pytest.mark.slow
@pytest.mark.one_database
def test_a_crowd_of_strangers_makes_no_service_unready(service, clock, monkeypatch):
    """Of 200 simultaneous probes one checks the service, and all get its result."""
    monkeypatch.setattr(health, "_SECONDS", 60)  # for machines that are busy
    looks = []
    find = service.readiness.find_failing
    service.readiness.find_failing = lambda: looks.append(1) or find()
    app = Identity(service)

    async def crowd():
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            answers = await asyncio.gather(*(client.get("/readyz") for _ in range(200)))
            return {answer.status_code for answer in answers}

    for _ in range(2):
        clock.go_on(1)
        assert asyncio.run(crowd()) == {200}
    assert len(looks) == 2
