"""Signals of `authguard serve` in one process: SIGTERM at any moment, and SIGHUP."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.servers import served
from cli.support import COMMAND, environment

pytestmark = pytest.mark.slow

SECONDS = 30
# Runs at the start of Python: sends a signal to its own process from within the garbage collection that
# `authguard serve` starts, where exceptions are lost.
_IN_COLLECTION = """
import gc, os, signal, sys

def look(phase, info):
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "settle_heap":
        frame = frame.f_back
    if frame is not None:
        gc.callbacks.remove(look)
        os.kill(os.getpid(), signal.SIGTERM)

gc.callbacks.append(look)
"""


def start(folder: Path, **variables: str) -> "subprocess.Popen[bytes]":
    """Start `authguard serve --dev`, with its log in a file."""
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [COMMAND, "serve", "--port", "0", "--dev"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(AUTHGUARD_DATABASE=f"sqlite:///{folder}/a.db", **variables),
        )


def ended(process: "subprocess.Popen[bytes]") -> int | None:
    """Return the exit status; None if the process continues, and is killed."""
    try:
        return process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def test_sigterm_during_the_garbage_collection_at_the_start(tmp_path: Path) -> None:
    """SIGTERM ends the service also while Python is in a callback, where an exception would be lost."""
    (tmp_path / "sitecustomize.py").write_text(_IN_COLLECTION)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert ended(start(tmp_path, PYTHONPATH=path)) == 0
    assert "Exception ignored" not in (tmp_path / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("delay", [number * 0.15 for number in range(16)])
def test_sigterm_at_any_moment_of_the_start(tmp_path: Path, delay: float) -> None:
    """SIGTERM ends the service however early it comes: with 0, or as a signal before the command begins."""
    process = start(tmp_path)
    time.sleep(delay)
    process.send_signal(signal.SIGTERM)
    assert ended(process) in (0, -signal.SIGTERM)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_sighup_changes_nothing_and_is_logged(tmp_path: Path) -> None:
    """SIGHUP ends no service of one process, and a line in the log tells that nothing was loaded again."""
    with served("--dev", AUTHGUARD_DATABASE=f"sqlite:///{tmp_path}/a.db") as server:
        assert server.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + SECONDS
        while "SIGHUP: nothing is loaded again" not in server.err and time.monotonic() < until:
            time.sleep(0.02)
            server.read()
        assert server.get("/readyz").status_code == 200
        assert server.end() == 0
    assert "SIGHUP: nothing is loaded again, and the service continues" in server.err
