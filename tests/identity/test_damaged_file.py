"""A file of SQLite that is damaged while the service runs, or is no database, is an outage."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from authguard import Principal
from authguard.errors import VerificationUnavailableError
from authguard.identity import Identity, IdentityService, upgrade
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage.database import Database
from authguard.stores import SQLiteStore
from identity.support import ANN, ISSUER, service_at

NO_DATABASE = "the file is not a database of SQLite; correct the URL"
DAMAGED = "the file is damaged; restore a backup"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "service.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(name="running")
def _running(file: Path) -> Iterator[IdentityService]:
    with service_at(f"sqlite:///{file}") as service:
        yield service


def overwrite(file: Path, begin: int) -> None:
    """Overwrite a file, and the log of its changes, from a byte on."""
    for part in (file, file.with_name(file.name + "-wal")):
        if part.exists():
            part.write_bytes(part.read_bytes()[:begin] + b"\xff" * 20_000)


@pytest.mark.slow
@pytest.mark.parametrize(("begin", "words"), [(0, NO_DATABASE), (100, DAMAGED)])
def test_requests_are_answered_with_503(
    file: Path, running: IdentityService, begin: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests to a damaged database get 503, and the log names the fault and the advice."""
    client = TestClient(Identity(running), base_url=ISSUER)
    assert client.post("/v1/auth/register", json=ANN).status_code == 201
    overwrite(file, begin)
    answers = [client.post("/v1/auth/login", json=ANN), client.get("/readyz")]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert int(answers[0].headers["retry-after"]) > 0
    assert words in caplog.text


@pytest.mark.parametrize("use", [Database.read, Database.write])
def test_a_file_that_was_never_a_database(tmp_path: Path, use: object) -> None:
    """A file that was never a database raises StoreUnavailableError at the first connection."""
    file = tmp_path / "notes.txt"
    file.write_bytes(b"no database\n" * 100)
    database = Database(f"sqlite:///{file}")
    with pytest.raises(StoreUnavailableError, match="not a database"), use(database) as connection:  # type: ignore[operator]
        connection.execute(text("SELECT 1 FROM users"))
    database.close()


def test_revocations_of_a_guard_name_the_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A guard that follows a file which is no database raises an error that names the fault."""
    file = tmp_path / "logouts.db"
    file.write_bytes(b"no database\n" * 100)
    store = SQLiteStore(file)
    with pytest.raises(VerificationUnavailableError, match="SQLITE_NOTADB"):
        store.revocations.is_revoked(Principal("ann", token_id="1"))
    store.close()
    assert "SQLITE_NOTADB" in caplog.text
