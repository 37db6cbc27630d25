"""Eight real processes with one store: after a revocation and the bound, no request is accepted."""

import signal
import time
from collections.abc import Iterator

import pytest

from authguard.stores import PostgresStore, RedisStore
from authguard.stores.revocations import SharedRevocations
from stores.servers import StoreServer, Worker, store_server, token, workers

BOUND = 1.0
HOUR = 3600.0
UNTIL = 4_000_000_000.0


@pytest.fixture(name="server", params=["redis", "postgres"], scope="module")
def _server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreServer]:
    server = store_server(request.param, tmp_path_factory.mktemp(request.param))
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.remove()


@pytest.fixture(name="fleet", scope="module")
def _fleet(server: StoreServer) -> Iterator[list[Worker]]:
    with workers(server.url, 8, offsets=(0.0, HOUR, -HOUR)) as fleet:
        yield fleet


@pytest.fixture(name="revocations")
def _revocations(server: StoreServer) -> Iterator[SharedRevocations]:
    store = RedisStore(server.url) if server.url.startswith("redis") else PostgresStore(server.url)
    yield store.revocations
    store.close()


def warm(fleet: list[Worker], name: str) -> None:
    """Let each process remember the token."""
    assert [worker.get("/me", token(name)) for worker in fleet] == [200] * len(fleet)


@pytest.mark.slow
def test_a_revocation_that_was_waited_for_holds_everywhere(
    fleet: list[Worker], revocations: SharedRevocations
) -> None:
    """After `revoke` with `wait` each process refuses the token, also with a wrong clock."""
    for number in range(50):
        name = f"waited-{number}"
        warm(fleet, name)
        revocations.revoke(token_id=name, until=UNTIL, wait=True)
        assert [worker.get("/me", token(name)) for worker in fleet] == [401] * len(fleet)


@pytest.mark.slow
def test_a_paused_process_reads_the_log_first(fleet: list[Worker], revocations: SharedRevocations) -> None:
    """A process that was paused during a revocation refuses the token."""
    warm(fleet, "paused")
    fleet[0].signal(signal.SIGSTOP)
    revocations.revoke(token_id="paused", until=UNTIL)
    time.sleep(BOUND)
    fleet[0].signal(signal.SIGCONT)
    assert [worker.get("/me", token("paused")) for worker in fleet] == [401] * len(fleet)


@pytest.mark.slow
def test_connections_that_the_server_cuts_lose_nothing(
    server: StoreServer, fleet: list[Worker], revocations: SharedRevocations
) -> None:
    """A revocation after a cut connection is known after the bound."""
    for number in range(10):
        name = f"cut-{number}"
        warm(fleet, name)
        server.cut()
        revoke_again(revocations, name)
        time.sleep(BOUND)
        assert {worker.get("/me", token(name)) for worker in fleet} == {401}


def revoke_again(revocations: SharedRevocations, name: str) -> None:
    """Revoke; a second try opens a connection that was cut."""
    for _ in range(2):
        try:
            revocations.revoke(token_id=name, until=UNTIL)
        except Exception:
            continue
        return


@pytest.mark.slow
def test_a_store_that_stops_is_503_and_forgets_nothing(
    server: StoreServer, fleet: list[Worker], revocations: SharedRevocations
) -> None:
    """A store that stops makes 503, and a revoked token is refused before and after its return."""
    warm(fleet, "kept")
    warm(fleet, "stopped")
    revocations.revoke(token_id="stopped", until=UNTIL, wait=True)
    server.stop()
    time.sleep(BOUND)
    assert {worker.get("/me", token("stopped")) for worker in fleet} <= {401, 503}
    assert {worker.get("/me", token("kept")) for worker in fleet} == {503}
    server.start()
    end = time.monotonic() + 15 * BOUND
    while {worker.get("/me", token("kept")) for worker in fleet} != {200}:
        assert {worker.get("/me", token("stopped")) for worker in fleet} <= {401, 503}
        assert time.monotonic() < end
    assert {worker.get("/me", token("stopped")) for worker in fleet} == {401}


@pytest.mark.slow
def test_a_killed_process_holds_up_nobody(
    server: StoreServer, fleet: list[Worker], revocations: SharedRevocations
) -> None:
    """`revoke` with `wait` waits at most for the bound if a process was killed."""
    warm(fleet, "killed")
    fleet[-1].signal(signal.SIGKILL)
    started = time.monotonic()
    revocations.revoke(token_id="killed", until=UNTIL, wait=True)
    assert time.monotonic() - started < 2 * BOUND
    assert {worker.get("/me", token("killed")) for worker in fleet[:-1]} == {401}
