"""The block of docs/quotas.md runs, and does what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

TEXT = (Path(__file__).parents[2] / "docs" / "quotas.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ADA, PARTNER = "sk_test_docs-0nly-Key-of-ada-4Rt", "sk_test_docs-0nly-Key-of-partner-6Wp"


@pytest.fixture(name="client")
def _client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("ADA_KEY", ADA)
    monkeypatch.setenv("PARTNER_KEY", PARTNER)
    namespace: dict[str, Any] = {"__name__": "quotas"}
    exec(compile(BLOCK, "quotas.md", "exec"), namespace)
    return TestClient(namespace["app"])


def test_the_free_tier_has_ten_a_minute(client: TestClient) -> None:
    """The eleventh request is refused, and the fields are those of the page."""
    answers = [client.get("/", headers={"X-API-Key": ADA}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    policy, _, limit = TEXT.partition("RateLimit-Policy: ")[2].partition("\nRateLimit: ")
    assert answers[0].headers["ratelimit-policy"] == policy
    shown = re.sub(r"t=\d+$", "t=…", limit.partition("\n")[0])
    assert re.sub(r"t=\d+$", "t=…", answers[0].headers["ratelimit"]) == shown


def test_an_export_costs_five(client: TestClient) -> None:
    """Two of them are all that the free tier has in a minute."""
    statuses = [client.get("/export", headers={"X-API-Key": ADA}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_the_key_of_the_partner_has_a_quota_of_its_own(client: TestClient) -> None:
    """Beside that of its tier, and that of the path."""
    answer = client.get("/search", headers={"X-API-Key": PARTNER})
    assert re.findall(r'"([^"]+)"', answer.headers["ratelimit"]) == [
        "per-minute", "per-day", "/search per-minute", "key-per-second",
    ]  # fmt: skip
