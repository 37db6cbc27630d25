"""Log lines distinguish processes that do not share a store."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from authguard import Principal
from authguard.stores import PostgresStore, RedisQuotas, RedisStore
from authguard.stores.counting.outage import Outage
from authguard.stores.log import Log, Position
from authguard.stores.revocations import SharedRevocations
from stores.fake_log import FakeLog, World, revocations

_EPOCH = re.compile(r"authguard: (\S.*) has the log ([0-9a-z]+); only processes with this log share")


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "authguard"):
        yield


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the stores and the logs that were named, in their order."""
    return [match.groups() for record in caplog.records if (match := _EPOCH.match(record.getMessage()))]  # type: ignore[misc]


def names_of(store: RedisStore | PostgresStore, caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    """Return the name of the store and of its log, as a process logs them at its first request."""
    caplog.clear()
    with closing(store):
        store.revocations.is_revoked(Principal("ada"))
    (named,) = told(caplog)
    return named


def read(process: SharedRevocations) -> None:
    """Send a request."""
    process.is_revoked(Principal("ada", token_id="t1"))


def test_a_process_names_its_log_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A process logs the name of its log once."""
    process = revocations(world)
    for _ in range(3):
        read(process)
        process.revoke(token_id="t1", until=4_000_000_000)
        world.monotonic += 5
    assert told(caplog) == [("store", "first")]


def test_a_process_that_only_writes_names_its_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A process that only writes logs the name of its log."""
    revocations(world).revoke(token_id="t1", until=4_000_000_000)
    assert told(caplog) == [("store", "first")]


def test_another_log_at_the_same_address_is_named(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A process logs the name of a new log at the same address."""
    process = revocations(world)
    read(process)
    world.forget()
    world.began = -1000.0
    world.monotonic += 5
    read(process)
    assert [log for _, log in told(caplog)] == ["first", "second"]


def test_a_revocation_is_written_where_the_log_cannot_be_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation is written, even if the store goes down before the name of the log is read."""
    process = revocations(world)
    append = FakeLog.append

    def last_append(log: FakeLog, *args: object, **options: str) -> int:
        number = append(log, *args, **options)  # type: ignore[arg-type]
        world.down = True
        return number

    monkeypatch.setattr(FakeLog, "append", last_append)
    assert process.revoke(token_id="t1", until=4_000_000_000).sequence == 1


@pytest.mark.slow
def test_the_warning_about_a_new_log_says_what_separates_processes(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning about a new log lists the settings that separate processes."""
    world.began = world.monotonic
    world.on_read = lambda: setattr(world, "monotonic", world.monotonic + 0.6)
    read(revocations(world))
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "address, database number, prefix or schema" in warning


def test_the_name_of_an_epoch_is_what_readers_get(open_log: Callable[[], Log]) -> None:
    """The name of an epoch is the same for the writer and for the reader of a log."""
    page = open_log().read("reader", Position(), 3.0)
    assert open_log().epoch() == page.position.epoch != ""


@pytest.mark.slow
def test_redis_names_separate_logs_by_prefix_and_database(
    redis_server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Stores in Redis with equal address, database and prefix have one log, and others have their own."""
    place = redis_server_url.removesuffix("/0")
    both = [names_of(RedisStore(f"{place}/0", bound=0.1), caplog) for _ in range(2)]
    others = [
        names_of(RedisStore(f"{place}/{number}", bound=0.1, prefix=prefix), caplog)
        for number, prefix in ((1, "authguard"), (0, "builder"))
    ]
    assert both[0] == both[1]
    assert len({name for name, _ in (*both, *others)}) == len({log for _, log in (*both, *others)}) == 3


def test_a_log_of_redis_that_nobody_has_used_has_no_name(redis_server_url: str) -> None:
    """A log of Redis without a reader or writer has no name."""
    with closing(RedisStore(redis_server_url, prefix="unused")) as store:
        store.revocations.check()
        assert store.revocations._log.epoch() == ""


def test_schemas_of_a_database_have_logs_of_their_own(
    postgres_server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each schema of a database has a log of its own."""
    with psycopg.connect(postgres_server_url, autocommit=True) as connection:
        for schema in ("one", "two"):
            connection.execute(f"CREATE SCHEMA {schema}")
    mark = "&" if "?" in postgres_server_url else "?"
    urls = [f"{postgres_server_url}{mark}options=-csearch_path%3D{schema}" for schema in ("one", "two")]
    named = [names_of(PostgresStore(url, bound=0.1), caplog) for url in urls]
    assert len({name for name, _ in named}) == len({log for _, log in named}) == 2


def test_the_number_of_processes_that_count_together_is_logged_when_it_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The number of processes that count together is logged when it changes."""
    outage = Outage("store", None, max_counters=1, monotonic=lambda: 0.0, clock=lambda: 0.0)
    assert [outage.note_processes(number) for number in (1, 1, 2, 0)] == [1, 1, 2, 1]
    assert [record.getMessage() for record in caplog.records] == [
        f"authguard: store counts quotas for {number} processes together" for number in (1, 2, 0)
    ]


def test_quotas_tell_with_how_many_processes_they_count(
    redis_server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A store of quotas logs the number of its processes at the first beat."""
    with closing(RedisQuotas(redis_server_url, prefix="together")) as quotas:
        quotas.keep()
    assert "(prefix together) counts quotas for 1 processes together" in caplog.text
