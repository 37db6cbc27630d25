"""PostgreSQL stops, starts and freezes under load: requests are refused in time, and pass again."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from authguard import Quota
from authguard.errors import QuotaUnavailableError
from authguard.stores import PostgresQuotas
from stores.quota_world import takes
from stores.servers import PostgresServer, store_server, wait_until

MANY = Quota(10**9, 60)


@pytest.fixture(name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = store_server("postgres", tmp_path_factory.mktemp("postgres"))
    assert isinstance(server, PostgresServer)
    server.start()
    yield server
    server.stop()
    server.remove()


def stop(server: PostgresServer) -> Callable[[], None]:
    """Stop the server at once."""
    server.stop()
    return server.start


def freeze(server: PostgresServer) -> Callable[[], None]:
    """Let the server processes keep their connections without an answer."""
    with psycopg.connect(server.url) as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'authguard'")
        pids = [pid for (pid,) in rows]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def recover() -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    return recover


@pytest.mark.slow
@pytest.mark.parametrize("fail", [stop, freeze])
def test_an_outage_of_postgresql(
    server: PostgresServer, fail: Callable[[PostgresServer], Callable[[], None]]
) -> None:
    """An outage of PostgreSQL raises nothing but QuotaUnavailableError, in time, and ends by itself."""
    store = PostgresQuotas(server.url, timeout=0.5)
    ended, errors = threading.Event(), []
    answers: list[tuple[float, float, bool]] = []

    def send(number: int) -> None:
        while not ended.is_set():
            begin = time.monotonic()
            try:
                passed = store.take(takes([MANY], caller=f"{number} {begin}")).admitted
            except QuotaUnavailableError:
                passed = False
            except Exception as error:
                errors.append(error)
                return
            answers.append((begin, time.monotonic(), passed))
            ended.wait(0.005)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(answers) > 50, "no answers")
        failed = time.monotonic()
        recover = fail(server)
        wait_until(lambda: any(not passed for _, _, passed in answers), "no outage")
        recover()
        back = time.monotonic()
        wait_until(lambda: any(begin > back and passed for begin, _, passed in answers), "no end of it")
        wait_until(lambda: not store.health().reason, "health does not know")
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        store.close()
    assert not errors
    assert all(passed for _, end, passed in answers if end < failed)
    # A new connection may take two seconds, and more on a loaded machine.
    assert max(end - begin for begin, end, _ in answers) < 5
    first = min(end for begin, end, passed in answers if begin > back and passed)
    assert first - back < 5
