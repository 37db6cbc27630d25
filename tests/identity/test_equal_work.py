"""Equal work for known and unknown addresses, which is counted, so that the tests need no clock."""

import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest
from sqlalchemy import event

from authguard.identity import Identity, IdentityService
from authguard.identity.limits import Limiter
from authguard.identity.model import SocialIdentity
from authguard.identity.social.provider import Provider
from identity.support import (
    GENEROUS,
    ISSUER,
    PASSWORD,
    Clock,
    CountingHasher,
    browser,
    settings,
)
from sizes import size

pytestmark = pytest.mark.slow_on_postgresql

OTHER = "OtherPass456!"
NUMBER = size(2, 3)  # addresses of each kind


class Elsewhere(Provider):
    """A provider of unverified addresses."""

    email = ""

    def __init__(self):
        own = [f"{ISSUER}{prefix}/auth/op/callback" for prefix in ("/api/v1", "/v1")]
        super().__init__("op", "id", "s3cret", redirect_uris=own, scope="x", auth_method="none")

    def authorize_url(self, *, state, **_):
        """Return a page of the provider."""
        return f"https://op.example/authorize?state={state}"

    def exchange(self, code, redirect_uri, **_):
        """Return the account of the current address."""
        return SocialIdentity("op", f"u {self.email}", self.email, False, "Mona")


class CountingLimiter(Limiter):
    """A limiter that counts its questions."""

    def __init__(self):
        super().__init__(limits=GENEROUS)
        self.count = 0

    def _ask(self, question, limit, key):
        self.count += 1
        return super()._ask(question, limit, key)


@dataclass
class Counts:
    """The work of a service: of its answers, and of its outbox."""

    service: IdentityService
    hasher: CountingHasher
    limiter: CountingLimiter
    statements: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    behind: int = 0

    def __post_init__(self):
        engine = self.service.database.engine
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "commit", lambda connection: self._end("commit"))
        event.listen(engine, "rollback", lambda connection: self._end("rollback"))

    def _statement(self, connection, cursor, statement, parameters, context, executemany):
        if threading.current_thread().name == "authguard-outbox":
            self.behind += 1
        else:
            self.statements.append(statement)

    def _end(self, kind):
        if threading.current_thread().name != "authguard-outbox":
            self.ends.append(kind)

    def of(self, request, *arguments):
        """Return the work of a request: the counts by name, and the statements."""
        waiting, behind = self.service.outbox.stats().waiting, self.behind
        hashes, limits = self.hasher.count, self.limiter.count
        events = sum(self.service.audit.counts().values())
        self.statements.clear()
        self.ends.clear()
        request(*arguments)
        assert self.behind == behind, "the outbox began before the answer was out"
        return {
            "statements": len(self.statements),
            "commits": self.ends.count("commit"),
            "rollbacks": self.ends.count("rollback"),
            "hashes": self.hasher.count - hashes,
            "limits": self.limiter.count - limits,
            "mails": self.service.outbox.stats().waiting - waiting,
            "events": sum(self.service.audit.counts().values()) - events,
        }, tuple(self.statements)


@pytest.fixture(params=[False, True], ids=["documented", "safe"])
def is_safe(request):
    return request.param


@pytest.fixture
def counts(url, is_safe, postbox):
    hasher, limiter = CountingHasher(), CountingLimiter()
    service = IdentityService(
        settings(url, enumeration_safe=is_safe), mailer=postbox, hasher=hasher, limiter=limiter, clock=Clock()
    )
    service.outbox._clock = Clock()  # its time does not pass, so that nothing is due before a flush
    for number in range(NUMBER):
        service.accounts.create(f"known{number}@example.com", PASSWORD)
        service.accounts.create(f"waiting{number}@example.com", PASSWORD, verified=False)
        service.accounts.disable(service.accounts.create(f"disabled{number}@example.com", PASSWORD).id)
        service.sign_in_with(SocialIdentity("hub", f"{number}", f"social{number}@example.com", True, "Mona"))
    assert service.outbox.flush()
    yield Counts(service, hasher, limiter)
    service.close()


@pytest.fixture
def provider():
    provider = Elsewhere()
    yield provider
    provider.close()


@pytest.fixture
def app(counts, provider):
    return Identity(counts.service, providers=[provider])


def json_of(path, **more):
    """Send JSON with the address to the API."""
    return lambda client, email: client.post(path, json={"email": email, **more})


def form_of(path, **more):
    """Send a form with the address to a page."""
    return lambda client, email: client.post(path, data={"email": email, **more})


LOGINS = {
    "login": json_of("/v1/auth/login", password=OTHER),
    "login-form": lambda client, email: client.post(
        "/v1/auth/login", data={"username": email, "password": OTHER}
    ),
    "login-json": lambda client, email: client.post(
        "/v1/auth/login-json", json={"username": email, "password": OTHER}
    ),
    "token": lambda client, email: client.post(
        "/v1/oauth/token", data={"grant_type": "password", "username": email, "password": OTHER}
    ),
    "page": form_of("/login", password=OTHER),
}
MAILS = {
    "forgot": json_of("/v1/auth/forgot-password"),
    "forgot, other prefix": json_of("/api/v1/auth/forgot-password"),
    "forgot, page": form_of("/forgot-password"),
    "resend": json_of("/v1/auth/verify-email/resend"),
    "resend, page": form_of("/verify-email/resend"),
}
REGISTERS = {
    "api": json_of("/v1/auth/register", password=OTHER),
    "page": form_of("/register", password=OTHER),
}
KINDS = ["new", "known", "waiting", "disabled", "social"]


def works(counts, app, request, kinds=KINDS):
    """Return the distribution of work for each kind of address, once each connection is open."""
    client = browser(app)
    for kind in ("warm", *kinds):
        request(client, f"{kind}-up@example.com")
    assert counts.service.outbox.flush()
    results = {kind: Counter() for kind in kinds}
    texts = {kind: Counter() for kind in kinds}
    for number in range(NUMBER):
        for kind in kinds:
            work, statements = counts.of(request, client, f"{kind}{number}@example.com")
            results[kind][tuple(work.items())] += 1
            texts[kind][statements] += 1
    return results, texts


def assert_all_alike(distributions):
    """Compare the distribution of each kind with that of new addresses."""
    assert all(distribution == distributions["new"] for distribution in distributions.values()), distributions


@pytest.mark.slow
@pytest.mark.parametrize("login", LOGINS)
def test_wrong_password(counts, app, login):
    """A wrong password takes the same statements and one hash for each kind of account."""
    result, texts = works(counts, app, LOGINS[login])
    assert_all_alike(result)
    assert_all_alike(texts)
    ((work, _),) = result["new"].items()
    assert dict(work)["hashes"] == 1


@pytest.mark.slow
def test_right_password_of_a_disabled_account(counts, app):
    """The right password of a disabled account takes the work of a wrong one."""

    def request(client, email):
        client.post("/v1/auth/login", json={"email": email, "password": PASSWORD})

    assert_all_alike(works(counts, app, request, ["new", "disabled"])[1])


@pytest.mark.slow
@pytest.mark.parametrize("mail", MAILS)
def test_asking_for_a_mail(counts, app, mail):
    """A request for a mail reads no account, and leaves a row and a job for the outbox."""
    result, texts = works(counts, app, MAILS[mail])
    assert_all_alike(result)
    assert_all_alike(texts)
    ((work, _),) = result["new"].items()
    assert (dict(work)["commits"], dict(work)["mails"]) == (1, 1)
    ((statements, _),) = texts["new"].items()
    assert not [each for each in statements if "users" in each.replace("user_id", "")]
    assert counts.service.outbox.flush()
    assert counts.behind > 0


@pytest.mark.slow
@pytest.mark.parametrize("is_safe", [True], indirect=True)
@pytest.mark.parametrize("register", REGISTERS)
def test_registering(counts, app, register):
    """With `enumeration_safe`, a registration takes equal statements for each account, and is committed."""
    result, texts = works(counts, app, REGISTERS[register])
    assert_all_alike(result)
    assert_all_alike(texts)
    ((work, _),) = result["new"].items()
    assert (dict(work)["commits"], dict(work)["hashes"], dict(work)["mails"]) == (1, 1, 1)


def hand_in(client):
    """Sign in with a code that an application got."""
    code = {"code": "c0de", "redirect_uri": f"{ISSUER}/v1/auth/op/callback"}
    assert client.post("/v1/auth/op/callback", json=code).status_code == 403


def come_back(client):
    """Sign in as a browser does."""
    state = client.get("/v1/auth/op/authorize").headers["location"].partition("state=")[2]
    answer = client.get("/v1/auth/op/callback", params={"code": "c0de", "state": state})
    assert answer.status_code == 403


@pytest.mark.slow
@pytest.mark.parametrize("is_safe", [True], indirect=True)
@pytest.mark.parametrize("way", [hand_in, come_back])
def test_provider_with_an_unverified_address(counts, app, provider, way):
    """With `enumeration_safe`, an unverified address takes equal work, at the first sign-in and later."""

    def request(client, email):
        provider.email = email
        way(client)

    first, _ = works(counts, app, request)
    assert_all_alike(first)
    later, _ = works(counts, app, request)
    assert_all_alike(later)
    assert later["new"] == first["new"]
    ((work, _),) = first["new"].items()
    assert (dict(work)["commits"], dict(work)["mails"]) == (1, 1)


def data_version(connection):
    """Return a number that changes when another connection has written to an SQLite file."""
    return connection.exec_driver_sql("PRAGMA data_version").scalar()


@pytest.mark.slow
@pytest.mark.parametrize("is_safe", [True], indirect=True)
@pytest.mark.parametrize("way", ["register", "provider"])
def test_each_flushes_the_disk(counts, app, provider, way):
    """A known address makes the database write as a new one does, each time."""
    if not counts.service.database.is_sqlite:
        pytest.skip("PostgreSQL does not tell which transaction has written")
    counts.service.database.close()
    client = browser(app)
    with counts.service.database.engine.connect() as connection:
        for kind in [*KINDS, *KINDS]:
            counts.service.clock.go_on(1)
            before = data_version(connection)
            provider.email = email = f"{kind}0@example.com"
            if way == "provider":
                hand_in(client)
            else:
                REGISTERS["api"](client, email)
            assert data_version(connection) != before, kind


@pytest.mark.slow
@pytest.mark.parametrize("is_safe", [True], indirect=True)
def test_decoys_are_few(counts, app):
    """The number of decoys is limited for any number of attempts, and a logout deletes them."""
    from authguard.identity.storage import revocation_queries as store

    database = counts.service.database
    with database.write() as connection:
        for _ in range(400):
            store.write_decoy(connection, 1.0)
    query = "SELECT count(*) FROM authguard_replays WHERE substr(digest, 1, 6) = 'decoy-'"
    with database.read() as connection:
        assert 1 <= connection.exec_driver_sql(query).scalar() <= 256
    counts.service.sessions.end_now(["none"])
    with database.read() as connection:
        assert connection.exec_driver_sql(query).scalar() == 0


def test_a_verified_address_leaves_no_decoy(counts):
    """A sign-in with a verified address leaves no decoy, because its user has proven the address."""
    query = "SELECT count(*) FROM authguard_replays WHERE substr(digest, 1, 6) = 'decoy-'"
    counts.service.sign_in_with(SocialIdentity("hub", "0", "social0@example.com", True, "Mona"))
    with counts.service.database.read() as connection:
        assert connection.exec_driver_sql(query).scalar() == 0
