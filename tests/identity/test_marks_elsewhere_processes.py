"""Revocations of several processes reach the other store: of killed ones, commands, and two services."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from authguard import Principal
from authguard.identity.errors import StoreUnavailableError
from authguard.stores import RedisStore
from cli.support import invoke
from identity.elsewhere import (
    NEW,
    gets_all,
    has,
    positions,
    principal_of,
    redis_server,  # noqa: F401  # a fixture
    service_with,
    sign_up,
    start_threads,
)
from identity.support import ANN, CALLER, PASSWORD, service_at, together
from stores.servers import RedisServer, wait_until

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def mute(port: int) -> Iterator[None]:
    """Take connections at a port, and answer nothing."""
    with socket.create_server(("127.0.0.1", port), backlog=64):
        yield


@pytest.mark.slow_on_postgresql
def test_a_process_is_killed_between_the_database_and_the_store(url: str, server: RedisServer) -> None:
    """A logout that is in the database when its process is killed is written by the next process."""
    with service_at(url, clock=time.time) as service:
        sign_up(service)
    server.stop()
    path = os.pathsep.join([str(TESTS), *sys.path])
    variables = {**os.environ, "TEST_DATABASE": url, "TEST_REDIS": server.url, "PYTHONPATH": path}
    command = [sys.executable, "-m", "identity.logging_out"]
    with (
        mute(server.port),
        subprocess.Popen(command, cwd=TESTS, env=variables, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        session = process.stdout.readline().strip()
        with service_at(url, clock=time.time) as service, service.database.read() as connection:
            query = text("SELECT count(*) FROM authguard_marks WHERE name = :name")
            wait_until(lambda: connection.execute(query, {"name": session}).scalar_one(), "no logout")
        os.kill(process.pid, signal.SIGKILL)
        assert process.stdout.read() == ""
    server.start()
    principal = Principal("ann", claims={"sid": session})
    assert not has(server, principal)
    with service_with(url, server) as service:
        start_threads(service)
        assert gets_all(server, principal)


COMMANDS: dict[str, tuple[list[str], str]] = {
    "disable": (["disable"], ""),
    "set-role": (["set-role", "GUEST"], ""),
    "set-password": (["set-password", "--password-stdin"], f"{NEW}\n"),
    "delete": (["delete", "--yes"], ""),
}


def users(name: str, url: str, **variables: str) -> Any:
    """Run a command about Ann's account, with the database alone and the given settings."""
    (command, *rest), given = COMMANDS[name]
    return invoke("users", command, ANN["email"], *rest, given=given, AUTHGUARD_DATABASE=url, **variables)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_running_service_writes_what_a_command_did(url: str, server: RedisServer, name: str) -> None:
    """A command with only the database ends sessions, also in the store of a running service."""
    with service_with(url, server) as service:
        _, principal = sign_up(service)
        start_threads(service)
        assert users(name, url).exit_code == 0
        assert gets_all(server, principal, seconds=3)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "delete"])
def test_a_command_with_the_store_fails_until_it_is_written(url: str, server: RedisServer, name: str) -> None:
    """A command that knows the store fails with a line while the store is down, also when it is repeated."""
    store = {"AUTHGUARD_REVOCATIONS_URL": server.url}
    with service_at(url, clock=time.time) as service:
        _, principal = sign_up(service)
    server.stop()
    for _ in range(2):
        done = users(name, url, **store)
        assert done.exit_code == 1
        assert f"redis://127.0.0.1:{server.port}/0" in done.stderr
    server.start()
    assert users(name, url, **store).exit_code == 0
    assert has(server, principal)


def test_two_services_write_at_once(url: str, server: RedisServer) -> None:
    """Logouts at two services reach the store, with an outage in the middle, and the numbers agree."""
    with service_with(url, server) as first, service_with(url, server) as second:
        both = [first, second]
        principals = [sign_up(first, f"user-{number}@example.com")[1] for number in range(24)]

        def log_out(number: int) -> None:
            with contextlib.suppress(StoreUnavailableError):
                both[number % 2].sessions.log_out(principals[number], CALLER)

        assert together(8, log_out) == [None] * 8
        assert has(server, *principals[:8])
        server.stop()
        assert together(8, lambda number: log_out(number + 8)) == [None] * 8
        server.start()
        assert not has(server, *principals[8:16])
        for service in both:
            start_threads(service)
        assert together(8, lambda number: log_out(number + 16)) == [None] * 8
        assert gets_all(server, *principals[8:])
        wait_until(lambda: positions(first)[1] == [positions(first)[0]], "the numbers differ")


def test_a_store_that_was_emptied_gets_its_marks_from_guards(url: str, server: RedisServer) -> None:
    """Guards write their marks back to a store that was emptied, and the service those of later logouts."""
    guard = RedisStore(server.url)
    with service_with(url, server) as service:
        start_threads(service)
        olds = [sign_up(service, f"{name}@example.com")[1] for name in ("ann", "bob")]
        guard.revocations.is_revoked(Principal("somebody"))
        for principal in olds:
            service.sessions.log_out(principal, CALLER)
            assert guard.revocations.is_known_revoked(principal)
        with redis.Redis(port=server.port) as client:
            client.flushall()
        _, newer = sign_up(service, "eve@example.com")
        service.sessions.log_out(newer, CALLER)
        assert has(server, newer)
        assert gets_all(server, *olds, newer)
        wait_until(lambda: guard.revocations.is_revoked(newer), "the guard did not follow")
    guard.close()


def test_a_service_starts_and_signs_in_while_the_store_is_down(url: str, server: RedisServer) -> None:
    """A service starts and signs users in without the store, and writes the due marks afterwards."""
    with service_at(url, clock=time.time) as service:
        _, principal = sign_up(service)
        service.sessions.log_out(principal, CALLER)
    server.stop()
    with service_with(url, server) as service:
        start_threads(service)
        assert principal_of(service, service.accounts.login(ANN["email"], PASSWORD, CALLER))
        server.start()
        assert gets_all(server, principal, seconds=5)
