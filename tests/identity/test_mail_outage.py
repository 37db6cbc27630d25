"""Half an hour without a mail server, with several failures, and restarts of the service meanwhile."""

import contextlib
import signal
import time
from itertools import cycle

import pytest

from identity.broken_mail_servers import MailPort
from identity.databases import empty_url  # noqa: F401  # a fixture
from identity.service_process import Connection, ServiceProcess
from identity.support import PASSWORD, service_at
from ports import free_port
from sizes import size

pytestmark = pytest.mark.slow

NEW = "NewSecurePass456!"
MINUTES = 30
KINDS = "down", *MailPort.FAILURES
VERIFY, RESET, CHANGED = "Verify your e-mail address", "Set a new password", "Your password was changed"
MAX_SECONDS = 3_600.0  # between two attempts for a mail, at most
TAKEN = 600.0  # seconds for which a killed process has a mail


class Clock:
    """The clock of the service, in a file that the service reads."""

    def __init__(self, path):
        self.path, self._seconds = path, 0.0
        self.go_on(0)

    def go_on(self, seconds):
        self._seconds += seconds
        other = self.path.with_suffix(".new")
        other.write_text(str(self._seconds))
        other.replace(self.path)


class Outage:
    """Half an hour without a mail server: the requests, and the mails that they must send."""

    def __init__(self, url, service, port, clock):
        self.url, self.service, self.port, self.clock = url, service, port, clock
        self.wanted = set()
        self._number = 0

    def ask(self, client):
        """Make an account and ask for mails; check that the answers are those with a mail server."""
        email = f"owner{self._number}@example.com"
        self._number += 1
        begun = time.monotonic()
        made = client.post("auth/register", {"email": email, "password": PASSWORD})
        assert made.status == 201
        known = client.post("auth/forgot-password", {"email": email})
        unknown = client.post("auth/forgot-password", {"email": f"nobody{self._number}@example.com"})
        assert (known.status, known.body) == (unknown.status, unknown.body)
        assert known.status == 200
        assert client.post("auth/verify-email/resend", {"email": email}).status == 200
        self.wanted |= {(email, VERIFY), (email, RESET)}
        if self._number % 2:
            token = made.body["access_token"]
            body = {"current_password": PASSWORD, "new_password": NEW}
            assert client.post("auth/change-password", body, token).status == 200
            self.wanted.add((email, CHANGED))
        assert client.get("/readyz").status == 200
        assert time.monotonic() - begun < 30  # no request waits for the mail server

    def last(self):
        """Let half an hour pass, with another failure every two minutes, and four restarts."""
        ends = cycle([signal.SIGTERM, signal.SIGKILL])
        with contextlib.closing(Connection(self.service.port)) as client:
            for minute, kind in zip(range(0, MINUTES, 2), cycle(KINDS), strict=False):
                with self.port.failing(kind):
                    for _ in range(size(1, 10)):
                        self.ask(client)
                    if minute % 8 == 4:
                        client.close()
                        self.service.restart(next(ends))
                    self.clock.go_on(120)

    def end(self):
        """Start a mail server, and let time pass until each mail was sent."""
        with self.port.working() as mailbox, contextlib.closing(Connection(self.service.port)) as client:
            self.clock.go_on(MAX_SECONDS + TAKEN)
            end = time.monotonic() + 60
            while self.wanted - {(to, subject) for to, subject, _ in mailbox.mails}:
                assert time.monotonic() < end, "mails are lost"
                # A request for a mail starts the due ones, as the thread does each 15 seconds.
                assert client.post("auth/forgot-password", {"email": "nobody@example.com"}).status == 200
                time.sleep(0.2)
            with service_at(self.url) as reader:
                while reader.mails.state().waiting:
                    assert time.monotonic() < end, "mails are left"
                    time.sleep(0.2)
            mails = list(mailbox.mails)
            self.check_links(client, mails)
        return mails

    def check_links(self, client, mails):
        """Check that each reset mail went to the owner of the account of its link."""
        newest = {to: text for to, subject, text in mails if subject == RESET}
        for number, (to, text) in enumerate(newest.items()):
            token = text.partition("token=")[2].split()[0]
            password = f"{NEW}{number}"
            body = {"token": token, "new_password": password}
            assert client.post("auth/reset-password", body).status == 200
            assert client.post("auth/login", {"email": to, "password": password}).status == 200


@pytest.mark.one_database
def test_half_an_hour_without_a_mail_server(url, tmp_path, record_property):
    """After half an hour without a mail server each mail arrives, and only at its owner."""
    port, clock = MailPort(free_port()), Clock(tmp_path / "clock")
    service = ServiceProcess(
        tmp_path,
        TEST_DATABASE=url,
        TEST_SMTP=f"smtp://127.0.0.1:{port.number}",
        TEST_CLOCK=str(clock.path),
    )
    service.start()
    try:
        outage = Outage(url, service, port, clock)
        outage.last()
        mails = outage.end()
    finally:
        service.end()
    received = [(to, subject) for to, subject, _ in mails]
    assert set(received) >= outage.wanted
    assert {to for to, _ in received} == {to for to, _ in outage.wanted}
    record_property("mails that were asked for", len(outage.wanted))
    record_property("mails that came", len(received))
