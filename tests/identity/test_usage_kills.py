"""Ends of processes: SIGTERM loses no count, and kill -9 only those after the last write."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from authguard.identity import IdentityService, NewAPIKey
from authguard.identity.keys.texts import KeyTexts
from authguard.identity.keys.usage import FLUSH_SECONDS
from authguard.identity.storage.usage_levels import MINUTE
from cli.support import COMMAND, environment
from identity.api_key_support import create, owner
from identity.support import ISSUER, SECRET, service_at
from identity.usage_support import table, uses
from ports import free_port
from stores.servers import wait_until

pytestmark = pytest.mark.one_database

TESTS = Path(__file__).parents[1]
THREADS = 4
LOAD = 300  # answers, after which the server is stopped


@pytest.fixture(name="service")
def _service(url: str) -> Iterator[IdentityService]:
    with service_at(url, clock=time.time) as service:
        yield service


def counts(service: IdentityService) -> Counter[str]:
    """Return the number of stored requests by outcome."""
    counter: Counter[str] = Counter()
    for (*_, outcome), count in uses(table(service.database, MINUTE)).items():
        counter[outcome] += count
    return counter


class Load:
    """Callers that send one request after the other, until the server has ended."""

    def __init__(self, url: str, texts: list[str]) -> None:
        self.sent: Counter[str] = Counter()
        self.answered: Counter[tuple[str, int]] = Counter()
        self._url, self._texts = url, texts
        self._threads = [threading.Thread(target=self._call) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        with httpx.Client() as client:
            number = 0
            while True:
                text = self._texts[number % len(self._texts)]
                number += 1
                self.sent[text] += 1
                try:
                    status = client.get(self._url, headers={"x-api-key": text}).status_code
                except httpx.HTTPError:
                    return
                self.answered[text, status] += 1

    def wait(self) -> None:
        """Wait until the server has ended for all callers."""
        for thread in self._threads:
            thread.join(60)


@pytest.mark.slow
def test_sigterm_under_load_loses_nothing(url: str, service: IdentityService) -> None:
    """After SIGTERM under load each answered request is counted, and none is counted twice."""
    made = create(service, owner(service))
    wrong = KeyTexts(service.settings).make("sk_live_", made.key.readable_id).text
    port = free_port()
    given = {
        "AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER, "AUTHGUARD_SMTP_URL": "smtp://127.0.0.1:1",
        "AUTHGUARD_MAIL_FROM": "a@example.com", "AUTHGUARD_API_KEY_TIERS": "free=1000000/1000000",
    }  # fmt: skip
    command = [COMMAND, "serve", "--port", str(port), "--database", url]
    with subprocess.Popen(command, env=environment(**given), stderr=subprocess.DEVNULL) as server:
        try:
            base = f"http://127.0.0.1:{port}/v1"
            wait_until(lambda: httpx.get(f"{base}/users/me").status_code == 401, "the server does not answer")
            load = Load(f"{base}/users/me", [made.text, made.text, wrong])
            wait_until(lambda: load.answered.total() >= LOAD, "the server is too slow")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        load.wait()
    stored = counts(service)
    assert {status for _, status in load.answered} == {200, 401}
    for text, status, outcome in ((made.text, 200, "ok"), (wrong, 401, "invalid")):
        assert load.answered[text, status] <= stored[outcome] <= load.sent[text]
    assert set(stored) == {"ok", "invalid"}


SERVER = """
import os
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route
from authguard import Guard
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import SQLAPIKeys

keys = SQLAPIKeys(os.environ["STORE_URL"])
keys.recorder._seconds = 0.5
middleware = [Middleware(AuthGuardMiddleware, guard=Guard(keys))]
app = Starlette(routes=[Route("/me", lambda request: Response("me"))], middleware=middleware)
"""


@pytest.mark.slow
def test_kill_loses_what_came_after_the_last_writing(
    url: str, service: IdentityService, tmp_path: Path
) -> None:
    """After a kill -9 the written counts remain, and only the counts after the last write are lost."""
    assert FLUSH_SECONDS <= 60
    made: NewAPIKey = create(service, owner(service))
    (tmp_path / "killed_app.py").write_text(SERVER)
    port = free_port()
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-m", "uvicorn", "killed_app:app", "--port", str(port), "--log-level", "error"]
    given: dict[str, Any] = {"env": {**os.environ, "STORE_URL": url, "PYTHONPATH": path}}
    with subprocess.Popen(command, **given) as server:
        me = f"http://127.0.0.1:{port}/me"

        def send(count: int) -> None:
            for _ in range(count):
                assert httpx.get(me, headers={"x-api-key": made.text}).status_code == 200

        try:
            wait_until(lambda: httpx.get(me).status_code == 401, "the server does not answer")
            send(20)
            wait_until(lambda: counts(service)["ok"] == 20, "nothing is written")
            send(5)
        finally:
            server.kill()
            server.wait(60)
    stored = counts(service)["ok"]
    assert 20 <= stored <= 25
    (key,) = service.api_keys.list(owner_again(service, made))
    assert key.usage_count == stored


def owner_again(service: IdentityService, made: NewAPIKey) -> Any:
    """Return the operator that acts for the owner of a key."""
    return service.api_keys.find_operator(made.key.id)
