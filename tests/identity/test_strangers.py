"""What a stranger with one network address can cause with the default limits, as docs/identity.md has it."""

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from authguard.identity import Identity, IdentityService
from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.storage.schema import metadata, users
from authguard.identity.usecases.sessions import MAX_SESSIONS
from identity_support import ANN, ISSUER, PASSWORD, Clock, CountingHasher, Postbox, browser, settings
from sessions_support import add_sessions

AGENT = b"\xe9" * 250  # more than is kept, in letters that take two bytes
#: 254 octets, as many as an address may have.
LONG = "l" * 61 + "@" + ".".join(["d" * 61] * 3) + ".com"


@pytest.fixture
def hasher():
    return CountingHasher()


@pytest.fixture
def service(url, hasher, postbox):
    service = IdentityService(settings(url), mailer=postbox, hasher=hasher, clock=Clock())
    yield service
    service.close()


@pytest.fixture
def postbox():
    return Postbox()


def login(client, email, password="wrong"):
    """The status of a try to sign in."""
    return client.post("/v1/auth/login", json={"email": email, "password": password}).status_code


def test_guesses_at_one_account(service, hasher):
    """Of 20 guesses at one account, 10 are looked at in 15 minutes: 40 an hour."""
    service.accounts.create(ANN["email"], PASSWORD)
    before, client = hasher.count, browser(Identity(service))
    assert [login(client, ANN["email"]) for _ in range(20)] == [401] * 10 + [429] * 10
    assert hasher.count - before == 10


def test_hashes_of_sign_ins(service, hasher):
    """Of 130 guesses at as many accounts, 100 cost a hash in 15 minutes: 400 an hour."""
    client = browser(Identity(service))
    answers = [login(client, f"user{number}@example.com") for number in range(130)]
    assert answers == [401] * 100 + [429] * 30
    assert hasher.count == 100


@pytest.mark.parametrize("path", ["/v1/auth/register", "/register"])
def test_rows_and_hashes_of_registrations(service, hasher, path):
    """Of 40 registrations an hour, 30 make an account, with a session and a one-time token each."""
    client = browser(Identity(service))
    for number in range(40):
        client.cookies.clear()
        body = {"email": f"user{number}@example.com", "password": PASSWORD}
        client.post(path, **{"json" if "auth" in path else "data": body})
    assert service.outbox.flush()
    assert hasher.count == 30
    with service.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(users)).scalar() == 30
        total = sum(
            connection.execute(select(func.count()).select_from(table)).scalar()
            for table in metadata.sorted_tables
            if table.name in ("users", "sessions", "one_time_tokens")
        )
    assert total == 90


def test_mails_to_one_owner(service, postbox):
    """However many addresses ask, and whatever for, an owner gets 10 mails of each kind an hour."""
    service.accounts.create(ANN["email"], PASSWORD, verified=False)
    app = Identity(service)
    most = DEFAULT_LIMITS["mail_account"].count
    for number in range(most + 5):

        async def elsewhere(scope, receive, send, number=number):
            await app(scope | {"client": (f"198.51.{number}.1", 1)}, receive, send)

        client = browser(elsewhere)
        client.post("/v1/auth/forgot-password", json={"email": ANN["email"]})
        client.post("/v1/auth/verify-email/resend", json={"email": ANN["email"]})
        client.post("/v1/auth/register", json={"email": ANN["email"], "password": PASSWORD})
    assert service.outbox.flush()
    assert len(postbox.mails) <= 3 * most
    assert {mail.to for mail in postbox.mails} == {ANN["email"]}


def test_owner_is_not_refused_for_strangers(service):
    """After guesses from three networks, as many as each may make, the right password signs in."""
    service.accounts.create(ANN["email"], PASSWORD)
    app = Identity(service)
    for number in range(3):

        async def elsewhere(scope, receive, send, number=number):
            await app(scope | {"client": (f"198.51.{number}.1", 1)}, receive, send)

        client = browser(elsewhere)
        answers = [login(client, ANN["email"]) for _ in range(10)]
        assert answers == [401] * 10
    assert login(browser(app), ANN["email"], PASSWORD) == 200


def stored_bytes(service):
    """What the tables and their indexes take, with rows that were replaced and not cleared away."""
    with service.database.engine.connect() as connection:
        if service.database.is_sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            names = ("page_count", "freelist_count", "page_size")
            pages, free, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names)
            return (pages - free) * size
        size = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
        return int(connection.exec_driver_sql(size).scalar())


def test_bytes_of_rows(service):
    """The largest inputs of an hour, 30 registrations and 400 sign-ins, need a megabyte at most.

    A quarter of the sign-ins is made, and counted four times: the limit is 100 in 15 minutes. Each one ends a
    session and revokes it as well, since the accounts have as many as they may have. There are four accounts:
    after 30 sign-ins to one, answers come later.
    """
    if not service.database.is_sqlite:  # the space of rows that other tests have deleted
        with service.database.write() as connection:
            connection.exec_driver_sql("TRUNCATE users, revocations CASCADE")
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
    registrations = stored_bytes(service) - before
    for number in range(100):
        assert login(client, emails[number % 4], PASSWORD) == 200
    sign_ins = 4 * (stored_bytes(service) - before - registrations)
    assert 430 * 500 < registrations + sign_ins <= 1_000_000


def test_bytes_of_mails(service, postbox):
    """While the mail server is down, the mails of 30 registrations and 30 questions wait: 60 KB at most."""
    client, postbox.broken = browser(Identity(service)), True
    for number in range(40):
        email = f"{number:03}{LONG}"
        client.post("/v1/auth/register", json={"email": email, "password": PASSWORD})
        client.post("/v1/auth/forgot-password", json={"email": email})
    assert service.outbox.stats().waiting == 60
    postbox.broken = False
    assert service.outbox.flush()
    sizes = [len(f"{mail.to}{mail.subject}{mail.text}".encode()) for mail in postbox.mails]
    assert (len(sizes), sum(sizes) <= 60_000) == (60, True)
