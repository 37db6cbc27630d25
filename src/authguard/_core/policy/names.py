"""Check the names of scopes, roles and methods; refuse invalid names with the spelling that works."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from typing import Final, final, get_args

from authguard._core.model import Kind
from authguard._core.options import check_choice, check_identifier, check_list, got, several_names
from authguard._core.policy.spelling import methods_of
from authguard.errors import ConfigurationError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
# The separators with which other frameworks write several names in one text. A role may contain spaces.
_OF_ROLES = re.compile(r"\s*[,;]\s*")
_SEPARATORS = {"methods": re.compile(r"[\s,|;]+"), "roles": _OF_ROLES, "admin_roles": _OF_ROLES}
_OTHER_SEPARATORS = re.compile(r"[\s,;]+")
# Other methods are accepted, such as PURGE of caches, unless they resemble one of these.
_USUAL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE", "WEBSOCKET")
_ALIKE = ("PROPPATCH", "ORDERPATCH")  # the methods of the IANA registry of HTTP methods
_RESEMBLANCE = 0.65  # similarity from 0 to 1: POTS, DEL and GTE are above it, PURGE, PUSH and FETCH below


@final
class _LeftOut(tuple[str, ...]):
    """Mark an option that was left out, to distinguish it from an empty list."""

    __slots__ = ()


LEFT_OUT: Final = _LeftOut()


def check_names(names: object, option: str, grammar: re.Pattern[str] | None) -> frozenset[str]:
    """Check the names of scopes or roles.

    Args:
        names: any iterable of them.
        option: the name of the option, such as "scopes", or "scopes of the API key of 'x'".
        grammar: the pattern of a name; None for any text that is not empty.

    Raises:
        ConfigurationError: for anything else, and for several names in one text, such as `"read,write"`.
    """
    if isinstance(names, (tuple, frozenset)) and not names:
        return frozenset()  # most rules have no names, and an application may have hundreds of rules
    listed = _listed(names, option)
    for name in listed:
        is_name = isinstance(name, str) and name and (grammar is None or grammar.match(name))
        if not is_name or several_names(str(name)):
            raise ConfigurationError(
                f"{option} must be names that can be matched, got {got(name)}: {_write(names, option)}"
            )
        check_identifier(name, option)
    return frozenset(name for name in listed if isinstance(name, str))


def check_not_empty(option: str, names: object, checked: frozenset[str], meaning: str) -> None:
    """Refuse a list without names: a rule that gets it from a setting would require nothing.

    Args:
        option: the name of the option.
        names: the value of the option.
        checked: the names in it.
        meaning: the meaning of an option that is left out.

    Raises:
        ConfigurationError: if the option is set, and has no name.
    """
    if not checked and names is not LEFT_OUT:
        raise ConfigurationError(
            f"{option} must name at least one, got an empty list: leave {option} out for {meaning}"
        )


def check_methods(names: object) -> frozenset[str]:
    """Check the methods of a rule: each must be the name of a method, in capitals.

    Raises:
        ConfigurationError: for anything else; `*`, `ANY` and misspelt methods would match no request.
    """
    methods = check_names(names, "methods", _TOKEN)
    for name in methods:
        if methods_of([name]) != (name,) or name != name.upper():
            raise ConfigurationError(
                "methods must be in capitals, without HEAD, which always follows GET, and left out for "
                f"all methods, got {name!r}: {_write(methods, 'methods')}"
            )
        alike = get_close_matches(name, _USUAL_METHODS, n=1, cutoff=_RESEMBLANCE)
        if alike and name not in (*_USUAL_METHODS, *_ALIKE):
            raise ConfigurationError(f"methods must be HTTP methods, got {name!r}: write {alike[0]!r}")
    return methods


def check_kinds(kinds: object) -> frozenset[str]:
    """Check kinds of credential.

    Args:
        kinds: any iterable of them, as in `Principal.method`.

    Raises:
        ConfigurationError: for anything else, and for an empty list.
    """
    listed = check_list(kinds, "credentials", '"api_key"')
    if not listed:
        raise ConfigurationError(
            "credentials must name at least one kind, got an empty list: leave credentials out for all kinds"
        )
    return frozenset(check_choice(kind, "each of credentials", get_args(Kind)) for kind in listed)


def _listed(names: object, option: str) -> list[object]:
    if isinstance(names, (str, bytes, Mapping)) or not isinstance(names, Iterable):
        raise ConfigurationError(
            f"{option} must be a list of names, got {got(names)}: {_write(names, option)}"
        )
    return list(names)


def _write(names: object, option: str) -> str:
    option = option.partition(" ")[0]
    words = spelled_names(names, option)
    if words and option == "scopes" and isinstance(names, tuple):  # of `requires`, which has no such option
        return f"write {words}"
    return f"write {option}=[{words}]" if words else f"leave {option} out, or write a list of names"


def spelled_names(names: object, option: str) -> str:
    """Return names as arguments, for an error: each by itself, and a member of an Enum with its `.value`.

    Args:
        names: one name or an iterable of them; others are left out.
        option: the name of the option.
    """
    words = dict.fromkeys(_split(names, option))
    if option == "methods":
        words = dict.fromkeys(methods_of(sorted(name.upper() for name in words if isinstance(name, str))))
    return ", ".join(
        f"{type(word).__name__}.{word.name}.value" if isinstance(word, Enum) else repr(word) for word in words
    )


def _split(names: object, option: str) -> Iterable[str | Enum]:
    if isinstance(names, bytes):
        names = names.decode("utf-8", "replace")
    if isinstance(names, Enum):
        yield names
    elif isinstance(names, str):
        separators = _SEPARATORS.get(option, _OTHER_SEPARATORS)
        if separators is _OF_ROLES and "=" in names:
            yield names.strip()  # the name of a group in a directory
            return
        yield from filter(None, separators.split(names.strip()))
    elif isinstance(names, Iterable):
        for name in names:
            yield from _split(name, option)
