"""Four processes look for keys that expire at the same time: each event once, each mail once."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from authguard.identity.model import StoredAPIKey, User
from authguard.identity.storage.api_key_queries import insert_key
from authguard.identity.storage.database import Database
from authguard.identity.storage.queries import insert_user
from authguard.identity.usecases.key_life.notices import _MAX_SENDING, TAKEN_SECONDS
from identity.smtp_server import Mailbox, smtp_server
from identity.support import NOW
from sizes import size

PROCESSES = 4
OWNERS = 40
DAY = 86_400
TESTS = Path(__file__).parents[1]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox


@pytest.fixture
def keys(url) -> list[StoredAPIKey]:
    """Keys of several owners: some expire in 30 days, some in 7 or 1, and some have expired."""
    database, made = Database(url), []
    with database.write() as connection:
        for owner in range(OWNERS):
            email = f"owner{owner}@example.com"
            user = User(str(uuid4()), email, True, "", "USER", False, NOW)
            insert_user(connection, user, email, None)
            made += [_key(user.id, owner, number) for number in range(size(5, 25))]
        for key in made:
            insert_key(connection, key)
    database.close()
    return made


def _key(user_id: str, owner: int, number: int) -> StoredAPIKey:
    days = (29.5, 6.5, 0.5, -0.5)[number % 4]
    return StoredAPIKey(
        id=f"key_{uuid4()}", user_id=user_id, name="Server", prefix="sk_live_", shown="sk_live_0000",
        readable_id=f"{owner:08}{number:08}", scopes=frozenset(), tier="free", metadata={}, networks=(),
        created_at=NOW - 90 * DAY, created_by=None, expires_at=NOW + days * DAY, notice_at=NOW - DAY / 2,
    )  # fmt: skip


@contextmanager
def processes(url: str, mailbox: Mailbox, number: int, now: float = NOW) -> Iterator[list[Any]]:
    """Processes that wait for the start."""
    environment = {
        **os.environ, "TEST_DATABASE": url, "TEST_SMTP": mailbox.url, "TEST_NOW": str(now),
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
    }  # fmt: skip
    command = [sys.executable, "-m", "identity.notifying_process"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, cwd=TESTS, env=environment, **pipes) for _ in range(number)]
    try:
        for process in started:
            assert json.loads(process.stdout.readline()) == {"ready": True}
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait(30)
            process.stdin.close()
            process.stdout.close()


def run(started: list[Any]) -> list[dict[str, Any]]:
    """Let all begin at once; what they have told."""
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    return [json.loads(line) for process in started for line in process.stdout if line.endswith("\n")]


def check_events(url: str, keys: list[StoredAPIKey]) -> None:
    """Each key has the one event that it is to have."""
    database = Database(url)
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT key_id, name, number FROM api_key_events").all()
    database.close()
    stages = {29.5: ("expiring", 30), 6.5: ("expiring", 7), 0.5: ("expiring", 1), -0.5: ("expired", 0)}
    wanted = [(key.id, *stages[(key.expires_at - NOW) / DAY]) for key in keys]
    assert sorted(map(tuple, found)) == sorted(wanted)


def test_each_event_and_each_mail_once(url, keys, mailbox):
    """All four have a part of the work; the audited events are those of the database, too."""
    with processes(url, mailbox, PROCESSES) as started:
        told = run(started)
    done = [each for each in told if "is_done" in each]
    assert [each["is_done"] for each in done] == [True] * PROCESSES
    assert (sum(each["noted"] for each in done), sum(each["sent"] for each in done)) == (len(keys), len(keys))
    audited = Counter(each["key_id"] for each in told if "name" in each)
    assert audited == Counter(key.id for key in keys)
    check_events(url, keys)
    assert {mailbox.times(key.readable_id) for key in keys} == {1}
    assert len(mailbox.mails) < len(keys)  # keys of one owner are told together


def test_a_killed_process_loses_nothing(url, keys, mailbox):
    """What it had taken is sent by another after an hour: no key is left out, and few are told twice."""
    with processes(url, mailbox, PROCESSES) as started:
        mailbox.on_mail = lambda number: started[0].kill() if number == 10 else None
        run(started)
        assert started[0].wait(30) == -9
    untold = [key for key in keys if not mailbox.times(key.readable_id)]
    check_before = len(untold)
    with processes(url, mailbox, 2, NOW + 60) as started:
        run(started)
    assert len([key for key in keys if not mailbox.times(key.readable_id)]) == check_before
    with processes(url, mailbox, 2, NOW + TAKEN_SECONDS) as started:
        run(started)
    check_events(url, keys)
    times = Counter(mailbox.times(key.readable_id) for key in keys)
    assert times[0] == 0
    assert set(times) <= {1, 2} and times[2] <= _MAX_SENDING
