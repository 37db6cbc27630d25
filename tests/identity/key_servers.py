"""Run `authguard serve` and an application on the same key store, each in a process of its own."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from identity.processes import shapes_in
from identity.seeds import AINATIVE, INVORA
from identity.support import PASSWORD, SECRET

ROOT = Path(__file__).parents[2]
_COMMAND = str(Path(sys.executable).with_name("authguard"))


class Servers:
    """Describe the two processes.

    Attributes:
        service: the URL of the identity service.
        application: the URL of the application.
    """

    def __init__(self, service: str, application: str) -> None:
        self.service = service
        self.application = application
        self._registered = 0

    @property
    def bases(self) -> dict[str, str]:
        """Return the replacements for the base URLs of the documents."""
        return {
            AINATIVE: self.service,
            INVORA: self.service,
            f"{AINATIVE}/v1/database": f"{self.application}/v1/database",
            f"{AINATIVE}/api/v1/public": f"{self.application}/api/v1/public",
        }

    def base_of(self, path: str) -> str:
        """Return the server of a path of the documents."""
        return self.application if "/database/" in path or "/public/" in path else self.service

    def register(self) -> tuple[str, str]:
        """Register a new account, and return its address and an access token."""
        self._registered += 1
        email = f"owner{self._registered}@example.com"
        body = {"email": email, "password": PASSWORD, "full_name": "John Doe"}
        response = requests.post(f"{self.service}/v1/auth/register", json=body, timeout=20)
        return email, response.json()["access_token"]


def environment(database: str, **variables: str) -> dict[str, str]:
    """Return the environment of both processes."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTHGUARD_")}
    own = {
        "AUTHGUARD_SECRET": SECRET,
        "AUTHGUARD_ISSUER": "http://127.0.0.1:8000",
        "AUTHGUARD_DATABASE": database,
        "AUTHGUARD_LIMITS": "register_address=1000/3600",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "PYTHONUNBUFFERED": "1",
    }
    return {**clean, **own, **variables}


#: The command that runs the service.
SERVE = [_COMMAND, "serve", "--dev", "--port", "0"]


@contextlib.contextmanager
def running(folder: Path, **variables: str) -> Iterator[Servers]:
    """Run both processes; check at the end that their output contains nothing in the form of a secret."""
    given = environment(f"sqlite:///{folder}/keys.db", **variables)
    application = [sys.executable, "-m", "uvicorn", "examples.api_keys.app:app", "--port", "0"]
    with (
        serving_process(SERVE, folder / "service.log", given) as service,
        serving_process(application, folder / "application.log", given) as other,
    ):
        yield Servers(service, other)
    logs = [(log.name, log.read_text(errors="replace")) for log in folder.glob("*.log")]
    # Mails are written to the console here, with the tokens of their links.
    assert shapes_in(logs, stored=True) == []


@contextlib.contextmanager
def serving_process(command: list[str], log: Path, given: dict[str, str]) -> Iterator[str]:
    """Run a server, and yield its URL, which it writes at its start."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=given, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield _url_in(log, process)
    finally:
        process.terminate()
        process.wait(30)


def _url_in(log: Path, process: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        assert process.poll() is None, text
        if "Application startup complete" in text:
            for word in text.split():
                if word.startswith("http://127.0.0.1:") and not word.endswith((":8000", ":0")):
                    return word
        time.sleep(0.05)
    raise AssertionError("the server does not begin")
