"""The command with a real database, a real socket and a process of its own."""

import contextlib
import gc
import signal
import sqlite3
import stat
import subprocess

import httpx
import pytest

from authguard import __version__
from authguard._core.encoding.fast import packages_in_use
from authguard.cli.output import Failure, printable
from authguard.cli.serve import _for_development
from authguard.cli.serving.heap import settled_heap
from authguard.identity import upgrade
from cli.support import COMMAND, PASSWORD, environment, invoke, run, run_script


@pytest.mark.slow
def test_the_version_names_what_reads_tokens():
    """`--version` shows the release and the packages of the extra `fast` in use."""
    done = run_script("--version")
    by = " and ".join(packages_in_use()) or "Python's own modules"
    assert done.stdout.splitlines() == [f"authguard, version {__version__}", f"reads tokens by {by}"]


@pytest.mark.slow
def test_account_is_made_and_listed(tmp_path):
    """A new account is listed, and its password is nowhere in the output."""
    url = f"sqlite:///{tmp_path}/a.db"
    assert invoke("db", "upgrade", "--database", url).exit_code == 0
    made = run_script(
        "users", "create", "ann@example.com", "--password-stdin", "--database", url, given=PASSWORD
    )
    listed = invoke("users", "list", "--json", "--database", url)
    assert (made.returncode, listed.exit_code) == (0, 0)
    assert '"email": "ann@example.com"' in listed.stdout
    assert PASSWORD not in made.stdout + made.stderr + listed.stdout


@pytest.mark.slow
def test_a_password_is_hashed_as_the_service_does(tmp_path):
    """A password is hashed with the parameters of OWASP, as in the service."""
    url = f"sqlite:///{tmp_path}/a.db"
    upgrade(url)
    made = run("users", "create", "ann@example.com", "--password-stdin", "--database", url, given=PASSWORD)
    assert made.returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as database:
        (kept,) = database.execute("SELECT password_hash FROM users").fetchone()
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_old_tables_name_the_command(tmp_path):
    """Missing tables are an error of one line that names `authguard db upgrade`."""
    done = invoke("users", "list", "--database", f"sqlite:///{tmp_path}/a.db")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "authguard db upgrade" in done.stderr


@pytest.mark.slow
def test_missing_settings_are_one_line():
    """`serve` without a secret ends with 2 and one line that names the variable."""
    done = run_script("serve", "--port", "0")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "AUTHGUARD_SECRET" in done.stderr


@pytest.mark.slow
def test_private_key_is_for_its_owner_and_never_overwritten(tmp_path):
    """A private key is written to a file of mode 0600, and never over an existing file."""
    path = tmp_path / "key.pem"
    done = run_script("keys", "generate", "-o", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE" not in done.stdout and '"d"' not in done.stdout
    before = path.read_text()
    assert invoke("keys", "generate", "-o", str(path)).exit_code == 1
    assert path.read_text() == before


@pytest.mark.slow
def test_collections_pass_over_what_is_loaded():
    """Within `settled_heap` the garbage collector skips the objects that were loaded before."""
    gc.unfreeze()  # the objects that tests/conftest.py has frozen
    before = gc.get_threshold()
    try:
        with settled_heap():
            assert gc.get_freeze_count() > 10_000
            assert gc.get_threshold() == (5_000, *before[1:])
        assert gc.get_freeze_count() == 0
        assert gc.get_threshold() == before
    finally:
        gc.freeze()


@pytest.mark.slow
@pytest.mark.usefixtures("leaks")
def test_serves_until_sigterm_and_logs_no_query(tmp_path):
    """`serve --dev` answers and logs a request without its query, and ends with 0 on SIGTERM."""
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
    """`serve --dev` generates a secret if a file has the algorithm HS256, and otherwise requires one."""
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
    """Names of all scripts are shown, and control characters are replaced."""
    assert printable(text) == shown
