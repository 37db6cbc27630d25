"""Backups by the commands of docs/production.md: the accounts and tokens of a copy are valid."""

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from authguard.identity import upgrade
from identity.support import (
    CALLER,
    PASSWORD,
    Clock,
    postgres_database,
    service_at,
)

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "production.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## 8. Back up\n")[2].partition("\n## ")[0]
EMAIL = "ann@example.com"


def command(begin: str, **names: str) -> list[str]:
    """Return the command of the page with a given beginning, with the names of the test."""
    (line,) = re.findall(rf"^ {{4}}((?:umask .*\n {{4}})?{begin} .*)$", SECTION, re.MULTILINE)
    for old, new in names.items():
        assert f"${old}" in line
        line = line.replace(f"${old}", new)
    program = shutil.which(begin)
    if program is None:
        assert os.environ.get("CI") != "true", f"{begin} is missing"
        pytest.skip(f"{begin} is not installed")
    return ["bash", "-c", line]


def run(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sqlite(tmp_path: Path) -> None:
    """A copy that is made while the service runs has the accounts and sessions from before."""
    old, new = tmp_path / "authguard.db", tmp_path / "backup.db"
    upgrade(f"sqlite:///{old}")
    with service_at(f"sqlite:///{old}", clock=Clock()) as service:
        service.accounts.register(EMAIL, PASSWORD, "Ann", CALLER)
        tokens = service.accounts.login(EMAIL, PASSWORD, CALLER)
        run(command("sqlite3", DATABASE=str(old), BACKUP=str(new)))
        service.accounts.register("bob@example.com", PASSWORD, "Bob", CALLER)
    with closing(sqlite3.connect(new)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert _is_private(new)
    _is_whole(f"sqlite:///{new}", tokens.refresh_token)


def test_sqlite_is_restored(tmp_path: Path) -> None:
    """A restored file belongs to the owner of the service, who alone can read it, and has the sessions."""
    old, new = tmp_path / "authguard.db", tmp_path / "backup.db"
    upgrade(f"sqlite:///{old}")
    with service_at(f"sqlite:///{old}", clock=Clock()) as service:
        service.accounts.register(EMAIL, PASSWORD, "Ann", CALLER)
        tokens = service.accounts.login(EMAIL, PASSWORD, CALLER)
        run(command("sqlite3", DATABASE=str(old), BACKUP=str(new)))
    new.chmod(0o644)
    for file in tmp_path.glob("authguard.db*"):
        file.unlink()
    run(command("install", OWNER=str(os.getuid()), DATABASE=str(old), BACKUP=str(new)))
    assert _is_private(old) and old.stat().st_uid == os.getuid()
    _is_whole(f"sqlite:///{old}", tokens.refresh_token)


@pytest.fixture
def databases() -> Iterator[tuple[str, str]]:
    """Two databases of PostgreSQL: one of the service, and an empty one."""
    with postgres_database() as old, postgres_database() as new:
        yield old, new


@pytest.mark.slow
def test_postgresql(databases: tuple[str, str], tmp_path: Path) -> None:
    """A dump is restored into an empty database."""
    old, new = databases
    plain_old, plain_new = (url.replace("+psycopg", "") for url in databases)
    upgrade(old)
    with service_at(old, clock=Clock()) as service:
        service.accounts.register(EMAIL, PASSWORD, "Ann", CALLER)
        tokens = service.accounts.login(EMAIL, PASSWORD, CALLER)
        run(command("pg_dump", DATABASE=plain_old, BACKUP=str(tmp_path / "backup")))
    assert _is_private(tmp_path / "backup")
    run(command("pg_restore", DATABASE=plain_new, BACKUP=str(tmp_path / "backup")))
    _is_whole(new, tokens.refresh_token)


def _is_private(path: Path) -> bool:
    """Return whether the owner of a file alone can use it."""
    return path.stat().st_mode & 0o777 == 0o600


def _is_whole(url: str, refresh_token: str) -> None:
    """Check that a service on the copy knows the account and its session."""
    with service_at(url, clock=Clock()) as service:
        assert service.accounts.login(EMAIL, PASSWORD, CALLER).user.email == EMAIL
        assert service.sessions.refresh(refresh_token, CALLER).user.email == EMAIL
