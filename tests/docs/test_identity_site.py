"""The site of docs/identity.md signs users in, and accepts their API keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from docs.blocks import blocks, execute

pytestmark = pytest.mark.slow

SITE = "http://127.0.0.1:8000"
ACCOUNT = {"email": "ada@example.com", "password": "Lovelace-1815"}
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(name="app")
def _app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHGUARD_SECRET", "s1te-0nly-Secret-of-enough-bytes-3Km")
    names: dict[str, Any] = {"__name__": "main"}
    site = next(block for block in blocks("docs/identity.md", "python") if "app.mount" in block.text)
    execute(site, names)
    with TestClient(names["app"], base_url=SITE):  # its lifespan closes the service
        yield names["app"]


def test_a_browser_registers_and_comes_back(app: Any) -> None:
    """A browser is redirected to sign in, and then to the page that it has requested."""
    browser = TestClient(app, base_url=SITE, headers=BROWSER, follow_redirects=False)
    assert browser.get("/dashboard").headers["location"] == "/id/login?next=%2Fdashboard"
    done = browser.post("/id/register", data={**ACCOUNT, "next": "/dashboard"})
    assert (done.status_code, done.headers["location"]) == (303, "/dashboard")
    assert browser.get("/dashboard").status_code == 200
    browser.post("/id/logout")
    assert browser.get("/dashboard").status_code == 303


def test_an_api_key_has_the_quota_of_its_tier(app: Any) -> None:
    """The requests with an API key are counted, and the eleventh in a minute is refused."""
    program = TestClient(app, base_url=SITE)
    token = program.post("/id/v1/auth/register", json=ACCOUNT).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    key = program.post("/id/v1/api-keys", json={"name": "nightly"}, headers=bearer).json()["api_key"]
    statuses = [program.get("/dashboard", headers={"X-API-Key": key}).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    assert program.get("/id/v1/auth/usage", headers=bearer).json()["usage"]["today"] == 10
