"""Four processes that look for expiring keys at the same time: each event and each mail once."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from authguard.identity.model import StoredAPIKey, User
from authguard.identity.storage.api_key_queries import insert_key
from authguard.identity.storage.database import Database
from authguard.identity.storage.queries import insert_user
from authguard.identity.usecases.mails.queue import TAKEN_SECONDS
from identity.smtp_server import Mailbox, smtp_server
from identity.support import NOW
from sizes import size

PROCESSES = 4
OWNERS = 20
DAY = 86_400
TESTS = Path(__file__).parents[1]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox


@pytest.fixture
def keys(url) -> list[StoredAPIKey]:
    """Return keys of several owners: some expire in 30, 7 or 1 days, and some have expired."""
    database, made = Database(url), []
    with database.write() as connection:
        for owner in range(OWNERS):
            email = f"owner{owner}@example.com"
            user = User(str(uuid4()), email, True, "", "USER", False, NOW)
            insert_user(connection, user, email, None)
            made += [_key(user.id, owner, number) for number in range(size(8, 25))]
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


@pytest.fixture(scope="module")
def parent() -> Iterator[Any]:
    """The process that forks the working processes."""
    path = os.pathsep.join([str(TESTS), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-m", "identity.notifying_process"],
        cwd=TESTS, env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


class Fleet:
    """Processes on a database, with a mail server and a fixed time."""

    def __init__(self, parent: Any, url: str, mailbox: Mailbox) -> None:
        self._parent = parent
        self._options = {"database": url, "smtp": mailbox.url}
        self.pids: list[int] = []

    def run(self, number: int, now: float = NOW) -> list[dict[str, Any]]:
        """Start all processes at once, and return their lines."""
        self._say(json.dumps({**self._options, "processes": number, "now": now}))
        self.pids = [self._hear()["ready"] for _ in range(number)]
        self._say("")
        told = []
        while "end" not in (line := self._hear()):
            told.append(line)
        return [*told, line]

    def _say(self, line: str) -> None:
        self._parent.stdin.write(line + "\n")
        self._parent.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self._parent.stdout.readline())
        return line


@pytest.fixture
def fleet(parent: Any, url: str, mailbox: Mailbox) -> Fleet:
    return Fleet(parent, url, mailbox)


def select(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return rows of the database."""
    database = Database(url)
    with database.read() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(statement).all()]
    database.close()
    return rows


def check_events(url: str, keys: list[StoredAPIKey]) -> None:
    """Check that each key has exactly the event of its stage."""
    rows = select(url, "SELECT key_id, name, number FROM api_key_events")
    stages = {29.5: ("expiring", 30), 6.5: ("expiring", 7), 0.5: ("expiring", 1), -0.5: ("expired", 0)}
    wanted = [(key.id, *stages[(key.expires_at - NOW) / DAY]) for key in keys]
    assert sorted(rows) == sorted(wanted)


@pytest.mark.slow
def test_each_event_and_each_mail_once(url, keys, mailbox, fleet):
    """Four processes together record each event once, send each mail once, and audit each event once."""
    told = fleet.run(PROCESSES)
    assert told[-1]["end"] == [0] * PROCESSES
    done = [each for each in told if "is_done" in each]
    assert [each["is_done"] for each in done] == [True] * PROCESSES
    assert sum(each["noted"] for each in done) == len(keys)
    assert sum(each["sent"] for each in done) == len(mailbox.mails)
    audited = Counter(each["key_id"] for each in told if "name" in each)
    assert audited == Counter(key.id for key in keys)
    check_events(url, keys)
    assert {mailbox.times(key.readable_id) for key in keys} == {1}
    assert len(mailbox.mails) < len(keys)  # one mail has all keys of an owner


@pytest.mark.slow
def test_processes_that_are_killed_lose_nothing(url, keys, mailbox, fleet):
    """Mails that killed processes had taken are sent by others later, and few are sent twice."""

    def kill(number: int) -> None:
        for pid in fleet.pids if number == 5 else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    mailbox.on_mail = kill
    assert signal.SIGKILL in fleet.run(PROCESSES)[-1]["end"]
    rows = select(url, f"SELECT details FROM mails WHERE try_at > {NOW + 60}")
    taken = {details.partition(" ")[0] for (details,) in rows}
    most = len(keys) // OWNERS  # each process has one mail at a time, to one owner
    assert 0 < len(taken) <= PROCESSES * most
    texts = [key.readable_id for key in keys if key.id in taken]
    before = [mailbox.times(text) for text in texts]
    assert fleet.run(2, NOW + 60)[-1]["end"] == [0, 0]
    assert [mailbox.times(text) for text in texts] == before
    assert fleet.run(2, NOW + TAKEN_SECONDS)[-1]["end"] == [0, 0]
    check_events(url, keys)
    times = Counter(mailbox.times(key.readable_id) for key in keys)
    assert times[0] == 0
    assert set(times) <= {1, 2} and times[2] <= PROCESSES * most
    assert select(url, "SELECT kind FROM mails") == []
