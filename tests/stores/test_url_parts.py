"""URLs of stores that Python's parser cannot read: its errors contain the password."""

import traceback
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from authguard import ConfigurationError
from authguard.identity.limits.limiter import Limiter
from authguard.identity.mail.mailer import SMTPMailer
from authguard.identity.storage.database import Database
from authguard.identity.storage.revocations import open_store
from authguard.stores import PostgresQuotas, PostgresStore, RedisQuotas, RedisStore

REDIS: list[Any] = [RedisStore, RedisQuotas, Limiter, open_store]
POSTGRES: list[Any] = [PostgresStore, PostgresQuotas, open_store]
EACH = [*product(REDIS, ["redis"]), *product(POSTGRES, ["postgresql"])]
PASSWORDS = [
    "s3[cret",
    "s3]cret",
    "[s3cret",
    "s3cret]",
    "s3[c]ret",
    "[s3cret]",
    "s3][cret",
    "s3\u2100cret",
    "s3\uff0fcret",
    "s3\uff1acret",
    "s3\uff20cret",
    "s3\u2048cret",
    "s3cret@[x",
]


def _text(refused: pytest.ExceptionInfo[Exception]) -> str:
    return "".join(traceback.format_exception(refused.value))


def _shows(text: str) -> bool:
    return any(part in line for line in text.splitlines() if "Error" in line for part in ("s3", "cret"))


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    ("make", "scheme"), [*product(REDIS, ["redis", "rediss"]), *product(POSTGRES, ["postgresql", "postgres"])]
)
def test_a_password_that_no_parser_reads_is_refused_without_it(make: Any, scheme: str, password: str) -> None:
    """The error lists the characters that must be percent-encoded, and has no part of the password."""
    with pytest.raises(ConfigurationError, match=r"%5B for \[, %5D for \]") as refused:
        make(f"{scheme}://ann:{password}@127.0.0.1/0")
    assert refused.value.__cause__ is None
    assert not _shows(_text(refused))


@pytest.mark.parametrize(("make", "scheme"), [*EACH, (Database, "postgresql")])
@pytest.mark.parametrize("surrogate", ["\ud800", "\udcff"])
def test_a_password_that_cannot_be_encoded_is_refused(make: Any, scheme: str, surrogate: str) -> None:
    """A surrogate, as a variable with another encoding may have, is an error without the URL."""
    with pytest.raises(ConfigurationError, match="no control characters") as refused:
        make(f"{scheme}://ann:s3{surrogate}cret@127.0.0.1/0")
    assert not _shows(_text(refused))


PLACEHOLDERS = [
    "${PASSWORD}",
    "${S3_PASSWORD:-none}",
    "{{ s3cret }}",
    "$(cat s3cret)",
    "$DB_S3",
    "<password>",
]


@pytest.mark.parametrize(("make", "scheme"), [*EACH, (Database, "postgresql")])
@pytest.mark.parametrize("password", PLACEHOLDERS)
def test_a_placeholder_for_a_password_is_refused(make: Any, scheme: str, password: str) -> None:
    """A placeholder that no program has replaced is an error without the URL."""
    with pytest.raises(ConfigurationError, match="got text with a placeholder") as refused:
        make(f"{scheme}://ann:{password}@127.0.0.1/0")
    assert not _shows(_text(refused))


@pytest.mark.parametrize(("make", "scheme"), EACH)
def test_a_dollar_in_a_password_is_accepted(make: Any, scheme: str) -> None:
    """A `$` that begins no placeholder is part of a password."""
    for password in ("a$b", "$x", "p$Ab1", "pa$$"):
        make(f"{scheme}://ann:{password}@127.0.0.1/0")


@pytest.mark.parametrize("password", ["s3[cret", "s3]cret", "s3\u2100cret"])
def test_a_mail_server_with_such_a_password(password: str) -> None:
    """The URL of a mail server is refused in the same way."""
    with pytest.raises(ConfigurationError, match=r"%5B for \[") as refused:
        SMTPMailer(f"smtps://ann:{password}@h", sender="a@b.example")
    assert not _shows(_text(refused))


@pytest.mark.parametrize(("make", "scheme"), EACH)
def test_an_address_that_no_parser_reads_is_refused(make: Any, scheme: str) -> None:
    """Without a password, the error has the spelling of a URL."""
    for address in ("[::1", "::1]", "[x]", "\u2100"):
        with pytest.raises(ConfigurationError) as refused:
            make(f"{scheme}://{address}/0")
        assert "password" not in str(refused.value)


@pytest.mark.parametrize("make", [RedisStore, RedisQuotas])
@pytest.mark.parametrize("password", ["s3%5Bcret", "s3%5Dcret", "s3%E2%84%80cret", "s3\xfccret", "s3 cret"])
def test_an_encoded_password_is_accepted(make: Any, password: str) -> None:
    """The spelling of the error is accepted."""
    assert "cret" not in repr(make(f"redis://ann:{password}@127.0.0.1/0"))


@pytest.mark.parametrize("make", [PostgresStore, PostgresQuotas, Database])
@pytest.mark.parametrize("password", ["s3%5Bcret", "s3%5Dcret", "s3%E2%84%80cret"])
def test_an_encoded_password_of_postgresql_is_accepted(make: Any, password: str) -> None:
    """The spelling of the error is accepted."""
    opened = make(f"postgresql://ann:{password}@127.0.0.1/app")
    assert "cret" not in repr(opened)
    if hasattr(opened, "close"):
        opened.close()


@pytest.mark.parametrize("make", REDIS)
@pytest.mark.parametrize("option", ["protocol=9", "protocol=s3cret"])
def test_a_value_that_redis_py_refuses(make: Any, option: str) -> None:
    """An option with an unusable value is an error of the configuration, without the value."""
    with pytest.raises(ConfigurationError) as refused:
        make(f"redis://127.0.0.1/0?{option}")
    assert not _shows(_text(refused))


@pytest.mark.parametrize("name", ["file://[x", "file://\u2100/x", "file://x]"])
def test_a_uri_of_sqlite_that_cannot_be_read(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    """A URI of SQLite without a readable host is refused."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="database must be"):
        Database(f"sqlite:///{name}?uri=true")
    assert list(tmp_path.iterdir()) == []
