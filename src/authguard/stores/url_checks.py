"""Check the URL of a store: the characters around it, and the options after its `?`."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from urllib.parse import parse_qsl

from authguard._core.options import COMMENT
from authguard.errors import ConfigurationError

#: Options of a URI of SQLite, which begins with `file:`; `uri` tells SQLAlchemy that it is one.
_OF_SQLITE_URIS = frozenset({"uri", "mode", "cache", "vfs", "nolock", "immutable", "psow"})
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SCHEMA = "options=-csearch_path%3D… with the schema"
#: The text to write instead of options of other drivers.
_OTHER_NAMES = {"schema": _SCHEMA, "currentschema": _SCHEMA, "search_path": _SCHEMA}
#: Text that nothing has replaced: `${NAME}`, `{{ name }}`, `$(…)`, and as a password `$NAME`, `<name>`.
_PLACEHOLDER = re.compile(
    r"\$\{\w[^}]*\}|\{\{[^{}]+\}\}|\$\([^)]*\)|:(?:\$[A-Z_][A-Z0-9_]{2,}|%[A-Z_][A-Z0-9_]{2,}%|<[\w -]+>)@"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,40}\Z")
_POSTGRES = ("postgresql:", "postgresql+psycopg:", "postgres:")


def check_database_url(url: str, option: str) -> None:
    """Check the text and the options of a URL of SQLite or PostgreSQL; other URLs have no options here.

    Args:
        url: the URL.
        option: the name of the option, for the error.

    Raises:
        ConfigurationError: if characters are around it, or an option after its `?` would be ignored or
            refused later.
    """
    check_url_text(url, option)
    if url.startswith(_POSTGRES):
        _check_libpq_options(url, option)
    elif url.startswith("sqlite"):
        file, _, query = url.partition("?")
        known = _OF_SQLITE_URIS if "///file:" in file else ()
        if unknown := _unknown_options(query, known):
            raise ConfigurationError(f"{option} must have no options after the file, got {_named(unknown)}")


def check_url_text(url: str, option: str) -> None:
    """Check that a URL has no white space around it, no control characters, no comment and no placeholder.

    A file of environment variables passes on all of these, and SQLite would create such a file.

    Args:
        url: the URL, or the path of a file.
        option: the name of the option, for the error.

    Raises:
        ConfigurationError: otherwise.
    """
    around = url[:1] + url[-1:]
    hidden = [sign for sign in around if _is_invisible(sign)]
    # a surrogate cannot be encoded, and the text of that error would contain the URL
    hidden += [sign for sign in url if unicodedata.category(sign) in ("Cc", "Cs")]
    if hidden:
        raise ConfigurationError(
            f"{option} must have no white space around it and no control characters, got {hidden[-1]!a} in "
            "it: leave this character out"
        )
    if COMMENT.search(url):
        raise ConfigurationError(
            f"{option} must be the value alone, got ' #' and text behind it: write a comment on a line of "
            "its own"
        )
    if _PLACEHOLDER.search(url):
        raise ConfigurationError(
            f"{option} must be the value itself, got text with a placeholder such as ${{NAME}}: write its "
            "value, because nothing replaces it here"
        )


def _is_invisible(sign: str) -> bool:
    return sign.isspace() or unicodedata.category(sign) in ("Cc", "Cf")


def _check_libpq_options(url: str, option: str) -> None:
    """Check that libpq knows each option; a missing psycopg is reported when the database is opened."""
    try:
        from psycopg.pq import Conninfo
    except ImportError:
        return
    known = {each.keyword.decode() for each in Conninfo.parse(b"")}
    if unknown := _unknown_options(_query_of(url), known):
        raise ConfigurationError(
            f"{option} must have only options of libpq after `?`, got {_named(unknown, known)}"
        )


def _query_of(url: str) -> str:
    """Return the text after the `?`, which may also be a character of the password."""
    rest = url.partition("://")[2]
    user, at, host = rest.partition("@")
    return (host if at and "/" not in user else rest).partition("?")[2]


def _unknown_options(query: str, known: Collection[str]) -> Sequence[tuple[str, str]]:
    """Return the unknown options with their values; a name that may be a part of a password is empty."""
    unknown = [(name, value) for name, value in parse_qsl(query, True) if name not in known]
    # The text behind a `&` in a password looks like another option.
    is_secret = "@" in query or "password=" in query
    return [(name if _NAME.match(name) and not is_secret else "", value) for name, value in unknown]


def _named(unknown: Sequence[tuple[str, str]], known: Collection[str] = ()) -> str:
    """Return the names of unknown options with their remedies."""
    names = list(dict.fromkeys(name or "another option" for name, _ in unknown))
    instead = {name: text for name, value in unknown if (text := _instead_of(name, value, known))}
    if len(names) == 1:
        return f"{names[0]}: " + (f"write {instead[names[0]]}" if instead else "leave it out")
    remedies = [f"write {text} for {name}" for name, text in instead.items()]
    if others := [name for name in names if name not in instead]:
        remedies.append(f"leave out {' and '.join(others)}")
    return f"{' and '.join(names)}: {', and '.join(remedies)}"


def _instead_of(name: str, value: str, known: Collection[str]) -> str:
    """Return the option of libpq that an unknown option means; empty for an unknown meaning."""
    if not known:
        return ""
    plain = name.lower().replace("_", "").replace("-", "")
    if plain in ("ssl", "sslmode"):
        return f"sslmode={value if value in _SSL_MODES else 'require'}"
    by_plain = {each.replace("_", ""): each for each in known}
    return by_plain.get(plain) or _OTHER_NAMES.get(name.lower(), "")
