"""URLs with options of other programs, and with characters around them, are refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authguard.errors import ConfigurationError
from authguard.identity import Settings, SQLAPIKeys, SQLRevocations
from authguard.identity.limits import Limiter, check_limits_url
from authguard.identity.storage.database import Database
from authguard.identity.storage.revocations import open_store
from authguard.stores import (
    PostgresQuotas,
    PostgresStore,
    RedisQuotas,
    RedisStore,
    SQLiteQuotas,
    SQLiteStore,
)
from cli.support import invoke, run
from identity.support import SECRET

pytestmark = pytest.mark.one_database

AT = "postgresql://ann:s3cret@127.0.0.1:1/app"
OF_LIBPQ = "must have only options of libpq after `?`, got "


def settings(url: Any) -> Settings:
    return Settings(secret=SECRET, issuer="https://a.example", database=url)


OF_POSTGRESQL: list[Callable[[Any], Any]] = [
    settings, Database, SQLRevocations, SQLAPIKeys, PostgresStore, PostgresQuotas, open_store,
]  # fmt: skip
OF_SQLITE: list[Callable[[Any], Any]] = [settings, Database, SQLRevocations, SQLAPIKeys]


def refusal(make: Callable[[Any], Any], url: Any) -> str:
    """Return the text of the error."""
    with pytest.raises(ConfigurationError) as refused:
        make(url)
    assert "s3cret" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("make", OF_POSTGRESQL)
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("pgbouncer=true", "pgbouncer: leave it out"),
        ("schema=public", "schema: write options=-csearch_path%3D… with the schema"),
        ("ssl=require", "ssl: write sslmode=require"),
        ("ssl=true", "ssl: write sslmode=require"),
        ("sslMode=verify-full", "sslMode: write sslmode=verify-full"),
        ("sslRootCert=s3cret", "sslRootCert: write sslrootcert"),
        ("connectTimeout=3", "connectTimeout: write connect_timeout"),
        ("prepare_threshold=0", "prepare_threshold: leave it out"),
        ("sslmode=require&pool_timeout=s3cret", "pool_timeout: leave it out"),
        (
            "ssl=1&pgbouncer=true",
            "ssl and pgbouncer: write sslmode=require for ssl, and leave out pgbouncer",
        ),
    ],
)
def test_an_option_of_another_program_is_refused(make: Callable[[Any], Any], query: str, named: str) -> None:
    """An option that libpq does not know is refused by each class and setting, with the remedy."""
    assert refusal(make, f"{AT}?{query}").endswith(OF_LIBPQ + named)


@pytest.mark.parametrize("make", OF_POSTGRESQL)
def test_a_password_with_a_question_mark_is_no_option(make: Callable[[Any], Any]) -> None:
    """A question mark in a password begins no options, and no part of the password is in an error."""
    opened = make("postgresql://ann:a?s3cret=b@127.0.0.1:1/app?application_name=x")
    if hasattr(opened, "close"):
        opened.close()
    assert "another option: leave it out" in refusal(make, f"{AT}?s3cret%40=1")
    assert "another option" in refusal(make, f"{AT}?a=b&s3cret=1@h/x")


@pytest.mark.parametrize("make", OF_POSTGRESQL)
def test_options_of_libpq_are_accepted(make: Callable[[Any], Any]) -> None:
    """Options of libpq are accepted, with several hosts and without a value."""
    query = "sslmode=require&connect_timeout=3&target_session_attrs=read-write&application_name="
    opened = make(f"{AT}?{query}&options=-csearch_path%3Dmy&keepalives=1")
    if hasattr(opened, "close"):
        opened.close()


@pytest.mark.parametrize("make", OF_SQLITE)
def test_an_option_of_a_url_of_sqlite_is_refused(make: Callable[[Any], Any], tmp_path: Path) -> None:
    """An option of a SQLite URL is refused, because it would be ignored."""
    for query, named in (("mode=ro", "mode"), ("timeout=30&s=1", "timeout and s"), ("a", "a")):
        text = refusal(make, f"sqlite:///{tmp_path}/a.db?{query}")
        assert f"database must have no options after the file, got {named}: leave" in text
    text = refusal(make, f"sqlite:///file:{tmp_path}/a.db?uri=true&nosuch=1")
    assert "got nosuch: leave it out" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [RedisStore, RedisQuotas, Limiter, open_store])
def test_an_option_that_redis_py_does_not_know_is_refused(make: Callable[[Any], Any]) -> None:
    """An option of a Redis URL that redis-py does not know is refused, not a TypeError in a request."""
    text = refusal(make, "redis://:s3cret@127.0.0.1:1/0?nosuch=s3cret")
    assert text.endswith("url must have only options of redis-py after `?`, got nosuch: leave it out")
    with pytest.raises(ConfigurationError, match="limits_url must have only options of redis-py"):
        check_limits_url("redis://h/0?nosuch=1", "limits_url")
    opened = make("redis://:s3cret@127.0.0.1:1/0?protocol=2&health_check_interval=3")
    if hasattr(opened, "close"):
        opened.close()


AROUND = pytest.mark.parametrize(
    ("suffix", "named"),
    [
        ("\r", "got '\\r' in it: leave this character out"),
        ("\n", "got '\\n' in it"),
        (" ", "got ' ' in it"),
        ("\t", "got '\\t' in it"),
        ("\u00a0", "got '\\xa0' in it"),
        ("\u200b", "got '\\u200b' in it"),
        (" # accounts", "got ' #' and text behind it: write a comment on a line of its own"),
    ],
)


@AROUND
@pytest.mark.parametrize(
    ("make", "url", "option"),
    [
        *((make, "sqlite:///authguard.db", "database") for make in OF_SQLITE),
        *((make, AT, "database") for make in OF_SQLITE),
        *((make, AT, "url") for make in (PostgresStore, PostgresQuotas, open_store)),
        *((make, "redis://:s3cret@h:6379/0", "url") for make in (RedisStore, RedisQuotas, open_store)),
        *((make, "logouts.db", "path") for make in (SQLiteStore, SQLiteQuotas)),
        (lambda url: check_limits_url(url, "limits_url"), "redis://:s3cret@h/0", "limits_url"),
        (lambda url: check_limits_url(url, "limits_url"), "memory://", "limits_url"),
    ],
)
def test_characters_around_a_url_are_refused(
    make: Callable[[Any], Any], url: str, option: str, suffix: str, named: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """White space, control characters and a comment behind a URL are refused, shown with their escape."""
    monkeypatch.chdir(tmp_path)
    text = refusal(make, url + suffix)
    assert f"{option} must " in text and named in text
    assert not suffix.strip(" ") or suffix not in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["smtp_url", "revocations_url", "limits_url"])
def test_other_settings_with_urls_are_checked(name: str) -> None:
    """The other settings that are URLs are checked, too, before anything connects."""
    url = {"smtp_url": "smtp://h", "revocations_url": "redis://h", "limits_url": "redis://h"}[name]
    with pytest.raises(ConfigurationError, match=f"{name} must have no white space around it"):
        Settings(secret=SECRET, issuer="https://a.example", mail_from="a@b.example", **{name: f"{url}\r"})


def test_white_space_before_a_url_is_named() -> None:
    """White space before a URL of a database is named as such."""
    assert "no white space around it" in refusal(settings, " sqlite:///a.db")
    assert "no white space around it" in refusal(Database, " sqlite:///a.db")


@pytest.mark.slow
@pytest.mark.parametrize("command", [("users", "list"), ("db", "upgrade"), ("serve", "--port", "0")])
def test_commands_refuse_such_options_in_one_line(command: tuple[str, ...]) -> None:
    """A command with an unknown option in its URL exits with status 2 and one line, without the password."""
    variables = {
        "AUTHGUARD_DATABASE": f"{AT}?pgbouncer=true",
        "AUTHGUARD_SECRET": SECRET,
        "AUTHGUARD_ISSUER": "https://a.example",
        "AUTHGUARD_SMTP_URL": "smtp://h",
        "AUTHGUARD_MAIL_FROM": "a@b.example",
    }
    done: Any = (run if "serve" in command else invoke)(*command, **variables)
    assert (done.returncode if "serve" in command else done.exit_code) == 2
    assert done.stderr == f"authguard: AUTHGUARD_DATABASE {OF_LIBPQ}pgbouncer: leave it out\n"
