"""Limits in memory and in a real Redis: their counts, their keys, and their refusals."""

import json
import os
import secrets
import threading
from ipaddress import IPv6Address

import pytest
import redis

from authguard import ConfigurationError, VerificationUnavailableError
from authguard._core.answer.refusal import refuse
from authguard.errors import RateLimitedError
from authguard.identity.limits import DEFAULT_LIMITS, DELAY, Limit, Limiter, networks

DAY = 86_400  # so that hardly ever one window ends while a test counts: the limiter uses the real clock
REDIS = "redis://127.0.0.1:6379/0"
ANN, BOB = "ann@example.com", "bob@example.com"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


def _redis_runs():
    try:
        return bool(redis.Redis.from_url(REDIS, socket_connect_timeout=0.5).ping())
    except redis.RedisError:
        return False


needs_redis = pytest.mark.skipif(
    not os.environ.get("CI") and not _redis_runs(), reason="no Redis at 127.0.0.1:6379"
)


@pytest.fixture(params=["memory://", pytest.param(REDIS, marks=needs_redis)])
def url(request):
    """Return the URL of a store of counts."""
    return request.param


@pytest.fixture
def key():
    """Return a key that no other test has."""
    return secrets.token_hex(8)


def _tries(limiter, name, *key, most=1000):
    """Return the number of admitted attempts."""
    for number in range(most):
        try:
            limiter.hit(name, *key)
        except RateLimitedError:
            return number
    return most


def test_as_many_as_was_said(url, key):
    """The limit admits exactly its count."""
    assert _tries(Limiter(url), "login", key) == DEFAULT_LIMITS["login"].count


def test_limit_can_be_set(url, key):
    """A limit that is given replaces the default one."""
    assert _tries(Limiter(url, limits={"login": Limit(2, DAY)}), "login", key) == 2


def test_keys_are_apart(url, key):
    """A key has a count of its own, also if its parts together make the same text as another key."""
    limiter = Limiter(url, limits={"login": Limit(1, DAY)})
    limiter.hit("login", key, "ab", "c")
    limiter.hit("login", key, "a", "bc")
    limiter.hit("login", key + "ab", "c")
    limiter.hit("mail", key, "ab", "c")


def test_counts_are_shared(key):
    """Two limiters on one Redis share their counts."""
    if not _redis_runs() and not os.environ.get("CI"):
        pytest.skip("no Redis at 127.0.0.1:6379")
    limits = {"login": Limit(3, DAY)}
    first, other = Limiter(REDIS, limits=limits), Limiter(REDIS, limits=limits)
    assert _tries(first, "login", key, most=2) + _tries(other, "login", key) == 3


def test_parallel_tries_cannot_pass(url, key):
    """Of forty parallel attempts exactly the count of the limit is admitted."""
    limiter = Limiter(url, limits={"login": Limit(10, DAY)})
    start, passed = threading.Barrier(8), []

    def try_often():
        start.wait()
        passed.append(sum(_tries(limiter, "login", key, most=1) for _ in range(5)))

    threads = [threading.Thread(target=try_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 10


@pytest.mark.parametrize("start", [1, 50, 99.5])
@pytest.mark.parametrize("later", [0, 30, 130, 170])
def test_time_goes_by(monkeypatch, key, start, later):
    """After `retry_after` one more attempt is admitted, although refused ones came in between."""
    now = [1_800_000_000.0 + start]
    monkeypatch.setattr("time.time", lambda: now[0])
    limiter = Limiter(limits={"login": Limit(5, 100)})
    _tries(limiter, "login", key)
    now[0] += later
    _tries(limiter, "login", key)
    with pytest.raises(RateLimitedError) as caught:
        limiter.hit("login", key)
    now[0] += caught.value.retry_after
    limiter.hit("login", key)


@pytest.mark.slow
@pytest.mark.parametrize("opened", [0.0, 1.0, 50.0, 99.0])
def test_no_window_has_more_than_the_limit(monkeypatch, url, key, opened):
    """No window of the length of a limit has more attempts than the limit, wherever it begins."""
    now = [1_800_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    limiter, admitted = Limiter(url, limits={"login": Limit(5, 100)}), []
    for later in (0.0, *(opened + step / 2 for step in range(500))):
        now[0] = 1_800_000_000.0 + later
        admitted += [later] * _tries(limiter, "login", key, most=6)
    assert all(sum(begin <= at < begin + 100 for at in admitted) <= 5 for begin in admitted)
    assert len(admitted) >= 5 * 3


def test_what_has_expired_is_forgotten(monkeypatch):
    """The memory does not grow with the number of expired keys, and no thread is started for that."""
    now = [1_800_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    limiter = Limiter(limits={"login": Limit(5, 100)})
    limiter._storage.timer.join()  # the library's own, which runs once
    before = threading.active_count()
    for number in range(100):
        limiter.hit("login", f"key {number}")
    assert threading.active_count() == before
    now[0] += 201
    limiter.hit("login", "somebody else")
    assert len(limiter._storage.events) == 1


def test_check_counts_nothing(url, key):
    """`check` does not count, and refuses once the limit is reached."""
    limiter = Limiter(url, limits={"secret_address": Limit(1, DAY)})
    limiter.check("secret_address", key)
    limiter.check("secret_address", key)
    limiter.hit("secret_address", key)
    with pytest.raises(RateLimitedError):
        limiter.check("secret_address", key)


def test_cleared_counts_are_forgotten(url, key):
    """A cleared count begins again."""
    limiter = Limiter(url, limits={"login": Limit(2, DAY)})
    assert _tries(limiter, "login", key) == 2
    limiter.clear("login", key)
    assert _tries(limiter, "login", key) == 2


def test_an_attacker_cannot_lock_the_owner_out(url, key):
    """Attempts from other addresses delay the owner's attempt, and do not refuse it."""
    limiter = Limiter(url, limits={"login_account": Limit(5, DAY)})
    for number in range(30):
        for _ in range(3):
            limiter.count_login(ANN + key, f"198.51.{number}.{int(key[:2], 16)}")
    assert limiter.count_login(ANN + key, f"2001:db8:{key[:4]}::1") == DELAY


def test_few_tries_are_not_delayed(url, key):
    """An account with few attempts causes no delay."""
    assert Limiter(url).count_login(ANN + key, f"2001:db8:{key[:4]}:1::1") == 0


def test_an_address_cannot_try_one_account_often(url, key):
    """Attempts from one address for one account end at the limit `login`."""
    limiter = Limiter(url)
    address = f"2001:db8:{key[:4]}:2::1"
    with pytest.raises(RateLimitedError) as caught:
        for _ in range(11):
            limiter.count_login(ANN + key, address)
    assert caught.value.policy == "login"
    assert limiter.count_login(BOB + key, address) == 0


def test_an_address_cannot_try_many_accounts(url, key):
    """Attempts from one /64 network for several accounts end at the limit `login_address`."""
    limiter = Limiter(url, limits={"login_address": Limit(5, DAY)})
    with pytest.raises(RateLimitedError) as caught:
        for number in range(6):
            limiter.count_login(f"{number}{key}", f"2001:db8:{key[:4]}:3::{number}")
    assert caught.value.policy == "login_address"


def test_right_password_clears_its_own_tries_only(url, key):
    """A right password clears the count of its account and address, and not that of the address."""
    limiter = Limiter(url, limits={"login": Limit(2, DAY), "login_address": Limit(3, DAY)})
    address = f"2001:db8:{key[:4]}:4::1"
    limiter.count_login(ANN + key, address)
    limiter.count_login(ANN + key, address)
    limiter.clear_login(ANN + key, address)
    limiter.count_login(ANN + key, address)
    with pytest.raises(RateLimitedError) as caught:
        limiter.count_login(ANN + key, address)
    assert caught.value.policy == "login_address"


@pytest.mark.parametrize(
    ("accounts", "addresses", "policy"),
    [(1, 1, "mail"), (100, 1, "mail_address")],
)
def test_mails_are_limited(url, key, accounts, addresses, policy):
    """Mails that one address asks for are limited for each mailbox and for the address."""
    limiter = Limiter(url)
    with pytest.raises(RateLimitedError) as caught:
        for number in range(100):
            network = f"2001:db8:{key[:4]}:{number % addresses}::1"
            limiter.count_mail(f"{number % accounts}{key}{policy}", network)
    assert caught.value.policy == policy


def test_a_mailbox_is_sent_so_many_mails_of_a_kind(url, key):
    """The eleventh mail of a kind to a mailbox is not sent, regardless of tags in the address."""
    limiter = Limiter(url)
    sent = [limiter.may_send("verify", f"Ann.{key}+{number}@example.com") for number in range(12)]
    assert sent == [True] * 10 + [False] * 2
    assert not limiter.may_send("verify", f"ann.{key}@EXAMPLE.com")
    assert limiter.may_send("reset", f"ann.{key}@example.com")
    assert limiter.may_send("verify", f"bob.{key}@example.com")


def test_many_callers_refuse_no_owner(url, key):
    """Requests of a hundred networks for mails to an account do not refuse those of another network."""
    limiter = Limiter(url)
    for number in range(100):
        limiter.count_mail(f"{key}@example.com", f"2001:{key[:4]}:{number}::1")
    limiter.count_mail(f"{key}@example.com", f"2001:{key[:4]}:ffff::1")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("::ffff:192.0.2.1", ["192.0.2.1"]),
        ("2001:db8:1:2a3:3:4:5:6", ["2001:db8:1:2a3::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"]),
        ("2001:0DB8:1:2::", ["2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48"]),
        ("fe80::1%eth0", ["fe80::/64", "fe80::/56", "fe80::/48"]),
        ("", [""]),
        ("testclient", ["testclient"]),
    ],
)
def test_networks_of_an_address(address, expected):
    """IPv6 is counted by networks of /64, /56 and /48, and a mapped IPv4 address as IPv4."""
    assert ["".join(key) for key, _ in networks(address)] == expected


@pytest.mark.parametrize(("bits", "most"), [(64, 10), (56, 20), (48, 40)])
def test_guesses_from_one_network_are_limited(url, key, bits, most):
    """Attempts for one account from several addresses of a network end at a multiple of the limit."""
    limiter = Limiter(url)
    prefix, tried = int(key[:4], 16) << 96 | 0x2001 << 112, 0
    with pytest.raises(RateLimitedError):
        for number in range(300):
            address = IPv6Address(prefix | number << (128 - bits - 8 if bits < 64 else 0))
            limiter.count_login(f"{key}@example.com", str(address))
            tried += 1
    assert tried == most


def test_a_success_forgets_all_networks_of_the_address(url, key):
    """A right password clears the counts of its account for all networks of the address."""
    limiter = Limiter(url)
    for number in range(100):
        address = f"2001:{key[:4]}:{key[4:8]}:{number:x}::1"
        limiter.hit("login", f"{key}@example.com", address=address)
        limiter.clear_login(f"{key}@example.com", address)


def test_refusal_on_the_wire(key):
    """A refusal is 429 with Retry-After and the RateLimit fields, and does not show the key."""
    limiter = Limiter(limits={"login": Limit(1, 60)})
    limiter.hit("login", key)
    with pytest.raises(RateLimitedError) as caught:
        limiter.hit("login", key)
    answer = refuse(caught.value, "api")
    fields = dict(answer.headers)
    wait = caught.value.retry_after
    assert (answer.status, fields["retry-after"], fields["cache-control"]) == (429, str(wait), "no-store")
    assert fields["ratelimit-policy"] == '"login";q=1;w=60'
    assert fields["ratelimit"] == f'"login";r=0;t={wait}'
    assert 1 <= wait <= 180
    assert json.loads(answer.body)["code"] == "rate_limited"
    assert "www-authenticate" not in fields
    assert key not in str(answer) + str(caught.value)


def test_store_that_is_down_refuses_with_503(key):
    """A store that is down raises VerificationUnavailableError for each operation."""
    limiter = Limiter("redis://127.0.0.1:9/0")
    for call in (limiter.hit, limiter.check, limiter.delay, limiter.clear):
        with pytest.raises(VerificationUnavailableError):
            call("login", key)


@needs_redis
def test_redis_learns_nobodys_address(key):
    """The names of counters in Redis are digests, and not addresses."""
    Limiter(REDIS).hit("login", f"{key}@example.com")
    names = list(redis.Redis.from_url(REDIS).scan_iter("*authguard*", count=1000))
    assert names and not any(key.encode() in name for name in names)


@needs_redis
def test_counters_in_redis_expire(key):
    """A counter in Redis expires after its window."""
    limiter = Limiter(REDIS, limits={"login": Limit(1, 7)})
    client = redis.Redis.from_url(REDIS)
    before = set(client.scan_iter("*authguard*", count=1000))
    limiter.hit("login", key)
    (name,) = [each for each in set(client.scan_iter("*authguard*", count=1000)) - before if b"/7" in each]
    assert 0 < client.ttl(name) <= 7


@pytest.mark.parametrize(
    "url", ["memcached://127.0.0.1", "", "memory", "redis://127.0.0.1:port", "memory://x"]
)
def test_other_urls_are_refused(url):
    """An unknown URL of a store is refused when the limiter is built."""
    with pytest.raises(ConfigurationError):
        Limiter(url)


def test_unknown_limit_is_refused():
    """An unknown name of a limit is refused, and the error lists the names."""
    with pytest.raises(ConfigurationError, match="login_address"):
        Limiter(limits={"logins": Limit(1, 1)})


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (True, 1), (1.5, 1), ("1", 1)])
def test_limit_checks_its_numbers(numbers):
    """A limit is refused unless it has two whole numbers of at least one."""
    with pytest.raises(ConfigurationError):
        Limit(*numbers)


def test_repr_has_no_password():
    """The repr does not show the URL."""
    assert "secret" not in repr(Limiter("redis://:secret@127.0.0.1:6379"))
