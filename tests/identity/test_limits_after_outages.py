"""Limits after an outage of the database: requests that ended with 503 have used up nothing."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from authguard.errors import RateLimitedError
from authguard.identity import Identity, IdentityService
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.limits import DEFAULT_LIMITS, Limit, Limiter
from authguard.identity.limits.taken import given_back_on_outage, noting
from authguard.identity.model import APIKeyRequest, Caller
from identity.support import ANN, CALLER, PASSWORD, service_at
from identity.test_limits import REDIS, needs_redis
from identity.test_sessions import principal_of, register

LOGIN = {"email": ANN["email"], "password": PASSWORD}
NEW = "NewSecurePass456!"
DAY = 86_400


@contextmanager
def outage(service: IdentityService, table: str = "users") -> Iterator[None]:
    """Take a table away, so that requests which need it fail as in an outage."""
    rename = "ALTER TABLE {} RENAME TO {}"
    with service.database.write() as connection:
        connection.execute(text(rename.format(table, f"{table}_away")))
    try:
        yield
    finally:
        with service.database.write() as connection:
            connection.execute(text(rename.format(f"{table}_away", table)))


@pytest.fixture(params=["memory://", pytest.param(REDIS, marks=needs_redis)])
def limits_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a store of counts."""
    return str(request.param)


@pytest.fixture
def key() -> str:
    """Return a key that no other test has."""
    return secrets.token_hex(8)


@pytest.fixture
def limited(url: str) -> Iterator[IdentityService]:
    """Return a service with the default limits."""
    with service_at(url, limits=dict(DEFAULT_LIMITS)) as service:
        register(service)
        yield service


@pytest.fixture
def client(limited: IdentityService) -> TestClient:
    return TestClient(Identity(limited))


@pytest.mark.slow
@pytest.mark.parametrize("table", ["users", "sessions"])
def test_sign_ins_during_an_outage_do_not_lock_the_owner_out(limited, client, table):
    """After more sign-ins with 503 than the limit has, the owner can sign in."""
    with outage(limited, table):
        answers = [client.post("/v1/auth/login", json=LOGIN).status_code for _ in range(12)]
    assert answers == [503] * 12
    assert client.post("/v1/auth/login", json=LOGIN).status_code == 200


@pytest.mark.slow
def test_wrong_passwords_count_around_an_outage(limited, client):
    """Attempts with an answer are counted, and those of an outage in between are not."""
    wrong = {**LOGIN, "password": "WrongPassword1!"}
    most = DEFAULT_LIMITS["login"].count
    before = [client.post("/v1/auth/login", json=wrong).status_code for _ in range(most - 1)]
    with outage(limited):
        during = [client.post("/v1/auth/login", json=wrong).status_code for _ in range(5)]
    after = [client.post("/v1/auth/login", json=wrong).status_code for _ in range(2)]
    assert (before, during, after) == ([401] * (most - 1), [503] * 5, [401, 429])


@pytest.mark.slow
def test_wrong_passwords_count_while_sessions_cannot_be_stored(limited, client):
    """Wrong passwords that are compared during an outage are counted."""
    wrong = {**LOGIN, "password": "WrongPassword1!"}
    most = DEFAULT_LIMITS["login"].count
    with outage(limited, "sessions"):
        answers = [client.post("/v1/auth/login", json=wrong).status_code for _ in range(most + 1)]
        assert client.post("/v1/auth/login", json=LOGIN).status_code == 429
    assert answers == [401] * most + [429]


def test_forgotten_passwords_during_an_outage_use_nothing_up(limited, client):
    """After more requests for a mail with 503 than the limit has, a request is accepted."""
    body = {"email": ANN["email"]}
    with outage(limited, "mails"):
        answers = [client.post("/v1/auth/forgot-password", json=body).status_code for _ in range(5)]
    assert answers == [503] * 5
    most = DEFAULT_LIMITS["mail"].count
    answers = [client.post("/v1/auth/forgot-password", json=body).status_code for _ in range(most + 1)]
    assert answers == [200] * most + [429]


#: Use cases that count, each with its limit and the table that is away.
COUNTED = {
    "register": (
        "register_address",
        "users",
        lambda s, me: s.accounts.register("bob@example.com", NEW, "", CALLER),
    ),
    "change_password": (
        "login",
        "users",
        lambda s, me: s.accounts.change_password(me, PASSWORD, NEW, CALLER),
    ),
    "delete": ("login", "users", lambda s, me: s.deletion.delete(me, PASSWORD, CALLER)),
    "create_key": ("api_key", "api_keys", lambda s, me: s.api_keys.create(me, APIKeyRequest("key"), CALLER)),
}


@pytest.mark.parametrize("flow", COUNTED)
def test_no_flow_uses_up_its_limit_in_an_outage(url, flow):
    """The only attempt of a limit is left after several attempts in an outage."""
    name, table, attempt = COUNTED[flow]
    most = 2 if flow == "register" else 1  # the account of the test is registered, too
    with service_at(url, limits={**DEFAULT_LIMITS, name: Limit(most, DAY)}, api_keys=True) as service:
        me = principal_of(service, register(service).access_token)
        with outage(service, table):
            for _ in range(3):
                with pytest.raises(StoreUnavailableError):
                    attempt(service, me)
        attempt(service, me)


def tries(limiter: Limiter, *parts: str, address: str) -> int:
    """Return the number of admitted attempts."""
    for number in range(1000):
        try:
            limiter.hit("login", *parts, address=address)
        except RateLimitedError:
            return number
    return 1000


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_the_exact_requests_are_given_back(limits_url, key, address):
    """Giving back one request leaves the counts of others, in each network of the address."""
    limiter = Limiter(limits_url, limits={"login": Limit(5, DAY)})
    limiter.hit("login", key, address=address)
    with noting() as taken:
        limiter.hit("login", key, address=address)
        limiter.hit("login", key, address=address)
    limiter.hit("login", key, address=address)
    taken.give_back()
    taken.give_back()  # once only
    assert tries(limiter, key, address=address) == 3


def test_the_older_request_keeps_its_time(limits_url, key, monkeypatch):
    """The window of a request that stays is its own, and not that of the one that was given back."""
    limiter = Limiter(limits_url, limits={"login": Limit(1, DAY), "mail": Limit(2, DAY)})
    now = 1_900_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    with noting() as first:
        limiter.hit("mail", key)
    now += 100
    limiter.hit("mail", key)
    first.give_back()
    limiter.hit("mail", key)
    now += DAY - 50  # the window of the first request has ended, and no other
    with pytest.raises(RateLimitedError):
        limiter.hit("mail", key)


def test_a_request_that_raises_something_else_is_counted(key):
    """A refusal and a bug give nothing back."""
    limiter = Limiter(limits={"login": Limit(2, DAY)})
    for error in (RateLimitedError("x", quota=1, window=1, retry_after=1), ValueError()):
        with pytest.raises(type(error)), given_back_on_outage():
            limiter.hit("login", key)
            raise error
    assert tries(limiter, key, address=str(Caller("192.0.2.1").address)) == 2
    with pytest.raises(RateLimitedError):
        limiter.hit("login", key)


def test_a_request_that_has_stored_a_mail_is_counted(limited):
    """An outage after a mail was stored gives nothing back, so that it gives no free mails."""
    most = DEFAULT_LIMITS["mail"].count
    for _ in range(most):
        with pytest.raises(StoreUnavailableError), given_back_on_outage():
            limited.links.request_password_reset(ANN["email"], CALLER)
            raise StoreUnavailableError("the other store")
    with pytest.raises(RateLimitedError):
        limited.links.request_password_reset(ANN["email"], CALLER)


def test_a_store_of_limits_that_is_down_is_no_second_error(tmp_path):
    """If the store of limits is down as well, the error is that of the database."""
    from stores.servers import RedisServer

    server = RedisServer(tmp_path)
    server.start()
    limiter = Limiter(server.url)
    with pytest.raises(StoreUnavailableError, match="database"), given_back_on_outage():
        limiter.hit("login", secrets.token_hex(4))
        server.stop()
        raise StoreUnavailableError("database")
