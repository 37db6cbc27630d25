"""Run a PostgreSQL server for tests that freeze it, restart it, or put a pooler in front of it."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ports import free_port

_PLACES = "/usr/lib/postgresql"
_SECONDS = 30.0


def _program(name: str) -> str:
    """Return the path of a program of PostgreSQL; skip the tests without it."""
    places = [str(path) for path in sorted(Path(_PLACES).glob("*/bin"), reverse=True)]
    program = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", ""), "/usr/sbin"]))
    if program is None:
        assert os.environ.get("CI") != "true", f"{name} is missing"
        pytest.skip(f"no {name}")
    return program


def _user() -> str | None:
    """Return the user for servers, which refuse to run as root."""
    return "postgres" if os.geteuid() == 0 else None


class OwnPostgres:
    """Represent a server in a folder of its own.

    Attributes:
        port: the port.
        url: of its database.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        options = ["-U", "postgres", "-A", "trust", "-N", "--wal-segsize=1"]
        self._run(_program("initdb"), "-D", str(folder / "data"), *options)

    def _run(self, *arguments: str) -> None:
        subprocess.run(arguments, check=True, user=_user(), capture_output=True, cwd=self.folder)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "fsync": "off"}
        options |= {"unix_socket_directories": self.folder}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [_program("postgres"), "-D", str(self.folder / "data"), *arguments],
            user=_user(),
            cwd=self.folder,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.url)

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop the server; by default, close all connections."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_SECONDS)
            self._process = None

    def restart(self, how: int = signal.SIGINT) -> None:
        """Stop the server, and start it again."""
        self.stop(how)
        self.start()

    @property
    def has_ended(self) -> bool:
        """Return whether the server has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Pause the server in the middle of its work; the kernel still answers at the TCP level."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        os.kill(pid, signal.SIGSTOP)
        stopped = [pid, *map(int, children.read_text().split())]
        for each in stopped[1:]:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in reversed(stopped):
                os.kill(each, signal.SIGCONT)


def wait_for(url: str) -> None:
    """Wait until a server takes connections."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2).close()
        except psycopg.OperationalError:
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.05)
        else:
            return


def _folder(place: Path = Path("/tmp")) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="authguard-pg-", dir=place))
    if (user := _user()) is not None:
        shutil.chown(folder, user)
    return folder


@contextlib.contextmanager
def own_postgres(place: Path = Path("/tmp")) -> Iterator[OwnPostgres]:
    """Run a server in a new folder that its user may enter."""
    folder = _folder(place)
    server = None
    try:
        server = OwnPostgres(folder)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def pgbouncer(server: OwnPostgres) -> Iterator[str]:
    """Run PgBouncer in transaction mode with two connections to a server; yield its URL."""
    program, folder, port = _program("pgbouncer"), _folder(), free_port()
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {folder}/users.txt\n"
        "pool_mode = transaction\ndefault_pool_size = 2\n"
    )
    for path in folder.iterdir():
        path.chmod(0o644)
    process = subprocess.Popen(
        [program, str(folder / "pgbouncer.ini")], user=_user(), stderr=subprocess.DEVNULL
    )
    url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    try:
        wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
