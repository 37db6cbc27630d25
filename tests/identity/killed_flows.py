"""Run a flow in a process that is killed at a write; see test_flow_kills.

Each line of the standard input is JSON: a flow, the number of a moment, and the arguments of the flow. A
process is forked that dies at this moment; with 0, it does not die. Each answer that was given and each mail
that was sent is a line of JSON on the standard output, written before the next step. The status of the
process comes last.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from authguard.identity import Caller, Identity, IdentityService, SocialIdentity
from authguard.identity.limits import Limiter
from authguard.identity.mail.mailer import Mail
from authguard.identity.passwords.hashing import PasswordHasher
from identity.keys import bearer
from identity.killed_process import EMAIL, Moments, acknowledge
from identity.support import GENEROUS, PASSWORD, settings

NEW = "NewSecurePass456!"
AGENT = "measured"
IDENTITY = SocialIdentity("github", "7", EMAIL, True)
ROUNDS = 3


class TellingMailer:
    """Report each mail to the test, which then counts as sent."""

    def send(self, mail: Mail) -> None:
        """Report a mail."""
        acknowledge("mail", to=mail.to, subject=mail.subject)


def register(client: TestClient, service: IdentityService, given: dict[str, Any]) -> None:
    """Create an account."""
    body = {"email": EMAIL, "password": PASSWORD}
    assert client.post("/v1/auth/register", json=body).status_code == 201
    acknowledge("done")


def reset(client: TestClient, service: IdentityService, given: dict[str, Any]) -> None:
    """Set a new password with a link."""
    body = {"token": given["token"], "new_password": NEW}
    assert client.post("/v1/auth/reset-password", json=body).status_code == 200
    acknowledge("done")


def change(client: TestClient, service: IdentityService, given: dict[str, Any]) -> None:
    """Set a new password with the old one."""
    body = {"current_password": PASSWORD, "new_password": NEW}
    path, fields = "/v1/auth/change-password", bearer(given["access"])
    assert client.post(path, json=body, headers=fields).status_code == 200
    acknowledge("done")


def refresh(client: TestClient, service: IdentityService, given: dict[str, Any]) -> None:
    """Refresh a session, each time with the newest token."""
    token = given["refresh"]
    for _ in range(ROUNDS):
        answer = client.post("/v1/auth/refresh", json={"refresh_token": token})
        assert answer.status_code == 200
        token = answer.json()["refresh_token"]
        acknowledge("refresh", token=token)
    acknowledge("done")


def link(client: TestClient, service: IdentityService, given: dict[str, Any]) -> None:
    """Sign in with a provider that has verified the address of an account with an unproven password."""
    service.sign_in_with(IDENTITY, Caller("192.0.2.1", AGENT))
    acknowledge("done")


def address(client: TestClient, service: IdentityService, given: dict[str, Any]) -> None:
    """Change the address with the link in a mail."""
    path, fields = "/v1/auth/change-email/confirm", bearer(given["access"])
    assert client.post(path, json={"token": given["token"]}, headers=fields).status_code == 200
    acknowledge("done")


def delete(client: TestClient, service: IdentityService, given: dict[str, Any]) -> None:
    """Delete the account."""
    path, fields = "/v1/auth/delete-account", bearer(given["access"])
    assert client.post(path, json={"password": PASSWORD}, headers=fields).status_code == 200
    acknowledge("done")


FLOWS: dict[str, Callable[[TestClient, IdentityService, dict[str, Any]], None]] = {
    "register": register,
    "reset": reset,
    "change": change,
    "refresh": refresh,
    "link": link,
    "address": address,
    "delete": delete,
}


def main() -> None:
    """Run a process for each line. When it is forked, all modules are loaded, and no connection is open."""
    for line in sys.stdin:
        given = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(given)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        acknowledge("end", status=status)


def run(given: dict[str, Any]) -> None:
    """Run a flow, and send the mails that it has requested."""
    service = IdentityService(
        settings(os.environ["TEST_DATABASE"]),
        mailer=TellingMailer(),
        hasher=PasswordHasher.cheap(),
        limiter=Limiter(limits=GENEROUS),
        clock=time.time,
    )
    client = TestClient(Identity(service), headers={"user-agent": AGENT})
    moments = Moments(given["moment"])
    moments.arm(service)
    FLOWS[given["flow"]](client, service, given)
    assert service.outbox.flush(60)
    acknowledge("closed", moments=moments.count)


if __name__ == "__main__":
    main()
