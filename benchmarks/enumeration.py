"""Test whether the time of an answer discloses a known address: `python -m benchmarks.enumeration`.

For each endpoint, pairs of requests for a known and an unknown address are sent in random order to a server
in a process of its own. A caller learns nothing if the known address takes longer in half of the pairs.
"""

import argparse
import http.client
import itertools
import json
import math
import os
import platform
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import uvicorn
from sqlalchemy import create_engine, text

from authguard.identity import Identity, IdentityService, Settings, upgrade
from authguard.identity.limits import DEFAULT_LIMITS, Limit, Limiter
from authguard.identity.model import SocialIdentity
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.identity.social.provider import Provider
from benchmarks.report import Findings, machine

PAIRS = 300
#: The greatest distance from a half of the share of pairs in which the known address takes longer.
MAX_DEVIATION = 0.05
#: Seconds between two requests, so that work after an answer is not measured with the next request.
GAP_SECONDS = 0.01
MAIL_SECONDS = 120
PASSWORD, OTHER = "Correct-horse-9", "Correct-horse-8"
SECRET = secrets.token_urlsafe(32)
ISSUER = "http://127.0.0.1"
POSTGRES = os.environ.get("TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
_GENEROUS = {name: Limit(1_000_000, 60) for name in DEFAULT_LIMITS}

Send = Callable[[http.client.HTTPConnection, str], int]


class Sink:
    """Encode each mail, which takes some work, like a mailer that sends to a server."""

    def send(self, mail: Any) -> None:
        """Encode a mail, and discard it."""
        for _ in range(20):
            json.dumps([mail.to, mail.subject, mail.text])


class Elsewhere(Provider):
    """Return the unverified address that the code names, as a provider without a server."""

    def __init__(self) -> None:
        own = [f"{ISSUER}{prefix}/auth/op/callback" for prefix in ("/api/v1", "/v1")]
        super().__init__("op", "id", "s3cret", redirect_uris=own, scope="x", auth_method="none")

    def authorize_url(self, **_: Any) -> str:
        return "https://op.example/authorize"

    def exchange(self, code: str, redirect_uri: str, **_: Any) -> SocialIdentity:
        return SocialIdentity("op", code, code, False, "Mona")


@dataclass(frozen=True)
class Row:
    """Compare two kinds of addresses.

    Attributes:
        name: of the row.
        send: sends the request for an address, and returns the status.
        known: the kind of the known addresses.
        status: of all answers.
    """

    name: str
    send: Send
    known: str
    status: int


def _json(path: str, name: str = "email", **more: str) -> Send:
    def send(connection: http.client.HTTPConnection, email: str) -> int:
        body = json.dumps({name: email, **more})
        return _post(connection, path, body, "application/json")

    return send


def _form(path: str, name: str = "email", **more: str) -> Send:
    def send(connection: http.client.HTTPConnection, email: str) -> int:
        body = urlencode({name: email, **more})
        return _post(connection, path, body, "application/x-www-form-urlencoded")

    return send


def _post(connection: http.client.HTTPConnection, path: str, body: str, media_type: str) -> int:
    fields = {"content-type": media_type, "accept": "text/html", "sec-fetch-site": "same-origin"}
    connection.request("POST", path, body, fields)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _provider(connection: http.client.HTTPConnection, email: str) -> int:
    body = json.dumps({"code": email, "redirect_uri": f"{ISSUER}/v1/auth/op/callback"})
    return _post(connection, "/v1/auth/op/callback", body, "application/json")


def _with_next(send: Send) -> Send:
    """Time also the next request, which meets the work after an answer."""

    def send_both(connection: http.client.HTTPConnection, email: str) -> int:
        status = send(connection, email)
        connection.request("GET", "/login")
        connection.getresponse().read()
        return status

    return send_both


_LOGIN = "/v1/auth/login"
_FORGOT, _RESEND = "/v1/auth/forgot-password", "/v1/auth/verify-email/resend"
ROWS = [
    Row("login, wrong password", _json(_LOGIN, password=OTHER), "known", 401),
    Row("login, disabled account", _json(_LOGIN, password=PASSWORD), "disabled", 401),
    Row("login, not verified", _json(_LOGIN, password=PASSWORD), "waiting", 401),
    Row("login-json, wrong password", _json("/v1/auth/login-json", "username", password=OTHER), "known", 401),
    Row("password grant", _form("/v1/oauth/token", "username", grant_type="password", password=OTHER), "known", 400),
    Row("page: login", _form("/login", password=OTHER), "known", 401),
    Row("forgot-password", _json(_FORGOT), "known", 200),
    Row("forgot-password, disabled", _json(_FORGOT), "disabled", 200),
    Row("forgot-password, with the next request", _with_next(_json(_FORGOT)), "known", 200),
    Row("page: forgot-password", _form("/forgot-password"), "known", 303),
    Row("resend", _json(_RESEND), "waiting", 200),
    Row("resend, with the next request", _with_next(_json(_RESEND)), "waiting", 200),
    Row("resend, verified", _json(_RESEND), "known", 200),
    Row("register", _json("/v1/auth/register", password=OTHER), "known", 202),
    Row("page: register", _form("/register", password=OTHER), "known", 303),
    Row("provider, unverified address", _provider, "known", 403),
]  # fmt: skip


def settings(url: str) -> Settings:
    """Return the settings of the measured service."""
    return Settings(
        secret=SECRET, issuer=ISSUER, database=url, enumeration_safe=True, password_grant=True, smtp_url="smtp://127.0.0.1",
        mail_from="auth@example.com",
    )  # fmt: skip


def serve(url: str, port: int) -> None:
    """Serve the identity service, with its default hasher and with limits that are never reached."""
    service = IdentityService(settings(url), mailer=Sink(), limiter=Limiter(limits=_GENEROUS))
    app = Identity(service, providers=[Elsewhere()])
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="critical")


# The requests


class Addresses:
    """Create accounts of each kind on demand; each address is used once."""

    def __init__(self, url: str) -> None:
        self._database = IdentityService(settings(url), mailer=Sink(), hasher=PasswordHasher.cheap())
        self._hash = PasswordHasher().hash(PASSWORD)
        self._numbers = itertools.count()

    def unknown(self) -> str:
        """Return an address without an account, with the length of the others."""
        return f"a{next(self._numbers):07}@example.com"

    def make(self, kind: str, count: int) -> list[str]:
        """Create accounts whose passwords have one hash, because computing many would take minutes."""
        service, made = self._database, []
        for _ in range(count):
            user = service.accounts.create(self.unknown(), PASSWORD, verified=kind != "waiting")
            made.append((user.email, user.id))
        with service.database.write() as connection:
            connection.execute(text("UPDATE users SET password_hash = :kept"), {"kept": self._hash})
        if kind == "disabled":
            for _, user_id in made:
                service.accounts.disable(user_id)
        return [email for email, _ in made]

    def wait_for_mails(self) -> None:
        """Wait until the mails of the last row are sent, because the service limits the waiting ones."""
        until = time.monotonic() + MAIL_SECONDS
        while (waiting := self._database.mails.state().waiting) and time.monotonic() < until:
            time.sleep(0.05)
        if waiting:
            raise RuntimeError(f"{waiting} mails were not sent in {MAIL_SECONDS} s")

    def close(self) -> None:
        """Close the database."""
        self._database.close()


@dataclass(frozen=True)
class Times:
    """Hold the milliseconds of the answers of each pair."""

    known: list[float]
    unknown: list[float]

    @property
    def share(self) -> float:
        """Return the share of pairs in which the known address took longer; a tie counts as half."""
        pairs = list(zip(self.known, self.unknown, strict=True))
        return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)

    @property
    def side(self) -> int:
        """Return 0 near a half, 1 if the known address took longer, and -1 if the unknown one did."""
        deviation = self.share - 0.5
        return (deviation > MAX_DEVIATION) - (deviation < -MAX_DEVIATION)


def measure(port: int, row: Row, addresses: Addresses, pairs: int) -> Times:
    """Send the pairs, one request after the other."""
    warm = pairs // 10
    known = addresses.make(row.known, pairs + warm)
    times: Mapping[bool, list[float]] = {True: [], False: []}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        for email in known:
            both = [(True, email), (False, addresses.unknown())]
            random.shuffle(both)
            for is_known, account in both:
                time.sleep(GAP_SECONDS)
                started = time.perf_counter()
                status = row.send(connection, account)
                times[is_known].append((time.perf_counter() - started) * 1e3)
                if status != row.status:
                    raise RuntimeError(f"{row.name}: {status}, not {row.status}")
    return Times(times[True][warm:], times[False][warm:])


# The server and its databases


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder)}/enumeration.db"


@contextmanager
def _postgresql() -> Iterator[str]:
    name = f"authguard_bench_{secrets.token_hex(6)}"
    engine = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield POSTGRES.rpartition("/")[0] + "/" + name
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


DATABASES = {"SQLite": _sqlite, "PostgreSQL": _postgresql}


@contextmanager
def _serving(url: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.enumeration", "--serve", url, "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def run(rounds: int) -> Findings:
    """Measure all rows, for `make bench`.

    Args:
        rounds: pairs for each row.
    """
    return compare(rounds)[0]


def compare(pairs: int, databases: Iterable[str] = DATABASES, only: str = "") -> tuple[Findings, list[str]]:
    """Measure each row; measure a row outside the bounds again with new addresses.

    Args:
        pairs: for each row.
        databases: their names.
        only: a part of the names of the rows to measure.

    Returns:
        The table, and the rows that are outside on the same side twice.
    """
    findings, faults = Findings(), []
    table = findings.table(
        "Known and unknown addresses",
        f"Milliseconds of an answer, medians of {pairs} pairs in random order. *P* is the share of pairs in which the known address "
        f"took longer: a half tells a caller nothing. Its standard error is {0.5 / math.sqrt(pairs):.3f}, so that chance alone "
        f"puts one row of twelve outside of 0.5 ± {MAX_DEVIATION} with {PAIRS} pairs. Such a row is measured again with new addresses, and "
        "is a fault if it is outside on the same side twice.",
        "database", "request", "known", "unknown", "P(known > unknown)", "",
    )  # fmt: skip
    for database in databases:
        with ExitStack() as stack:
            url = stack.enter_context(DATABASES[database]())
            upgrade(url)
            addresses = stack.enter_context(closing(Addresses(url)))
            port = stack.enter_context(_serving(url))
            for row in ROWS:
                if only not in row.name:
                    continue
                sides = []
                for _ in range(2):
                    addresses.wait_for_mails()
                    times = measure(port, row, addresses, pairs)
                    sides.append(times.side)
                    medians = [f"{statistics.median(taken):.2f}" for taken in (times.known, times.unknown)]
                    verdict = "outside" if times.side else "within"
                    table.add(database, row.name, *medians, f"{times.share:.3f}", verdict)
                    if not times.side:
                        break
                if sides in ([1, 1], [-1, -1]):
                    faults.append(f"{database}, {row.name}")
    return findings, faults


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.enumeration", description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"of requests for each row ({PAIRS})")
    parser.add_argument(
        "--database", choices=DATABASES, action="append", help="one of them; both if not given"
    )
    parser.add_argument("--only", default="", help="a part of the names of the rows to measure")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.port)
        return
    print(f"Python {platform.python_version()}, {machine()}")
    _, faults = compare(arguments.pairs, arguments.database or DATABASES, arguments.only)
    for fault in faults:
        print(f"outside of 0.5 ± {MAX_DEVIATION} twice: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
