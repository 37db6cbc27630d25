"""Compare the identity service with fastapi-users: one uvicorn, SQLite, real processes on loopback."""

import contextlib
import gc
import http.client
import json
import secrets
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import uvicorn

from authguard.identity import Identity, IdentityService, Settings, upgrade
from authguard.identity.limits import Limit, Limiter
from authguard.identity.model import Caller, Tokens
from authguard.identity.passwords.hashing import PasswordHasher
from benchmarks import apps, login, sockets
from benchmarks.report import Findings
from benchmarks.rivals import fastapi_users_service

SECONDS, CONNECTIONS = 2, 16
SESSIONS = 64  # more than the connections, each of which has a refresh token of its own
EMAIL, PASSWORD = "ann@example.com", "Correct-horse-9"
SECRET = secrets.token_urlsafe(40)


class NoMails:
    """Send no mails."""

    def send(self, mail: Any) -> None: ...


def service(url: str) -> IdentityService:
    """Return the service with its defaults, but without limits: one caller signs in repeatedly here."""
    many = {name: Limit(1_000_000, 60) for name in ("login", "login_address", "login_account")}
    settings = Settings(secret=SECRET, issuer="https://auth.example", database=url)
    return IdentityService(settings, mailer=NoMails(), limiter=Limiter(limits=many))


@dataclass(frozen=True)
class Contestant:
    """Describe a service that signs users in.

    Attributes:
        name: its name in the tables.
        build: creates the application, in the serving process.
        login: path, media type and body of signing in.
        me: the path of `users/me`.
        verify: computes its password hash, with the same parameters.
        hasher: the class that computes it, and the method.
        logins: the number of sign-ins in a round.
    """

    name: str
    build: Callable[[], Any]
    login: tuple[str, str, bytes]
    me: str
    verify: Callable[[], object]
    hasher: tuple[Any, str]
    logins: int


def run(rounds: int) -> Findings:
    """Measure rates over sockets, then the cost of signing in.

    Args:
        rounds: the number of loads of each request; signing in is timed more often.

    Raises:
        RuntimeError: if wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing: apt-get install wrk")
    findings = Findings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contestants = [_ours(folder), _fastapi_users(folder)]
        with contextlib.ExitStack() as stack:
            ports = {
                each.name: stack.enter_context(sockets.serving(_serve, each.build)) for each in contestants
            }
            ports["bare"] = stack.enter_context(sockets.serving(_serve, apps.starlette))
            for port in ports.values():
                _until_it_answers(port)
            _rates(findings, contestants, ports, folder, rounds)
            over_sockets = {
                each.name: login.over_sockets(ports[each.name], each, each.logins * rounds)
                for each in contestants
            }
        in_process = {each.name: login.in_process(each, 2 * each.logins * rounds) for each in contestants}
        login.table(findings, over_sockets, in_process)
    return findings


def _ours(folder: Path) -> Contestant:
    url = f"sqlite:///{folder}/ours.db"
    upgrade(url)
    made = service(url)
    made.accounts.create(EMAIL, PASSWORD)
    made.close()
    hasher = PasswordHasher()
    kept = hasher.hash(PASSWORD)
    body = json.dumps({"email": EMAIL, "password": PASSWORD}).encode()
    return Contestant(
        "authguard.identity",
        lambda: Identity(service(url)),
        ("/v1/auth/login", "application/json", body),
        "/v1/users/me",
        lambda: hasher.verify(kept, PASSWORD),
        (PasswordHasher, "verify"),
        logins=10,
    )


def _fastapi_users(folder: Path) -> Contestant:
    url = f"sqlite+aiosqlite:///{folder}/theirs.db"
    fastapi_users_service.seed(url, EMAIL, PASSWORD)
    hasher = fastapi_users_service.HASHER
    kept = hasher.hash(PASSWORD)
    form = urlencode({"username": EMAIL, "password": PASSWORD}).encode()
    return Contestant(
        "fastapi-users",
        lambda: fastapi_users_service.build(url, SECRET),
        ("/auth/login", "application/x-www-form-urlencoded", form),
        "/users/me",
        lambda: hasher.verify_and_update(PASSWORD, kept),
        (hasher, "verify_and_update"),
        logins=2,
    )


def _serve(build: Any, listening: socket.socket) -> None:
    config = uvicorn.Config(
        build(), http="httptools", loop="uvloop", access_log=False, log_level="critical", lifespan="auto"
    )
    gc.collect()
    gc.freeze()  # the same as `authguard serve`
    uvicorn.Server(config).run([listening])


def _until_it_answers(port: int) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/")
        connection.getresponse().read()


# Rates


def _rates(
    findings: Findings, contestants: list[Contestant], ports: dict[str, int], folder: Path, rounds: int
) -> None:
    table = findings.table(
        "The identity service over sockets",
        f"Requests a second that wrk gets with {CONNECTIONS} connections in runs of {SECONDS} seconds from one uvicorn with "
        "uvloop and httptools, and an SQLite file in WAL mode; in turns, medians, and the best run in brackets. Both services ask "
        f"their database on each request. Callers of authguard.identity have {SESSIONS} sessions, and each refresh token is used once. "
        "fastapi-users has no refresh: its users sign in again. *Bare* is a Starlette application that says ok.",
        "", "request", "requests/s", "× bare", "median ms", "p99 ms",
    )  # fmt: skip
    ours, theirs = contestants
    port, bearer = ports[ours.name], access_token(ports[theirs.name], theirs)
    get, post = _by_bearer(folder, "GET"), _by_bearer(folder, "POST")
    loads: dict[tuple[str, str], Callable[[], list[str]]] = {
        ("bare", "GET"): lambda: _command(ports["bare"], None, "/p"),
        (ours.name, "users/me"): lambda: _command(port, None, ours.me, get),
        (theirs.name, "users/me"): lambda: _command(ports[theirs.name], bearer, theirs.me),
        (ours.name, "refresh by body"): lambda: _command(port, None, "/v1/auth/refresh", _by_body(folder)),
        (ours.name, "refresh by bearer"): lambda: _command(port, None, "/v1/auth/refresh", post),
    }
    measured: dict[tuple[str, str], list[sockets.Load]] = {key: [] for key in loads}
    for number in range(rounds + 1):
        for key, make in loads.items():
            (load,) = sockets.load_together(make())
            if load.refused:
                raise RuntimeError(f"{' '.join(key)}: {load.refused} refusals")
            if number:  # the first round is a warm-up
                measured[key].append(load)
    for key, runs in measured.items():
        rates = [load.rate for load in runs]
        rate = statistics.median(rates)
        ratio = statistics.median(
            load.rate / bare.rate for load, bare in zip(runs, measured["bare", "GET"], strict=True)
        )
        p50, p99 = (statistics.median(getattr(load, name) for load in runs) for name in ("median", "p99"))
        table.add(*key, f"{rate:,.0f} ({max(rates):,.0f})", ratio, p50, p99)
        findings.values[", ".join(key)] = rate
    table.add(theirs.name, "refresh", "–", "–", "–", "–")


def _command(port: int, token: str | None, path: str, script: Path | None = None) -> list[str]:
    return sockets.command(port, token, SECONDS, CONNECTIONS, script, path)


def access_token(port: int, contestant: Contestant) -> str:
    """Sign in over the socket."""
    path, media_type, body = contestant.login
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("POST", path, body, {"content-type": media_type})
        return str(json.loads(connection.getresponse().read())["access_token"])


def _by_body(folder: Path) -> Path:
    """Return the script that makes wrk send each refresh token once, and later the token of its answer."""
    tokens = ",".join(f'"{each.refresh_token}"' for each in _begin_sessions(folder))
    return _script(
        folder / f"refresh-{time.monotonic_ns()}.lua",
        f"local tokens, first = {{{tokens}}}, 1\n"
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        "request = function()\n  local token = tokens[first]\n  tokens[first] = nil\n  first = first + 1\n"
        "  return wrk.format(nil, nil, nil, '{\"refresh_token\":\"' .. token .. '\"}')\nend\n"
        "local last = #tokens\n"
        "response = function(status, headers, body)\n"
        '  last = last + 1\n  tokens[last] = body:match(\'"refresh_token":"([^"]+)"\')\nend\n',
    )


def _by_bearer(folder: Path, method: str) -> Path:
    """Return the script that makes wrk send the access tokens of many sessions in turns."""
    tokens = ",".join(f'"{each.access_token}"' for each in _begin_sessions(folder))
    return _script(
        folder / f"{method}.lua",
        f'local tokens, requests, last = {{{tokens}}}, {{}}, 0\nwrk.method = "{method}"\n'
        "init = function()\n  for number, token in ipairs(tokens) do\n"
        '    requests[number] = wrk.format(nil, nil, {Authorization = "Bearer " .. token})\n  end\nend\n'
        "request = function()\n  last = last % #requests + 1\n  return requests[last]\nend\n",
    )


def _begin_sessions(folder: Path) -> list[Tokens]:
    made = service(f"sqlite:///{folder}/ours.db")
    # The sessions belong to a separate account, because the oldest sessions of an account end when it has too
    # many.
    user = made.accounts.create(f"caller-{time.monotonic_ns()}@example.com", PASSWORD)
    with made.database.write() as connection:
        begun = [made.sessions.create_session(connection, user, Caller()) for _ in range(SESSIONS)]
    tokens = [made.sessions.issue_tokens(user, session) for session in begun]
    made.close()
    return tokens


def _script(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
