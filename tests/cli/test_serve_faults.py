"""`authguard serve` reports all faults of its settings together."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from authguard.errors import ConfigurationError
from authguard.identity import Settings, create_app, upgrade
from cli.support import ISSUER, SECRET, run
from identity.support import postgres_database

pytestmark = pytest.mark.slow

GOOD = {"AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER}
MAIL = {"AUTHGUARD_SMTP_URL": "smtp://127.0.0.1:9", "AUTHGUARD_MAIL_FROM": "a@b.example"}
NO_MAILER = "smtp_url must be the server that sends mails, got None: set AUTHGUARD_SMTP_URL"
NO_SENDER = "where there is an smtp_url, got None: set AUTHGUARD_MAIL_FROM"
NO_TABLES = "database must name a file that is there"


@pytest.mark.parametrize(
    ("variables", "faults"),
    [
        ({}, ["secret and issuer must be given", f"{NO_MAILER} and AUTHGUARD_MAIL_FROM, or dev", NO_TABLES]),
        (GOOD, [f"{NO_MAILER} and AUTHGUARD_MAIL_FROM, or dev", NO_TABLES]),
        ({**GOOD, "AUTHGUARD_MAIL_FROM": "a@b.example"}, [f"{NO_MAILER}, or dev", NO_TABLES]),
        ({**GOOD, "AUTHGUARD_SMTP_URL": "smtp://127.0.0.1:9"}, [NO_SENDER, NO_TABLES]),
        (GOOD | MAIL, [NO_TABLES]),
        (GOOD | MAIL | {"AUTHGUARD_REDIS_URL": "x"}, ["each variable AUTHGUARD_… must be", NO_TABLES]),
    ],
    ids=["nothing", "no mailer", "only a sender", "no sender", "no tables", "a typing error"],
)
def test_all_faults_are_named_in_one_line(
    tmp_path: Path, variables: dict[str, str], faults: list[str]
) -> None:
    """All faults are in one line, each once."""
    done = run("serve", "--port", "0", AUTHGUARD_DATABASE=f"sqlite:///{tmp_path}/a.db", **variables)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert len(done.stderr.split("; ")) == len(faults)
    assert all(done.stderr.count(fault) == 1 for fault in faults), done.stderr
    assert not (tmp_path / "a.db").exists()


def test_the_default_database_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default database without a file is reported as a fault."""
    monkeypatch.chdir(tmp_path)
    assert "got 'authguard.db', the default: set AUTHGUARD_DATABASE" in run("serve", "--port", "0").stderr


def test_tables_that_are_there_are_no_fault(tmp_path: Path) -> None:
    """Existing tables are no fault, and the missing secret is reported alone."""
    url = f"sqlite:///{tmp_path}/a.db"
    upgrade(url)
    done = run("serve", "--port", "0", AUTHGUARD_DATABASE=url, AUTHGUARD_ISSUER=ISSUER, **MAIL)
    assert done.returncode == 2 and "secret must be given" in done.stderr
    assert ";" not in done.stderr


def test_development_needs_neither_mailer_nor_tables(tmp_path: Path) -> None:
    """With `--dev` neither the mail server nor the tables are required."""
    variables = {"AUTHGUARD_DATABASE": f"sqlite:///{tmp_path}/a.db", "AUTHGUARD_ACCESS_LIFETIME": "x"}
    done = run("serve", "--dev", "--port", "0", **variables)
    assert done.returncode == 2 and "AUTHGUARD_ACCESS_LIFETIME must be" in done.stderr
    assert "smtp_url" not in done.stderr and "database must" not in done.stderr


def test_a_wrong_database_url_is_named_once(tmp_path: Path) -> None:
    """A wrong URL of the database is reported once, without its password."""
    done = run("serve", "--port", "0", AUTHGUARD_DATABASE="mysql://ann:s3cret@h/x", **GOOD, **MAIL)
    assert done.returncode == 2 and done.stderr.count("must be") == 1
    assert "s3cret" not in done.stderr


def test_an_application_names_mailer_and_tables_in_one_error(tmp_path: Path) -> None:
    """`create_app` reports the mail server and the tables in one error."""
    settings = Settings(secret=SECRET, issuer=ISSUER, database=f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(ConfigurationError) as refused:
        create_app(settings)
    assert NO_MAILER in str(refused.value) and NO_TABLES in str(refused.value)


CANNOT = "the service cannot start"
NO_NAME = "the server has no database of the name in the URL"


def refused_url(request: pytest.FixtureRequest, part: str) -> str:
    """Return a URL that a server refuses because of a part of it; skip the test without a server."""
    url: str = request.getfixturevalue("postgres_url")
    if part == "name":
        return f"{url}_missing"
    return url.replace("postgres@", "authguard_nobody:s3cret@")


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres_database() as url:
        yield url


@pytest.mark.parametrize(
    ("part", "reason"), [("name", NO_NAME), ("user", "the server has no user of the name in the URL")]
)
def test_a_database_that_refuses_is_one_line(request: pytest.FixtureRequest, part: str, reason: str) -> None:
    """A database that refuses the connection at the start is one line and the status 1."""
    url = refused_url(request, part)
    done = run("serve", "--port", "0", AUTHGUARD_DATABASE=url, **GOOD, **MAIL)
    assert (done.returncode, done.stderr) == (1, f"authguard: database: {reason}\n")
    done = run("serve", "--port", "0", "--log-format", "json", AUTHGUARD_DATABASE=url, **GOOD, **MAIL)
    assert (done.returncode, message_of(done.stderr)) == (1, f"{CANNOT}: database: {reason}")


def message_of(output: str) -> str:
    """Return the message of the only line of a log in JSON."""
    told = json.loads(output)
    assert (told["level"], told["logger"], "s3cret" in output) == ("error", "authguard", False)
    message: str = told["message"]
    return message


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://ann:s3cret@h/app?pgbouncer=1", "must have only options of libpq"),
        ("mysql://ann:s3cret@h/app", "must be sqlite:///file"),
    ],
)
def test_a_wrong_setting_is_an_object_of_the_log(url: str, reason: str) -> None:
    """With `--log-format json` a wrong setting is one line of JSON and the status 2."""
    done = run("serve", "--port", "0", "--log-format", "json", AUTHGUARD_DATABASE=url, **GOOD, **MAIL)
    assert done.returncode == 2
    assert message_of(done.stderr).startswith(f"{CANNOT}: AUTHGUARD_DATABASE {reason}")


def test_a_port_in_use_is_an_object_of_the_log() -> None:
    """With `--log-format json` a port that is in use is one line of JSON."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, "--log-format", "json", **GOOD, **MAIL)
    assert done.returncode == 1
    assert message_of(done.stderr).startswith(f"{CANNOT}: cannot listen on 127.0.0.1 port {port}")
