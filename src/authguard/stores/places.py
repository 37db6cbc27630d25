"""Name the place of a store for errors, health and log lines, without user names and passwords."""

import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import SplitResult, quote, urlsplit

from authguard._core.options import is_quoted, type_of, unwrapped
from authguard.errors import ConfigurationError

# The schema, among the options that libpq sends to the server.
_SEARCH_PATH = re.compile(r"(?:-c\s*|--)search_path\s*=\s*((?:\\.|[^\s\\])+)")
_SCHEME = re.compile(r"([a-z][a-z0-9.-]{0,30})(\+[a-z0-9_.+-]{1,30})?(:///?)", re.IGNORECASE)
#: The spelling of characters in a user name or password that end it, or that a parser refuses.
_ESCAPES = (
    "%40 for @, %2F for /, %5B for [, %5D for ], %25 for %, and so on for all but a-z, A-Z, 0-9 and -._~"
)
_SHOWN = "/:,._-[]"  # characters of addresses that are not escaped


def redis_place(url: str, prefix: str) -> str:
    """Return address, database number and prefix, because stores that differ in one of them share nothing.

    Raises:
        ValueError: if redis-py cannot read the URL.
    """
    from redis.connection import parse_url

    options: dict[str, Any] = cast("Any", parse_url)(url)
    number = options.get("db") or 0
    if path := options.get("path"):
        return f"unix://{_shown(path)} (database {number}, prefix {prefix})"
    scheme = "rediss" if url.startswith("rediss:") else "redis"
    address = _address(options.get("host") or "localhost", options.get("port") or 6379)
    return f"{scheme}://{address}/{number} (prefix {prefix})"


def postgres_place(options: Mapping[str, Any]) -> str:
    """Return address, database and schema.

    Args:
        options: those of libpq.
    """
    host = options.get("host") or options.get("hostaddr") or "localhost"
    place = (
        f"postgresql://{_address(host, options.get('port') or 5432)}/{_shown(options.get('dbname') or '')}"
    )
    schema = _SEARCH_PATH.search(str(options.get("options") or ""))
    return place if schema is None else f"{place} (search_path {_shown(schema[1])})"


def split_url(url: object) -> SplitResult | None:
    """Return the parts of a URL; None for another object, and for a URL that cannot be read.

    The text of Python's own error contains the user name and the password.
    """
    try:
        return urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return None


def check_redis_parts(url: str, option: str) -> None:
    """Check that the port and the database of a `redis://` URL are numbers, or missing.

    Args:
        url: the URL.
        option: the name of the option, for the error.

    Raises:
        ConfigurationError: otherwise, for example because of a / in the password.
    """
    try:
        parts = urlsplit(url)
        number = parts.path.strip("/")
        is_readable = parts.port != 0 and (not number or number.isdecimal())
    except ValueError:  # its text has the port, which may be a part of the password
        is_readable = False
    if not is_readable:
        shown = shown_url(url, "redis://localhost:6379/0")
        raise ConfigurationError(f"{option} must have numbers as port and database, got {shown}")


def check_password_escaped(host: object, name: object, option: str) -> None:
    """Check that no part of a password is in the address of a URL, where errors and log lines would show it.

    A parser ends the password at the first @, or at a / before it, and takes the rest as host and database.

    Args:
        host: the host of the URL, as a parser reads it; one that begins with @ is a socket.
        name: the database.
        option: the name of the option, for the error.

    Raises:
        ConfigurationError: if host or database contains an @.
    """
    if "@" in str(host or "")[1:] or "@" in str(name or ""):
        raise ConfigurationError(
            f"{option} must have no @ and no / in its password, got a URL with one: write %40 for @, and "
            "%2F for /"
        )


def shown_url(url: object, example: str) -> str:
    """Return the text of an error about an unusable URL: its scheme, and the spelling that works.

    Args:
        url: the URL, or another object.
        example: the spelling to write, unless only the driver of the URL is wrong.
    """
    if not isinstance(url, str):
        return f"{type_of(url)}{unwrapped(url) or ': write ' + example}"
    scheme = _SCHEME.match(url)
    if scheme is None:
        return "text in quotes: leave them out" if is_quoted(url) else f"other text: write {example}"
    name, driver, slashes = scheme.groups(default="")
    if "@" in url:
        example += f", with {_ESCAPES} in a password"
    if driver not in ("", "+psycopg") and name in ("postgresql", "postgres", "sqlite"):
        example = f"{name}{slashes}…, without {driver}"
    return f"a URL that begins with {name}{driver}{slashes}: write {example}"


def wrong_database_url(url: object) -> ConfigurationError:
    """Return the error for the URL of a database that the identity service cannot use."""
    shown = shown_url(url, "sqlite:///authguard.db, or postgresql://user@host/name")
    return ConfigurationError(f"database must be sqlite:///file or postgresql://user@host/name, got {shown}")


def _address(host: str, port: object) -> str:
    shown = _shown(host)
    return f"[{shown}]:{port}" if ":" in shown and "," not in shown else f"{shown}:{port}"


def _shown(text: object) -> str:
    """Return a part of an address without line breaks and other characters that could forge a log line."""
    return quote(str(text), safe=_SHOWN)
