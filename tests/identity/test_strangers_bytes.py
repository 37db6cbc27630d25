"""The bytes that one network address can store in an hour, as in docs/identity.md."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity, IdentityService
from authguard.identity.usecases.sessions import MAX_SESSIONS
from identity.many import add_sessions
from identity.support import ISSUER, PASSWORD, Clock, CountingHasher, Postbox, browser, settings

pytestmark = pytest.mark.slow_on_postgresql

AGENT = b"\xe9" * 250  # more than is stored, in letters of two bytes
#: 254 octets, the maximum of an address.
LONG = "l" * 61 + "@" + ".".join(["d" * 61] * 3) + ".com"


@pytest.fixture
def service(url: str, postbox: Postbox) -> Iterator[IdentityService]:
    """Run a service with the default limits."""
    service = IdentityService(settings(url), mailer=postbox, hasher=CountingHasher(), clock=Clock())
    yield service
    service.close()


def stored_bytes(service: IdentityService) -> int:
    """Return the bytes of the tables and indexes, with replaced rows that are not yet removed."""
    with service.database.engine.connect() as connection:
        if service.database.is_sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            names = ("page_count", "freelist_count", "page_size")
            pages, free, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names)
            return (pages - free) * size
        size = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
        return int(connection.exec_driver_sql(size).scalar())


@pytest.mark.slow
def test_bytes_of_rows(service: IdentityService) -> None:
    """The largest inputs of an hour, 30 registrations and 400 sign-ins, need a megabyte at most.

    A quarter of the sign-ins is made, and counted four times: the limit is 100 in 15 minutes. The first one
    is counted once, because it uses the first page of each empty table. Each sign-in ends and revokes a
    session, because the accounts have the maximum of sessions. The test has four accounts, because after 30
    sign-ins to one account answers are delayed.
    """
    if not service.database.is_sqlite:  # the space of rows that other tests have deleted
        with service.database.write() as connection:
            tables = "users, authguard_marks, authguard_tips, authguard_replays"
            connection.exec_driver_sql(f"TRUNCATE {tables} CASCADE")
    client = TestClient(Identity(service), base_url=ISSUER, headers={"user-agent": AGENT})
    emails = [f"owner{number}@example.com" for number in range(4)]
    for email in emails:
        owner = service.accounts.create(email, PASSWORD)
        kept = "\xe9" * 200
        add_sessions(service, owner.id, MAX_SESSIONS, user_agent=kept, refreshed_agent=kept)
    before = stored_bytes(service)
    for number in range(30):
        body = {"email": f"{number:03}{LONG}", "password": PASSWORD, "name": "\U0001d518" * 200}
        assert client.post("/v1/auth/register", json=body).status_code == 201
    assert service.outbox.flush()  # the mails of registrations are counted with these
    for number in range(100):
        if number == 1:
            registrations = stored_bytes(service) - before
        body = {"email": emails[number % 4], "password": PASSWORD}
        assert client.post("/v1/auth/login", json=body).status_code == 200
    sign_ins = 4 * (stored_bytes(service) - before - registrations)
    assert 430 * 500 < registrations + sign_ins <= 1_000_000


@pytest.mark.slow
def test_bytes_of_mails(service: IdentityService, postbox: Postbox) -> None:
    """With the mail server down, the waiting mails of 30 registrations and 30 requests need at most 60 KB."""
    client, postbox.broken = browser(Identity(service)), True
    for number in range(40):
        email = f"{number:03}{LONG}"
        client.post("/v1/auth/register", json={"email": email, "password": PASSWORD})
        client.post("/v1/auth/forgot-password", json={"email": email})
    waiting = service.mails.list()
    assert (len(waiting), len(repr(waiting)) <= 60_000) == (60, True)
    assert service.outbox.flush()
    postbox.broken = False
    service.clock.go_on(60)  # type: ignore[attr-defined]
    service.mails.step()
    while service.mails.state().waiting:
        assert service.outbox.flush()
        service.mails.step()
    assert len(postbox.mails) == 60
