"""Start servers that begin with their imports, most of the time of a start.

One process imports the servers and the imports of `wire.apps`, and forks one for each server: this file is
its program, too. Each server builds its guard itself.
"""

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
_LIBRARIES = (
    "authguard.asgi", "authguard.wsgi", "flask", "gunicorn.app.wsgiapp", "gunicorn.workers.gthread",
    "starlette.applications", "uvicorn", "uvicorn.protocols.http.httptools_impl", "uvloop",
)  # fmt: skip


class Forked:
    """Hold a process that is the child of another one, with the attributes that `wire.servers` reads.

    Attributes:
        pid: its number.
        returncode: always None, because only its parent knows it.
    """

    returncode: int | None = None

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """Return None while it runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout: float = 60) -> int | None:
        """Wait until it has ended."""
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return self.returncode


def fork(module: str, args: list[str], environment: dict[str, str]) -> Forked:
    """Run a module as a program, with these arguments and further variables."""
    parent = _parent()
    assert parent.stdin and parent.stdout
    parent.stdin.write(json.dumps([module, args, environment]) + "\n")
    parent.stdin.flush()
    return Forked(int(parent.stdout.readline()))


@cache
def _parent() -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), *sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-P", __file__], cwd=TESTS, env=env, stdin=pipe, stdout=pipe, text=True
    )
    atexit.register(_end, process)
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    with process:
        process.kill()


def _fork_for_each_call() -> str:
    """Answer each line with the number of a process; return the module to run in each of these."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system removes them when they have ended
    calls = os.fdopen(os.dup(0), encoding="utf-8")
    for line in calls:
        module, args, environment = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            os.environ.update(environment)
            sys.argv = [module, *args]
            return str(module)
        print(child, flush=True)
    sys.exit()


if __name__ == "__main__":
    for library in _LIBRARIES:
        import_module(library)
    runpy.run_module(_fork_for_each_call(), run_name="__main__", alter_sys=True)
