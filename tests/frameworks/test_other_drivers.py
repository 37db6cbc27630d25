"""An outage of MySQL, MariaDB or MongoDB behind a callback is a 503 with the exception of the driver."""

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import pytest

from frameworks.support import need
from ports import free_port

need("pymysql", "mysql", "pymongo")

import mysql.connector
import pymongo
import pymysql
from starlette.applications import Starlette
from starlette.testclient import TestClient

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token
from support import SECRET

pytestmark = pytest.mark.frameworks

HERE = "127.0.0.1"
MARIADB = 3306


def has_mariadb() -> bool:
    """Return whether a server of MariaDB accepts root without a password."""
    with contextlib.suppress(pymysql.err.MySQLError):
        pymysql.connect(host=HERE, port=MARIADB, user="root", connect_timeout=1).close()
        return True
    return False


with_mariadb = pytest.mark.skipif(
    not has_mariadb(), reason="no MariaDB on 127.0.0.1:3306 for root without a password"
)


def by_pymysql(**options: Any) -> Any:
    return pymysql.connect(**{"host": HERE, "port": MARIADB, "user": "root", **options})


def by_connector(**options: Any) -> Any:
    return mysql.connector.connect(**{"host": HERE, "port": MARIADB, "user": "root", **options})


def ask_mongo(**_: Any) -> None:
    """Ask a server of MongoDB that does not listen."""
    with pymongo.MongoClient(HERE, free_port(), serverSelectionTimeoutMS=100) as client:
        client.shop.users.find_one()


def ask_after_kill(connect: Callable[..., Any]) -> None:
    """Send a statement by a connection that the server has closed."""
    with contextlib.closing(connect()) as lost, contextlib.closing(by_pymysql()) as other:
        [number] = _rows(lost, "SELECT CONNECTION_ID()")[0]
        other.cursor().execute(f"KILL {number}")
        _rows(lost, "SELECT 1")


def ask_when_closed() -> None:
    """Send a statement by a connection that the program has closed."""
    connection = by_pymysql()
    connection.close()
    connection.cursor().execute("SELECT 1")


def _rows(connection: Any, statement: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(statement)
    return cursor.fetchall()


def answer(ask: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> tuple[int, str]:
    """Return the status of a request whose user loader asks the database, and the warning."""

    def load_user(_: Any) -> None:
        ask()

    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    guard = Guard(verifier, protected_paths=["/"], user_loader=load_user)
    client = TestClient(AuthGuardMiddleware(Starlette(), guard=guard))
    with caplog.at_level(logging.WARNING, "authguard"):
        status = client.get("/", headers={"authorization": f"Bearer {issue_token(SECRET)}"}).status_code
    return status, " ".join(record.getMessage() for record in caplog.records if record.name == "authguard")


OUTAGES: dict[str, tuple[Callable[[], Any], str]] = {
    "pymysql, no server": (
        lambda: by_pymysql(port=free_port()),
        "pymysql.err.OperationalError (error 2003)",
    ),
    "connector, no server": (
        lambda: by_connector(port=free_port()),
        "mysql.connector.errors.InterfaceError (error 2003)",
    ),
    "pymongo, no server": (ask_mongo, "pymongo.errors.ServerSelectionTimeoutError"),
}
OUTAGES_OF_MARIADB: dict[str, tuple[Callable[[], Any], str]] = {
    "pymysql, password": (lambda: by_pymysql(password="hidden-word"), "error 1045"),
    "connector, password": (lambda: by_connector(password="hidden-word"), "error 1045"),
    "pymysql, database": (lambda: by_pymysql(database="no_such_database"), "error 1049"),
    "connector, database": (lambda: by_connector(database="no_such_database"), "error 1049"),
    "pymysql, lost": (lambda: ask_after_kill(by_pymysql), "OperationalError (error 2013)"),
    "connector, lost": (lambda: ask_after_kill(by_connector), "mysql.connector.errors.OperationalError"),
    "pymysql, closed": (ask_when_closed, "pymysql.err.InterfaceError"),
}
MISTAKES: dict[str, Callable[[], Any]] = {
    "a table": lambda: _rows(by_pymysql(database="test"), "SELECT * FROM no_such_table"),
    "a column": lambda: _rows(by_pymysql(database="mysql"), "SELECT no_such_column FROM user"),
    "a statement": lambda: _rows(by_connector(), "SELEC 1"),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_a_server_that_does_not_listen_is_an_outage(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is 503, and the warning names the loader and the exception."""
    ask, reason = OUTAGES[name]
    status, warning = answer(ask, caplog)
    assert status == 503
    assert "load_user raised" in warning and reason in warning


@with_mariadb
@pytest.mark.parametrize("name", OUTAGES_OF_MARIADB)
def test_a_refusal_or_a_loss_of_the_server_is_an_outage(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is 503, and the warning has the number of the server, and not its text."""
    ask, reason = OUTAGES_OF_MARIADB[name]
    status, warning = answer(ask, caplog)
    assert status == 503 and reason in warning
    assert "hidden-word" not in warning and "no_such_database" not in warning


@with_mariadb
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_statement_is_no_outage(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is 500, because the same statement would fail at the next request."""
    assert answer(MISTAKES[name], caplog)[0] == 500
