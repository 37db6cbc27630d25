"""A missing package is an error with the command that installs it, and without a traceback."""

import subprocess
import sys

import pytest

from cli.support import SECRET, environment

pytestmark = pytest.mark.slow

_BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from authguard.cli import main
ends = set()
for arguments in {commands}:
    sys.argv = ["authguard", *arguments]
    try:
        main()
    except SystemExit as end:
        ends.add(end.code)
sys.exit(ends.pop() if len(ends) == 1 else f"the commands ended with different statuses: {{ends}}")
"""
IDENTITY = ("sqlalchemy", "alembic", "argon2", "email_validator", "limits", "pydantic")


def run_without(blocked, *commands, given=""):
    """Run commands, which end with one status, in a process without some packages."""
    return subprocess.run(
        [sys.executable, "-c", _BLOCKED.format(blocked=blocked, commands=commands)],
        check=False,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(THE_SECRET=SECRET, AUTHGUARD_SECRET=SECRET, AUTHGUARD_ISSUER="http://localhost"),
    )


def test_without_click_the_extra_is_named():
    """Without click the command writes one line with the package to install."""
    done = run_without(("click",), ["--help"])
    assert (done.returncode, done.stdout) == (1, "")
    needed = "the packages of authguard[cli] must be installed, got \"No module named 'click'\""
    assert done.stderr == f'authguard: {needed}: pip install "authguard[cli]"\n'


def test_without_the_identity_service_its_extra_is_named():
    """Without the packages of the identity service its commands end with 2 and name the extra."""
    commands = [
        ("users", "list"),
        ("db", "upgrade"),
        ("serve", "--port", "0"),
        ("keys", "rotate"),
        ("token", "issue", "--user", "ann@example.com"),
        ("token", "inspect"),
    ]
    done = run_without(IDENTITY, *commands)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", len(commands))
    assert all('pip install "authguard[identity]"' in line for line in done.stderr.splitlines())


def test_tokens_need_no_identity_service(tmp_path):
    """Keys are generated, and tokens issued and inspected, with `authguard[cli]` alone."""
    blocked = (*IDENTITY, "starlette", "fastapi", "flask")
    made = run_without(blocked, ("keys", "generate", "-o", str(tmp_path / "key.pem")))
    issued = run_without(blocked, ("token", "issue", "--secret-env", "THE_SECRET"))
    seen = run_without(blocked, ("token", "inspect", "--secret-env", "THE_SECRET"), given=issued.stdout)
    assert (made.returncode, issued.returncode, seen.returncode) == (0, 0, 0)


@pytest.mark.one_database
def test_commands_without_http_need_no_application(service):
    """A command on accounts imports neither the packages of the application nor those of migrations.

    Their imports take a third of the time and a quarter of the memory.
    """
    blocked = ("alembic", "jinja2", "pydantic", "starlette")
    with_database = ("--database", service["AUTHGUARD_DATABASE"])
    done = run_without(blocked, ("users", "list", *with_database), ("db", "upgrade", *with_database))
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nThe tables are up to date, of version " in done.stdout
