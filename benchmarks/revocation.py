"""Prove and measure revocations on eight processes: no token is accepted after the bound, even if parts fail.

    python benchmarks/revocation.py redis --revocations 10000
    python benchmarks/revocation.py postgres --revocations 10000

It starts a store server and eight uvicorn processes of its own, with clocks that are wrong by an hour, and
revokes tokens that each process has remembered. Meanwhile one process is paused, one is killed, the server
cuts connections, and the store is stopped for ten seconds. It prints the tokens that were accepted too late
(there must be none), the time until a revocation applies in normal operation, and the calls of an idle
process to the store.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

import psycopg  # noqa: E402
import redis  # noqa: E402

from authguard.stores import PostgresStore, RedisStore  # noqa: E402
from stores.servers import RedisServer, StoreServer, Worker, store_server, token, workers  # noqa: E402

BOUND, UNTIL, HOUR = 1.0, 4_000_000_000.0, 3600.0
IDLE_SECONDS = 5.0


def main() -> int:
    """Run, print a report as JSON, and return 1 if a revoked token was accepted too late."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", choices=["redis", "postgres"])
    parser.add_argument("--revocations", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--stopped", type=float, default=10.0, help="seconds for which the store is stopped")
    options = parser.parse_args()
    with (
        running(options.store) as server,
        workers(server.url, options.processes, (0.0, HOUR, -HOUR)) as fleet,
    ):
        report = {"store": options.store, "processes": options.processes, **prove(server, fleet, options)}
    print(json.dumps(report, indent=2))
    return 1 if report["accepted too late"] or report["unexpected answers"] else 0


@contextmanager
def running(kind: str) -> Iterator[StoreServer]:
    """Run a store server only for this run."""
    with tempfile.TemporaryDirectory() as folder:
        server = store_server(kind, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
            server.remove()


def prove(server: StoreServer, fleet: list[Worker], options: argparse.Namespace) -> dict[str, Any]:
    """Revoke tokens in normal operation, and while parts fail."""
    store: Any = RedisStore(server.url) if isinstance(server, RedisServer) else PostgresStore(server.url)
    run = Run(fleet, store.revocations)
    run.send("warm up")
    idle = calls_of_idle(server, len(fleet))
    run.measure_visibility(min(200, options.revocations))
    share = max(1, options.revocations // 5)
    for event, fail in (
        ("nothing", lambda: None),
        ("a process is paused for 5 s", run.pause),
        ("connections are cut", server.cut),
        ("the store is stopped", lambda: stop_for(server, options.stopped)),
        ("a process is killed", run.kill),
    ):
        run.revoke_during(event, fail, share)
    store.close()
    return run.report() | {"store calls a second and idle process": idle}


def stop_for(server: StoreServer, seconds: float) -> None:
    """Stop the store, and start it again."""
    server.stop()
    time.sleep(seconds)
    server.start()


def calls_of_idle(server: StoreServer, processes: int) -> float:
    """Return the number of calls to the store that an idle process makes a second."""
    time.sleep(IDLE_SECONDS / 2)  # PostgreSQL updates its counts late
    before = calls(server)
    time.sleep(IDLE_SECONDS)
    return round((calls(server) - before) / IDLE_SECONDS / processes, 2)


def calls(server: StoreServer) -> int:
    """Return the number of calls of clients; in PostgreSQL, the number of transactions."""
    if isinstance(server, RedisServer):
        with redis.Redis(port=server.port) as client:
            stats: Any = client.info("commandstats")
        return sum(stat["calls"] for name, stat in stats.items() if "eval" in name)
    # Queried in another database, so that the query is not counted.
    with psycopg.connect(server.url, dbname="template1", autocommit=True) as connection:
        query = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'"
        row: Any = connection.execute(query).fetchone()
    return int(row[0])


class Run:
    """Send requests to all processes, and record the answers."""

    def __init__(self, fleet: list[Worker], revocations: Any) -> None:
        self.fleet, self.revocations = fleet, revocations
        self.pool = ThreadPoolExecutor(len(fleet))
        self.late: list[str] = []
        self.odd: Counter[int] = Counter()
        self.seen: list[float] = []
        self.revoked = 0

    def send(self, name: str) -> list[int]:
        """Send a token to all processes at once."""
        statuses = list(self.pool.map(lambda worker: worker.get("/me", token(name)), self.fleet))
        self.odd.update(status for status in statuses if status not in (200, 401, 503))
        return statuses

    def revoke(self, name: str) -> bool:
        """Revoke a token; False if the store was down, so that the outcome is unknown."""
        try:
            self.revocations.revoke(token_id=name, until=UNTIL)
        except Exception:
            return False
        self.revoked += 1
        return True

    def measure_visibility(self, count: int) -> None:
        """Note the time until a process refuses a revoked token, one process after the other."""
        for number in range(count):
            name, worker = f"visible-{number}", self.fleet[number % len(self.fleet)]
            text = token(name)
            worker.get("/me", text)
            if self.revoke(name):
                started = time.monotonic()
                while worker.get("/me", text) == 200:
                    pass
                self.seen.append(time.monotonic() - started)

    def revoke_during(self, event: str, fail: Any, count: int) -> None:
        """Revoke tokens that all processes remember, while a part fails; none is accepted after the bound."""
        names = [f"{event}-{number}" for number in range(count)]
        for name in names:
            self.send(name)
        failing = threading.Thread(target=fail)
        failing.start()
        revoked: list[tuple[str, float]] = []
        for name in names:
            if self.revoke(name):
                revoked.append((name, time.monotonic()))
            elif failing.is_alive():
                time.sleep(0.05)
        for name, at in revoked:
            time.sleep(max(0.0, at + BOUND - time.monotonic()))
            self.late += [f"{event}: {name}"] * self.send(name).count(200)
        failing.join()
        for name, _ in revoked:
            self.late += [f"after {event}: {name}"] * self.send(name).count(200)

    def pause(self) -> None:
        """Pause a process for five seconds."""
        self.fleet[0].signal(signal.SIGSTOP)
        time.sleep(5)
        self.fleet[0].signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill a process that gets no more requests."""
        self.fleet.pop().stop()

    def report(self) -> dict[str, Any]:
        """Return the figures."""
        ordered = sorted(self.seen)
        return {
            "revocations": self.revoked,
            "accepted too late": len(self.late),
            "which": self.late[:10],
            "unexpected answers": dict(self.odd),
            "visible after, median ms": round(1000 * statistics.median(ordered), 1),
            "visible after, p99 ms": round(1000 * ordered[int(0.99 * (len(ordered) - 1))], 1),
        }


if __name__ == "__main__":
    sys.exit(main())
