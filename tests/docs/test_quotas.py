"""The blocks of docs/quotas.md run as the page says."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from authguard.asgi import AuthGuardMiddleware

TEXT = (Path(__file__).parents[2] / "docs" / "quotas.md").read_text(encoding="utf-8")
BLOCK, SHARED = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ADA, PARTNER = "sk_test_docs-0nly-Key-of-ada-4Rt", "sk_test_docs-0nly-Key-of-partner-6Wp"


@pytest.fixture(name="client")
def _client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("ADA_KEY", ADA)
    monkeypatch.setenv("PARTNER_KEY", PARTNER)
    namespace: dict[str, Any] = {"__name__": "quotas"}
    exec(compile(BLOCK, "quotas.md", "exec"), namespace)
    return TestClient(namespace["app"])


def test_the_free_tier_has_ten_a_minute(client: TestClient) -> None:
    """The eleventh request of the free tier is refused, and the fields are those of the page."""
    answers = [client.get("/", headers={"X-API-Key": ADA}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    policy, _, limit = TEXT.partition("RateLimit-Policy: ")[2].partition("\nRateLimit: ")
    assert answers[0].headers["ratelimit-policy"] == policy
    shown = re.sub(r"t=\d+$", "t=…", limit.partition("\n")[0])
    assert re.sub(r"t=\d+$", "t=…", answers[0].headers["ratelimit"]) == shown


def test_an_export_costs_five(client: TestClient) -> None:
    """Two exports use up the quota of the free tier for a minute."""
    statuses = [client.get("/export", headers={"X-API-Key": ADA}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_the_key_of_the_partner_has_a_quota_of_its_own(client: TestClient) -> None:
    """The key of the partner has its own quota, beside those of its tier and of the path."""
    answer = client.get("/search", headers={"X-API-Key": PARTNER})
    assert re.findall(r'"([^"]+)"', answer.headers["ratelimit"]) == [
        "per-minute", "per-day", "/search per-minute", "key-per-second",
    ]  # fmt: skip


def test_processes_share_what_they_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two guards with the same file count together, as two processes of one application."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADA_KEY", ADA)
    apps, stores = [], []
    for _ in range(2):
        namespace: dict[str, Any] = {"__name__": "quotas"}
        exec(compile(SHARED.replace("600, 60", "6, 60"), "quotas.md", "exec"), namespace)
        stores.append(namespace["guard"])
        apps.append(TestClient(AuthGuardMiddleware(_hello, guard=namespace["guard"])))
    answers = [apps[number % 2].get("/", headers={"X-API-Key": ADA}) for number in range(12)]
    assert 5 <= sum(answer.status_code == 200 for answer in answers) <= 6
    assert answers[-1].status_code == 429
    assert (tmp_path / "quotas.db").exists()
    for guard in stores:
        guard.quotas.store.close()


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
