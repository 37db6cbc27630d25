"""A database in which some tables are missing, as after the restore of a part of a backup, is refused."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from authguard.errors import ConfigurationError
from authguard.identity import Identity, IdentityService, upgrade
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage import migrations
from authguard.identity.storage.connecting.writes import WRITTEN_TABLES
from authguard.identity.storage.database import Database
from identity.support import ANN, Clock, postgres_database, service_at


@pytest.fixture(name="place", params=["sqlite", "postgresql"])
def _place(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[str]:
    """Return the URL of a database of this test alone, with all tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/a.db"
        upgrade(url)
        yield url
        return
    with postgres_database() as url:
        upgrade(url)
        yield url


def hide(url: str, *tables: str) -> None:
    """Rename tables, as if a restore had left them out."""
    database = Database(url)
    with database.write() as connection:
        for name in tables:
            connection.execute(text(f"ALTER TABLE {name} RENAME TO other_{name}"))
    database.close()


def test_the_missing_tables_are_named(place: str) -> None:
    """The check at the start names each missing table, and that only a backup brings them back."""
    hide(place, "users", "mails")
    database = Database(place)
    with pytest.raises(ConfigurationError, match=r"got none with the names mails, users: restore a backup"):
        migrations.check(database)
    database.close()


@pytest.mark.parametrize("name", WRITTEN_TABLES)
@pytest.mark.one_database
def test_each_table_is_checked(tmp_path: object, name: str) -> None:
    """Each table of the service is among those that are checked."""
    url = f"sqlite:///{tmp_path}/a.db"
    upgrade(url)
    hide(url, name)
    with pytest.raises(ConfigurationError, match=f"names {name}:"):
        upgrade(url)


def test_an_upgrade_does_not_say_up_to_date(place: str) -> None:
    """`upgrade` refuses a database without some of the tables, instead of finding it up to date."""
    hide(place, "sessions")
    with pytest.raises(ConfigurationError, match="got none with the names sessions: restore a backup"):
        upgrade(place)


def test_a_migration_of_an_incomplete_database_changes_nothing(place: str) -> None:
    """An older database without a table that no migration creates later keeps its version."""
    hide(place, "clients")
    database = Database(place)
    with database.write() as connection:
        connection.execute(text("UPDATE authguard_version SET version_num = '0014'"))
        connection.execute(text("DROP TABLE marks_elsewhere"))
        connection.execute(text("DROP TABLE access_lifetimes"))
    with pytest.raises(ConfigurationError, match="clients"):
        upgrade(place)
    with database.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM authguard_version")) == "0014"
    database.close()


def test_a_running_service_is_not_ready(place: str) -> None:
    """A table that disappears while the service runs makes `/readyz` answer 503, until it is back."""
    clock = Clock()
    with service_at(place, clock=clock) as service:
        client = TestClient(Identity(service))
        assert client.get("/readyz").status_code == 200
        hide(place, "sessions")
        clock.go_on(2)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["failing"]) == (503, ["migrations"])


def test_tables_of_a_newer_release_may_lack_some(place: str) -> None:
    """A process of this release stays ready while a newer one has removed a table."""
    clock = Clock()
    with service_at(place, clock=clock) as service:
        client = TestClient(Identity(service))
        hide(place, "mails")
        with service.database.write() as connection:
            connection.execute(text("UPDATE authguard_version SET version_num = '0099'"))
        clock.go_on(2)
        assert client.get("/readyz").json() == {"status": "ready"}


def test_the_line_of_a_request_names_the_table(place: str) -> None:
    """The reason of a request's 503 names the missing table, and not all tables."""
    with service_at(place) as service:
        hide(place, "users")
        with pytest.raises(StoreUnavailableError, match="it has no table users; .* restore a backup"):
            register(service)


def register(service: IdentityService) -> None:
    """Look the account of a registration up."""
    service.accounts.find(ANN["email"])
