"""The work that one network address can cause with the default limits, as in docs/identity.md."""

import pytest
from sqlalchemy import func, select

from authguard.identity import Identity, IdentityService
from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.storage.schema import metadata, users
from identity.support import ANN, PASSWORD, Clock, CountingHasher, Postbox, browser, settings

pytestmark = pytest.mark.one_database  # counts of hashes, rows and mails do not depend on the database


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
    """Return the status of a login."""
    return client.post("/v1/auth/login", json={"email": email, "password": password}).status_code


@pytest.mark.slow
def test_guesses_at_one_account(service, hasher):
    """Of 20 guesses for one account, 10 are checked in 15 minutes."""
    service.accounts.create(ANN["email"], PASSWORD)
    before, client = hasher.count, browser(Identity(service))
    assert [login(client, ANN["email"]) for _ in range(20)] == [401] * 10 + [429] * 10
    assert hasher.count - before == 10


@pytest.mark.slow
def test_hashes_of_sign_ins(service, hasher):
    """Of 130 guesses for as many accounts, 100 cost a hash in 15 minutes."""
    client = browser(Identity(service))
    answers = [login(client, f"user{number}@example.com") for number in range(130)]
    assert answers == [401] * 100 + [429] * 30
    assert hasher.count == 100


@pytest.mark.slow
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


@pytest.mark.slow
def test_mails_to_one_owner(service, postbox):
    """An owner gets at most 10 mails of each kind an hour, regardless of the number of callers."""
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


@pytest.mark.slow
def test_owner_is_not_refused_for_strangers(service):
    """After as many guesses from three networks as are allowed, the right password signs in."""
    service.accounts.create(ANN["email"], PASSWORD)
    app = Identity(service)
    for number in range(3):

        async def elsewhere(scope, receive, send, number=number):
            await app(scope | {"client": (f"198.51.{number}.1", 1)}, receive, send)

        client = browser(elsewhere)
        answers = [login(client, ANN["email"]) for _ in range(10)]
        assert answers == [401] * 10
    assert login(browser(app), ANN["email"], PASSWORD) == 200
