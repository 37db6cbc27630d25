"""The limits of tiers at the service itself, and the usage that it shows."""

from datetime import UTC, datetime

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import Identity, SQLAPIKeys
from authguard.identity.tiers import tier_quotas
from identity.keys import create_key, create_pair, is_problem, key_field, register
from identity.support import SECRET, empty, service_at

pytestmark = pytest.mark.one_database  # requests and answers do not depend on the database

ME, KEYS, USAGE = "/v1/users/me", "/v1/api-keys", "/v1/auth/usage"
MANAGING = [KEYS, "/api/v1/api-keys", "/v1/auth/api-keys", USAGE]


@pytest.fixture
def client(app):
    return TestClient(app)


@pytest.fixture
def ann(client):
    return register(client)


@pytest.fixture
def key(client, ann):
    """Return the field with a key of Ann's."""
    return key_field(create_key(client, ann)["api_key"])


def statuses(client, headers, paths):
    """Return the statuses of requests, one after the other."""
    return [client.get(path, headers=headers).status_code for path in paths]


def test_the_eleventh_request_of_a_minute_is_429(client, key):
    """The eleventh request of a minute is a 429, with the name of the limit and Retry-After."""
    assert statuses(client, key, [ME] * 10) == [200] * 10
    response = client.get(ME, headers=key)
    assert is_problem(response, 429, "rate_limited")
    document = response.json()
    assert document["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert document["violated-policies"] == ["per-minute"]
    assert 1 <= int(response.headers["retry-after"]) <= 61
    assert "www-authenticate" not in response.headers


@pytest.mark.slow
def test_a_key_is_not_let_through_uncounted(sqlite_url):
    """While the Redis of `limits_url` is down, requests with keys get 503, and those with tokens do not."""
    empty(sqlite_url)
    with service_at(sqlite_url, limits_url="redis://127.0.0.1:9") as service:
        client = TestClient(Identity(service))
        ann = register(client)
        key = key_field(create_key(client, ann)["api_key"])
        response = client.get(ME, headers=key)
        assert response.status_code == 503 and "retry-after" in response.headers
        assert client.get(ME, headers=ann).status_code == 200
        assert client.get(KEYS, headers=key).status_code == 200


@pytest.mark.parametrize("number", [1, 11], ids=["200", "429"])
def test_answers_tell_the_limits(client, key, number):
    """An answer of 200 and one of 429 have the same fields with the rest of the free tier."""
    for _ in range(number):
        response = client.get(ME, headers=key)
    assert response.headers["ratelimit-policy"] == '"per-minute";q=10;w=60, "per-day";q=1000;w=86400'
    expected = max(0, 10 - number)
    assert f'"per-minute";r={expected};t=' in response.headers["ratelimit"]
    assert f'"per-day";r={1000 - min(number, 10)}' in response.headers["ratelimit"]


def test_keys_of_an_owner_share_the_limit(client, ann, key):
    """The keys of an owner share one limit, and another owner has a separate one."""
    other = key_field(create_pair(client, ann)["key"])
    bob = key_field(create_key(client, register(client, "bob@example.com"))["api_key"])
    assert statuses(client, key, [ME] * 10) == [200] * 10
    assert statuses(client, other, [ME, "/v1/auth/me", "/api/v1/users/me"]) == [429] * 3
    assert statuses(client, bob, [ME]) == [200]


def test_a_key_and_its_token_share_the_limit(client, service, clock, ann):
    """In a guard that knows the issuer, the token of a key takes from the limit of the key."""
    pair = create_pair(client, ann)
    form = {"grant_type": "client_credentials", "client_id": pair["key"], "client_secret": pair["secret"]}
    token = client.post("/v1/oauth/token", data=form).json()["access_token"]
    issuer = service.settings.issuer
    guard = Guard(
        SQLAPIKeys(service.database, issuer=issuer, count=False),
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=issuer, audience=issuer, tier_claim="tier"),
        quotas=tier_quotas(),
    )
    other = TestClient(AuthGuardMiddleware(PlainTextResponse("hello"), guard=guard, clock=lambda: clock.now))
    assert statuses(other, key_field(pair["key"]), ["/"] * 6) == [200] * 6
    assert statuses(other, {"Authorization": f"Bearer {token}"}, ["/"] * 5) == [200] * 4 + [429]


def test_people_have_no_limit(client, ann, key):
    """Requests with an access token have no limit, and no fields about limits."""
    assert statuses(client, ann, [ME] * 15) == [200] * 15
    assert "ratelimit" not in client.get(ME, headers=ann).headers
    assert statuses(client, key, [ME]) == [200]


@pytest.mark.slow
def test_managing_keys_takes_nothing(client, key):
    """Requests that manage keys or read the usage are not limited, and take nothing from the limit."""
    assert statuses(client, key, [path for path in MANAGING for _ in range(4)]) == [200] * 16
    assert statuses(client, key, [ME] * 11) == [200] * 10 + [429]
    assert statuses(client, key, MANAGING) == [200] * 4
    assert client.get(USAGE, headers=key).json()["usage"] == {"today": 10, "month": 10}


@pytest.mark.slow
def test_managing_keys_may_count(sqlite_url, clock):
    """With `count_key_management`, all requests of a key take from one limit."""
    empty(sqlite_url)
    with service_at(sqlite_url, clock=clock, count_key_management=True) as service:
        client = TestClient(Identity(service))
        key = key_field(create_key(client, register(client))["api_key"])
        assert statuses(client, key, [KEYS, USAGE] * 4) == [200] * 8
        assert statuses(client, key, [ME, ME, ME, KEYS, USAGE]) == [200, 200, 429, 429, 429]


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["free", "basic", "tiny"])
def test_each_tier_has_its_limit(sqlite_url, clock, tier):
    """The tier of new keys and the limits of tiers follow the settings."""
    empty(sqlite_url)
    given = {"api_key_tier": tier, "api_key_tiers": {"tiny": "2/1000"}}
    per_minute = {"free": 10, "basic": 60, "tiny": 2}[tier]
    with service_at(sqlite_url, clock=clock, **given) as service:
        client = TestClient(Identity(service))
        key = key_field(create_pair(client, register(client))["key"])
        assert client.get(USAGE, headers=key).json()["tier"] == tier
        assert client.get(USAGE, headers=key).json()["limits"]["perMinute"] == per_minute
        assert statuses(client, key, [ME] * (per_minute + 1)) == [200] * per_minute + [429]


def test_a_refused_request_is_no_use(client, service, ann, key):
    """Requests that are refused with 401, 403 or 429 count for neither the limit nor the usage."""
    statuses(client, key, ["/v1/users/me/sessions"] * 5)
    statuses(client, {"X-API-Key": "sk_live_wrong"}, [ME] * 5)
    statuses(client, key, [ME] * 14)
    assert client.get(USAGE, headers=ann).json()["usage"]["today"] == 10
    service.api_key_verifier.recorder.flush()
    (listed,) = client.get(KEYS, headers=ann).json()
    assert (listed["usage_count"], listed["is_active"]) == (10, True)


def test_a_use_is_shown(client, clock, ann, key):
    """The list shows the time of the last use of a key, and null before the first."""
    assert client.get(KEYS, headers=ann).json()[0]["last_used_at"] is None
    clock.go_on(60)
    client.get(ME, headers=key)
    shown = datetime.fromisoformat(client.get(KEYS, headers=ann).json()[0]["last_used_at"])
    assert shown == datetime.fromtimestamp(clock.now, UTC)


def test_uses_are_shown_before_they_are_written(client, service, ann, key):
    """Each answer with a key has the uses that this process has not written yet, and counts none twice."""
    (listed,) = client.get(KEYS, headers=ann).json()
    one = f"{KEYS}/{listed['id']}"
    statuses(client, key, [ME] * 3)
    service.api_key_verifier.recorder.flush()
    statuses(client, key, [ME] * 2)
    answers = [client.get(KEYS, headers=ann).json()[0], client.get(one, headers=ann).json()]
    answers += [client.post(f"{one}/{switch}", headers=ann).json() for switch in ("disable", "enable")]
    service.api_key_verifier.recorder.flush()
    answers.append(client.get(one, headers=ann).json())
    assert [answer["usage_count"] for answer in answers] == [5] * 5
    assert len({answer["last_used_at"] for answer in answers}) == 1


def test_tier_quotas_are_those_of_the_settings():
    """Each tier has a limit a minute and one a calendar day, and callers without a tier have none."""
    quotas = tier_quotas({"pro": "7/70"})
    shown = {tier: [(quota.count, quota.seconds) for quota in listed] for tier, listed in quotas.items()}
    assert shown[None] == []
    assert shown["free"] == [(10, 60), (1000, "day")]
    assert shown["pro"] == [(7, 60), (70, "day")]
