"""A kill -9 at each write of the flows that change an account or a session.

Afterwards the state is that of before or that of after the flow, an acknowledged change is stored, the mail
is sent, and the flow can be repeated.
"""

import json
import signal
import time

import pytest
from starlette.testclient import TestClient

from authguard.identity import Caller, Identity
from authguard.identity.usecases.mails.queue import TAKEN_SECONDS
from identity.killed_flows import AGENT, FLOWS, IDENTITY, NEW, ROUNDS
from identity.killed_process import EMAIL
from identity.processes import forking_process
from identity.support import PASSWORD, Postbox, empty, resets_password, service_at
from identity.test_sessions import principal_of
from sizes import size

pytestmark = pytest.mark.slow

MOVED = "ann@new.example"
OWNER = Caller("192.0.2.1", AGENT)


@pytest.fixture
def process(url):
    """The process that forks the processes that are killed."""
    with forking_process("identity.killed_flows", url) as process:
        yield process


class Running:
    """The data that a process was given, its answers, and the mails of the next processes."""

    def __init__(self, url, flow):
        self.url, self.flow = url, flow
        self.given, self.answered, self.mails = {}, {}, []
        #: Of the services after the killed one: the first one sends the mails that were not taken.
        self.postbox = Postbox()
        empty(url)
        with self.service(postbox=Postbox()) as service:
            if flow != "register":
                self._prepare(service)

    def service(self, **given):
        return service_at(self.url, **{"clock": time.time, "postbox": self.postbox} | given)

    def _prepare(self, service):
        """Make an account with two sessions, and ask for a link if the flow needs one."""
        service.accounts.register(EMAIL, PASSWORD, "", OWNER)
        own, other = [service.accounts.login(EMAIL, PASSWORD, OWNER) for _ in range(2)]
        assert service.outbox.flush()
        self.given = {"access": own.access_token, "refresh": own.refresh_token, "other": other.refresh_token}
        if self.flow == "reset":
            user = service.accounts.find(EMAIL)
            page = service.links._create_link(user, "reset", "/reset-password")
            self.given["token"] = page.partition("token=")[2]
        if self.flow == "address":
            postbox = Postbox()
            with self.service(postbox=postbox) as running:
                principal = principal_of(running, own.access_token)
                running.address_changes.ask(principal, MOVED, PASSWORD, OWNER)
                assert running.outbox.flush()
            (mail,) = [each for each in postbox.mails if each.to == MOVED]
            self.given["token"] = mail.text.partition("token=")[2].split()[0]

    def run_until(self, process, moment):
        """Have the process killed at a moment."""
        process.stdin.write(json.dumps({"flow": self.flow, "moment": moment, **self.given}) + "\n")
        process.stdin.flush()
        while "end" not in self.answered:
            line = json.loads(process.stdout.readline())
            if line["step"] == "mail":
                self.mails.append((line["to"], line["subject"]))
            self.answered[line["step"]] = line
        assert self.answered["end"]["status"] == (signal.SIGKILL if moment else 0)

    @property
    def is_done(self):
        return "done" in self.answered

    def send_the_rest(self):
        """Send the mails that the killed process had taken, and return the subjects of all mails."""
        with self.service(clock=lambda: time.time() + TAKEN_SECONDS + 1) as service:
            while service.mails.state().waiting:
                service.mails.step()
                assert service.outbox.flush()
        self.mails += [(mail.to, mail.subject) for mail in self.postbox.mails]
        assert {to for to, _ in self.mails} <= {EMAIL}
        assert len(self.mails) <= 2  # one comes twice if the process died between sending and recording it
        return {subject for _, subject in self.mails}


def signs_in(client, password):
    answer = client.post("/v1/auth/login", json={"email": EMAIL, "password": password})
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def is_alive(client, token):
    answer = client.post("/v1/auth/refresh", json={"refresh_token": token})
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def check_register(running, client, service):
    """Return whether an account was made, check that its password signs in, and repeat the request."""
    is_made = service.accounts.find(EMAIL) is not None
    assert signs_in(client, PASSWORD) == is_made
    mails = running.send_the_rest()
    assert mails == ({"Verify your e-mail address"} if is_made else set())
    again = client.post("/v1/auth/register", json={"email": EMAIL, "password": PASSWORD})
    assert again.status_code == (409 if is_made else 201)
    assert signs_in(client, PASSWORD)
    return is_made


def check_reset(running, client, service):
    """Return whether the password is new, all sessions have ended and the link is used, and repeat."""
    given = running.given

    def state():
        alive = [is_alive(client, given[name]) for name in ("refresh", "other")]
        is_good = resets_password(service, given["token"])
        return [signs_in(client, PASSWORD), *alive, is_good, not signs_in(client, NEW)]

    result = state()
    assert result in ([True] * 5, [False] * 5)
    is_reset = not result[0]
    assert running.send_the_rest() == ({"Your password was changed"} if is_reset else set())
    body = {"token": given["token"], "new_password": NEW}
    again = client.post("/v1/auth/reset-password", json=body)
    assert again.status_code == (400 if is_reset else 200)
    assert state() == [False] * 5
    return is_reset


def check_change(running, client, service):
    """Return whether the password is new and the other sessions have ended, and repeat."""
    given = running.given

    def state():
        return [signs_in(client, PASSWORD), is_alive(client, given["other"]), not signs_in(client, NEW)]

    result = state()
    assert result in ([True] * 3, [False] * 3)
    is_changed = not result[0]
    assert running.send_the_rest() == ({"Your password was changed"} if is_changed else set())
    body = {"current_password": PASSWORD, "new_password": NEW}
    fields = {"authorization": f"Bearer {given['access']}"}
    again = client.post("/v1/auth/change-password", json=body, headers=fields)
    assert again.status_code == 200, "the same change by the same session, within a minute"
    assert state() == [False] * 3
    assert is_alive(client, given["refresh"])
    return is_changed


def check_refresh(running, client, service):
    """Check that the newest acknowledged token continues its session, and return True."""
    token = running.answered.get("refresh", {"token": running.given["refresh"]})["token"]
    for _ in range(ROUNDS):
        answer = client.post("/v1/auth/refresh", json={"refresh_token": token})
        assert answer.status_code == 200
        token = answer.json()["refresh_token"]
    assert is_alive(client, running.given["other"])
    return True


def check_link(running, client, service):
    """Return whether the provider is linked and the password and all sessions have ended, and repeat."""
    given = running.given
    user = service.accounts.find(EMAIL)

    def state():
        alive = [is_alive(client, given[name]) for name in ("refresh", "other")]
        with service.database.read() as connection:
            number = "SELECT count(*) FROM linked_identities"
            linked = connection.exec_driver_sql(number).scalar()
        verified = service.accounts.find_by_id(user.id).email_verified
        return [signs_in(client, PASSWORD), *alive, not linked, not verified]

    result = state()
    assert result in ([True] * 5, [False] * 5)
    is_linked = not result[0]
    assert running.send_the_rest() == ({"GitHub was linked to your account"} if is_linked else set())
    assert service.sign_in_with(IDENTITY, OWNER)
    assert state() == [False] * 5
    return is_linked


def check_address(running, client, service):
    """Return whether the address is new and the other session has ended, and repeat."""
    given = running.given
    user = service.accounts.find(EMAIL) or service.accounts.find(MOVED)

    def state():
        is_old = service.accounts.find_by_id(user.id).email == EMAIL
        return [signs_in(client, PASSWORD), is_alive(client, given["other"]), is_old]

    result = state()
    assert result in ([True] * 3, [False] * 3)
    is_moved = not result[0]
    assert running.send_the_rest() == ({"Your e-mail address was changed"} if is_moved else set())
    fields = {"authorization": f"Bearer {given['access']}"}
    path, body = "/v1/auth/change-email/confirm", {"token": given["token"]}
    assert client.post(path, json=body, headers=fields).status_code == 200
    assert state() == [False] * 3
    assert is_alive(client, given["refresh"])
    return is_moved


def check_delete(running, client, service):
    """Return whether the account and its sessions are deleted, and repeat."""
    given = running.given

    def state():
        alive = [is_alive(client, given[name]) for name in ("refresh", "other")]
        return [signs_in(client, PASSWORD), *alive, service.accounts.find(EMAIL) is not None]

    result = state()
    assert result in ([True] * 4, [False] * 4)
    is_deleted = not result[0]
    assert running.send_the_rest() == set()
    fields = {"authorization": f"Bearer {given['access']}"}
    again = client.post("/v1/auth/delete-account", json={"password": PASSWORD}, headers=fields)
    assert again.status_code == (401 if is_deleted else 200)
    assert state() == [False] * 4
    return is_deleted


CHECKS = {
    "register": check_register,
    "reset": check_reset,
    "change": check_change,
    "refresh": check_refresh,
    "link": check_link,
    "address": check_address,
    "delete": check_delete,
}


def check_after(url, flow, process, moment):
    """Run the flow until the moment, and return its answers and whether the state is that of after it."""
    running = Running(url, flow)
    running.run_until(process, moment)
    with running.service() as service:
        client = TestClient(Identity(service), headers={"user-agent": AGENT})
        is_after = CHECKS[flow](running, client, service)
    assert is_after or not running.is_done
    return running.answered, is_after


@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_is_done_or_not_done(url, flow, process, record_property):
    """A flow that is killed at any write is done completely or not at all, and its answer remains true."""
    answered, is_after = check_after(url, flow, process, 0)
    assert is_after
    moments = answered["closed"]["moments"]
    assert moments >= 2 * ROUNDS
    record_property("moments", moments)
    chosen = {*range(1, moments + 1, size(5, 1)), moments}
    results = {check_after(url, flow, process, moment)[1] for moment in sorted(chosen)}
    assert results == ({True} if flow == "refresh" else {True, False})
