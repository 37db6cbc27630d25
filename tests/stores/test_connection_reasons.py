"""A connection that PostgreSQL or libpq refuses has a reason with the remedy, from both kinds of code."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from authguard.errors import VerificationUnavailableError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.storage.database import Database
from authguard.stores import PostgresStore
from authguard.stores.sql.reasons import driver_reason
from own_postgres import own_postgres

pytestmark = pytest.mark.slow  # it starts a server of its own

_PASSWORD = "s3cret"
_STATEMENTS = (
    f"CREATE ROLE with_password LOGIN PASSWORD '{_PASSWORD}'",
    "CREATE ROLE nobody NOLOGIN",
    "CREATE ROLE app LOGIN",
    "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0",
    "CREATE DATABASE crowd CONNECTION LIMIT 0",
    "CREATE DATABASE closed ALLOW_CONNECTIONS false",
    "CREATE DATABASE private",
    "REVOKE CONNECT ON DATABASE private FROM PUBLIC",
)
_HBA = """
host all with_password all scram-sha-256
host rejected all all reject
host no_entry all 192.0.2.1/32 trust
host postgres,crowd,closed,private all all trust
"""
INVALID = "the value of {} in the URL is invalid"
LIMIT = "the user or the database of the URL has as many connections as it may; raise its CONNECTION LIMIT"
NO_TLS = "the server has no TLS, which sslmode in the URL requires; switch TLS on, or change sslmode"
KIND = "no server of the URL is of the kind in target_session_attrs"
SETTING = "the server refuses a setting in the URL; correct `options`"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Run a server with roles and databases that refuse; yield its host and port."""
    with own_postgres() as server:
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
            for statement in _STATEMENTS:
                connection.execute(statement)  # type: ignore[call-overload]
        (server.folder / "data" / "pg_hba.conf").write_text(_HBA)
        server.restart()
        yield f"127.0.0.1:{server.port}"


def by_store(url: str) -> str:
    """Return the reason of a store."""
    store = PostgresStore(url)
    with contextlib.closing(store), pytest.raises(VerificationUnavailableError) as raised:
        store.revocations.check()
    return str(raised.value.reason)


def by_service(url: str) -> str:
    """Return the reason of the service's database."""
    database = Database(url)
    with contextlib.closing(database), pytest.raises(StoreUnavailableError) as raised, database.read():
        pass
    return str(raised.value.reason)


@pytest.mark.parametrize("reason_of", [by_store, by_service])
@pytest.mark.parametrize(
    ("user", "rest", "reason"),
    [
        ("with_password", "/postgres", "the server requires a password, and the URL has none"),
        ("with_password:s3cretx", "/postgres", "the server refuses the user or the password of the URL"),
        ("nobody:s3cret", "/postgres", "the user of the URL may not log in: ALTER ROLE … LOGIN"),
        ("app:s3cret", "/rejected", "the server does not let this host or user in; see its pg_hba.conf"),
        ("app:s3cret", "/no_entry", "the server does not let this host or user in; see its pg_hba.conf"),
        ("app", "/private", "the user of the URL may not connect to its database: GRANT CONNECT"),
        ("crowded", "/postgres", LIMIT),
        ("app", "/crowd", LIMIT),
        ("app", "/closed", "the database accepts no connections: ALTER DATABASE … ALLOW_CONNECTIONS true"),
        ("app:s3cret", "/postgres?sslmode=require", NO_TLS),
        ("app:s3cret", "/postgres?sslmode=s3cret", INVALID.format("sslmode")),
        ("app", "/postgres?sslmode=verify-full&sslrootcert=/s3cret.pem", NO_TLS),
        ("app", "/postgres?target_session_attrs=standby", KIND),
        ("app", "/postgres?target_session_attrs=read-only", KIND),
        ("app", "/postgres?target_session_attrs=s3cret", INVALID.format("target_session_attrs")),
        ("app", "/postgres?options=-c%20s3cret%3D1", SETTING),
        ("app", "/postgres?options=-c%20work_mem%3Ds3cret", SETTING),
        ("app", "/postgres?options=-c%20fsync%3Doff", SETTING),
        ("app", "/postgres?options=-c%20log_statement%3Dall", SETTING),
        ("app", "/postgres?channel_binding=require", "channel_binding or require_auth"),
        ("app", "/postgres?service=s3cret", "the service in the URL is in no file of services of libpq"),
        ("app", "/postgres?host=/s3cret", "no server listens at the socket of the URL"),
    ],
)
def test_a_refused_connection_names_the_remedy(
    address: str, user: str, rest: str, reason: str, reason_of: Callable[[str], str]
) -> None:
    """The reason of a refused connection has the remedy, and nothing of the URL."""
    host = "" if "host=" in rest else address
    told = reason_of(f"postgresql://{user}@{host}{rest}")
    assert reason in told and "OperationalError" not in told
    assert _PASSWORD not in told.partition(": ")[2]


@pytest.fixture(scope="module")
def address_with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run a server with a certificate for another host; yield its host and port, and the certificate."""
    certificate = tmp_path_factory.mktemp("tls") / "server.crt"
    with own_postgres() as server:
        data = server.folder / "data"
        names = ["-subj", "/CN=other.example", "-out", "server.crt", "-keyout", "server.key"]
        subprocess.run(
            ["openssl", "req", "-new", "-x509", "-days", "3", "-nodes", *names],
            cwd=data, check=True, capture_output=True,
        )  # fmt: skip
        owner = data.stat()
        for name in ("server.crt", "server.key"):
            (data / name).chmod(0o600)
            with contextlib.suppress(PermissionError):
                os.chown(data / name, owner.st_uid, owner.st_gid)
        certificate.write_bytes((data / "server.crt").read_bytes())
        with (data / "postgresql.conf").open("a") as file:
            file.write("\nssl = on\n")
        server.restart()
        yield f"127.0.0.1:{server.port}", certificate


def test_a_certificate_that_is_not_trusted(address_with_tls: tuple[str, Path]) -> None:
    """The reason names a missing, another and a foreign root certificate, and another host."""
    address, certificate = address_with_tls
    at = f"postgresql://postgres@{address}/postgres?sslmode=verify-full&sslrootcert="
    assert "the file of sslrootcert cannot be read; correct its path" in by_service(f"{at}/s3cret.pem")
    assert "another host than that of the URL" in by_service(f"{at}{certificate}")
    assert "the certificate of the server is not trusted" in by_store(f"{at}system")


def test_a_host_that_does_not_answer() -> None:
    """The reason of a host that accepts no connection in time names host, port and firewalls."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://ann:s3cret@127.0.0.1:{silent.getsockname()[1]}/app"
        assert "does not answer in time; check the host and port of the URL" in by_store(url)


@pytest.mark.parametrize("text", ["Connection timed out", "No route to host", "Network is unreachable"])
def test_a_host_that_cannot_be_reached(text: str) -> None:
    """The texts of the operating system about such hosts have the same reason."""
    error = psycopg.OperationalError(f'connection to server at "192.0.2.1", port 5432 failed: {text}')
    assert driver_reason(error).startswith("the server does not answer in time; check the host and port")


def test_a_text_in_another_language_is_the_class_of_the_error() -> None:
    """An unknown text, such as one in another language, is replaced by the name of the error's class."""
    error = psycopg.OperationalError("FATAL:  Rolle »s3cret« existiert nicht")
    assert driver_reason(error) == "OperationalError"
