"""URLs that no database or store accepts: the error has their scheme, an example, and no password."""

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from authguard.errors import ConfigurationError
from authguard.identity import Settings
from authguard.identity.storage.database import Database
from authguard.identity.storage.revocations import open_store
from authguard.stores import PostgresQuotas, PostgresStore, RedisQuotas, RedisStore
from identity.support import SECRET

pytestmark = pytest.mark.one_database

POSTGRES: list[Callable[[Any], object]] = [PostgresStore, PostgresQuotas]
REDIS: list[Callable[[Any], object]] = [RedisStore, RedisQuotas]


def settings(url: Any) -> Settings:
    return Settings(secret=SECRET, issuer="https://a.example", database=url)


SERVICE: list[Callable[[Any], object]] = [settings, Database]


@pytest.mark.parametrize("make", [*POSTGRES, *SERVICE, open_store])
@pytest.mark.parametrize("driver", ["+asyncpg", "+psycopg2", "+pg8000", "+psycopg_async"])
def test_a_url_of_another_driver_of_postgresql(make: Callable[[Any], object], driver: str) -> None:
    """A URL of another driver of PostgreSQL is refused with the advice to remove the driver."""
    with pytest.raises(ConfigurationError) as refused:
        make(f"postgresql{driver}://ann:s3cret@h/app")
    assert str(refused.value).endswith(
        f"got a URL that begins with postgresql{driver}://: write postgresql://…, without {driver}"
    )


@pytest.mark.parametrize("make", SERVICE)
def test_a_url_of_another_driver_of_sqlite(make: Callable[[Any], object]) -> None:
    """A URL of another driver of SQLite is refused with the advice to remove the driver."""
    with pytest.raises(ConfigurationError, match=re.escape("write sqlite:///…, without +aiosqlite")):
        make("sqlite+aiosqlite:///app.db")


@pytest.mark.parametrize(
    ("makes", "url", "words"),
    [
        (SERVICE, "mysql://ann:s3cret@h/x", "begins with mysql://: write sqlite:///authguard.db"),
        (POSTGRES, "mysql+pymysql://ann:s3cret@h/x", "begins with mysql+pymysql://: write \"postgresql://"),
        (POSTGRES, "host=h password=s3cret dbname=x", 'got other text: write "postgresql://localhost/app"'),
        (POSTGRES, "jdbc:postgresql://h/x?password=s3cret", 'got other text: write "postgresql://'),
        (REDIS, "postgresql://ann:s3cret@h/x", 'begins with postgresql://: write "redis://localhost:6379/0"'),
        (REDIS, "localhost:6379", 'got other text: write "redis://localhost:6379/0"'),
        (REDIS, "'redis://:s3cret@h'", "got text in quotes: leave them out"),
        ([*POSTGRES, *SERVICE], '"postgresql://ann:s3cret@h/x"', "got text in quotes: leave them out"),
        (REDIS, "valkey://:s3cret@h", 'begins with valkey://: write "redis://localhost:6379/0"'),
        ([open_store], "mysql://ann:s3cret@h", "revocations_url must begin with redis://"),
        ([open_store], "redis://ann:s3cret@h:port", "revocations_url: url must be the URL of a Redis server"),
        ([settings], "authguard.db", "got other text: write sqlite:///authguard.db"),
        ([Database], 7, "got int"),
    ],
)  # fmt: skip
def test_another_url_is_refused_with_an_example(makes: Any, url: Any, words: str) -> None:
    """The error about an unknown URL has its scheme, and nothing else of the URL."""
    for make in makes:
        with pytest.raises(ConfigurationError) as refused:
            make(url)
        assert words in str(refused.value)
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("make", [*POSTGRES, *SERVICE])
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_documented_url_is_accepted(make: Callable[[Any], object], scheme: str) -> None:
    """Each documented scheme of PostgreSQL is accepted, also with a schema."""
    opened: Any = make(f"{scheme}://ann@127.0.0.1:1/app?options=-csearch_path%3Dmy")
    if hasattr(opened, "close"):
        opened.close()


@pytest.mark.parametrize(
    ("make", "password"),
    [
        *product([*POSTGRES, Database, open_store], ["s3@cret", "s3@c/ret", "s3/c@ret"]),
        *product([*POSTGRES, open_store], ["s3/cret", "12/s3cret"]),  # SQLAlchemy reads these as intended
    ],
)
def test_a_password_that_is_not_escaped_is_in_no_address(
    make: Callable[[Any], object], password: str
) -> None:
    """A password with unescaped characters is refused, because a parser reads a part of it as the host."""
    with pytest.raises(ConfigurationError) as refused:
        make(f"postgresql://ann:{password}@127.0.0.1/app")
    assert "%40 for @" in str(refused.value) and "%2F for /" in str(refused.value)
    assert "cret" not in str(refused.value) and "s3" not in str(refused.value)


@pytest.mark.parametrize("make", [*POSTGRES, *SERVICE])
def test_an_escaped_password_and_a_socket_are_accepted(make: Callable[[Any], object]) -> None:
    """An escaped password, and a URL with a socket, are accepted."""
    for url in ("postgresql://ann:s3%40c%2Fret@h/app", "postgresql:///app?host=/run/pg&user=ann@example.com"):
        opened: Any = make(url)
        if hasattr(opened, "close"):
            opened.close()


def test_a_wrong_port_is_not_taken_for_a_wrong_driver() -> None:
    """The error about a wrong port does not mention the driver that the service adds to the URL."""
    with pytest.raises(ConfigurationError) as refused:
        Database("postgresql+psycopg://h:port/app")
    assert "without +psycopg" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["redis://:s3/cret@h:6379/0", "redis://:s3cret@h:port/0", "redis://:s3cret@h:6379/cache"]
)
def test_a_store_of_limits_that_cannot_be_read(url: str) -> None:
    """The error about an unreadable `limits_url` has the setting's name, and explains escaped passwords."""
    with pytest.raises(ConfigurationError) as refused:
        Settings(secret=SECRET, issuer="https://a.example", limits_url=url)
    assert str(refused.value).startswith("limits_url must have numbers as port and database, got a URL that")
    assert "%2F for /" in str(refused.value) and "cret" not in str(refused.value)


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite:///file:{}?uri=true"])
def test_a_directory_is_no_file_of_a_database(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The path of a directory is refused, and no line recommends another mode."""
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError) as refused:
        Database(form.format(tmp_path))
    assert str(refused.value).endswith(f"got the directory {tmp_path}")
    assert "chmod" not in caplog.text
