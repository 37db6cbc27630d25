"""The container of examples/deploy: its layers, and its commands without a container engine.

CI has no engine: the commands run in a new environment of Python, as the user of the container if the test
has that right. Build it with another base and package by `buildah build --build-arg BASE=… --build-arg
PACKAGE=… examples/deploy`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from cli.support import PASSWORD, SECRET
from cli.test_deploy import FOLDER
from ports import free_port

SOURCE = Path(__file__).parents[2]
PREFIX, STATE = "/opt/authguard", "/var/lib/authguard"


class Instruction(NamedTuple):
    """Have the name and the value of one instruction."""

    name: str
    value: str


def instructions() -> list[Instruction]:
    """Return the instructions of the file, without comments."""
    lines = (FOLDER / "Containerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if line and not line.startswith("#")).replace("\\\n", " ")
    return [Instruction(*line.split(" ", 1)) for line in text.splitlines()]


def last_stage() -> list[Instruction]:
    """Return the instructions of the final image."""
    stages = instructions()
    begin = max(number for number, instruction in enumerate(stages) if instruction.name == "FROM")
    return stages[begin:]


def values(name: str) -> list[str]:
    """Return the values of all instructions of a name."""
    return [instruction.value for instruction in instructions() if instruction.name == name]


def test_the_base_is_one_release() -> None:
    """Both stages have the same base, whose tag names the patch release and the release of Debian."""
    assert values("FROM") == ["${BASE} AS build", "${BASE}"]
    (base,) = [value.partition("=")[2] for value in values("ARG") if value.startswith("BASE=")]
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base)


def test_nothing_secret_is_in_a_layer() -> None:
    """No instruction copies the folder of the build, and no argument or variable has a secret."""
    assert [value.split()[0] for value in values("COPY")] == ["--from=build"]
    assert values("ADD") == []
    names = re.findall(r"(\w+)=", " ".join(values("ARG") + values("ENV")))
    assert set(names) == {"BASE", "PACKAGE", "PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def test_it_does_not_run_as_root() -> None:
    """The user is a number after the last command of the build, and pip is in the first stage alone."""
    names = [instruction.name for instruction in last_stage()]
    (user,) = [instruction.value for instruction in last_stage() if instruction.name == "USER"]
    assert int(user) > 1000 and names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")
    assert not any("pip" in instruction.value for instruction in last_stage() if instruction.name == "RUN")


def test_docs_say_how_to_run_it() -> None:
    """The comment of the file runs it with a read-only root, a volume and a secret."""
    head = (FOLDER / "Containerfile").read_text(encoding="utf-8").partition("\nARG")[0]
    assert "--read-only" in head and f":{STATE}" in head and "--secret" in head


def base_python() -> str:
    """Return a Python that other users can run, or the current one."""
    system = "/usr/bin/python3"
    command = [system, "-c", "import sys, venv; raise SystemExit(sys.version_info < (3, 11))"]
    is_usable = Path(system).exists() and subprocess.run(command, check=False).returncode == 0
    return system if is_usable else sys.executable


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """Yield a folder with the files that the first stage creates from this source."""
    folder = Path(tempfile.mkdtemp(prefix="authguard-container-"))
    folder.chmod(0o755)
    (command,) = [
        instruction.value
        for instruction in instructions()
        if instruction.name == "RUN" and "pip" in instruction.value
    ]
    own = f"{SOURCE}[identity,cli]"
    text = command.replace(PREFIX, str(folder / "opt")).replace("python3 -m venv", f"{base_python()} -m venv")
    text = text.replace("python3 -m pip", f"{sys.executable} -m pip")
    env = {**os.environ, "PACKAGE": own, "PIP_CONSTRAINT": str(SOURCE / "constraints.txt")}
    env.pop("PYTHONPATH", None)
    shell = ["sh", "-c", text]
    done = subprocess.run(shell, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    yield folder
    shutil.rmtree(folder)


def as_user(folder: Path) -> dict[str, Any]:
    """Return the options that run a program as the user of the container, in the folder of its state."""
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() or base_python() == sys.executable:
        return {"cwd": state}
    (user,) = [int(instruction.value) for instruction in last_stage() if instruction.name == "USER"]
    os.chown(state, user, user)
    return {"cwd": state, "user": user, "group": user, "extra_groups": []}


@pytest.mark.slow
def test_its_commands_serve_and_are_healthy(image: Path) -> None:
    """The commands create the tables, serve and check the health, and end with 0 on SIGTERM."""
    port = free_port()
    secret = image / "secret"
    secret.write_text(SECRET)
    env = dict(re.findall(r"(\w+)=(\S+)", " ".join(values("ENV"))))
    env["PATH"] = env["PATH"].replace(PREFIX, str(image / "opt"))
    given = {"SECRET_FILE": str(secret), "ISSUER": "http://127.0.0.1:8000", "DEV": "true"}
    env |= {f"AUTHGUARD_{name}": value for name, value in given.items()}
    options = as_user(image) | {"env": env}
    (command,) = values("CMD")
    (health,) = [value.partition(" CMD ")[2] for value in values("HEALTHCHECK")]
    words = json.loads(command.replace('"8000"', f'"{port}"'))
    words[0] = str(image / "opt" / "bin" / words[0])
    check = json.loads(health.replace(":8000/", f":{port}/"))
    check[0] = str(image / "opt" / "bin" / check[0])
    subprocess.run([words[0], "db", "upgrade"], check=True, timeout=120, capture_output=True, **options)
    assert subprocess.run(check, check=False, timeout=30, capture_output=True, **options).returncode != 0
    with (image / "state" / "output").open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, **options)
    try:
        until = time.monotonic() + 60
        while subprocess.run(check, check=False, timeout=30, capture_output=True, **options).returncode:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.2)
        body = {"email": "ann@example.com", "password": PASSWORD}
        url = f"http://127.0.0.1:{port}/v1/auth/register"
        answer = httpx.post(url, json=body, trust_env=False, timeout=20)
        assert answer.status_code == 201
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait()
