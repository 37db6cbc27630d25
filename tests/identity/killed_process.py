"""Create, rotate, use and revoke API keys in a process that is killed at a write; see test_key_kills.

For each number on the standard input, a process is forked that dies at the moment of this number; with 0, it
does not die. Each answer is a line of JSON on the standard output, written before the next request. The
status of the process comes last.
"""

import json
import os
import signal
import sys
import time
from typing import Any

from sqlalchemy import event
from starlette.testclient import TestClient

from authguard.identity import Identity, IdentityService
from authguard.identity.limits import Limiter
from authguard.identity.passwords.hashing import PasswordHasher
from identity.keys import bearer, key_field
from identity.support import GENEROUS, PASSWORD, Postbox, settings

EMAIL = "ann@example.com"
_WRITES = ("INSERT", "UPDATE", "DELETE")


class Moments:
    """Count the moments before and after each write and commit, and end the process at one."""

    def __init__(self, kill_at: int) -> None:
        self.count = 0
        self._kill_at = kill_at
        self._armed = False

    def arm(self, service: IdentityService) -> None:
        """Start counting."""
        engine = service.database.engine
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "after_cursor_execute", self._statement)
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self._pass()
            commit(connection)
            self._pass()

        engine.dialect.do_commit = do_commit  # type: ignore[assignment]
        self._armed = True

    def _statement(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(_WRITES):
            self._pass()

    def _pass(self) -> None:
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def acknowledge(step: str, **values: Any) -> None:
    """Report an answer to the test."""
    sys.stdout.write(json.dumps({"step": step, **values}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run a process for each moment. When it is forked, all modules are loaded, and no connection is open."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            send_requests(Moments(int(line)))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        acknowledge("end", status=status)


def send_requests(moments: Moments) -> None:
    """Send the requests, one after the other."""
    service = IdentityService(
        settings(os.environ["TEST_DATABASE"]),
        mailer=Postbox(),
        hasher=PasswordHasher.cheap(),
        limiter=Limiter(limits=GENEROUS),
        clock=time.time,
    )
    client = TestClient(Identity(service))
    ann = bearer(
        client.post("/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()["access_token"]
    )
    moments.arm(service)
    key = client.post("/v1/api-keys", headers=ann, json={"name": "key"}).json()
    acknowledge("key", id=key["id"], text=key["api_key"])
    pair = client.post("/v1/auth/api-keys", headers=ann, json={"name": "pair"}).json()
    acknowledge("pair", id=pair["id"], text=pair["key"], secret=pair["secret"])
    body = {"activate": "now", "grace_seconds": 600}
    rotated = client.post(f"/v1/api-keys/{key['id']}/rotations", headers=ann, json=body).json()
    acknowledge("rotated", id=key["id"], text=rotated["api_key"])
    body = {"activate": "first_use", "grace_seconds": 600}
    pending = client.post(f"/v1/api-keys/{pair['id']}/rotations", headers=ann, json=body).json()
    acknowledge("pending", id=pair["id"], text=pending["api_key"])
    assert client.get("/v1/users/me", headers=key_field(pending["api_key"])).status_code == 200
    acknowledge("used", id=pair["id"], text=pending["api_key"])
    assert client.delete(f"/v1/api-keys/{key['id']}", headers=ann).status_code == 200
    acknowledge("revoked", id=key["id"])
    service.close()
    acknowledge("closed", moments=moments.count)


if __name__ == "__main__":
    main()
