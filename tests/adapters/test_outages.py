"""An outage of a callback is a 503, regardless of the exception that reports it; a bug is a 500."""

import asyncio
import concurrent.futures
import contextlib
import errno
import functools
import json
import logging
import secrets
import socket
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
import sqlalchemy
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.connections import TEXT, Clock, Server, Verdicts, open_, run
from adapters.faces import ASGI, DECORATED, WSGI, ask_asgi, ask_wsgi
from authguard import (
    APIKey,
    APIKeyVerifier,
    DPoP,
    Guard,
    JWTVerifier,
    Principal,
    VerificationUnavailableError,
)
from authguard._core.answer.denials import as_refused
from authguard.errors import InvalidTokenError, UnexpectedError
from authguard.testing import issue_token
from ports import free_port
from support import ec_key, jwk, make_proof, thumbprint

NOW = 1_800_000_000.0
SECRET = secrets.token_urlsafe(40)
KEY = "sk_live_" + secrets.token_urlsafe(32)
TOKEN = issue_token(SECRET, now=NOW)
AUTHORIZATION = [("Authorization", f"Bearer {TOKEN}".encode())]
BY_KEY = [("X-API-Key", KEY.encode())]

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


class StoreError(Exception):
    """An exception by which a library reports an outage."""

    sqlstate: str | None = None


class StoreGroup(ExceptionGroup[Exception]):
    """An exception by which a library reports several errors."""


def chained(error: Exception, cause: BaseException | None, *, implicit: bool = False) -> Exception:
    """Return the error with another one as its cause, or as its context."""
    if implicit:
        error.__context__ = cause
    else:
        error.__cause__ = cause
    return error


def real_redis_error() -> Exception:
    """Return the error of redis-py for a closed port."""
    with pytest.raises(redis.exceptions.ConnectionError) as caught:
        redis.Redis(host="127.0.0.1", port=free_port(), retry=Retry(NoBackoff(), 0)).get("x")
    return caught.value


def real_httpx_error() -> Exception:
    """Return the error of httpx for a closed port."""
    with pytest.raises(httpx.ConnectError) as caught:
        httpx.get(f"http://127.0.0.1:{free_port()}/")
    return caught.value


def real_postgres_error(kind: type[Exception], connect: Any) -> Exception:
    """Return the error of a driver for PostgreSQL for a closed port."""
    with pytest.raises(kind) as caught:
        connect(f"postgresql://127.0.0.1:{free_port()}/x")
    return caught.value


def sqlalchemy_connect(url: str) -> None:
    """Connect by SQLAlchemy."""
    sqlalchemy.create_engine(url.replace("://", "+psycopg://")).connect()


def real_statement_error() -> Exception:
    """Return the error of SQLite for a missing table, whose class is that of outages in other databases."""
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.OperationalError) as caught:
        connection.exec_driver_sql("SELECT * FROM nowhere")
    engine.dispose()
    return caught.value


def real_lost_connection() -> Exception:
    """Return the error of SQLAlchemy for a lost connection, by a driver without such an exception."""
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.ProgrammingError) as caught:
        connection.connection.dbapi_connection.close()
        connection.exec_driver_sql("SELECT 1")
    engine.dispose()
    return caught.value


def real_sqlite_error(path: Path, connect: Any) -> Exception:
    """Return the error of a driver for a file that another process has locked."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Exception, match="locked") as caught:
            connect(path)
    return caught.value


def sqlite_connect(path: Path) -> None:
    """Read a file by the driver of Python."""
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("SELECT * FROM sqlite_master")


def sqlite_by_sqlalchemy(path: Path) -> None:
    """Read a file by SQLAlchemy."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM sqlite_master")
    finally:
        engine.dispose()


def with_sqlite_name(name: object) -> StoreError:
    """Return an error with the name of a code of SQLite."""
    error = StoreError("disk I/O error")
    error.sqlite_errorname = name  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("connect", [sqlite_connect, sqlite_by_sqlalchemy])
def test_a_file_of_sqlite_that_is_locked(connect: Any, tmp_path: Path) -> None:
    """A locked file is an outage, and the reason has the name of the code."""
    refused = as_refused(real_sqlite_error(tmp_path / "app.db", connect))
    assert type(refused) is VerificationUnavailableError
    assert refused.reason.endswith("sqlite3.OperationalError (SQLITE_BUSY)")


@pytest.mark.parametrize("name", ["SQLITE_BUSY\n", "SQLITE_BUSY secret"])
def test_a_name_of_another_form_is_not_shown(name: str) -> None:
    """A name of another form is not in the reason, since it could contain a secret or a line break."""
    assert as_refused(with_sqlite_name(name)).reason.endswith("StoreError")


def with_sqlstate(sqlstate: str | None) -> StoreError:
    """Return an error of asyncpg, whose exceptions share no class with those of psycopg."""
    error = StoreError("terminating connection")
    error.sqlstate = sqlstate
    return error


OUTAGES: dict[str, Any] = {
    "ConnectionError": lambda: ConnectionError("away"),
    "ConnectionRefusedError": lambda: ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    "ConnectionResetError": ConnectionResetError,
    "ConnectionAbortedError": ConnectionAbortedError,
    "BrokenPipeError": BrokenPipeError,
    "TimeoutError": TimeoutError,
    "asyncio.TimeoutError": asyncio.TimeoutError,
    "concurrent.futures.TimeoutError": concurrent.futures.TimeoutError,
    "socket.gaierror": lambda: socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "no route": lambda: OSError(errno.EHOSTUNREACH, "No route to host"),
    "no network": lambda: OSError(errno.ENETUNREACH, "Network is unreachable"),
    "redis": real_redis_error,
    "psycopg": lambda: real_postgres_error(psycopg.OperationalError, psycopg.connect),
    "SQLAlchemy with psycopg": lambda: real_postgres_error(
        sqlalchemy.exc.OperationalError, sqlalchemy_connect
    ),
    "SQLAlchemy, connection lost": real_lost_connection,
    "asyncpg, the server stops": lambda: with_sqlstate("57P01"),
    "asyncpg, connection lost": lambda: with_sqlstate("08003"),
    "asyncpg, too many connections": lambda: with_sqlstate("53300"),
    "asyncpg, no such database": lambda: with_sqlstate("3D000"),
    "asyncpg, wrong password": lambda: with_sqlstate("28P01"),
    "asyncpg, deadlock": lambda: with_sqlstate("40P01"),
    "asyncpg, a lock is not available": lambda: with_sqlstate("55P03"),
    "SQLAlchemy with asyncpg": lambda: chained(StoreError("x"), with_sqlstate("57P01")),
    "SQLite, disk full": lambda: with_sqlite_name("SQLITE_FULL"),
    "SQLite, damaged file": lambda: chained(StoreError("x"), with_sqlite_name("SQLITE_CORRUPT_INDEX")),
    "SQLite, unreadable disk": lambda: with_sqlite_name("SQLITE_IOERR_READ"),
    "redis, closed": lambda: redis.exceptions.ConnectionError("Connection closed by server."),
    "redis, too slow": lambda: redis.exceptions.TimeoutError("Timeout reading from socket"),
    "httpx": real_httpx_error,
    "wrapped": lambda: chained(StoreError("x"), ConnectionError("y")),
    "wrapped twice": lambda: chained(StoreError("x"), chained(StoreError("y"), TimeoutError())),
    "wrapped without saying so": lambda: chained(StoreError("x"), ConnectionError("y"), implicit=True),
    "wrapped by a built-in exception": lambda: chained(RuntimeError("x"), ConnectionError("y")),
    "in a group": lambda: ExceptionGroup("x", [ConnectionError("y"), StoreGroup("z", [TimeoutError()])]),
    "wrapped and hidden": lambda: hidden(StoreError("x"), ConnectionError("y")),
}
BUGS: dict[str, Any] = {
    "TypeError": lambda: TypeError("x"),
    "KeyError": lambda: KeyError("x"),
    "a mistake in a statement": lambda: real_statement_error(),  # noqa: PLW0108  # defined below
    "a file that is not there": lambda: FileNotFoundError(errno.ENOENT, "No such file or directory"),
    "a file that may not be read": lambda: PermissionError(errno.EACCES, "Permission denied"),
    "asyncpg, no such table": lambda: with_sqlstate("42P01"),
    "asyncpg, without a SQLSTATE": lambda: with_sqlstate(None),
    "SQLite, a constraint": lambda: with_sqlite_name("SQLITE_CONSTRAINT_UNIQUE"),
    "SQLite, another attribute": lambda: with_sqlite_name(5),
    "an error of a library": lambda: StoreError("x"),
    "an error of a library, caused by a bug": lambda: chained(StoreError("x"), TypeError("y")),
    "a bug while an outage is handled": lambda: chained(NameError("x"), ConnectionError("y"), implicit=True),
    "a bug beside an outage": lambda: ExceptionGroup("x", [ConnectionError("y"), TypeError("z")]),
    "a circle": lambda: circle(),  # noqa: PLW0108  # defined below
}


def hidden(error: Exception, context: Exception) -> Exception:
    """Return the error with a context that `raise error from None` has hidden."""
    error.__context__ = context
    error.__suppress_context__ = True
    return error


def circle() -> Exception:
    """Return one of two exceptions that are each other's cause."""
    first, other = StoreError("x"), StoreError("y")
    first.__cause__, other.__cause__ = other, first
    return first


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_is_recognised(name: str) -> None:
    """An outage is recognised by its class, by the name of the class or code, or by its cause."""
    raised = OUTAGES[name]()
    refused = as_refused(raised)
    assert type(refused) is VerificationUnavailableError
    assert refused.__cause__ is raised


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_no_outage(name: str) -> None:
    """A bug is no outage, for which clients would repeat the request."""
    raised = BUGS[name]()
    refused = as_refused(raised)
    assert type(refused) is UnexpectedError
    assert refused.__cause__ is raised


def test_a_refusal_stays_what_it_is() -> None:
    """A refusal that was raised because of an outage stays a refusal."""
    refused = chained(InvalidTokenError("x"), ConnectionError("y"))
    assert as_refused(refused) is refused


def test_the_reason_names_what_was_raised_and_why() -> None:
    """The reason has the message of the operating system, and not that of the library."""
    outage = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    reason = as_refused(chained(StoreError("a secret"), outage)).reason
    assert reason == (
        "a callback or verifier raised adapters.test_outages.StoreError from ConnectionRefusedError "
        f"([Errno {errno.ECONNREFUSED}] Connection refused)"
    )
    assert as_refused(ConnectionError("a secret")).reason == "a callback or verifier raised ConnectionError"


@pytest.mark.parametrize(
    ("sqlstate", "end"), [("57P01", "StoreError (SQLSTATE 57P01)"), ("57P01\n", "StoreError")]
)
def test_the_reason_names_the_sqlstate(sqlstate: str, end: str) -> None:
    """The reason has a SQLSTATE of five characters, and no other value of it."""
    assert as_refused(with_sqlstate(sqlstate)).reason.endswith(end)


class Custom:
    """A verifier of an application."""

    def __init__(self, verify: Any) -> None:
        self.verify = verify


class Store:
    """Revocations of an application."""

    def __init__(self, is_revoked: Any, *, in_memory: bool = False) -> None:
        self.is_revoked = is_revoked
        self.in_memory = in_memory


class KeyStore:
    """A store of keys that fails when it is asked for a key, or when it checks for changes."""

    def __init__(self, fail: Any, *, when: str) -> None:
        self._fail, self._when = fail, when

    def is_due(self, now: float) -> bool:
        return True

    def refresh(self, now: float) -> None:
        if self._when == "refresh":
            self._fail()

    def find(self, digest: str, now: float) -> tuple[APIKey | None, float]:
        return self._fail() if self._when == "find" else (APIKey("robot"), now)


def verifier() -> JWTVerifier:
    """Return a verifier for TOKEN."""
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)


def places(fail: Any, **rules: Any) -> dict[str, tuple[Guard, Any]]:
    """Return a guard for each place of a callback, and the fields of a request to it."""

    def plain(*arguments: Any) -> Any:  # an in-memory callback is never awaited
        return fail(*arguments)

    return {
        "verifier": (Guard(Custom(fail), **rules), AUTHORIZATION),
        "loader": (Guard(verifier(), user_loader=fail, **rules), AUTHORIZATION),
        "revocations": (Guard(verifier(), revocations=Store(fail), **rules), AUTHORIZATION),
        "memory": (Guard(verifier(), revocations=Store(plain, in_memory=True), **rules), AUTHORIZATION),
        "function": (Guard(APIKeyVerifier(fail), **rules), BY_KEY),
        "refresh": (Guard(APIKeyVerifier(KeyStore(fail, when="refresh")), **rules), BY_KEY),
        "find": (Guard(APIKeyVerifier(KeyStore(fail, when="find")), **rules), BY_KEY),
    }


PLACES = list(places(lambda *_: None))
#: The name of the callback in the log, for each place.
FAIL = "adapters.test_outages.failing.<locals>.fail"
SOURCES = {
    "verifier": f"verifier {FAIL}",
    "loader": f"user_loader {FAIL}",
    "revocations": f"revocations {FAIL}",
    "memory": "revocations adapters.test_outages.places.<locals>.plain",
    "function": f"keys {FAIL}",
    "refresh": "keys adapters.test_outages.KeyStore",
    "find": "keys adapters.test_outages.KeyStore",
}


def failing(name: str, *, coroutine: bool = False) -> Any:
    """Return a callback that raises."""

    def fail(*_: Any) -> Any:
        make = (OUTAGES | BUGS)[name]
        raise make()

    async def later(*_: Any) -> Any:
        await asyncio.sleep(0)
        fail()

    return later if coroutine else fail


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES])
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    return lambda guard, fields, path="/private", method="GET": ask(
        make(guard, lambda: NOW), method, path, fields
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["ConnectionRefusedError", "TimeoutError", "redis, closed", "wrapped"])
def test_an_outage_of_a_callback_is_503(face: Any, place: str, name: str, caplog: Any) -> None:
    """The answer has `Retry-After`, and one warning has the reason without the token or key."""
    guard, fields = places(failing(name))[place]
    answer = face(guard, fields)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "www-authenticate" not in answer.headers
    assert json.loads(answer.body)["code"] == "unavailable"
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert record.levelno == logging.WARNING
    assert f"{SOURCES[place]} raised " in record.getMessage()
    assert TOKEN not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("place", ["verifier", "loader", "revocations", "function"])
def test_an_outage_of_a_coroutine_is_503(face: Any, place: str) -> None:
    """An outage of a coroutine function is a 503."""
    guard, fields = places(failing("ConnectionError", coroutine=True))[place]
    assert face(guard, fields).status == 503


@pytest.mark.parametrize("place", PLACES)
def test_the_log_names_the_callback_of_a_bug(face: Any, place: str, caplog: Any) -> None:
    """The log has the option and the name of the callback."""
    guard, fields = places(failing("TypeError"))[place]
    face(guard, fields)
    assert f"{SOURCES[place]} raised" in caplog.records[0].getMessage()


def test_the_log_names_a_callback_of_a_known_caller(face: Any, caplog: Any) -> None:
    """The log has the same names for a remembered caller."""
    errors: list[Exception] = []

    def load(principal: Principal) -> Principal:
        if errors:
            raise errors[0]
        return principal

    guard = Guard(verifier(), user_loader=load)
    assert face(guard, AUTHORIZATION).status == 200
    errors.append(ConnectionResetError())
    assert face(guard, AUTHORIZATION).status == 503
    name = "test_the_log_names_a_callback_of_a_known_caller.<locals>.load"
    assert f"user_loader adapters.test_outages.{name} raised ConnectionResetError" in caplog.text


def test_the_log_names_the_function_of_proofs_and_of_issuers(face: Any, caplog: Any) -> None:
    """The log has the names of callbacks of a proof and of an issuer."""
    token = issue_token(SECRET, now=NOW, cnf={"jkt": thumbprint(jwk(ec_key()))})
    proof = make_proof(token, htu="https://api.example/private")
    guard = Guard(verifier(), proofs=[DPoP("https://api.example", replays=failing("ConnectionError"))])
    face(guard, [("Authorization", f"DPoP {token}".encode()), ("DPoP", proof.encode())])
    by_issuer = JWTVerifier(SECRET, algorithms=["HS256"], issuer=failing("ConnectionError"), audience=None)
    of_an_issuer = issue_token(SECRET, now=NOW, iss="https://a.example")
    face(Guard(by_issuer), [("Authorization", f"Bearer {of_an_issuer}".encode())])
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(": ")[2] for line in lines] == [
        f"replays {FAIL} raised ConnectionError",
        f"issuer {FAIL} raised ConnectionError",
    ]


def test_the_log_names_the_choice_of_a_verifier(face: Any, caplog: Any) -> None:
    """The log has the name of the `accepts` of a verifier."""
    custom: Any = Custom(failing("ConnectionError"))
    custom.accepts = failing("ConnectionError")
    assert face(Guard(custom), AUTHORIZATION).status == 503
    assert f"verifier {FAIL} raised ConnectionError" in caplog.text


def test_the_log_names_a_class_and_a_partial(face: Any, caplog: Any) -> None:
    """A callable object is named by its class, and a partial by its function."""

    class Loader:
        def __call__(self, principal: Principal) -> str:
            raise ConnectionError

    face(Guard(verifier(), user_loader=Loader()), AUTHORIZATION)
    face(Guard(verifier(), user_loader=functools.partial(failing("ConnectionError"))), AUTHORIZATION)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith(".<locals>.Loader raised ConnectionError")
    assert second.endswith(f"user_loader {FAIL} raised ConnectionError")


@pytest.mark.parametrize("place", PLACES)
def test_a_bug_of_a_callback_is_500(face: Any, place: str) -> None:
    """A bug of a callback is a 500 on protected and on public paths."""
    guard, fields = places(failing("TypeError"))[place]
    assert face(guard, fields).status == 500
    guard, fields = places(failing("TypeError"), public_paths=["/public"])[place]
    assert face(guard, fields, "/public").status == 500


@pytest.mark.parametrize("place", PLACES)
def test_an_outage_of_a_callback_does_not_close_public_pages(face: Any, place: str) -> None:
    """A public path is open during an outage, with an anonymous caller."""
    guard, fields = places(failing("ConnectionError"), public_paths=["/public"])[place]
    answer = face(guard, fields, "/public")
    assert (answer.status, answer.body) == (200, b"")


def test_an_outage_of_on_error_is_503(face: Any) -> None:
    """An outage of `on_error` is a 503, and a bug of it is a 500."""
    assert face(Guard(verifier(), on_error=failing("ConnectionError")), []).status == 503
    assert face(Guard(verifier(), on_error=failing("TypeError")), []).status == 500


@pytest.mark.parametrize("name", ["ConnectionError", "TypeError"])
def test_the_log_names_on_error(face: Any, name: str, caplog: Any) -> None:
    """The log has `on_error` as the failed callback, and no verifier."""
    face(Guard(verifier(), on_error=failing(name)), [])
    (record,) = caplog.records
    assert f"on_error {FAIL} raised" in record.getMessage()


@pytest.mark.parametrize(("name", "status"), [("ConnectionError", 503), ("redis", 503), ("TypeError", 500)])
def test_an_outage_of_a_store_of_proofs_is_503(face: Any, name: str, status: int) -> None:
    """An outage of the store of replays is a 503, and a bug of it is a 500."""
    token = issue_token(SECRET, now=NOW, cnf={"jkt": thumbprint(jwk(ec_key()))})
    proof = make_proof(token, htu="https://api.example/private")
    guard = Guard(verifier(), proofs=[DPoP("https://api.example", replays=failing(name))])
    fields = [("Authorization", f"DPoP {token}".encode()), ("DPoP", proof.encode())]
    assert face(guard, fields).status == status


@pytest.mark.parametrize("framework", DECORATED)
@pytest.mark.parametrize(("name", "status"), [("ConnectionError", 503), ("TypeError", 500)])
def test_a_decorated_open_route_says_the_same(framework: str, name: str, status: int) -> None:
    """A decorated route on a public path has the same status as a protected path."""
    make, ask = DECORATED[framework]
    guard = Guard(verifier(), user_loader=failing(name), public_paths=["/route"])
    answer = ask(make(guard, lambda: NOW, {}), "GET", "/route", AUTHORIZATION)
    assert answer.status == status
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_known_caller_meets_the_outage(face: Any) -> None:
    """A remembered caller gets a 503 if the revocations have an outage."""
    errors: list[Exception] = []

    def is_revoked(principal: Principal) -> bool:
        if errors:
            raise errors[0]
        return False

    guard = Guard(verifier(), revocations=Store(is_revoked, in_memory=True))
    assert [face(guard, AUTHORIZATION).status for _ in range(2)] == [200, 200]
    errors.append(ConnectionResetError())
    assert face(guard, AUTHORIZATION).status == 503


HANDSHAKE = {"path": "/private", "extensions": {"websocket.http.response": {}}}


@pytest.mark.parametrize(
    ("name", "status"),
    [("ConnectionError", 503), ("redis, closed", 503), ("TimeoutError", 503), ("TypeError", 500)],
)
@pytest.mark.parametrize("place", ["verifier", "loader", "revocations", "memory"])
def test_an_outage_at_a_handshake_is_503(place: str, name: str, status: int) -> None:
    """A handshake has the same status as a request."""
    server = Server()
    guard, _ = places(failing(name))[place]
    run(Server().send, server, guard=guard, clock=lambda: NOW, token=TOKEN, **HANDSHAKE)
    assert [message.get("status") for message in server.sent][0] == status


@pytest.mark.parametrize(
    ("name", "code"), [("ConnectionError", 1013), ("redis, closed", 1013), ("TypeError", 1011)]
)
def test_an_outage_ends_an_open_websocket_as_one(name: str, code: int, caplog: Any) -> None:
    """The code that closes an open websocket allows the client to connect again after an outage only."""
    verdicts, clock, server = Verdicts(), Clock(), Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        verdicts.error = (OUTAGES | BUGS)[name]()
        clock.now += 31
        server.incoming.put_nowait(TEXT)
        assert (await receive())["code"] == code

    run(app, server, guard=Guard(verdicts), clock=clock)
    assert server.sent[-1]["code"] == code
    levels = [record.levelno for record in caplog.records if record.name == "authguard"]
    assert levels == [logging.WARNING if code == 1013 else logging.ERROR]
