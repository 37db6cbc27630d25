"""Databases that are not of the service, or not of this release: the error has the correction."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from adapters.faces import ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import APIKey, APIKeyVerifier, ConfigurationError, Guard
from authguard.identity import SQLRevocations, upgrade
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage import migrations
from authguard.identity.storage.database import Database
from cli.support import invoke
from identity.support import postgres_database
from remote.servers import until
from support import NOW

FACES = [(ask_asgi, raw_asgi), (ask_wsgi, raw_wsgi)]
KEY = "sk_live_8Jw2mQzR5tYxV1bNcK7dLfGhP0sAeUiO3qWkZ4rT"
FIELDS = [("X-API-Key", KEY.encode())]
NEWER = "got 0099, which a newer release of authguard has made: start that release, or restore the backup"


@pytest.fixture(params=["no file", "an empty file", "postgresql"])
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without the tables of the service."""
    if request.param == "postgresql":
        with postgres_database() as url:
            yield url
        return
    if request.param == "an empty file":
        (tmp_path / "other.db").touch(0o600)
    yield f"sqlite:///{tmp_path}/other.db"


@pytest.mark.parametrize(("ask", "make"), FACES, ids=["asgi", "wsgi"])
def test_a_log_in_another_database_is_an_outage(
    other_url: str, ask: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A guard with the URL of another database answers 503, instead of accepting ended sessions."""
    with closing(SQLRevocations(other_url)) as revocations:
        guard = Guard(APIKeyVerifier({KEY: APIKey("robot")}), revocations=revocations)
        assert ask(make(guard, lambda: NOW), "GET", "/reports", FIELDS).status == 503
        assert "it has no tables of the service; run `authguard db upgrade`" in guard.health()[0].reason
    assert "or correct the URL" in caplog.text


def test_no_file_is_made_for_a_log(tmp_path: Path) -> None:
    """A guard with the URL of a missing file answers 503, and creates no file."""
    with closing(SQLRevocations(f"sqlite:///{tmp_path}/none.db")) as revocations:
        guard = Guard(APIKeyVerifier({KEY: APIKey("robot")}), revocations=revocations)
        assert ask_wsgi(raw_wsgi(guard, lambda: NOW), "GET", "/reports", FIELDS).status == 503
    assert not (tmp_path / "none.db").exists()


@pytest.mark.slow
def test_a_log_that_is_migrated_later_is_followed(tmp_path: Path) -> None:
    """A guard follows the log after `authguard db upgrade`, without a restart."""
    url = f"sqlite:///{tmp_path}/later.db"
    with closing(SQLRevocations(url)) as revocations:
        guard = Guard(APIKeyVerifier({KEY: APIKey("robot")}), revocations=revocations)
        app = raw_wsgi(guard, lambda: NOW)
        assert ask_wsgi(app, "GET", "/reports", FIELDS).status == 503
        upgrade(url)
        until(lambda: ask_wsgi(app, "GET", "/reports", FIELDS).status == 200)


def make_newer(url: str) -> None:
    """Set the version of the tables to one of a later release."""
    database = Database(url)
    with database.write() as connection:
        connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '0099'"))
    database.close()


@pytest.mark.slow
def test_tables_of_a_newer_release_are_named_as_such(tmp_path: Path) -> None:
    """Tables of a newer release are an error that names the release, and an upgrade is refused."""
    url = f"sqlite:///{tmp_path}/newer.db"
    upgrade(url)
    make_newer(url)
    with closing(Database(url)) as database:
        with pytest.raises(ConfigurationError, match=NEWER) as refused:
            migrations.check(database)
        migrations.check(database, may_be_newer=True)
    assert "db upgrade" not in str(refused.value)
    with pytest.raises(ConfigurationError, match=NEWER):
        upgrade(url)


@pytest.mark.slow
@pytest.mark.parametrize("command", [("db", "upgrade"), ("users", "list")])
def test_commands_say_so_in_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A command on tables of a newer release has one line of error, and the exit code 2."""
    url = f"sqlite:///{tmp_path}/newer.db"
    upgrade(url)
    make_newer(url)
    done = invoke(*command, AUTHGUARD_DATABASE=url)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1) and NEWER in done.stderr


@pytest.mark.parametrize("command", [("db", "upgrade"), ("users", "list"), ("db", "purge")])
def test_a_file_of_another_kind_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A command on a file that is no database has one line of error."""
    file = tmp_path / "notes.db"
    file.write_text("These are notes, and no database. " * 100)
    file.chmod(0o600)
    done = invoke(*command, AUTHGUARD_DATABASE=f"sqlite:///{file}")
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1), done.output
    assert "the file is not a database of SQLite; correct the URL, or restore a backup" in done.stderr


@pytest.mark.slow
def test_a_damaged_file_is_an_outage(tmp_path: Path) -> None:
    """A damaged file is an outage with its reason."""
    file = tmp_path / "identity.db"
    upgrade(f"sqlite:///{file}")
    size = file.stat().st_size
    with file.open("r+b") as written:
        written.seek(100)
        written.write(b"\xff" * (size - 100))
    with closing(Database(f"sqlite:///{file}")) as database:
        damaged = pytest.raises(StoreUnavailableError, match="the file is damaged; restore a backup")
        with damaged, database.read() as connection:
            connection.execute(text("SELECT count(*) FROM users"))
