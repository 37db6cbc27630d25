"""Quotas in real stores: lost connections, forks, threads and the text that is shown."""

import gc
import json
import re
import secrets
import sqlite3
import stat
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authguard import ConfigurationError, Quota
from authguard.errors import QuotaUnavailableError
from authguard.stores import PostgresQuotas, RedisQuotas, SQLiteQuotas, SQLiteStore, Take, Taken
from authguard.stores.counting.backend import Answer, Ask, Rest
from authguard.stores.counting.blocks import DAY, MICROSECONDS
from authguard.stores.counting.keeper import Keeper
from authguard.stores.counting.leases import LeasedQuotas
from authguard.stores.counting.postgres import PostgresCounters
from authguard.stores.counting.sqlite import SQLiteCounters
from authguard.stores.log import StoreDownError
from authguard.stores.sql.sqlite_connections import execute_when_free
from authguard.stores.sql.timed_connections import _until
from stores.quota_backends import NOON, MemoryBackend
from stores.quota_world import takes

TEN = Quota(10, 3600)
MANY = Quota(10_000, 3600)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "quotas.db"


@pytest.fixture(name="shared", params=["redis", "postgres", "sqlite"])
def _shared(request: pytest.FixtureRequest, file: Path) -> Iterator[list[LeasedQuotas]]:
    """Yield two stores, as two processes have them."""
    if request.param == "sqlite":
        stores: list[LeasedQuotas] = [SQLiteQuotas(file) for _ in range(2)]
    elif request.param == "redis":
        url = request.getfixturevalue("redis_server_url")
        prefix = f"test-{secrets.token_hex(8)}"
        stores = [RedisQuotas(url, prefix=prefix) for _ in range(2)]
    else:
        url = request.getfixturevalue("postgres_url")
        stores = [PostgresQuotas(url) for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


def test_two_processes_share_a_quota(shared: list[LeasedQuotas]) -> None:
    """Two processes admit together exactly the count of a quota."""
    ours, theirs = shared
    admitted = sum(ours.take(takes([TEN])).admitted for _ in range(5))
    ours.close()
    admitted += sum(theirs.take(takes([TEN])).admitted for _ in range(10))
    assert admitted == 10


def test_what_was_borrowed_is_given_back_by_closing(shared: list[LeasedQuotas]) -> None:
    """`close` gives a lease back, and the other process can take all of it."""
    ours, theirs = shared
    for _ in range(50):
        assert ours.take(takes([MANY])).admitted
    ours.close()
    assert theirs.take(takes([MANY], cost=10_000 - 50)).admitted


def test_a_name_shows_no_password(postgres_url: str, file: Path) -> None:
    """The repr, the health and the error of a store show no password."""
    store = PostgresQuotas("postgresql://ann:s3cret@127.0.0.1:1/app")
    with pytest.raises(QuotaUnavailableError) as raised:
        store.take(takes([TEN]))
    store.close()
    shown = f"{store!r} {store.health()!r} {raised.value!r} {raised.value.reason}"
    assert "s3cret" not in shown
    assert "postgresql://127.0.0.1:1/app: PostgreSQL: no server listens at the host and port" in shown
    assert repr(SQLiteQuotas(file)) == f"SQLiteQuotas({str(file)!r})"


@pytest.mark.parametrize("url", ["redis://localhost", "postgresql://h/app?user=%zz", 5, None])
def test_another_url_is_refused(url: Any) -> None:
    """Another URL is refused when the store is built."""
    with pytest.raises(ConfigurationError, match="url must be the URL of a PostgreSQL database"):
        PostgresQuotas(url)


@pytest.mark.parametrize("path", [":memory:", "", None, 5])
def test_another_path_is_refused(path: Any) -> None:
    """A path that is no file is refused, because memory is not shared."""
    with pytest.raises(ConfigurationError, match=r'path must be the path of a file: write "quotas.db"'):
        SQLiteQuotas(path)


def test_a_file_is_shared_with_a_store_of_revocations(file: Path) -> None:
    """Quotas and revocations may share a file, which its owner alone can read."""
    store, quotas = SQLiteStore(file), SQLiteQuotas(file)
    assert quotas.take(takes([TEN])).admitted
    store.replays("digest", 60)
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()} == {0o600}
    quotas.close()
    store.close()


def test_a_file_that_is_locked_is_down_until_it_is_free(file: Path) -> None:
    """A locked file is an outage after the timeout, until it is free."""
    store = SQLiteQuotas(file, timeout=0.05)
    assert store.take(takes([TEN])).admitted
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(QuotaUnavailableError) as raised:
            store.take(takes([TEN], cost=9))
        assert "SQLITE_BUSY" in raised.value.reason
    store._outage._retry_at = 0.0
    assert store.take(takes([TEN], cost=9)).admitted
    store.close()


def test_a_file_that_is_no_database_is_down(file: Path) -> None:
    """A file that is no database is an outage."""
    file.write_text("This is not a database. " * 100)
    store = SQLiteQuotas(file)
    with pytest.raises(QuotaUnavailableError) as raised:
        store.take(takes([TEN]))
    assert "SQLITE_NOTADB" in raised.value.reason
    store.close()


def test_a_counter_that_cannot_be_read_is_down(file: Path) -> None:
    """A counter that cannot be read is an outage for its caller, and another caller passes."""
    store = SQLiteQuotas(file)
    assert store.take(takes([TEN])).admitted
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE authguard_quotas SET log = x'0102'")
    with pytest.raises(QuotaUnavailableError):
        store.take(takes([TEN], cost=5))
    store._outage._retry_at = 0.0
    assert store.take(takes([TEN], caller="bob")).admitted
    store.close()


@pytest.mark.slow
def test_a_connection_that_the_server_has_closed_is_no_outage(postgres_url: str) -> None:
    """A connection that the server has closed is opened again without an outage."""
    store = PostgresQuotas(postgres_url)
    assert store.take(takes([TEN])).admitted
    _end_connections(postgres_url)
    assert store.take(takes([TEN], cost=9)).admitted
    _end_connections(postgres_url)
    assert store._beat() == 1
    assert store.health().state == "fresh"
    store.close()


def _end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'authguard'"
        )


@pytest.mark.slow
def test_a_step_that_has_to_wait_ends_after_the_timeout(postgres_url: str) -> None:
    """A step that waits for a lock ends with the timeout."""
    store = PostgresQuotas(postgres_url, timeout=0.5)
    assert store.take(takes([TEN])).admitted
    (owner,) = {lease.owner for lease in store._leases.values()}
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1635087464))", (owner,))
        with pytest.raises(QuotaUnavailableError) as raised:
            store.take(takes([TEN], cost=9))
    assert re.search("took too long|does not answer in time|TimeoutError", raised.value.reason)
    store.close()


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    """Waiting for a server without an answer ends with TimeoutError."""

    def waits() -> Any:
        while not (yield "read"):
            pass
        return "answer"

    bounded = _until(waits(), 0.0)
    assert next(bounded) == "read"
    with pytest.raises(TimeoutError):
        bounded.send(0)
    answered = _until(waits(), 0.0)
    next(answered)
    with pytest.raises(StopIteration) as stopped:
        answered.send(1)
    assert stopped.value.value == "answer"


class _FailedMeanwhile:
    """Simulate a lock during which another request has failed."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __enter__(self) -> None:
        self._backend._failures += 1
        self._backend._reason = "it was gone"

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_request_that_waited_for_one_that_failed_does_not_try_again(kind: str, file: Path) -> None:
    """A request that waited for a failed one is refused without another try."""
    backend: Any = SQLiteCounters(file, 1.0)
    if kind == "postgres":
        backend = PostgresCounters("postgresql://127.0.0.1:1/app", 1.0)
    backend._lock = _FailedMeanwhile(backend)
    with pytest.raises(StoreDownError, match="it was gone"):
        backend.take("ann", [], 1)
    assert not file.exists()


def test_a_database_with_another_isolation_level_counts_exactly(postgres_url: str) -> None:
    """Quotas are exact in a database with another default isolation level."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    stores = [PostgresQuotas(postgres_url) for _ in range(4)]
    admitted: list[bool] = []

    def run(store: LeasedQuotas) -> None:
        for _ in range(10):
            admitted.append(store.take(takes([TEN])).admitted)

    threads = [threading.Thread(target=run, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert (len(admitted), sum(admitted) <= 10) == (40, True)


def test_counters_that_hold_nothing_are_deleted(file: Path, postgres_url: str) -> None:
    """A beat deletes counters whose windows have ended, and keeps the others."""
    now = [NOON]
    asks = [Ask("old", 10, 60, False, 1, True)]
    small = SQLiteCounters(file, 5.0, now=lambda: now[0])
    small.take("ann", asks, 1)
    now[0] += 3600 * MICROSECONDS
    small.take("ann", [Ask("new", 10, 60, False, 1, True)], 1)
    small.beat("process")
    small.close()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT key FROM authguard_quotas").fetchall() == [("new",)]
    large = PostgresCounters(postgres_url, 5.0)
    large.take("ann", [*asks, Ask("new", 10, 60, False, 1, True)], 1)
    with psycopg.connect(postgres_url) as other:
        other.execute("UPDATE authguard_quotas SET until = 1 WHERE key = 'old'")
    large.beat("process")
    large.close()
    with psycopg.connect(postgres_url) as other:
        assert other.execute("SELECT key FROM authguard_quotas").fetchall() == [("new",)]


def test_a_counter_takes_less_than_4_kb(file: Path, postgres_url: str) -> None:
    """A counter takes less than 4 KB with an entry for each slot."""
    now = NOON
    store = SQLiteCounters(file, 5.0, now=lambda: now)
    for _ in range(400):
        now += 250_000
        store.take("ann", [Ask("key", 10**12, 60, False, 10**9, True)], 1)
    store.close()
    with closing(sqlite3.connect(file)) as connection:
        (size,) = connection.execute("SELECT max(length(log)) FROM authguard_quotas").fetchone()
    assert 121 * 16 == size <= 4096


def test_the_tables_name_nobody(file: Path) -> None:
    """The files of a store contain neither subjects nor issuers."""
    store = SQLiteQuotas(file)
    store.take([Take(("per-minute", "https://issuer", "ann@example.com", "key-1"), TEN, 1)])
    store.close()
    for path in file.parent.iterdir():
        assert b"ann" not in path.read_bytes()
        assert b"issuer" not in path.read_bytes()


class _Told(MemoryBackend):
    """Be a store in memory with an event for rests that are given back."""

    def __init__(self) -> None:
        super().__init__()
        self.given = threading.Event()

    def give_back(self, rests: Any) -> None:
        super().give_back(rests)
        self.given.set()


def _leased(backend: MemoryBackend, clock: list[float]) -> LeasedQuotas:
    return LeasedQuotas(
        lambda timeout: backend,
        "memory",
        quotas_down="deny",
        processes=None,
        timeout=1.0,
        max_counters=10,
        monotonic=lambda: clock[0],
        tick=0.001,
    )


def _thread_of(store: LeasedQuotas) -> threading.Thread:
    thread = store._keeper._thread
    assert thread is not None
    return thread


def test_a_thread_gives_back_what_is_not_spent() -> None:
    """The thread gives rests back without a request, ends with `close`, and starts again."""
    clock, backend = [1000.0], _Told()
    store = _leased(backend, clock)
    for requests in (3, 2):  # fewer requests than the lease has
        backend.given.clear()
        for _ in range(requests):
            store.take(takes([MANY]))
            clock[0] += 0.001
        clock[0] += 1.1
        assert backend.given.wait(30)
        thread = _thread_of(store)
        store.close()
        assert not thread.is_alive()
    assert backend.used() == 5


def test_a_thread_ends_when_nothing_is_asked_any_more() -> None:
    """The thread ends after half a minute without a request, and starts again with the next one."""
    clock, backend = [1000.0], _Told()
    store = _leased(backend, clock)
    store.take(takes([MANY]))
    thread = _thread_of(store)
    clock[0] += 31
    thread.join(30)
    assert not thread.is_alive()
    store.take(takes([MANY]))
    assert _thread_of(store).is_alive()
    store.close()


def test_a_thread_of_the_parent_process_ends_in_the_child() -> None:
    """A thread that gevent copies to a forked child ends, and the child starts its own."""
    store = _leased(MemoryBackend(), [1000.0])
    store.take(takes([MANY]))
    thread = _thread_of(store)
    store._begin_process()
    thread.join(30)
    assert not thread.is_alive()
    store.take(takes([MANY]))
    assert _thread_of(store).is_alive()
    store.close()


def test_nothing_that_a_thread_waits_for_is_made_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event of the thread is created at the first request, because gevent may replace its class."""
    store = _leased(MemoryBackend(), [1000.0])
    made = []

    class Patched(threading.Event):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("authguard.stores.counting.keeper.Event", Patched)
    store.take(takes([MANY]))
    assert len(made) == 1
    store.close()


class _Failing:
    """Be a task that fails once, and has more work when its thread is about to end."""

    def __init__(self) -> None:
        self.answers: list[bool | None] = [None, False, True, False, False]
        self.held: list[bool] = []
        self.keeper = Keeper(self.run, self.urgent, 0.001, "authguard-quotas")

    def run(self) -> bool:
        self.held.append(self.keeper._running._lock()._is_owned())
        answer = self.answers.pop(0)
        if answer is None:
            raise RuntimeError("of a bug")
        return answer

    def urgent(self) -> None:
        """Do nothing, because nothing wakes the thread."""


def test_a_thread_goes_on_when_its_task_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A task that fails is logged, and the thread continues until no work is left."""
    task = _Failing()
    task.keeper.start()
    while (thread := task.keeper._thread) is not None:
        thread.join(30)
    assert task.answers == []
    assert all(task.held), "a fork would not wait for it"
    assert "RuntimeError: of a bug" in caplog.text


@pytest.mark.slow
def test_a_thread_ends_with_its_store() -> None:
    """The thread of a store does not keep it alive, and ends with it."""
    store = _leased(MemoryBackend(), [1000.0])
    store.take(takes([MANY]))
    thread = _thread_of(store)
    gone = weakref.ref(store)
    del store
    for _ in range(100):
        gc.collect()
        if gone() is None:
            break
        thread.join(0.01)
    thread.join(30)
    assert gone() is None
    assert not thread.is_alive()


_FORK = """
import json, os, sys
from authguard import Quota
from authguard.stores import SQLiteQuotas, Take
store = SQLiteQuotas(sys.argv[1])
take = [Take(("per-hour", "issuer", "ann"), Quota(1000, 3600), 1)]
ours = [store.take(take).admitted for _ in range(20)]
read, write = os.pipe()
child = os.fork()
if not child:
    theirs = [store.take(take).admitted for _ in range(20)]
    store.close()
    os.write(write, json.dumps(sum(theirs)).encode())
    os._exit(0)
ours += [store.take(take).admitted for _ in range(20)]
theirs = json.loads(os.read(read, 100))
os.waitpid(child, 0)
print(json.dumps([sum(ours), theirs]))
"""


@pytest.mark.slow
def test_a_forked_process_counts_for_itself(file: Path) -> None:
    """A forked child opens its own connection, and spends no lease of its parent."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _FORK, str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == [40, 20]
    store = SQLiteQuotas(file)
    hour = Take(("per-hour", "issuer", "ann"), Quota(1000, 3600), 940)
    assert store.take([hour]).admitted  # the rests were given back at the end of both processes
    store.close()


def test_a_day_is_that_of_the_store(file: Path) -> None:
    """A calendar day follows the clock of the store."""
    now = [NOON]
    backend = SQLiteCounters(file, 5.0, now=lambda: now[0])
    daily = Ask("day", 3, 86_400, True, 3, True)
    assert backend.take("ann", [daily], 1)[0]
    backend.give_back([Rest("ann", "day", 86_400, True, 0, 0, 3)])
    assert not backend.take("ann", [daily], 1)[0]
    now[0] += DAY // 2
    assert backend.take("ann", [daily], 1)[0]
    backend.close()


class _Busy:
    """Be a connection whose statements fail a few times."""

    def __init__(self, times: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.times = times
        self._code = code

    def execute(self, statement: str) -> None:
        self.times -= 1
        if self.times >= 0:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self._code
            raise error


BUSY = [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_BUSY_RECOVERY]


@pytest.mark.parametrize("code", BUSY)
def test_a_file_that_others_have_is_waited_for(code: int) -> None:
    """A locked file is waited for, also where SQLite itself does not wait."""
    connection: Any = _Busy(3, code)
    execute_when_free(connection, "PRAGMA journal_mode = WAL", 30)
    assert connection.times == -1
    with pytest.raises(sqlite3.OperationalError):
        execute_when_free(connection.__class__(1, code), "BEGIN IMMEDIATE", 0)


def test_another_error_is_not_waited_for() -> None:
    """Another error, such as a full disk, is raised at once."""
    connection: Any = _Busy(1, sqlite3.SQLITE_FULL)
    with pytest.raises(sqlite3.OperationalError):
        execute_when_free(connection, "BEGIN IMMEDIATE", 30)


class _Slow(MemoryBackend):
    """Be a store in memory whose second `take` of 64 waits for a signal."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun, self.may_answer = threading.Event(), threading.Event()

    def take(self, owner: str, asks: Sequence[Ask], live: int) -> tuple[bool, Sequence[Answer]]:
        if threading.current_thread().name == "authguard-quotas":
            self.has_begun.set()
            assert self.may_answer.wait(30)
        return super().take(owner, asks, live)


def test_a_request_waits_for_what_the_thread_borrows() -> None:
    """A request waits for the lease that the thread is borrowing, and does not call the store."""
    clock, backend = [1000.0], _Slow()
    store = _leased(backend, clock)
    while store.take(takes([MANY])) and not (backend.last_asks and backend.last_asks[0].wants == 64):
        clock[0] += 0.0001
        backend.now += 100
    while store.take_at_once(takes([MANY])) is not None:
        pass
    assert backend.has_begun.wait(30)
    backend.calls.clear()
    states: list[Taken] = []
    requests = [threading.Thread(target=lambda: states.append(store.take(takes([MANY])))) for _ in range(20)]
    for request in requests:
        request.start()
    while len(store._arrived._waiters) < len(requests):  # type: ignore[attr-defined]
        threading.Event().wait(0.001)
    backend.may_answer.set()
    for request in requests:
        request.join(30)
    assert [taken.admitted for taken in states] == [True] * 20
    assert backend.calls == ["take"]
    store.close()
