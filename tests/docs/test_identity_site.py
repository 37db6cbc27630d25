"""The site of docs/identity.md signs users in, and accepts their API keys."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from flask import Flask
from starlette.testclient import TestClient

from authguard import Guard, JWTVerifier
from authguard.flask import init_app
from docs.blocks import Block, blocks, execute, read
from ports import free_port
from remote.servers import until

pytestmark = pytest.mark.slow

SITE = "http://127.0.0.1:8000"
ACCOUNT = {"email": "ada@example.com", "password": "Lovelace-1815"}
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(name="app")
def _app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHGUARD_SECRET", "s1te-0nly-Secret-of-enough-bytes-3Km")
    names: dict[str, Any] = {"__name__": "main"}
    execute(_site(), names)
    with TestClient(names["app"], base_url=SITE):  # its lifespan closes the service
        yield names["app"]


def _site() -> Block:
    return next(block for block in blocks("docs/identity.md", "python") if "app.mount" in block.text)


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


def test_a_plan_is_given_in_python(app: Any) -> None:
    """The call of the page gives a key another tier."""
    program = TestClient(app, base_url=SITE)
    token = program.post("/id/v1/auth/register", json=ACCOUNT).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    key_id = program.post("/id/v1/api-keys", json={"name": "plan"}, headers=bearer).json()["id"]
    service = app.routes[-1].app.service
    call = 'service.api_keys.set_tier(service.api_keys.find_operator(key_id), key_id, "gold")'
    assert f"`{call}`" in read("docs/identity.md")
    eval(call.replace("gold", "pro"), {"service": service, "key_id": key_id})
    assert program.get(f"/id/v1/api-keys/{key_id}", headers=bearer).json()["tier"] == "pro"


def test_a_guard_elsewhere_finds_the_keys_of_the_mounted_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guard with `from_issuer` accepts the tokens of a service with ES256 that is mounted below `/id`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHGUARD_SECRET", "s1te-0nly-Secret-of-enough-bytes-3Km")
    port = free_port()
    site = _site()
    text = site.text.replace(":8000", f":{port}").replace("dev=True,", 'dev=True, algorithm="ES256",')
    names: dict[str, Any] = {"__name__": "main"}
    execute(site._replace(text=text), names)
    server = uvicorn.Server(uvicorn.Config(names["app"], port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        issuer = f"http://127.0.0.1:{port}/id"
        answer = httpx.post(f"{issuer}/v1/auth/register", json=ACCOUNT, trust_env=False, timeout=20)
        other = Flask("other")
        guard = Guard(JWTVerifier.from_issuer(issuer, audience=issuer))
        init_app(other, guard)
        other.add_url_rule("/me", "me", lambda: "hello")
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert other.test_client().get("/me", headers=bearer).status_code == 200
        guard.close()
    finally:
        server.should_exit = True
        thread.join()
