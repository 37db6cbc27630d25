"""Run store servers for the tests, which can be stopped, and workers that share them."""

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
import redis

from ports import free_port

SECRET = "a secret of the tests, which no other issuer has: 6c1f"
WAIT_SECONDS = 120.0
_TESTS = Path(__file__).resolve().parent.parent
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if os.name == "posix" else []


def wait_until(check: Any, message: str) -> None:
    """Wait for a process to be ready."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            if check():
                return
        time.sleep(0.02)
    raise TimeoutError(message)


@dataclass
class RedisServer:
    """Run a Redis that stores nothing on disk."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL for `RedisStore`."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, empty."""
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
        with redis.Redis(port=self.port) as client:
            wait_until(client.ping, "redis-server does not answer")

    def stop(self) -> None:
        """Stop at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def remove(self) -> None:
        """Do nothing, because no data is stored."""

    def cut(self) -> None:
        """Close all connections of clients."""
        with redis.Redis(port=self.port) as client:
            for kind in ("normal", "pubsub"):
                client.execute_command("CLIENT", "KILL", "TYPE", kind)


@dataclass
class PostgresServer:
    """Run a PostgreSQL with a data folder of its own, not as root."""

    port: int = field(default_factory=free_port)
    data: Path | None = None

    @property
    def url(self) -> str:
        """Return the URL for `PostgresStore`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _run(self, *command: str) -> None:
        tool = str(_POSTGRES[-1] / command[0])
        user: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        )
        subprocess.run(
            [tool, *command[1:]], check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=60, **user
        )

    def start(self) -> None:
        """Start with the data from before."""
        if self.data is None:
            # A folder outside of pytest's folder, which the user of the server cannot enter.
            self.data = Path(tempfile.mkdtemp(prefix="authguard-postgres-"))
            if os.geteuid() == 0:
                shutil.chown(self.data, "postgres", "postgres")
            self._run("initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "--no-sync")
        data = self.data
        options = f"-p {self.port} -k {data} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop at once."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        """Delete the data of the server."""
        if self.data is not None:
            shutil.rmtree(self.data)

    def cut(self) -> None:
        """End all connections of clients."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )


StoreServer = RedisServer | PostgresServer


def store_server(kind: str, folder: Path) -> StoreServer:
    """Return a server that is not started; skip the test if its program is missing."""
    present = shutil.which("redis-server") if kind == "redis" else _POSTGRES
    if not present:
        if os.environ.get("CI") == "true":
            raise FileNotFoundError(kind)
        pytest.skip(f"no program for a {kind} server")
    return RedisServer(folder) if kind == "redis" else PostgresServer()


@dataclass
class Worker:
    """Run a uvicorn process with a guarded application."""

    url: str
    offset: float = 0.0
    app: str = "worker_app:app"
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    _connection: http.client.HTTPConnection | None = None

    def start(self) -> None:
        """Start the process, without waiting."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(_TESTS / "stores"), str(_TESTS), os.environ.get("PYTHONPATH", "")]
            ),
            "STORE_URL": self.url,
            "CLOCK_OFFSET": str(self.offset),
            **self.settings,
        }
        command = [sys.executable, "-m", "uvicorn", self.app, "--port", str(self.port)]
        options = ["--log-level", "error", "--no-access-log"]
        self.process = subprocess.Popen([*command, *options], env=environment)

    def wait(self) -> None:
        """Wait until the process answers."""
        wait_until(lambda: self.get("/open", "") == 200, "a worker does not answer")

    def get(self, path: str, token: str) -> int:
        """Return the status of a request."""
        if self._connection is not None:
            # uvicorn closes a connection that has been idle for five seconds, perhaps just now.
            with contextlib.suppress(http.client.RemoteDisconnected, ConnectionError, BrokenPipeError):
                return self._get(self._connection, path, token)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        return self._get(self._connection, path, token)

    def _get(self, connection: http.client.HTTPConnection, path: str, token: str) -> int:
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            response.read()
        except Exception:
            connection.close()
            self._connection = None
            raise
        return response.status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: pause, continue or kill."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def workers(url: str, number: int, offsets: tuple[float, ...] = (0.0,)) -> Iterator[list[Worker]]:
    """Run several workers on one store."""
    running = [Worker(url, offsets[index % len(offsets)]) for index in range(number)]
    try:
        for worker in running:
            worker.start()
        for worker in running:
            worker.wait()
        yield running
    finally:
        for worker in running:
            worker.stop()


def token(name: str) -> str:
    """Return an access token that is valid for hours by every clock of the tests."""
    claims = {
        "sub": "ada",
        "jti": name,
        "iat": int(time.time()) - 2 * 3600,
        "exp": int(time.time()) + 4 * 3600,
    }
    return jwt.encode(claims, SECRET, "HS256")
