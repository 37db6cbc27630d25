"""What the tests of the command share: running it as a process, and inside of the test."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

COMMAND = str(Path(sys.executable).with_name("authguard"))
PASSWORD = "SecurePass123!"
SECRET = "c0mmand-0nly-Secret-of-enough-bytes-8Wd"
ISSUER = "https://auth.example.com"
AUDIENCE = "https://api.example.com"


def environment(**variables: str) -> dict[str, str]:
    """The environment without settings of the service, and with these variables."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTHGUARD_")}
    return clean | variables


def run(*args: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in a process of its own."""
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
    """Run the command in this process; `result.stdout`, `stderr` and `exit_code`."""
    assert "serve" not in args, "serve changes the logging and the signals of its process: use run()"
    from authguard.cli.root import root

    unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("AUTHGUARD_")}
    return CliRunner().invoke(root, args, input=given, env=unset | variables, prog_name="authguard")
