"""Logouts at `authguard serve`, which guards in other processes follow by a URL."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from cli.support import COMMAND, environment
from identity.support import ANN, PASSWORD, SECRET, postgres_database, upgrade
from ports import free_port
from stores.servers import RedisServer, store_server, wait_until

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(name="stack")
def _stack() -> Iterator[ExitStack]:
    """End the processes of a test after it."""
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, command: list[str], **variables: str) -> None:
    """Start a server, which ends with the test."""
    process = subprocess.Popen(command, env=environment(**variables))
    stack.callback(process.wait)
    stack.callback(process.kill)


def url_of(kind: str, stack: ExitStack, folder: Path) -> str:
    """Return the URL of a store of this test alone."""
    if kind == "redis":
        server = store_server("redis", folder)
        assert isinstance(server, RedisServer)
        server.start()
        stack.callback(server.stop)
        return server.url
    return stack.enter_context(postgres_database())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["redis", "postgresql", "database"])
def test_a_logout_holds_in_another_process_at_once(kind: str, stack: ExitStack, tmp_path: Path) -> None:
    """A logout is followed at once by a guard in another process, with a store or with the database."""
    base, guarded = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    database = f"sqlite:///{tmp_path}/identity.db"
    url = database if kind == "database" else url_of(kind, stack, tmp_path)
    elsewhere = {} if kind == "database" else {"AUTHGUARD_REVOCATIONS_URL": url}
    upgrade(database)
    service = [COMMAND, "serve", "--port", base.rpartition(":")[2], "--database", database]
    mails = {"AUTHGUARD_SMTP_URL": "smtp://127.0.0.1:9", "AUTHGUARD_MAIL_FROM": "accounts@example.com"}
    start(stack, service, AUTHGUARD_SECRET=SECRET, AUTHGUARD_ISSUER=base, **mails, **elsewhere)
    wait_until(lambda: httpx.get(f"{base}/.well-known/jwks.json").status_code == 200, "no service")
    application = [sys.executable, "-m", "uvicorn", "guarded_app:app", "--port", guarded.rpartition(":")[2]]
    start(
        stack,
        [*application, "--log-level", "error", "--no-access-log"],
        PYTHONPATH=os.pathsep.join([str(TESTS / "identity"), os.environ.get("PYTHONPATH", "")]),
        GUARD_FOLLOWS=kind,
        GUARD_URL=url,
        GUARD_ISSUER=base,
        GUARD_SECRET=SECRET,
    )
    wait_until(lambda: httpx.get(f"{guarded}/open").status_code == 200, "no guard")
    assert httpx.post(f"{base}/v1/auth/register", json=ANN).status_code == 201
    for _ in range(10):
        login = httpx.post(f"{base}/v1/auth/login", json={"email": ANN["email"], "password": PASSWORD})
        fields = {"Authorization": f"Bearer {login.json()['access_token']}"}
        answer = httpx.get(f"{guarded}/me", headers=fields)
        assert (answer.status_code, answer.text) == (200, "pushed")
        assert httpx.post(f"{base}/v1/auth/logout", headers=fields).status_code in (200, 204)
        assert httpx.get(f"{guarded}/me", headers=fields).status_code == 401
