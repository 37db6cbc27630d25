"""The delay of the event loop while many users sign in."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from identity.support import PASSWORD, upgrade
from ports import free_port

TESTS = Path(__file__).parents[1]
EMAIL = "ann@example.com"
LOGINS = 50
AIM = 0.05  # seconds by which the loop may be late


@pytest.fixture
def server(tmp_path):
    """Run a server in a process of its own, with SQLite and the default hashes."""
    database = f"sqlite:///{tmp_path}/identity.db"
    upgrade(database)
    port = free_port()
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
    """Sign in many times at once; return the statuses, and the delays of the server's loop meanwhile."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60, trust_env=False) as client:
        await client.get("/heart")  # reading the delays clears those from before
        body = {"email": EMAIL, "password": PASSWORD}
        answers = await asyncio.gather(*(client.post("/v1/auth/login", json=body) for _ in range(LOGINS)))
        beats = (await client.get("/heart")).json()
    return [answer.status_code for answer in answers], beats


@pytest.mark.slow
def test_fifty_logins_leave_the_loop_its_beat(server):
    """Fifty simultaneous logins do not delay the event loop by 50 ms.

    The test counts the delay of the loop, less the time for which the loop was ready and the machine ran
    another program. One of three attempts must pass, because other causes are not measured. Hashing on the
    loop delays it by more than 100 ms in each attempt.
    """
    answer = httpx.post(f"{server}/v1/auth/register", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 201
    worst = []
    while len(worst) < 3 and (not worst or worst[-1] >= AIM):
        statuses, beats = asyncio.run(_sign_in(server))
        assert 200 in statuses
        assert set(statuses) <= {200, 503}  # a busy machine refuses some logins, which takes less of the loop
        worst.append(max(late - queued for late, queued in beats))
    assert min(worst) < AIM, f"the loop stood still for {min(worst):.3f} seconds at best"
