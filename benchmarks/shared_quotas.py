"""Prove and measure quotas that processes share by Redis: `python -m benchmarks.shared_quotas`.

It starts a Redis of its own, and compares authguard with libraries for the same. Four processes send requests
of one caller. First, all get the same test of exactness: the amount that is admitted in any window, with
equal clocks and with one clock that is two seconds ahead; and whether a refused request takes anything. Then
the cost of a decision is measured, at 10,000 requests a second.
"""

import argparse
import gc
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

_real_time, _real_time_ns = time.time, time.time_ns
_clock = {"ahead": 0}
# Patched before other modules are imported, because they keep references: simulates a machine with a wrong
# clock.
time.time = lambda: _real_time() + _clock["ahead"]
time.time_ns = lambda: _real_time_ns() + _clock["ahead"] * 10**9

import redis  # noqa: E402

from benchmarks.report import Findings, machine  # noqa: E402
from benchmarks.shared_limiters import LIMITERS, Limit  # noqa: E402

PROCESSES = 4
LIMIT: Limit = (100, 1)
AHEAD = 2
PER_SECOND = 10_000
#: Limits that are never reached: a minute, and a day.
ENOUGH: Sequence[Limit] = ((10**9, 60), (10**11, 86_400))
PACKAGES = ("redis", "limits", "slowapi", "fastapi-limiter", "pyrate-limiter", "throttled-py", "starlette")
_BATCH_SECONDS = 0.01
_PACE_SECONDS = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter: a look, not a result")
    parser.add_argument("--only", choices=["proof", "decision", "request"], action="append")
    options = parser.parse_args()
    parts = options.only or ["proof", "decision", "request"]
    scale = 0.5 if options.quick else 1.0
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES) + f"\n{machine()}")
    findings = Findings()
    with redis_server() as (url, client):
        if "proof" in parts:
            prove(findings, url, client, 3.2 * scale)
        if "decision" in parts:
            measure_calls(findings, url, int(3000 * scale))
            measure_decisions(findings, url, client, 3.0 * scale)
        if "request" in parts:
            measure_requests(findings, url, client, 5.0 * scale)
    print("\n" + "\n\n".join(table.markdown() for table in findings.tables))


@contextmanager
def redis_server() -> Iterator[tuple[str, Any]]:
    """Run a Redis only for this run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        client: Any = redis.Redis(port=port)
        try:
            for _ in range(200):
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0", client
        finally:
            client.close()
            process.kill()
            process.wait()


def in_processes(run: Callable[[int], Any], number: int = PROCESSES) -> list[Any]:
    """Run a function in several forked processes, and return all results."""
    pipes = []
    for index in range(number):
        reader, writer = os.pipe()
        if not os.fork():
            status = 1
            try:
                with os.fdopen(writer, "w") as file:
                    json.dump(run(index), file)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writer)
        pipes.append(reader)
    answers = []
    for reader in pipes:
        with os.fdopen(reader) as file:
            answers.append(json.loads(file.read() or "null"))
        os.wait()
    if None in answers:
        raise SystemExit("a process has failed")
    return answers


def prove(findings: Findings, url: str, client: Any, seconds: float) -> None:
    """Run the same test for all contestants."""
    table = findings.table(
        "Quotas over Redis: proof",
        f"Four processes send as one caller, who may send {LIMIT[0]} in any {LIMIT[1]} s: the most that was let through in any "
        f"such window, and with one clock {AHEAD} s ahead; and how many in all, with clocks that agree. Then, in one process: of 10, "
        "with 9 taken, 5 are refused; is the last one let through after that? And with limits of 3 and 10, in either order, 3 are taken "
        "and 5 refused: how many of the 10 are left (7)?",
        "", "most", "one clock ahead", "in all", "1 after a refusal", "left of 10",
    )  # fmt: skip
    for name in LIMITERS:
        client.flushall()
        most, total = most_let_through(name, url, seconds, 0)
        most_ahead, _ = most_let_through(name, url, seconds, AHEAD)
        after_refusal, remaining = in_processes(lambda _, name=name: refusals(name, url), 1)[0]
        answer = "yes" if after_refusal else "no"
        table.add(name, str(most), str(most_ahead), str(total), answer, str(remaining))
        if name == "authguard" and (max(most, most_ahead) > LIMIT[0] or (answer, remaining) != ("yes", 7)):
            raise SystemExit("authguard is not exact")


def most_let_through(name: str, url: str, seconds: float, ahead: int) -> tuple[int, int]:
    """Return the greatest amount that was admitted in a window, and the total amount."""

    def run(index: int) -> list[tuple[float, float]]:
        _clock["ahead"] = ahead if index == 0 else 0
        hit = LIMITERS[name](url, f"proof-{ahead}", [LIMIT])
        admitted = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.monotonic()
            if hit(1):
                admitted.append((begin, time.monotonic()))
            time.sleep(_PACE_SECONDS)
        return admitted

    admitted = sorted(tuple(each) for process in in_processes(run) for each in process)
    most = 0
    for index, (begin, _) in enumerate(admitted):
        # Only requests that began and ended in the window count, because the time of admission in between is
        # unknown.
        window = [end for start, end in admitted[index : index + 4 * LIMIT[0]] if start < begin + LIMIT[1]]
        most = max(most, sum(end < begin + LIMIT[1] for end in window))
    return most, len(admitted)


def refusals(name: str, url: str) -> tuple[bool, int]:
    """Return whether a request is admitted after a refusal, and the rest of the other limit."""
    hit = LIMITERS[name](url, "refusal", [(10, 50)])
    for _ in range(9):
        hit(1)
    hit(5)
    after_refusal = hit(1)
    remaining = []
    for order, limits in enumerate(([(3, 51), (10, 520)], [(10, 520), (3, 51)])):
        both = LIMITERS[name](url, f"several-{order}", limits)
        for _ in range(8):
            both(1)
        alone = LIMITERS[name](url, f"several-{order}", [(10, 520)])
        remaining.append(sum(alone(1) for _ in range(10)))
    return after_refusal, min(remaining)


def measure_calls(findings: Findings, url: str, number: int) -> None:
    """Measure the cost of one call, which most requests do not make."""
    from authguard.stores.counting.backend import Ask
    from authguard.stores.counting.redis import RedisCounters

    table = findings.table(
        "Quotas over Redis: one call",
        "Microseconds from the call of redis-py to its answer, of the script that takes from so many quotas; and of PING. Medians.",
        "", "µs",
    )  # fmt: skip
    counters = RedisCounters(url, 5.0, "calls")
    client = redis.Redis.from_url(url)
    asks = [
        Ask(key, 10**9, window, False, 1, True, 64) for key, window in (("a", 60), ("b", 3600), ("c", 86_400))
    ]
    runs: dict[str, Callable[[], Any]] = {"PING": client.ping}
    for size in (1, 2, 3):
        runs[f"{size} quotas" if size > 1 else "1 quota"] = lambda size=size: counters.take(
            "ann", asks[:size], 4
        )
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(number):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - begin) * 1e6)
    for name, each in times.items():
        table.add(name, statistics.median(each))
    client.close()
    counters.close()


def paced(run: Callable[[int], Any], seconds: float) -> dict[str, float]:
    """Call a function at this process's share of the load; return the number of calls, and their microseconds.

    `cpu` is the processor time, also in threads; `passed` is the elapsed time of the calls.
    """
    per_batch = round(PER_SECOND / PROCESSES * _BATCH_SECONDS)
    calls = 0
    passed = 0.0
    begin, used = time.monotonic(), time.process_time()
    due = begin
    while due < begin + seconds:
        started = time.perf_counter()
        run(per_batch)
        passed += time.perf_counter() - started
        calls += per_batch
        due += _BATCH_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        if time.monotonic() > begin + seconds:
            break
    used = time.process_time() - used
    rate = calls / (time.monotonic() - begin)
    return {"rate": rate, "cpu": used / calls * 1e6, "passed": passed / calls * 1e6}


def measure_decisions(findings: Findings, url: str, client: Any, seconds: float) -> None:
    """Measure the cost of a decision, without a request."""
    table = findings.table(
        "Quotas over Redis: a decision",
        f"Four processes, {PER_SECOND:,} decisions a second for one caller and two limits, a minute and a day. For each decision: "
        "microseconds of the processor in the processes, microseconds that passed, scripts that Redis ran, and microseconds of its processor. "
        "`rate` is what they reached together.",
        "", "rate", "processor", "passed", "scripts", "of Redis",
    )  # fmt: skip
    for name in LIMITERS:
        if name == "slowapi":
            continue  # it decides only within a request, using a fixed window of `limits`

        def run(_: int, name: str = name) -> dict[str, float]:
            hit = LIMITERS[name](url, "decision", ENOUGH)

            def hits(number: int) -> None:
                for _ in range(number):
                    hit(1)

            paced(hits, 1.0)
            gc.collect()
            return paced(hits, seconds)

        client.flushall()  # the strategies of `limits` use the same key in different forms
        before = redis_used(client)
        measured = in_processes(run)
        after = redis_used(client)
        total = sum(each["rate"] for each in measured)
        decisions = total * (seconds + 1.0)
        table.add(
            name, f"{total:,.0f}", statistics.mean(each["cpu"] for each in measured),
            statistics.mean(each["passed"] for each in measured), (after[0] - before[0]) / decisions,
            (after[1] - before[1]) / decisions * 1e6,
        )  # fmt: skip


def redis_used(client: Any) -> tuple[int, float]:
    """Return the number of scripts that Redis has run, and the processor seconds that it has used."""
    stats = client.info("commandstats")
    used = client.info("cpu")
    calls = sum(each["calls"] for name, each in stats.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))
    return calls, used["used_cpu_user"] + used["used_cpu_sys"]


def measure_requests(findings: Findings, url: str, client: Any, seconds: float) -> None:
    """Measure the cost that quotas add to a request."""
    import asyncio
    import secrets

    from authguard import APIKey, APIKeyVerifier, Guard, MemoryQuotas, Quota
    from authguard.stores import RedisQuotas
    from benchmarks import apps
    from benchmarks.traffic import receive, scope, send

    table = findings.table(
        "Quotas over Redis: a request",
        f"Four processes, {PER_SECOND:,} requests a second with one known key, to a Starlette application in the process: what "
        "two quotas add to the key, of a minute and a day. Medians of the processes and rounds, in microseconds; in the "
        "last column, calls of Redis for each request.",
        "", "processor", "added", "passed", "added", "calls",
    )  # fmt: skip
    key = "sk_live_" + secrets.token_urlsafe(32)
    names = ("the key alone", "with two quotas in memory", "with two quotas over Redis")

    def run(_: int) -> list[list[dict[str, float]]]:
        keys = APIKeyVerifier({key: APIKey("robot", tier="free")})
        quotas = [Quota(count, window) for count, window in ENOUGH]
        shared = RedisQuotas(url, prefix="requests")
        guards = [
            Guard(keys),
            *(Guard(keys, quotas=quotas, quota_store=store) for store in (MemoryQuotas(), shared)),
        ]
        loop = asyncio.new_event_loop()

        def requests(guard: Guard) -> Callable[[int], None]:
            app = apps.guarded_starlette(guard)

            async def send_many(number: int) -> None:
                for _ in range(number):
                    await app(scope(("x-api-key", key)), receive, send)

            return lambda number: loop.run_until_complete(send_many(number))

        sent = [requests(guard) for guard in guards]
        for request in sent:
            paced(request, 0.5)
        return [[paced(request, seconds / 3) for request in sent] for _ in range(2)]

    before = redis_used(client)[0]
    rounds = [measured for process in in_processes(run) for measured in process]
    calls = redis_used(client)[0] - before
    # Includes the calls of the half second before.
    counted = sum(measured[2]["rate"] for measured in rounds) * (seconds / 3 + 0.25)
    for index, name in enumerate(names):
        cells: list[float] = []
        for kind in ("cpu", "passed"):
            cells.append(statistics.median(measured[index][kind] for measured in rounds))
            cells.append(statistics.median(measured[index][kind] - measured[0][kind] for measured in rounds))
        table.add(name, *cells, f"{calls / counted if index == 2 else 0:.3f}")


if __name__ == "__main__":
    main()
