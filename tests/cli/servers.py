"""Run real processes of `authguard serve`, at ports of their own."""

import contextlib
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx

from cli.support import COMMAND, environment

_SECONDS = 60
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without authorities, which take a while to read


class Served:
    """Represent a running server, and its output after its end.

    Attributes:
        base: its URL.
        process: the process.
        out: its standard output, at the end.
        err: its standard error, at the end.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", out: Any, err: Any) -> None:
        self.process = process
        self._files = out, err
        self.out = self.err = ""
        self.base = self._base()

    def _base(self) -> str:
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            self.read()
            for word in (self.out + self.err).replace('"', " ").split():
                if word.startswith("http://") and "serves" in self.out + self.err:
                    return word
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError(f"it does not serve: {self.err}")

    def read(self) -> None:
        """Read the output so far."""
        texts = []
        for file in self._files:
            file.seek(0)
            texts.append(file.read().decode())
        self.out, self.err = texts

    def get(self, path: str, **given: Any) -> httpx.Response:
        """Send a GET request, and wait until the server listens."""
        until = time.monotonic() + _SECONDS
        while True:
            try:
                return httpx.get(self.base + path, trust_env=False, timeout=20, verify=_NO_TLS, **given)
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.02)

    def children(self) -> set[int]:
        """Return the workers: the child processes that serve."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in pids if "spawn_main" in _arguments(pid)}

    def wait_for_another(self, killed: int, number: int) -> None:
        """Wait until a worker that was killed is gone, and so many workers run."""
        until = time.monotonic() + _SECONDS
        while killed in self.children() or len(self.children()) < number:
            assert time.monotonic() < until, "no other worker was started"
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(_SECONDS)
        self.read()
        return status


def _arguments(pid: str | int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_until_gone(pids: set[int]) -> None:
    """Wait until none of the processes runs."""
    until = time.monotonic() + _SECONDS
    while any(map(_arguments, pids)):
        assert time.monotonic() < until, "processes are left"
        time.sleep(0.05)


@contextlib.contextmanager
def served(*options: str, **variables: str) -> Iterator[Served]:
    """Run `authguard serve` at any free port."""
    with TemporaryFile() as out, TemporaryFile() as err:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", *options],
            stdout=out,
            stderr=err,
            env=environment(PYTHONUNBUFFERED="1", **variables),
        )
        try:
            yield Served(process, out, err)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
