"""The command as its users run it: on a real database, on a real socket, and in a process of its own."""

import gc
import signal
import stat
import subprocess

import httpx
import pytest

from authguard import __version__
from authguard._core.encoding.fast import packages_in_use
from authguard.cli.output import Failure, printable
from authguard.cli.serve import _for_development
from authguard.cli.serving.heap import settled_heap
from cli.support import COMMAND, PASSWORD, environment, invoke, run


def test_the_version_names_what_reads_tokens():
    """The release, and the packages of the extra `fast` that are used."""
    done = run("--version")
    by = " and ".join(packages_in_use()) or "Python's own modules"
    assert done.stdout.splitlines() == [f"authguard, version {__version__}", f"reads tokens by {by}"]


def test_account_is_made_and_listed(tmp_path):
    """An account that was made is listed, and its password is nowhere in the output."""
    url = f"sqlite:///{tmp_path}/a.db"
    assert invoke("db", "upgrade", "--database", url).exit_code == 0
    made = run("users", "create", "ann@example.com", "--password-stdin", "--database", url, given=PASSWORD)
    listed = invoke("users", "list", "--json", "--database", url)
    assert (made.returncode, listed.exit_code) == (0, 0)
    assert '"email": "ann@example.com"' in listed.stdout
    assert PASSWORD not in made.stdout + made.stderr + listed.stdout


def test_old_tables_name_the_command(tmp_path):
    """Without tables the error is one line that names the command, with exit status 2."""
    done = invoke("users", "list", "--database", f"sqlite:///{tmp_path}/a.db")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "authguard db upgrade" in done.stderr


def test_missing_settings_are_one_line():
    """Without a secret, `serve` says what to set, with exit status 2 and no traceback."""
    done = run("serve", "--port", "0")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "AUTHGUARD_SECRET" in done.stderr


def test_private_key_is_for_its_owner_and_never_overwritten(tmp_path):
    """A private key is in a file of mode 0600, not on standard output; a second one is refused."""
    path = tmp_path / "key.pem"
    done = run("keys", "generate", "-o", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE" not in done.stdout and '"d"' not in done.stdout
    before = path.read_text()
    assert invoke("keys", "generate", "-o", str(path)).exit_code == 1
    assert path.read_text() == before


def test_collections_pass_over_what_is_loaded():
    """While the service runs, the garbage collector does not look through what was loaded before."""
    gc.unfreeze()  # what tests/conftest.py has passed over
    before = gc.get_threshold()
    try:
        with settled_heap():
            assert gc.get_freeze_count() > 10_000
            assert gc.get_threshold() == (5_000, *before[1:])
        assert gc.get_freeze_count() == 0
        assert gc.get_threshold() == before
    finally:
        gc.freeze()


@pytest.mark.usefixtures("leaks")
def test_serves_until_sigterm_and_logs_no_query(tmp_path):
    """`serve --dev` answers a request, logs it without its query, and ends with 0 on SIGTERM."""
    process = subprocess.Popen(
        [COMMAND, "serve", "--dev", "--port", "0", "--database", f"sqlite:///{tmp_path}/a.db"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(PYTHONUNBUFFERED="1"),
    )  # fmt: skip
    try:
        base = next(
            word for line in process.stderr if "serves" in line for word in line.split() if "http" in word
        )
        answer = httpx.get(f"{base}/.well-known/jwks.json?token=MARKER-secret", trust_env=False, timeout=20)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (answer.status_code, process.returncode) == (200, 0)
    assert "/.well-known/jwks.json" in out
    assert "MARKER" not in out + err


def test_development_makes_a_secret_for_hs256_of_a_file(tmp_path):
    """`serve --dev` makes a secret where a file says HS256, and else asks for one."""
    given = []
    for algorithm in ("HS256", "ES256"):
        config = tmp_path / f"{algorithm}.toml"
        config.write_text(f'algorithm = "{algorithm}"\n')
        try:
            given.append("secret" in _for_development(str(config), "127.0.0.1", 8000))
        except Failure as error:
            given.append((error.exit_code, "AUTHGUARD_SECRET" in error.message))
    assert given == [True, (2, True)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("山田\u3000太郎", "山田\u3000太郎"), ("a\u202eb\x1b", "a?b?"), ("a\u200db", "a\u200db")],
)
def test_names_in_tables(text, shown):
    """Names of all languages are shown, and what steers a terminal is not."""
    assert printable(text) == shown
