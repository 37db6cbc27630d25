"""The blocks of docs/machines.md, with other ports and another host of Redis."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import cast

import pytest
import redis

from authguard import Principal
from authguard.stores import RedisStore
from docs.blocks import blocks, execute
from ports import free_port
from stores.servers import wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "machines.md").read_text(encoding="utf-8")
SERVERS, REQUESTS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ANSWERS = "The answers are 200, 200, 200 and 401."


@pytest.fixture(name="ports")
def _ports(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the ports of the running machines, by the ports of the page."""
    for program in ("redis-server", "curl"):
        if shutil.which(program) is None:
            if os.environ.get("CI") == "true":
                raise FileNotFoundError(program)
            pytest.skip(f"no {program}")
    ports = {port: str(free_port()) for port in ("6380", "8001", "8002")}
    with ExitStack() as stack:
        for line in SERVERS.splitlines():
            # `exec` replaces the shell, so that the server process itself can be ended.
            command = re.sub(r"((?:\w+=\S+ )*)(.*)", r"\1exec \2", _with(ports, line), count=1)
            process = subprocess.Popen(
                command,
                shell=True,
                cwd=tmp_path,
                env=_environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield ports


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    modules = os.pathsep.join([str(ROOT), *sys.path])
    return {**os.environ, "PATH": path, "PYTHONPATH": modules}


def _with(ports: dict[str, str], text: str) -> str:
    return re.sub("|".join(ports), lambda port: ports[port[0]], text)


def _run(command: str) -> str:
    return subprocess.run(
        ["sh", "-c", command], env=_environment(), check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_a_logout_on_one_machine_holds_on_the_other(ports: dict[str, str]) -> None:
    """The requests of the page have the answers of the page."""
    for port in ("8001", "8002"):
        health = f"curl -sf http://127.0.0.1:{ports[port]}/health"
        wait_until(partial(_run, health), "a machine does not answer")
    answers = _run(_with(ports, REQUESTS)).split()
    assert answers == re.findall(r"\d+", ANSWERS)
    assert ANSWERS in PAGE


def test_the_python_blocks_run(ports: dict[str, str]) -> None:
    """The Python blocks run one after the other, and the first revokes a token in its store."""
    with redis.Redis(port=int(ports["6380"])) as client:
        wait_until(client.ping, "Redis does not answer")
    user = Principal("ann", token_id="docs-token", expires_at=time.time() + 60)
    names: dict[str, object] = {"user": user}
    for block in blocks("docs/machines.md", "python"):
        local = block.text.replace("redis.internal:6379", f"127.0.0.1:{ports['6380']}")
        execute(block._replace(text=local), names)
    store = cast("RedisStore", names["store"])
    assert store.revocations.is_revoked(user)
    store.close()
