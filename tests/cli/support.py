"""Run the command as a process, and inside the process of the test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.forks import fork

COMMAND = str(Path(sys.executable).with_name("authguard"))
PASSWORD = "SecurePass123!"
SECRET = "c0mmand-0nly-Secret-of-enough-bytes-8Wd"
ISSUER = "https://auth.example.com"
AUDIENCE = "https://api.example.com"


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without settings of the service, and with these variables."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTHGUARD_")}
    return clean | variables


def run(*args: str, given: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, in a process of its own, which begins after the imports."""
    return run_at_once(1, *args, given=given, **variables)[0]


def run_at_once(
    number: int, *args: str, given: str = "", **variables: str
) -> "list[subprocess.CompletedProcess[str]]":
    """Run the command to its end, in several processes at once."""
    return fork(number, args, given, environment(**variables))


def run_script(*args: str, given: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the installed script to its end, with its imports."""
    return subprocess.run(
        [COMMAND, *args],
        check=False,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**variables),
    )


def invoke(*args: str, given: str = "", **variables: str) -> Result:
    """Run the command in this process; `result.stdout`, `stderr` and `exit_code`.

    Passwords are hashed with the parameters of the tests.
    """
    assert "serve" not in args, "serve changes the logging and the signals of its process: use run()"
    from authguard.cli.root import root
    from authguard.identity import service
    from authguard.identity.passwords.hashing import PasswordHasher

    unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("AUTHGUARD_")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "PasswordHasher", PasswordHasher.cheap)
        return CliRunner().invoke(root, args, input=given, env=unset | variables, prog_name="authguard")
