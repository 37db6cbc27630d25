"""`authguard db upgrade` writes its outcome, and the place of the database."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from authguard.identity import upgrade
from authguard.identity.storage import migrations
from cli.support import invoke
from identity.support import postgres_database

pytestmark = pytest.mark.slow

NEWEST = migrations._newest_revision()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Return the URL of a database without tables, and its place as commands write it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/a.db", f"{tmp_path}/a.db"
        return
    with postgres_database() as url:
        parts = urlsplit(url)
        with_password = parts._replace(netloc=f"postgres:s3cret@{parts.hostname}:{parts.port or 5432}")
        place = f"postgresql://{parts.hostname}:{parts.port or 5432}{parts.path}"
        yield with_password.geturl(), place


def test_the_outcome_and_the_place_are_told(empty_database: tuple[str, str]) -> None:
    """The command writes whether it has created the tables or found them up to date, and the place."""
    url, place = empty_database
    created = invoke("db", "upgrade", AUTHGUARD_DATABASE=url)
    assert created.stdout == f"Created the tables, of version {NEWEST}, in {place}\n"
    again = invoke("db", "upgrade", AUTHGUARD_DATABASE=url)
    assert again.stdout == f"The tables are up to date, of version {NEWEST}, in {place}\n"


def test_a_migration_names_both_versions(empty_database: tuple[str, str]) -> None:
    """The command names the version before and after a migration, and the place without the password."""
    url, place = empty_database
    upgrade(url, "0009")
    done = invoke("db", "upgrade", AUTHGUARD_DATABASE=url)
    assert done.stdout == f"Migrated the tables from 0009 to {NEWEST} in {place}\n"


def test_a_relative_name_is_told_as_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name of a file, such as the default, is told as an absolute path."""
    monkeypatch.chdir(tmp_path)
    assert invoke("db", "upgrade").stdout.endswith(f" in {tmp_path}/authguard.db\n")


@pytest.mark.parametrize("suffix", ["\r", " # accounts", " "])
def test_a_mistyped_name_creates_no_file(tmp_path: Path, suffix: str) -> None:
    """A name with invisible characters or a comment is refused with status 2, and no file is created."""
    done = invoke("db", "upgrade", AUTHGUARD_DATABASE=f"sqlite:///{tmp_path}/a.db{suffix}")
    assert done.exit_code == 2 and done.stderr.startswith("authguard: AUTHGUARD_DATABASE must ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_below_a_file(tmp_path: Path) -> None:
    """An upgrade whose database file cannot be created ends with one line."""
    (tmp_path / "file").write_text("")
    done = invoke("db", "upgrade", AUTHGUARD_DATABASE=f"sqlite:///{tmp_path}/file/x.db")
    assert done.exit_code == 1 and done.stderr.startswith("authguard: database: the file cannot be opened")
    assert len(done.stderr.splitlines()) == 1
