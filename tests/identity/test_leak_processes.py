"""Several processes that get the same report: each key ends once, and each owner gets one mail."""

import email
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller

from authguard.identity import IdentityService, NewAPIKey
from authguard.identity.scanning.matches import read_matches
from identity.api_key_support import create, owner, rows
from identity.scanner import ENDPOINT, Scanner, match, scanning
from identity.support import CALLER, ISSUER, SECRET, Postbox, service_at, together
from ports import free_port
from stores.servers import wait_until

TESTS = Path(__file__).parents[1]


class MailServer:
    """An SMTP server that keeps the texts of mails."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._lock = threading.Lock()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keep a mail."""
        text = email.message_from_bytes(envelope.content).get_payload(decode=True)
        with self._lock:
            self.texts.append(text.decode())
        return "250 OK"

    def count(self, keys: list[NewAPIKey]) -> list[int]:
        """Return the number of mails that name each key."""
        return [sum(made.key.id in text for text in self.texts) for made in keys]


@pytest.fixture
def mails() -> Iterator[tuple[MailServer, int]]:
    """Run the mail server; yield the server and its port."""
    server = MailServer()
    port = free_port()
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    yield server, port
    controller.stop()


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    with scanning() as scanner:
        yield scanner


@contextmanager
def running(count: int, url: str, scanner: Scanner, smtp_port: int) -> Iterator[list[tuple[str, Any]]]:
    """Run services in processes that SIGTERM ends; yield their URLs and processes."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("AUTHGUARD_")}
    given = {
        "AUTHGUARD_SECRET": SECRET,
        "AUTHGUARD_ISSUER": ISSUER,
        "AUTHGUARD_DATABASE": url,
        "AUTHGUARD_SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
        "AUTHGUARD_MAIL_FROM": "accounts@example.com",
        "AUTHGUARD_SECRET_SCANNING": "true",
        "AUTHGUARD_SECRET_SCANNING_KEYS_URL": scanner.url,
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "authguard.identity:create_app", "--port"]
    ports = [free_port() for _ in range(count)]
    processes = [
        subprocess.Popen([*command, str(port), "--log-level", "error"], env=clean | given) for port in ports
    ]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        for port in ports:
            wait_until(
                lambda port=port: socket.create_connection(("127.0.0.1", port)).close() is None, "no process"
            )
        yield list(zip(urls, processes, strict=True))
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(60)


def keys_of_owners(service: IdentityService) -> list[NewAPIKey]:
    """Return two keys of each of three owners."""
    owners = [owner(service, f"{name}@example.com") for name in ("ann", "bob", "eve")]
    return [create(service, principal) for principal in owners for _ in range(2)]


@pytest.mark.slow
def test_two_processes_tell_each_owner_once(
    url: str, scanner: Scanner, mails: tuple[MailServer, int]
) -> None:
    """After ten reports of the same keys, five at each of two processes, each owner gets one mail."""
    server, port = mails
    with service_at(url, clock=time.time, api_key_mails=()) as service:
        keys = keys_of_owners(service)
        with running(2, url, scanner, port) as processes:
            body = json.dumps([match(made.text) for made in keys]).encode()

            def send(index: int) -> Any:
                base = processes[index % 2][0]
                return httpx.post(base + ENDPOINT, content=body, headers=scanner.sign(body), timeout=30)

            answers = together(10, send)
            assert [answer.status_code for answer in answers] == [200] * 10
            assert len({answer.text for answer in answers}) == 1
            wait_until(lambda: min(server.count(keys)) > 0, "a mail is missing")
        assert server.count(keys) == [1] * 6  # also after each process has sent its mails
        assert len(server.texts) == 3
        assert rows(service, "mails") == []


@pytest.mark.slow
@pytest.mark.one_database
def test_a_process_that_is_killed_leaves_the_mail_to_the_next(
    url: str, scanner: Scanner, mails: tuple[MailServer, int]
) -> None:
    """A process that is killed after the answer and before the mail leaves the mail to the next process."""
    server, port = mails
    with service_at(url, clock=time.time, api_key_mails=()) as service:
        made = create(service, owner(service))
        with running(1, url, scanner, port) as [(base, process)]:
            body = json.dumps([match(made.text)]).encode()
            httpx.post(base + ENDPOINT, content=body, headers=scanner.sign(body), timeout=30)
            process.kill()
        assert server.texts == []
        with running(1, url, scanner, port):
            wait_until(lambda: server.texts, "the mail is missing")
        assert server.count([made]) == [1]


@pytest.mark.slow
def test_two_services_record_each_key_once(url: str, scanner: Scanner) -> None:
    """Of twenty reports at once, one leaves the event of a key, and one sends its mail."""
    postbox, events = Postbox(), []
    given = {"secret_scanning": True, "secret_scanning_keys_url": scanner.url, "postbox": postbox}
    given["api_key_mails"] = ()
    with (
        service_at(url, hook=events.append, **given) as first,
        service_at(url, hook=events.append, **given) as second,
    ):
        keys = keys_of_owners(first)
        together(20, lambda index: report((first, second)[index % 2], keys))
        assert first.outbox.flush() and second.outbox.flush()
    counts = Counter(event.key_id for event in events if event.name == "api_key_exposed")
    assert counts == {made.key.id: 1 for made in keys}
    assert [sum(made.key.id in mail.text for mail in postbox.mails) for made in keys] == [1] * 6


def report(service: IdentityService, keys: list[NewAPIKey]) -> None:
    """Handle a report as the endpoint does after the signature."""
    reports = service.leak_reports
    assert reports is not None
    matches = read_matches(json.dumps([match(made.text) for made in keys]).encode())
    for batch in reports.batches(matches):
        findings = reports.find(batch)
        reports.revoke({each.digest: each for each in batch}, findings, CALLER)
    reports.finish(matches, {each.digest for each in matches}, CALLER)
