"""Counts of the uses of API keys: in memory during requests, and in the database once a minute."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx2
import pytest
from sqlalchemy import event

from authguard import Principal
from authguard.identity import IdentityService, NewAPIKey, SQLAPIKeys
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.keys.usage import UsageRecorder
from authguard.identity.storage.usage_queries import Batch, LastUse, Uses, add_batch
from identity.api_key_support import create, guarded, owner, rows, update, verify
from identity.support import CALLER, NOW, Clock, service_at, together
from ports import free_port
from sizes import size
from stores.servers import wait_until
from support import no_more_threads

pytestmark = pytest.mark.slow_on_postgresql

DAY = 86_400
TESTS = Path(__file__).parents[1]


@pytest.fixture(name="ann")
def _ann(service: IdentityService) -> Principal:
    return owner(service)


@pytest.fixture(name="made")
def _made(service: IdentityService, ann: Principal) -> NewAPIKey:
    return create(service, ann)


@pytest.fixture(name="verifier")
def _verifier(service: IdentityService) -> Iterator[SQLAPIKeys]:
    """Return a verifier of another application on the same database, which counts uses."""
    verifier = SQLAPIKeys(service.database)
    yield verifier
    verifier.close()


def get(client: Any, made: NewAPIKey, path: str = "/me") -> int:
    """Return the status of a request with a key."""
    return client.get(path, headers={"x-api-key": made.text}).status_code


def batch(*uses: tuple[str, int], at: float, address: str | None = None, number: int = 1) -> Batch:
    """Return the batch of another process with the uses of some keys."""
    start = int(at // 60 * 60)
    counted = [Uses(key_id, start, 1, "/me", "ok", many) for key_id, many in uses]
    return Batch(token_hex(16), number, at, counted, [LastUse(*use, at, address) for use in uses])


def recorder_of(verifier: SQLAPIKeys) -> UsageRecorder:
    """Return the recorder of a verifier."""
    assert verifier.recorder is not None
    return verifier.recorder


def stored(service: IdentityService, principal: Principal) -> tuple[int, float | None, str | None]:
    """Return the uses of the only key, with the time and address of the last one."""
    (key,) = service.api_keys.list(principal)
    return key.usage_count, key.last_used_at, key.last_used_address


def test_each_request_counts(
    service: IdentityService, ann: Principal, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """Each request counts, also with a remembered key, and nothing is written during requests."""
    client = guarded(verifier, clock)
    assert [get(client, made) for _ in range(7)] == [200] * 7
    assert stored(service, ann) == (0, None, None)
    recorder_of(verifier).flush()
    assert stored(service, ann) == (7, clock.now, None)


def test_waiting_uses_during_an_outage(
    service: IdentityService, made: NewAPIKey, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uses of a batch that could not be written, and later ones of two secrets, are reported together."""
    recorder = UsageRecorder(service.database, seconds=3_600, clock=clock)
    recorder.counter(made.key.id, 1).count(clock.now, "192.0.2.1", "/me", "ok")
    recorder.counter("key_other", 1).count(clock.now, None, "/me", "ok")
    with monkeypatch.context() as patch:
        patch.setattr(service.database, "write", _no_answer)
        with pytest.raises(StoreUnavailableError):
            recorder.flush()
    recorder.counter(made.key.id, 2).count(clock.now + 90, None, "/me", "ok")
    recorder.counter(made.key.id, 1).count(clock.now + 30, "192.0.2.2", "/me", "ok")
    recorder.counter(made.key.id, 1).count(clock.now + 95, None, "/me", "forbidden")
    expected = LastUse(made.key.id, 3, clock.now + 90, "192.0.2.2")
    assert recorder.pending_last_uses([made.key.id, "key_unused"]) == {made.key.id: expected}
    recorder.flush()
    assert recorder.pending_last_uses([made.key.id]) == {}


def _no_answer(*args: Any, **given: Any) -> Any:
    raise StoreUnavailableError("the database does not answer")


def test_a_key_is_good_where_no_thread_can_start(
    verifier: SQLAPIKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A use is counted although no thread can start, and the thread starts at a later use."""
    recorder = recorder_of(verifier)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more_threads)
        recorder.counter("first", 1).count(NOW, None, "(rest)", "ok")
    assert recorder._thread is None
    recorder.counter("other", 1).count(NOW, None, "(rest)", "ok")
    assert recorder._thread is not None
    assert recorder._noted.keys() == {"first", "other"}


def test_refused_requests_do_not_count(
    service: IdentityService, ann: Principal, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """Requests of a revoked key, and of a key that lacks a scope, are not counted as uses."""
    from authguard import Rule

    client = guarded(verifier, clock, protected_paths=["/", Rule("/admin", scopes=["admin"])])
    made = create(service, ann)
    assert get(client, made, "/admin") == 403
    service.api_keys.revoke(ann, made.key.id, CALLER)
    recorder_of(verifier).flush()
    assert stored(service, ann) == (0, None, None)
    assert service.api_keys.usage(ann).today == 0


def test_generations_count_apart(
    service: IdentityService, ann: Principal, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """Each generation has a count of its own, and the key has their sum."""
    client = guarded(verifier, clock)
    newer = service.api_keys.rotate(ann, made.key.id, CALLER, grace_seconds=DAY)
    for each, times in ((made, 2), (newer, 3)):
        for _ in range(times):
            get(client, each)
    recorder_of(verifier).flush()
    uses = {row.generation: row.uses for row in rows(service, "api_key_usage_minutes")}
    assert uses == {1: 2, 2: 3}
    assert stored(service, ann)[0] == 5


def test_days_count_apart(
    service: IdentityService, ann: Principal, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """Uses are counted by UTC day, and the usage of the month has those of both days."""
    midnight = datetime(2027, 1, 16, tzinfo=UTC).timestamp()
    clock.now = midnight - 1
    client = guarded(verifier, clock)
    get(client, made)
    clock.go_on(1)
    get(client, made)
    get(client, made)
    recorder_of(verifier).flush()
    assert sorted(row.uses for row in rows(service, "api_key_usage_minutes")) == [1, 2]
    told = service.api_keys.usage(owner_of(service, made))
    assert (told.today, told.month) == (2, 3)


def owner_of(service: IdentityService, made: NewAPIKey) -> Principal:
    """Return the principal of a key, which stands for its owner."""
    return verify(service, made.text)


def test_usage_is_that_of_all_keys_of_the_owner(
    service: IdentityService, ann: Principal, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """The usage of an owner has the uses of all own keys, no others, and the limits of the tier."""
    client = guarded(verifier, clock)
    for each in (made, create(service, ann, kind="claw"), create(service, owner(service, "bob@example.com"))):
        get(client, each)
    recorder_of(verifier).flush()
    told = service.api_keys.usage(ann)
    assert (told.tier, told.today, told.month, told.per_day, told.per_minute) == ("free", 2, 2, 1_000, 10)


def test_usage_survives_revoked_and_deleted_keys(
    service: IdentityService, ann: Principal, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """The usage of an owner keeps the uses of keys that were deleted."""
    get(guarded(verifier, clock), made)
    recorder_of(verifier).flush()
    update(service, "DELETE FROM api_keys WHERE id = :id", id=made.key.id)
    assert service.api_keys.usage(ann).today == 1


def test_usage_of_last_month_is_not_told(
    service: IdentityService, ann: Principal, made: NewAPIKey, verifier: SQLAPIKeys, clock: Clock
) -> None:
    """The usage of a month does not have the uses of the month before, in UTC."""
    get(guarded(verifier, clock), made)
    recorder_of(verifier).flush()
    clock.now = datetime(2027, 2, 1, tzinfo=UTC).timestamp()
    told = service.api_keys.usage(owner_of(service, made))
    assert (told.today, told.month) == (0, 0)


@pytest.mark.slow
@pytest.mark.one_database
def test_managing_keys_is_no_use_of_them(url: str, clock: Clock) -> None:
    """Requests that manage keys count as uses only with `count_key_management`."""
    for counts, uses in ((False, 0), (True, 3)):
        with service_at(url, clock=clock, count_key_management=counts) as service:
            ann = owner(service, f"{counts}@example.com")
            made = create(service, ann)
            client = guarded(service.key_manager_verifier, clock)
            for _ in range(3):
                get(client, made)
            told = service.api_keys.usage(ann)
            assert (told.today, told.month) == (uses, uses)


def test_counts_never_go_back(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """The latest use is kept with its address, although a process with a slower clock writes later."""
    key_id = made.key.id
    add_batch(service.database, batch((key_id, 5), at=clock.now, address="192.0.2.1"))
    add_batch(service.database, batch((key_id, 2), at=clock.now - 3_600, address="192.0.2.2"))
    assert stored(service, ann) == (7, clock.now, "192.0.2.1")
    add_batch(service.database, batch((key_id, 1), at=clock.now + 1))
    assert stored(service, ann) == (8, clock.now + 1, "192.0.2.1")


def test_two_generations_in_one_writing(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """Uses of two generations in one batch are both counted."""
    recorder = UsageRecorder(service.database, seconds=3_600)
    for generation in (1, 2, 2):
        recorder.counter(made.key.id, generation).count(clock.now, None, "/me", "ok")
    recorder.close()
    assert stored(service, ann)[0] == 3


def test_keys_that_are_gone_are_left_out(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """Uses of deleted keys are left out of a batch, and the other uses are written."""
    add_batch(service.database, batch(("key_gone", 5), (made.key.id, 2), at=clock.now))
    assert stored(service, ann)[0] == 2
    add_batch(service.database, batch(("key_gone", 5), at=clock.now))
    assert [row.uses for row in rows(service, "api_key_usage_minutes")] == [2]


def test_processes_that_write_at_the_same_time(
    service: IdentityService, ann: Principal, clock: Clock
) -> None:
    """Six processes that write the same keys at the same time do not block each other, and lose nothing."""
    keys = [create(service, ann).key.id for _ in range(8)]
    written = [batch(*((key_id, 1) for key_id in keys), at=clock.now) for _ in range(6)]
    assert together(6, lambda index: add_batch(service.database, written[index])) == [None] * 6
    assert {key.usage_count for key in service.api_keys.list(ann)} == {6}


def test_what_cannot_be_written_is_kept(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts that a database outage keeps from being written are added to later ones."""
    recorder = UsageRecorder(service.database, seconds=3_600)
    counter = recorder.counter(made.key.id, 1)
    counter.count(clock.now, "192.0.2.1", "/me", "ok")
    with monkeypatch.context() as patch:
        patch.setattr(service.database, "write", unavailable)
        with pytest.raises(StoreUnavailableError):
            recorder.flush()
    counter.count(clock.now - 5, None, "/me", "ok")
    recorder.close()
    assert stored(service, ann) == (2, clock.now, "192.0.2.1")


def unavailable(**_: Any) -> Any:
    """Raise the error of a database that is down."""
    raise StoreUnavailableError("down")


@pytest.mark.one_database
def test_many_threads_lose_nothing(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """Uses that several threads count while another one writes are all counted."""
    recorder = UsageRecorder(service.database, seconds=3_600)
    counter = recorder.counter(made.key.id, 1)
    times = 2_000

    def work(index: int) -> None:
        for _ in range(times):
            if index:
                counter.count(clock.now, None, "/me", "ok")
        if not index:
            for _ in range(20):
                recorder.flush()

    together(5, work)
    recorder.close()
    assert stored(service, ann)[0] == 4 * times


def test_several_minutes_of_one_key_are_a_row_each(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """Several minutes of one key are a row each, and the last use is the latest of all."""
    recorder = UsageRecorder(service.database, seconds=3_600)
    first, second = recorder.counter(made.key.id, 1), recorder.counter(made.key.id, 1)
    assert first is second
    first.count(clock.now, "192.0.2.1", "/me", "ok")
    second.count(clock.now + 2, None, "/me", "ok")
    second.count(clock.now + DAY, "192.0.2.2", "/me", "ok")
    second.count(clock.now + DAY - 1, None, "/me", "ok")
    today = int(clock.now // DAY)
    pending = recorder.pending([made.key.id])
    days = [(row.start // DAY - today, row.uses) for row in sorted(pending)]
    assert days == [(0, 2), (1, 1), (1, 1)]
    recorder.close()
    assert recorder.pending([made.key.id]) == []
    assert stored(service, ann) == (4, clock.now + DAY, "192.0.2.2")
    assert sum(row.uses for row in rows(service, "api_key_usage_minutes")) == 4


@pytest.mark.one_database
def test_a_fork_counts_for_itself(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """A forked process does not write the counts of its parent again."""
    recorder = UsageRecorder(service.database, seconds=3_600)
    counter = recorder.counter(made.key.id, 1)
    counter.count(clock.now, None, "/me", "ok")
    recorder._begin_process()  # as in the child
    assert recorder.pending([made.key.id]) == []
    counter.count(clock.now, None, "/me", "ok")
    assert [row.uses for row in recorder.pending([made.key.id])] == [1]
    recorder.close()
    assert stored(service, ann)[0] == 1


@pytest.mark.one_database
def test_the_counts_are_written_by_themselves(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """A thread writes the counts after the interval."""
    recorder = UsageRecorder(service.database, seconds=0.01)
    recorder.counter(made.key.id, 1).count(clock.now, None, "/me", "ok")
    deadline = time.monotonic() + 10
    while stored(service, ann)[0] == 0 and time.monotonic() < deadline:
        recorder._closing.wait(0.01)
    recorder.close()
    assert stored(service, ann)[0] == 1


@pytest.mark.slow
@pytest.mark.one_database
def test_a_minute_of_many_requests_is_few_statements(service: IdentityService, clock: Clock) -> None:
    """Requests write nothing to the database, and the counts of many keys take a few statements."""
    from dataclasses import replace

    from authguard.identity.storage import api_key_queries as key_store

    key = create(service, owner(service)).key
    count = size(1_000, 10_000)
    with service.database.write() as connection:
        for number in range(count):
            key_store.insert_key(connection, replace(key, id=f"key_{number:05}"))
    recorder = UsageRecorder(service.database, seconds=3_600)
    assert service.outbox.flush()  # the mail about the new key
    statements: list[str] = []
    event.listen(service.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    counters = [recorder.counter(f"key_{number:05}", 1) for number in range(count)]
    for counter in 10 * counters:
        counter.count(clock.now, None, "/me", "ok")
    assert statements == []
    recorder.close()
    changes = [statement for statement in statements if statement.startswith(("UPDATE", "INSERT"))]
    assert len(changes) == 1 + 2 * -(-count // 5_000)
    with service.database.read() as connection:
        some = key_store.find_key(connection, "key_00007", key.user_id)
    assert some is not None
    assert some.usage_count == 10


SERVER = """
import os, sys
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route
from authguard import Guard
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import SQLAPIKeys

guard = Guard(SQLAPIKeys(os.environ["STORE_URL"]), public_paths=["/open"])
app = Starlette(
    routes=[Route("/me", lambda request: Response("me")), Route("/open", lambda request: Response("open"))],
    middleware=[Middleware(AuthGuardMiddleware, guard=guard)],
)
"""


@pytest.mark.slow
@pytest.mark.one_database
def test_sigterm_loses_nothing(url: str, tmp_path: Path) -> None:
    """A server that is stopped by SIGTERM writes its counts."""
    (tmp_path / "counted_app.py").write_text(SERVER)
    port = free_port()
    environment = {**os.environ, "STORE_URL": url, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "counted_app:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    with service_at(url, clock=time.time) as service:
        ann = owner(service)
        made = create(service, ann)
        server = subprocess.Popen(command, env=environment)
        try:
            wait_until(lambda: httpx2.get(f"http://127.0.0.1:{port}/open"), "the server does not answer")
            for _ in range(5):
                answer = httpx2.get(f"http://127.0.0.1:{port}/me", headers={"x-api-key": made.text})
                assert answer.status_code == 200
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        uses, last, address = stored(service, ann)
        assert (uses, address) == (5, "127.0.0.1")
        assert last is not None


@pytest.mark.one_database
def test_a_tier_that_is_gone_has_the_limits_of_the_default(url: str, clock: Clock) -> None:
    """A key with a tier that the settings lack shows its tier, and has the limits of the default tier."""
    with service_at(url, clock=clock, api_key_tiers={"gold": "7/70"}, api_key_tier="gold") as service:
        made = create(service, owner(service))
    with service_at(url, clock=clock) as service:
        told = service.api_keys.usage(verify(service, made.text))
    assert (told.tier, told.per_day, told.per_minute) == ("gold", 1_000, 10)
