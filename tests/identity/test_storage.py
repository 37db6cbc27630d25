"""The tables, their migrations, and the writes that outlive a crash."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.engine import make_url

from authguard import Principal
from authguard.errors import ConfigurationError
from authguard.identity import SQLAPIKeys, SQLRevocations, upgrade
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage.database import Database
from authguard.identity.storage.exposure_queries import Exposure, revoke_exposed
from authguard.identity.storage.migrations import VERSION_TABLE, check
from authguard.identity.storage.schema import linked_identities, metadata, users
from authguard.identity.storage.usage_queries import sum_uses
from authguard.identity.storage.usage_roll_up import keep_up
from authguard.stores import PostgresStore, SQLiteStore
from identity.api_key_support import create, owner, rows, update
from identity.support import PASSWORD, SECRET, empty, postgres_database, service_at, together
from ports import free_port

TESTS = Path(__file__).parents[1]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request, tmp_path):
    """Return the URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
    else:
        with postgres_database() as url:
            yield url


@pytest.mark.slow
def test_migrations_make_the_tables_of_the_schema(new_url):
    """The migrations make exactly the tables of the schema."""
    upgrade(new_url)
    engine = create_engine(new_url)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "include_name": is_of_the_service}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_version_is_the_last_one_of_alembic():
    """The newest version by the names of the files is that of Alembic."""
    from alembic.script import ScriptDirectory

    from authguard.identity.storage.migrations import _config, _newest_revision

    scripts = ScriptDirectory.from_config(_config(None))
    assert _newest_revision() == scripts.get_current_head()
    names = {Path(script.path).name.partition("_")[0]: script.revision for script in scripts.walk_revisions()}
    assert all(name == revision for name, revision in names.items()) and len(names) > 10


def is_of_the_service(name, kind, parents):
    """Return whether a table is one of the service, and not of its log of revocations."""
    return kind != "table" or not name.startswith("authguard_")


@pytest.mark.slow
def test_upgrade_keeps_what_was_revoked(new_url):
    """An upgrade copies the revocations of older tables to the log, and leaves out decoys."""
    database = Database(new_url)
    upgrade(database, "0004")
    with database.write() as connection:
        for kind, name in (("session", "s1"), ("subject", "ann"), ("decoy", "1f"), ("token", "t1")):
            row = {"kind": kind, "name": name}
            connection.execute(text("INSERT INTO revocations VALUES (:kind, :name, 5, 4e9)"), row)
    upgrade(database)
    store = SQLiteStore(make_url(new_url).database) if database.is_sqlite else PostgresStore(new_url)
    assert store.revocations.is_revoked(Principal("bob", claims={"sid": "s1"}))
    assert store.revocations.is_revoked(Principal("bob", token_id="t1"))
    assert store.revocations.is_revoked(Principal("ann", claims={"iat": 5}))
    assert not store.revocations.is_revoked(Principal("ann", claims={"iat": 6}))
    assert store.revocations.sequence == 3
    store.close()
    database.close()


@pytest.mark.slow
def test_upgrade_is_repeatable_and_can_be_run_by_several_at_once(new_url):
    """Five simultaneous upgrades, and another one, all succeed."""
    assert together(5, lambda _: upgrade(new_url)) == [None] * 5
    upgrade(new_url)


@pytest.mark.slow
def test_old_tables_are_noticed(new_url):
    """A database without the tables of the service is an error that names the upgrade."""
    database = Database(new_url)
    with pytest.raises(ConfigurationError, match="authguard.identity.upgrade"):
        check(database)
    upgrade(database)
    check(database)
    database.close()


@pytest.mark.slow
def test_migrations_can_be_undone(new_url):
    """A downgrade to the base leaves no tables."""
    from alembic import command

    from authguard.identity.storage.migrations import _config

    database = Database(new_url)
    upgrade(database)
    with database.write() as connection:
        command.downgrade(_config(connection), "base")
    with database.read() as connection:
        assert inspect(connection).get_table_names() == [VERSION_TABLE]
    database.close()


@pytest.mark.slow
def test_accounts_of_the_first_version_are_kept(new_url):
    """An upgrade from version 0001 keeps accounts, and treats those with a verified address as proven."""
    database = Database(new_url)
    upgrade(database, "0001")
    accounts = ("ann", True, "hash"), ("bob", False, "hash"), ("cem", True, None), ("dan", False, None)
    with database.write() as connection:
        for name, verified, password_hash in accounts:
            row = _row(name) | {"email_verified": verified, "password_hash": password_hash}
            connection.execute(users.insert(), row)
            link = {"provider": "github", "subject": name, "user_id": name, "created_at": 0.0}
            connection.execute(linked_identities.insert(), link)
    upgrade(database)
    with database.read() as connection:
        proven = connection.execute(select(users.c.id, users.c.password_proven).order_by(users.c.id)).all()
        links = select(linked_identities.c.subject, linked_identities.c.verified)
        linked = connection.execute(links.order_by(linked_identities.c.subject)).all()
    database.close()
    assert proven == [("ann", True), ("bob", False), ("cem", False), ("dan", False)]
    assert linked == [("ann", True), ("bob", False), ("cem", True), ("dan", False)]


@pytest.mark.slow
def test_counted_days_are_kept(new_url):
    """An upgrade from version 0006 keeps the counts of days, and a downgrade returns them."""
    from alembic import command

    from authguard.identity.storage.migrations import _config

    database = Database(new_url)
    upgrade(database, "0006")
    counted = [("key_1", 1, 20_000, "ann", 5), ("key_1", 2, 20_000, "ann", 7), ("gone", 1, 20_031, "ann", 9)]
    with database.write() as connection:
        connection.execute(users.insert(), _row("ann"))
        for row in counted:
            names = ("key", "generation", "day", "owner", "uses")
            statement = "INSERT INTO api_key_usage VALUES (:key, :generation, :day, :owner, :uses)"
            connection.execute(text(statement), dict(zip(names, row, strict=True)))
    upgrade(database)
    with database.read() as connection:
        assert sum_uses(connection, "ann", 20_000 * 86_400, 20_001 * 86_400) == 12
        days = connection.execute(text("SELECT DISTINCT rule, outcome FROM api_key_usage_days")).all()
    assert days == [("", "ok")]
    keep_up(database, 20_100 * 86_400)
    with database.read() as connection:
        months = text("SELECT uses FROM api_key_usage_months ORDER BY uses")
        assert connection.execute(months).scalars().all() == [5, 7, 9]
    with database.write() as connection:
        command.downgrade(_config(connection), "0006")
        stored_rows = connection.execute(text("SELECT * FROM api_key_usage ORDER BY uses")).all()
    assert stored_rows == counted
    database.close()


@pytest.mark.slow
def test_downgrade_keeps_the_accounts(new_url):
    """A downgrade to the first version keeps accounts and linked identities."""
    from alembic import command

    from authguard.identity.storage.migrations import _config

    database = Database(new_url)
    upgrade(database)
    with database.write() as connection:
        connection.execute(users.insert(), _row("ann"))
        link = {"provider": "github", "subject": "1", "user_id": "ann", "created_at": 0.0}
        connection.execute(linked_identities.insert(), link)
        command.downgrade(_config(connection), "0001")
    with database.read() as connection:
        assert connection.execute(select(users.c.id)).scalars().all() == ["ann"]
        assert connection.execute(select(linked_identities.c.user_id)).scalars().all() == ["ann"]
    database.close()


def test_sqlite_is_in_wal_mode(sqlite_url):
    """SQLite is in WAL mode, with foreign keys, and without a flush where none is needed."""
    database = Database(sqlite_url)
    with database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        with database.read() as reader:
            assert reader.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    with database.write(flush=False) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    database.close()


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:"])
def test_database_url_is_checked(url):
    """A URL that is none, and a database in memory, are refused."""
    with pytest.raises(ConfigurationError):
        Database(url)


def test_failed_use_case_leaves_nothing(service):
    """A transaction that raises is rolled back, and its connection can be used again."""
    with pytest.raises(ZeroDivisionError), service.database.write() as connection:
        connection.execute(users.insert(), _row("a"))
        raise ZeroDivisionError
    with service.database.write() as connection:
        connection.execute(users.insert(), _row("b"))
    with service.database.read() as connection:
        assert connection.execute(select(users.c.id)).scalars().all() == ["b"]


def test_swap_is_stored_at_its_end(service):
    """A swap is stored at its end."""
    with service.database.swap() as connection:
        connection.execute(users.insert(), _row("a"))
    with service.database.read() as connection:
        assert connection.execute(select(users.c.id)).scalars().all() == ["a"]


def test_failed_swap_leaves_nothing_in_sqlite(sqlite_url):
    """In SQLite a swap that raises is rolled back as one transaction."""
    empty(sqlite_url)
    with service_at(sqlite_url) as service:
        with pytest.raises(ZeroDivisionError), service.database.swap() as connection:
            connection.execute(users.insert(), _row("a"))
            raise ZeroDivisionError
        with service.database.read() as connection:
            assert connection.execute(select(users.c.id)).scalars().all() == []


def test_swap_locks_nothing_in_postgresql(postgres_url):
    """In PostgreSQL each statement of a swap is stored at once, also if the swap raises later."""
    empty(postgres_url)
    with service_at(postgres_url) as service:
        with pytest.raises(ZeroDivisionError), service.database.swap() as connection:
            connection.execute(users.insert(), _row("a"))
            with service.database.read() as other:
                assert other.execute(select(users.c.id)).scalars().all() == ["a"]
            raise ZeroDivisionError
        with service.database.write() as connection:
            assert connection.execute(select(users.c.id)).scalars().all() == ["a"]


def _row(name):
    return {
        "id": name, "email": name, "email_key": name, "email_verified": False, "name": "", "role": "USER",
        "disabled": False, "created_at": 0.0,
    }  # fmt: skip


def test_lost_connections_are_replaced(postgres_url):
    """After all connections were cut, the first request succeeds."""
    empty(postgres_url)
    with service_at(postgres_url) as service:
        service.accounts.create("ann@example.com", PASSWORD)
        with service.database.read() as connection:
            own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            ended = f"SELECT pg_terminate_backend({int(own)}, 10000)"  # waits for the end of the connection
            assert connection.exec_driver_sql(ended).scalar()
        engine.dispose()
        assert service.accounts.find("ann@example.com")


def test_server_that_does_not_answer_is_an_outage(postgres_url):
    """A lock that another connection holds is an outage within the timeout of statements."""
    empty(postgres_url)
    engine = create_engine(postgres_url)
    with service_at(postgres_url) as service, engine.connect() as other:
        service.accounts.create("ann@example.com", PASSWORD)
        other.execute(users.update().values(name="held"))
        with service.database.write() as connection:
            assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "5s"
            connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(StoreUnavailableError), service.database._outages():
                connection.execute(users.update().values(name="waiting"))
            connection.rollback()
    engine.dispose()


def _post(base, path, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


@pytest.mark.slow
def test_kill_loses_no_acknowledged_write(url, tmp_path):
    """After a kill -9 during registrations and refreshes, each acknowledged one is stored."""
    empty(url)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "TEST_DATABASE": url, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}

    def start():
        command = [sys.executable, "-m", "uvicorn", "identity.durable_app:app", "--port", str(port)]
        process = subprocess.Popen([*command, "--log-level", "critical"], env=environment, cwd=TESTS)
        _wait(base, process)
        return process

    process = start()
    registered, refreshed, enough = [], {}, threading.Event()

    def write(index):
        try:
            for number in range(1000):
                email = f"user{index}-{number}@example.com"
                _post(base, "/v1/auth/register", {"email": email, "password": PASSWORD})
                registered.append(email)
                token = _post(base, "/v1/auth/login", {"email": email, "password": PASSWORD})["refresh_token"]
                refreshed[email] = _post(base, "/v1/auth/refresh", {"refresh_token": token})["refresh_token"]
                if len(refreshed) >= 12:
                    enough.set()
        except (OSError, ValueError, http.client.HTTPException):
            return  # no answer, or half of one

    threads = [threading.Thread(target=write, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for thread in threads:
        thread.join()
    process = start()
    try:
        for email in registered[-10:]:
            assert _post(base, "/v1/auth/login", {"email": email, "password": PASSWORD})["access_token"]
        for token in list(refreshed.values())[-10:]:
            assert _post(base, "/v1/auth/refresh", {"refresh_token": token})["access_token"]
    finally:
        process.terminate()
        process.wait(20)


def _wait(base, process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            urllib.request.urlopen(base + "/.well-known/jwks.json", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server does not answer")


__all__ = ["SECRET"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:////no/such/folder/x.db", "the file cannot be opened"),
        (
            "sqlite:///{tmp_path}/new.db",
            "it has no table users; run `authguard db upgrade` if the database is new",
        ),
        ("postgresql://root@127.0.0.1:1/test", "no server listens at the host and port"),
        ("postgresql://root:hidden@127.0.0.1/no_such_database", "no database of the name in the URL"),
        ("postgresql://no_such_user:hidden@127.0.0.1/test", "no user of the name in the URL"),
        ("postgresql://root@no-such-host.invalid/test", "the host of the URL is not known"),
    ],
)
def test_the_reason_of_an_outage_says_what_to_correct(url, reason, tmp_path):
    """The reason of an outage says how to correct the URL, and does not show the password."""
    database = Database(url.format(tmp_path=tmp_path))
    with pytest.raises(StoreUnavailableError, match=reason) as caught, database.read() as connection:
        connection.execute(select(users.c.id)).all()
    assert "hidden" not in str(caught.value.reason)
    database.close()


@pytest.mark.slow
def test_a_postgresql_database_without_tables_is_an_outage():
    """A database of PostgreSQL without tables is an outage with that reason."""
    with postgres_database() as url:
        database = Database(url)
        with (
            pytest.raises(StoreUnavailableError, match="it has no table users; run"),
            database.read() as connection,
        ):
            connection.execute(select(users.c.id)).all()
        database.close()


@pytest.mark.parametrize("made", [SQLAPIKeys, SQLRevocations])
def test_a_variable_that_is_not_set_is_no_database(made):
    """A database of None, as from an unset variable, is refused with advice."""
    advice = f"database must be a URL, got None: write {made.__name__}"
    with pytest.raises(ConfigurationError, match=advice):
        made(None)


@pytest.mark.slow
def test_mails_that_waited_in_tables_of_their_own_are_moved(new_url, clock, postbox):
    """A migration moves waiting mails from their older tables to the table of mails."""
    from alembic import command

    from authguard.identity.storage.migrations import _config

    upgrade(new_url)
    with service_at(new_url, clock=clock, postbox=postbox) as service:
        service.mails.leave_to_others()
        ann = owner(service)
        key = create(service, ann).key
        with service.database.write() as connection:
            revoke_exposed(connection, [Exposure(key.id, ann.subject, "commit", None)], clock.now)
            service.mails.add_all(connection, "api_key_exposed", [(ann.subject, key.id)])
        written = rows(service, "mails")
        with service.database.write() as connection:
            command.downgrade(_config(connection), "0011")
        assert rows(service, "mails") == []
        update(service, "UPDATE api_key_events SET mail_at = :now", now=clock.now)
        update(service, "UPDATE api_key_exposures SET tell_at = :now", now=clock.now)
        upgrade(service.database)
        assert len(written) == 2 and sorted(rows(service, "mails")) == sorted(written)
        assert service.mails.run()
    assert sorted(mail.subject for mail in postbox.mails) == [
        "An API key was created",
        "Your API key was found in public",
    ]
