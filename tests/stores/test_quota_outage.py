"""Redis stops and starts under load: no request gets a 500, and a second later all requests pass."""

import http.client
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from stores.servers import RedisServer, Worker, store_server, token

OUTAGE_SECONDS, RETURN_SECONDS = 2.5, 1.0
PATHS = ("/me", "/me", "/me", "/free", "/open")


@dataclass
class Load:
    """Send requests to two processes, by threads with a connection each."""

    workers: list[Worker]
    answers: list[tuple[float, float, str, int]] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Send by two threads to each process."""
        for worker in self.workers * 2:
            thread = threading.Thread(target=self._send, args=(worker.port,))
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Wait for the last answers."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _send(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        fields = {"Authorization": f"Bearer {token('one')}"}
        number = 0
        while not self._end.is_set():
            path = PATHS[number % len(PATHS)]
            number += 1
            begin = time.monotonic()
            connection.request("GET", path, headers=fields)
            response = connection.getresponse()
            response.read()
            self.answers.append((begin, time.monotonic(), path, response.status))
            self._end.wait(0.005)
        connection.close()

    def statuses(self, path: str, since: float, until: float) -> set[int]:
        """Return the statuses of requests that began and ended in a time."""
        return {
            status
            for begin, end, is_asked, status in self.answers
            if is_asked == path and since <= begin and end <= until
        }


def freeze(server: RedisServer) -> Callable[[], None]:
    """Let the server keep its connections without an answer."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    return lambda: server.process.send_signal(signal.SIGCONT) if server.process else None


def stop(server: RedisServer) -> Callable[[], None]:
    """Stop the server at once; a restart begins with an empty server."""
    server.stop()
    return server.start


@pytest.fixture(name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = store_server("redis", tmp_path_factory.mktemp("redis"))
    assert isinstance(server, RedisServer)
    server.start()
    yield server
    server.stop()


def health(worker: Worker) -> dict[str, Any]:
    """Return the health of the store of a process."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=20)
    connection.request("GET", "/open")
    told: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return told


@pytest.mark.slow
@pytest.mark.parametrize("fail", [stop, freeze])
@pytest.mark.parametrize(("down", "meanwhile"), [("deny", {200, 503}), ("local", {200})])
def test_an_outage_under_load(
    server: RedisServer, fail: Callable[[RedisServer], Callable[[], None]], down: str, meanwhile: set[int]
) -> None:
    """In an outage requests are refused with 503 or counted by shares; those without quotas pass."""
    workers = [Worker(server.url, app="quota_app:app", settings={"QUOTAS_DOWN": down}) for _ in range(2)]
    load = Load(workers)
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.wait()
        load.start()
        time.sleep(1.0)
        failed = time.monotonic()
        recover = fail(server)
        time.sleep(OUTAGE_SECONDS)
        during = [health(worker) for worker in workers]
        still_down = time.monotonic()
        recover()
        back = time.monotonic()
        time.sleep(RETURN_SECONDS + 1.5)
        ended = time.monotonic()
        after = [health(worker) for worker in workers]
    finally:
        load.stop()
        for worker in workers:
            worker.stop()
    assert load.statuses("/me", 0.0, failed) == {200}
    assert load.statuses("/me", 0.0, ended) == meanwhile
    assert load.statuses("/free", 0.0, ended) == load.statuses("/open", 0.0, ended) == {200}
    # Leases have been spent by then.
    assert load.statuses("/me", failed + 1.0, still_down) == meanwhile - ({200} if down == "deny" else set())
    assert load.statuses("/me", back + RETURN_SECONDS, ended) == {200}
    waits = sorted(end - begin for begin, end, _, _ in load.answers if failed + 1.0 <= begin <= still_down)
    assert waits[len(waits) // 2] < 0.1  # one request in half a second waits for the store
    for told in during:
        assert (told["state"], told["reason"][:7]) == ("failing", "Redis: ")
        assert told["unavailable" if down == "deny" else "by_share"] > 0
    assert [told["state"] for told in after] == ["fresh", "fresh"]
