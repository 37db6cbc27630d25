"""`authguard serve` without free file descriptors: few log lines, with the remedy, and service afterwards."""

import errno
import json
import logging
import os
import resource
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from authguard.cli.serving.logs import FewRefusedAccepts
from cli.servers import served

LINE = "new connections are not accepted: Too many open files; raise LimitNOFILE"
UNIT = Path(__file__).parents[2] / "examples" / "deploy" / "authguard.service"


@pytest.mark.slow
def test_few_lines_without_file_descriptors(tmp_path: Path) -> None:
    """More connections than file descriptors leave one line of JSON; afterwards the service answers."""
    # If uvloop is installed, uvicorn uses it instead of the loop of asyncio.
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['uvloop'] = None")
    variables = {
        "AUTHGUARD_DATABASE": f"sqlite:///{tmp_path}/a.db",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }
    with served("--dev", "--log-format", "json", **variables) as server:
        assert server.get("/healthz").status_code == 200
        opened = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (opened + 8, opened + 8))
        host, port = str(urlsplit(server.base).hostname), urlsplit(server.base).port or 0
        with ExitStack() as stack:
            for _ in range(40):
                stack.enter_context(socket.create_connection((host, port), 5))
            time.sleep(1.5)
            server.read()
        assert server.get("/healthz").status_code == 200
        server.end()
    lines = [json.loads(line) for line in server.err.splitlines()]
    about = [line for line in lines if "not accepted" in line["message"]]
    assert len(about) == 1 and len(lines) < 20
    assert LINE in about[0]["message"] and "exception" not in about[0]


def test_the_unit_has_many_file_descriptors() -> None:
    """The unit of systemd raises the limit of file descriptors."""
    assert "LimitNOFILE=65536" in UNIT.read_text().splitlines()


def test_lines_of_asyncio_about_refused_connections_are_few() -> None:
    """Of many lines about refused connections one a minute is left, in words; other lines stay."""
    told = FewRefusedAccepts()
    try:
        raise OSError(errno.EMFILE, "Too many open files")
    except OSError:
        error = sys.exc_info()
    records = [
        logging.LogRecord("asyncio", logging.ERROR, "", 0, f"{text}\nsocket: <…>", (), error)
        for text in ("socket.accept() out of system resource", "Task exception was never retrieved") * 3
    ]
    passed = [record for record in records if told.filter(record)]
    assert [record.getMessage().partition(";")[0] for record in passed[:1]] == [LINE.partition(";")[0]]
    assert passed[0].exc_info is None
    assert [record.exc_info for record in passed[1:]] == [error] * 3
