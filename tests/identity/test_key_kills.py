"""kill -9 at every write of API keys: nothing that was acknowledged is lost, and nothing is half there."""

import json
import signal
import time

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.keys import bearer, key_field
from identity.killed_process import EMAIL
from identity.processes import forking_process
from identity.support import CALLER, PASSWORD, empty, service_at
from sizes import size

pytestmark = pytest.mark.slow


@pytest.fixture
def process(url):
    """The process that forks those that are killed."""
    with forking_process("identity.killed_process", url) as process:
        yield process


def run_until(process, moment):
    """Have a process be killed at a moment; what it has been answered before."""
    process.stdin.write(f"{moment}\n")
    process.stdin.flush()
    answered = {}
    while "end" not in answered:
        line = json.loads(process.stdout.readline())
        answered[line["step"]] = line
    assert answered["end"]["status"] == (signal.SIGKILL if moment else 0)
    return answered


def test_nothing_acknowledged_is_lost(url, process):
    """At whichever write the process dies, each answer that was given holds in the next process."""
    moments = check_after(url, process, 0)["closed"]["moments"]
    assert moments > 30
    for moment in range(1, moments + 1, size(3, 1)):
        check_after(url, process, moment)


def check_after(url, process, moment):
    """Run the process from the beginning, and look at what is left."""
    empty(url)
    with service_at(url, clock=time.time) as service:
        service.accounts.register(EMAIL, PASSWORD, "Ann", CALLER)
    answered = run_until(process, moment)
    with service_at(url, clock=time.time) as service:
        client = TestClient(Identity(service))
        login = client.post("/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()
        listed = client.get("/v1/api-keys", headers=bearer(login["access_token"])).json()
        check_list(listed, answered)
        for step in ("key", "rotated", "pair", "pending", "used"):
            if step in answered:
                check_key(client, step, answered)
        if "pair" in answered:
            check_grant(client, answered["pair"])
    return answered


def check_list(listed, answered):
    """There is each key that was acknowledged, and at most the one that was being made."""
    ids = {key["id"] for key in listed}
    made = {answered[step]["id"] for step in ("key", "pair") if step in answered}
    assert made <= ids
    assert len(ids - made) <= 1 and len(ids) <= 2


def check_key(client, step, answered):
    """A text that was acknowledged is good, in its grace too; of a key that was revoked none is."""
    status = client.get("/v1/users/me", headers=key_field(answered[step]["text"])).status_code
    if answered[step]["id"] == answered.get("revoked", {}).get("id"):
        assert status == 401
    elif "used" in answered and "revoked" not in answered and step in ("key", "rotated"):
        assert status in (200, 401)  # it may have been about to be revoked
    else:
        assert status == 200


def check_grant(client, pair):
    """The client secret of a pair gets a token."""
    form = {"grant_type": "client_credentials", "client_id": pair["text"], "client_secret": pair["secret"]}
    assert client.post("/v1/oauth/token", data=form).status_code == 200
