"""The modes of the files of SQLite."""

import logging
import os
import stat

import pytest
from sqlalchemy import text

from authguard.identity import SQLAPIKeys, SQLRevocations, upgrade
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage.database import Database
from cli.support import ISSUER, SECRET
from cli.support import run as run_command
from identity.support import ANN, PASSWORD, service_at


@pytest.fixture(params=[0o022, 0o000, 0o077], ids=oct)
def umask(request):
    """Set the umask of the process."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder):
    """Return the modes of all files, by name."""
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir() if path.is_file()}


def test_new_files_are_for_their_owner_alone(tmp_path, umask):
    """The database and the files beside it get mode 0600, regardless of the umask."""
    url = f"sqlite:///{tmp_path}/identity.db"
    upgrade(url)
    with service_at(url) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        with service.database.read(), service.database.write():
            assert modes(tmp_path) == {
                "identity.db": "0o600",
                "identity.db-wal": "0o600",
                "identity.db-shm": "0o600",
            }


@pytest.mark.parametrize(
    "name", ["sqlite:///{}/a.db", "sqlite:///file:{}/a.db?uri=true", "sqlite:///{}/a b.db"]
)
def test_each_way_to_name_the_file(tmp_path, name):
    """A file that is named by a plain path or by a URI gets mode 0600."""
    database = Database(name.format(tmp_path))
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    database.close()
    assert set(modes(tmp_path).values()) == {"0o600"}


@pytest.mark.slow
def test_the_command_makes_it_so(tmp_path, umask):
    """`authguard db upgrade` creates a file with mode 0600."""
    url = f"sqlite:///{tmp_path}/identity.db"
    done = run_command(
        "db", "upgrade", AUTHGUARD_DATABASE=url, AUTHGUARD_SECRET=SECRET, AUTHGUARD_ISSUER=ISSUER
    )
    assert done.returncode == 0, done.stderr
    assert set(modes(tmp_path).values()) == {"0o600"}


def test_a_file_that_others_can_read_is_named(tmp_path, caplog):
    """A file that others can read keeps its mode, and the log has the command to change it."""
    path = tmp_path / "identity.db"
    path.touch(0o644)
    Database(f"sqlite:///{path}").close()
    assert f"chmod 600 {path}" in caplog.text
    assert modes(tmp_path) == {"identity.db": "0o644"}


def test_a_private_file_is_not_worth_a_word(tmp_path, caplog):
    """A file with mode 0600 causes no warning."""
    path = tmp_path / "identity.db"
    path.touch(0o600)
    Database(f"sqlite:///{path}").close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.slow
def test_no_empty_file_takes_the_place_of_one_that_is_gone(tmp_path):
    """A missing file is an outage, is not created again, and works once it is back."""
    file, away = tmp_path / "identity.db", tmp_path / "away.db"
    upgrade(f"sqlite:///{file}")
    with service_at(f"sqlite:///{file}") as service:
        service.accounts.create(ANN["email"], PASSWORD)
        service.database.close()
        file.rename(away)
        for open_one in (service.database.read, service.database.write):
            with pytest.raises(StoreUnavailableError, match="the file does not exist"), open_one():
                pass
        assert not file.exists()
        away.rename(file)
        assert service.accounts.find(ANN["email"]) is not None


@pytest.mark.parametrize("made", [SQLAPIKeys, SQLRevocations])
def test_a_guard_creates_no_database(tmp_path, made):
    """A guard whose URL names a missing file reports the file, and does not create an empty one."""
    reader = made(f"sqlite:///{tmp_path / 'mistyped.db'}")
    missing = pytest.raises(StoreUnavailableError, match="the file does not exist; correct the URL")
    with missing, reader._database.read():
        pass
    assert list(tmp_path.iterdir()) == []
