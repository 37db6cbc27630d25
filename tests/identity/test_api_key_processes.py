"""A key that is rotated while four processes accept it: no request fails, and old secrets end in time."""

import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from authguard.identity import IdentityService, NewAPIKey
from identity.api_key_support import create, owner, rows
from identity.support import CALLER, service_at
from ports import free_port
from sizes import size
from stores.servers import wait_until

PROCESSES = 4
CALLERS = 8
RATE = 200.0  # requests a second, of all callers together
GRACE = 2
BOUND = 1.0
SWITCH = 0.3  # seconds within which callers take a new secret
TESTS = Path(__file__).parents[1]


#: The time of sending, the time of the answer, the generation of the secret, and the status.
Answer = tuple[float, float, int, int]


class Client:
    """A client that sends requests to random processes, one after the other."""

    def __init__(self, ports: list[int]) -> None:
        self.answers: list[Answer] = []
        self._connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for port in ports]

    def get(self, made: NewAPIKey) -> None:
        """Send a request to one of the processes."""
        connection = random.choice(self._connections)
        sent = time.time()
        connection.request("GET", "/me", headers={"X-API-Key": made.text})
        response = connection.getresponse()
        response.read()
        self.answers.append((sent, time.time(), made.key.generation, response.status))

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


@dataclass
class Fleet:
    """The running processes."""

    ports: list[int]
    stopping: threading.Event = field(default_factory=threading.Event)


@contextmanager
def fleet_on(url: str) -> Iterator[Fleet]:
    """Run the processes, and stop them by SIGTERM."""
    fleet = Fleet([free_port() for _ in range(PROCESSES)])
    path = os.pathsep.join([str(TESTS), *sys.path])
    environment = {**os.environ, "STORE_URL": url, "PYTHONPATH": path}
    command = [sys.executable, "-m", "uvicorn", "identity.api_key_app:app", "--log-level", "error", "--port"]
    processes = [subprocess.Popen([*command, str(port)], env=environment) for port in fleet.ports]
    try:
        for port in fleet.ports:
            wait_until(lambda port=port: is_open(port), "a process does not answer")
        yield fleet
    finally:
        fleet.stopping.set()
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(60)


def is_open(port: int) -> bool:
    """Return whether a process answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/open")
        return connection.getresponse().status == 200
    finally:
        connection.close()


class Keys:
    """The generations of the key, and the number of callers that have taken each."""

    def __init__(self, first: NewAPIKey) -> None:
        self.generations = [first]
        self.taken: Counter[int] = Counter()

    @property
    def newest(self) -> NewAPIKey:
        return self.generations[-1]


def call(client: Client, fleet: Fleet, keys: Keys) -> None:
    """Send requests with the current secret of the caller, and take each new one within a moment."""
    mine, take_at = keys.newest, 0.0
    due = time.monotonic()
    while not fleet.stopping.is_set():
        if keys.newest is not mine and not take_at:
            take_at = time.monotonic() + random.uniform(0, SWITCH)
        if take_at and time.monotonic() >= take_at:
            mine, take_at = keys.newest, 0.0
            keys.taken[mine.key.generation] += 1
        client.get(mine)
        due = max(due + CALLERS / RATE, time.monotonic() - 1)
        fleet.stopping.wait(max(0.0, due - time.monotonic()))


def lag(client: Client, fleet: Fleet, keys: Keys) -> None:
    """Send requests with the last secrets, so that each process remembers them."""
    while not fleet.stopping.is_set():
        for made in keys.generations[-5:-1]:
            client.get(made)
        fleet.stopping.wait(0.05)


def rotate_often(service: IdentityService, fleet: Fleet, keys: Keys, times: int) -> None:
    """Rotate the key each time that all callers have taken the newest secret."""
    (user,) = {key.user_id for key in [keys.newest.key]}
    for _ in range(times):
        principal = owner_again(service, user)
        how = {"activate": "first_use", "grace_seconds": GRACE}
        keys.generations.append(service.api_keys.rotate(principal, keys.newest.key.id, CALLER, **how))
        generation = keys.newest.key.generation
        wait_until(lambda generation=generation: keys.taken[generation] == CALLERS, "a caller is slow")


def owner_again(service: IdentityService, user_id: str):
    """Return the principal of the owner in a new session."""
    from authguard import Credential
    from support import judge

    tokens = service.accounts.issue_tokens(user_id)
    return judge(service.own_tokens, Credential(tokens.access_token, "bearer"), time.time()).principal


@pytest.mark.slow
def test_no_request_fails_and_no_secret_lasts(postgres_url: str) -> None:
    """No request fails during rotations, and each use is counted for its generation."""
    with service_at(postgres_url, clock=time.time) as service:
        keys = Keys(create(service, owner(service, f"{os.getpid()}@example.com")))
        with fleet_on(postgres_url) as fleet:
            answers, late, seconds = run(service, fleet, keys)
        assert [answer for answer in answers if answer[3] != 200] == []
        assert too_late(late, first_uses(answers)) == []
        assert Counter(status for *_, status in late)[401] > 0
        assert len(answers) / seconds > RATE / 2  # half the rate, on a machine with other work
        key_id, user_id = keys.newest.key.id, keys.newest.key.user_id
        counted: Counter[int] = Counter()
        for row in rows(service, "api_key_usage_minutes"):
            if (row.key_id, row.outcome) == (key_id, "ok"):
                counted[row.generation] += row.uses
        passed = Counter(generation for _, _, generation, status in answers + late if status == 200)
        assert counted == passed
        (key,) = service.api_keys.list(owner_again(service, user_id))
        assert (key.id, key.usage_count) == (key_id, sum(passed.values()))


def run(service: IdentityService, fleet: Fleet, keys: Keys) -> tuple[list[Answer], list[Answer], float]:
    """Return the answers of the callers, those for old secrets, and the seconds of the run."""
    clients = [Client(fleet.ports) for _ in range(CALLERS + 1)]
    threads = [threading.Thread(target=call, args=(client, fleet, keys)) for client in clients[1:]]
    threads.append(threading.Thread(target=lag, args=(clients[0], fleet, keys)))
    started = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        rotate_often(service, fleet, keys, size(10, 50))
        fleet.stopping.wait(GRACE + BOUND + 1)
    finally:
        fleet.stopping.set()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
    seconds = time.monotonic() - started
    return [answer for client in clients[1:] for answer in client.answers], clients[0].answers, seconds


def first_uses(answers: list[Answer]) -> dict[int, float]:
    """Return the time of the first answered use of each generation."""
    began: dict[int, float] = {}
    for _, answered, generation, _ in sorted(answers, key=lambda answer: answer[1]):
        began.setdefault(generation, answered)
    return began


def too_late(answers: list[Answer], began: dict[int, float]) -> list[tuple[int, float]]:
    """Return the generations that were accepted after their end and the bound, with the seconds."""
    accepted = []
    for sent, _, generation, status in answers:
        ends = [began[generation + 1] + GRACE] if generation + 1 in began else []
        ends += [began[generation + 2]] if generation + 2 in began else []
        if status == 200 and ends and sent > min(ends) + BOUND:
            accepted.append((generation, sent - min(ends)))
    return accepted
