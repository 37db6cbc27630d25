"""docs/coming-from/slowapi.md: both applications refuse the request above the limit."""

import pytest

from frameworks.support import need

need("fastapi", "slowapi")

pytestmark = pytest.mark.frameworks

from fastapi import FastAPI
from starlette.testclient import TestClient

from authguard import APIKey, APIKeyVerifier, Guard
from authguard.fastapi import install
from migrations.support import run

PAGE = "slowapi.md"
KEY = {"X-API-Key": "0ld-key-without-a-prefix-8Hw2"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADA_KEY", KEY["X-API-Key"])


@pytest.fixture(name="before")
def _before() -> TestClient:
    return TestClient(run(PAGE, "Before").app)


@pytest.fixture(name="after")
def _after() -> TestClient:
    return TestClient(run(PAGE, "After").app)


def test_both_applications_count(before: TestClient, after: TestClient) -> None:
    """Both applications admit three requests and no fourth, with a count for each path."""
    for client in (before, after):
        answers = [client.get("/search", headers=KEY) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].json() == {"user": "ada"}
        assert client.get("/export", headers=KEY).status_code == 200
        assert client.get("/search", headers={"X-API-Key": "unknown-key-0123456789"}).status_code == 401


def test_what_the_table_says_of_answers(before: TestClient, after: TestClient) -> None:
    """The bodies and fields of answers below and above the limit are those of the table."""
    old, new = ([client.get("/search", headers=KEY) for _ in range(4)] for client in (before, after))
    assert old[-1].json() == {"error": "Rate limit exceeded: 3 per 1 minute"}
    assert new[-1].json()["code"] == "rate_limited"
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(old[0].headers)
    assert {"ratelimit", "ratelimit-policy"} <= set(new[0].headers)
    assert ["retry-after" in answer.headers for answer in (old[0], new[0])] == [True, False]
    assert ["retry-after" in answer.headers for answer in (old[-1], new[-1])] == [True, True]


def test_limits_by_address_work_inside_of_the_guard() -> None:
    """slowapi limits addresses on a public path of the guard."""
    app = FastAPI()
    guard = Guard(APIKeyVerifier({KEY["X-API-Key"]: APIKey("ada")}), public_paths=["/login"], quotas=[])
    install(app, guard)
    run(PAGE, "Limits by address", app=app)
    client = TestClient(app)
    assert [client.post("/login").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_store_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is down is a 500 with slowapi."""
    names = run(PAGE, "Before")

    def down(*arguments: object, **options: object) -> bool:
        raise ConnectionError("Redis is away")

    monkeypatch.setattr(names.limiter.limiter, "hit", down)
    client = TestClient(names.app, raise_server_exceptions=False)
    assert client.get("/search", headers=KEY).status_code == 500
