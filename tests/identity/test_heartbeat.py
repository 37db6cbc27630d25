"""Signing in is hard work for a processor, and none for the event loop."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from identity.support import PASSWORD, upgrade

TESTS = Path(__file__).parents[1]
EMAIL = "ann@example.com"
LOGINS = 50
AIM = 0.05  # seconds for which the loop may not come back


@pytest.fixture
def server(tmp_path):
    """A server in a process of its own, with SQLite and passwords hashed as by default."""
    database = f"sqlite:///{tmp_path}/identity.db"
    upgrade(database)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "identity.heart_app:app", "--port", str(port)]
    path = os.pathsep.join([str(TESTS), *sys.path])
    environment = os.environ | {"TEST_DATABASE": database, "PYTHONPATH": path}
    process = subprocess.Popen([*command, "--log-level", "critical"], env=environment, cwd=TESTS)
    try:
        yield _ready(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(20)


def _ready(url, process):
    deadline = time.monotonic() + 30
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.get(f"{url}/heart")
                return url
            except httpx.TransportError:
                time.sleep(0.05)
    pytest.fail("the server did not start")


async def _sign_in(url):
    """All at once; the statuses of the answers, and the beats of the server's loop meanwhile."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60, trust_env=False) as client:
        await client.get("/heart")  # what was before is none of its business
        body = {"email": EMAIL, "password": PASSWORD}
        answers = await asyncio.gather(*(client.post("/v1/auth/login", json=body) for _ in range(LOGINS)))
        beats = (await client.get("/heart")).json()
    return [answer.status_code for answer in answers], beats


def test_fifty_logins_leave_the_loop_its_beat(server):
    """Fifty people who sign in at once do not stop the event loop for 50 ms.

    What counts is how late the loop came back, less the time for which it was ready and the machine
    ran something else. One of three tries is enough, for what that does not explain; hashing
    on the loop stops it for more than 100 ms in each of them.
    """
    answer = httpx.post(f"{server}/v1/auth/register", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 201
    worst = []
    while len(worst) < 3 and (not worst or worst[-1] >= AIM):
        statuses, beats = asyncio.run(_sign_in(server))
        assert 200 in statuses
        assert set(statuses) <= {200, 503}  # a busy machine turns some away, which takes less of the loop
        worst.append(max(late - queued for late, queued in beats))
    assert min(worst) < AIM, f"the loop stood still for {min(worst):.3f} seconds at best"
