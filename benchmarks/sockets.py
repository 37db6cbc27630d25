"""Measure requests a second over sockets: uvicorn and gunicorn, loaded by wrk, in turns with bare servers."""

import contextlib
import multiprocessing
import os
import re
import shutil
import socket
import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gunicorn.app.base
import uvicorn

from benchmarks import apps, tokens
from benchmarks.apps import Contestant
from benchmarks.report import Findings
from benchmarks.rivals import base_http_middleware, before_request, flask_jwt_extended_view, starlette_pyjwt
from benchmarks.tokens import Issuer

SECONDS, CONNECTIONS = 1, 16
# The number of loads in a round of the two contestants with the most important ratios, because a second is
# short.
OFTEN = 4
# The cores that this process may use; only Linux reports them.
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
# the forked children inherit application and socket, and need no files
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Load:
    """Hold the results of wrk: requests a second, latencies in milliseconds, and failed answers."""

    rate: float
    median: float
    p99: float
    refused: int


def run(rounds: int) -> Findings:
    """Load each server in turns.

    Args:
        rounds: the number of loads of each contestant.

    Raises:
        RuntimeError: if wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing: apt-get install wrk")
    findings = Findings()
    issuers = {algorithm: tokens.issuer(algorithm) for algorithm in ("HS256", "RS256")}
    table = findings.table(
        "Over sockets",
        f"Requests a second that wrk gets with {CONNECTIONS} connections in runs of {SECONDS} second, each server "
        "with one process (gunicorn with one worker thread) on one core, new in each round, wrk on another, and a run of the bare application before each run; "
        "medians, and the best run in brackets. *Bare "
        f"again* is the noise: the same application in a second process; it and authguard are loaded {OFTEN} times a round. authguard's token is known in all runs "
        "(hit rate 100 %, until `exp`); rivals remember nothing.",
        "server", "application", "requests/s", "× bare", "median latency ms",
    )  # fmt: skip
    on_asgi = [apps.OURS[0], starlette_pyjwt.RIVAL, base_http_middleware.RIVAL]
    for http in ("httptools", "h11"):
        _compare(findings, table, f"uvicorn, {http}", serve_uvicorn(http), on_asgi, issuers, rounds)
    on_wsgi = [apps.OURS[2], before_request.RIVAL, flask_jwt_extended_view.RIVAL]
    _compare(findings, table, "gunicorn", serve_gunicorn, on_wsgi, issuers, rounds)
    return findings


def _compare(
    findings: Findings,
    table: Any,
    server: str,
    serve: Callable[[Any, socket.socket], None],
    contestants: list[Contestant],
    issuers: dict[str, Issuer],
    rounds: int,
) -> None:
    hs256 = issuers["HS256"]
    bare = contestants[0].bare
    builders: dict[str, tuple[Callable[[], Any], Issuer]] = {
        "bare": (bare, hs256),
        "bare again": (bare, hs256),
    }
    for contestant in contestants:
        builders[f"{contestant.name}, HS256"] = (partial(contestant.build, hs256), hs256)
    if "RS256" in contestants[1].algorithms:
        rs256 = issuers["RS256"]
        builders[f"{contestants[1].name}, RS256"] = (partial(contestants[1].build, rs256), rs256)
    loads: dict[str, list[tuple[Load, Load]]] = {name: [] for name in builders if name != "bare"}
    for _ in range(rounds):
        # Each round has new processes, because the positions of objects in memory change the result by 5 %
        # for the lifetime of a process.
        with contextlib.ExitStack() as stack:
            stack.enter_context(_apart())
            ports = {
                name: stack.enter_context(serving(partial(_alone, serve), build()))
                for name, (build, _) in builders.items()
            }
            bearers = {name: issuer.token() for name, (_, issuer) in builders.items()}
            for name, port in ports.items():
                load(port, bearers[name])
            often = ["bare again", f"{contestants[0].name}, HS256"] * (OFTEN - 1)
            for name in [*loads, *often]:
                loads[name].append((load(ports["bare"], bearers["bare"]), load(ports[name], bearers[name])))
    base = [before for pairs in loads.values() for before, _ in pairs]
    short = server.rsplit(maxsplit=1)[-1]
    _row(table, server, "bare", base, 1.0)
    for name, pairs in loads.items():
        ratio = statistics.median(load.rate / before.rate for before, load in pairs)
        _row(table, server, name, [load for _, load in pairs], ratio)
        findings.values[f"sockets, {short}, {'authguard' if name.startswith('authguard') else name}"] = ratio


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Keep this process, and so wrk, on one core.

    Moving between cores costs a server more than a guard does.
    """
    _move_to(_CORES[-1:])
    try:
        yield
    finally:
        _move_to(_CORES)


def _alone(serve: Callable[[Any, socket.socket], None], app: Any, listening: socket.socket) -> None:
    """Keep the loaded server on another core; idle servers use none."""
    _move_to(_CORES[:1])
    serve(app, listening)


def _move_to(cores: list[int]) -> None:
    if cores:
        os.sched_setaffinity(0, cores)


def _row(table: Any, server: str, name: str, loads: list[Load], ratio: float) -> None:
    if any(load.refused for load in loads):
        raise RuntimeError(f"{name} refused good tokens")
    rates = [load.rate for load in loads]
    rate = f"{statistics.median(rates):,.0f} ({max(rates):,.0f})"
    table.add(server, name, rate, ratio, statistics.median(load.median for load in loads))


def serve_uvicorn(http: Any) -> Callable[[Any, socket.socket], None]:
    def serve(app: Any, listening: socket.socket) -> None:
        config = uvicorn.Config(
            app, http=http, loop="asyncio", lifespan="off", access_log=False, log_level="critical"
        )
        uvicorn.Server(config).run([listening])

    return serve


class _Gunicorn(gunicorn.app.base.BaseApplication):
    def __init__(self, app: Any, listening: socket.socket) -> None:
        self.application, self.listening = app, listening
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": f"fd://{self.listening.fileno()}", "workers": 1, "worker_class": "gthread", "threads": 1,
            "loglevel": "critical", "keepalive": 30, "control_socket_disable": True,
        }  # fmt: skip
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self.application


def serve_gunicorn(app: Any, listening: socket.socket) -> None:
    listening.set_inheritable(True)
    _Gunicorn(app, listening).run()


@contextlib.contextmanager
def serving(serve: Callable[[Any, socket.socket], None], app: Any) -> Iterator[int]:
    """Run a server in a process of its own, and yield its port."""
    # The protocol is named, because otherwise asyncio does not set TCP_NODELAY, and each answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(256)
        process = FORK.Process(target=serve, args=(app, listening), daemon=True)
        process.start()
        try:
            yield listening.getsockname()[1]
        finally:
            process.terminate()
            process.join(10)
            if process.is_alive():
                process.kill()


def command(
    port: int,
    token: str | None,
    seconds: int = SECONDS,
    connections: int = CONNECTIONS,
    script: Path | None = None,
    path: str = "/p",
) -> list[str]:
    """Return the command line of wrk."""
    options = [] if token is None else ["--header", f"Authorization: Bearer {token}"]
    options += [] if script is None else ["--script", str(script)]
    numbers = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    return ["wrk", "--latency", *numbers, *options, f"http://127.0.0.1:{port}{path}"]


def load(port: int, token: str) -> Load:
    """Load a server for a while."""
    done = subprocess.run(
        command(port, token), capture_output=True, text=True, timeout=SECONDS + 30, check=True
    )
    return parse(done.stdout)


def load_together(*commands: list[str]) -> list[Load]:
    """Run several wrk processes at the same time."""
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    return [parse(process.communicate(timeout=60)[0]) for process in processes]


def parse(text: str) -> Load:
    """Parse the output of wrk."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    median, p99 = (re.search(share + r"%\s+([\d.]+)(us|ms|s)", text) for share in ("50", "99"))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if rate is None or median is None or p99 is None:
        raise RuntimeError(f"wrk said: {text}")
    return Load(float(rate[1]), _milliseconds(median), _milliseconds(p99), int(refused[1]) if refused else 0)


def _milliseconds(match: re.Match[str]) -> float:
    return float(match[1]) * {"us": 0.001, "ms": 1, "s": 1000}[match[2]]
