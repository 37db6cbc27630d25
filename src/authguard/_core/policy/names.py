"""Check the names of scopes, roles and methods: taken, or refused with the spelling that works."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import get_args

from authguard._core.model import Kind
from authguard._core.options import check_choice, check_list, got
from authguard._core.policy.spelling import methods_of
from authguard.errors import ConfigurationError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
# How other frameworks write several names in one text. A role may contain spaces.
_SEPARATORS = {"methods": re.compile(r"[\s,|;]+"), "roles": re.compile(r"\s*,\s*")}
_OTHER_SEPARATORS = re.compile(r"[\s,]+")
# Other methods are accepted, such as PURGE of caches, unless they resemble one of these.
_USUAL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE", "WEBSOCKET")
_ALIKE = ("PROPPATCH", "ORDERPATCH")  # of the IANA registry of HTTP methods
_RESEMBLANCE = 0.65  # from 0 to 1: POTS, DEL and GTE are above it, PURGE, PUSH and FETCH below


def check_names(names: object, option: str, grammar: re.Pattern[str] | None) -> frozenset[str]:
    """Check the names of scopes or roles.

    Args:
        names: any iterable of them.
        option: the option that they are given for, such as "scopes", or "scopes of the API key of 'x'".
        grammar: the text that a name may be; None for any that is not empty.

    Raises:
        ConfigurationError: for anything else.
    """
    listed = _listed(names, option)
    for name in listed:
        if not isinstance(name, str) or not name or (grammar and not grammar.match(name)):
            raise ConfigurationError(
                f"{option} must be names that can be matched, got {got(name)}: {_write(names, option)}"
            )
    return frozenset(name for name in listed if isinstance(name, str))


def check_needs(names: object, option: str, grammar: re.Pattern[str] | None) -> frozenset[str]:
    """Check the names of scopes or roles that a rule requires.

    An empty list comes from a setting that was not read: the rule would let every caller pass. The default,
    an empty tuple, requires none.

    Args:
        names: as for `check_names`.
        option: as for `check_names`.
        grammar: as for `check_names`.

    Raises:
        ConfigurationError: as `check_names` does, and for an empty list.
    """
    needs = check_names(names, option, grammar)
    if not needs and not isinstance(names, (tuple, frozenset)):
        raise ConfigurationError(
            f"{option} must name at least one, got an empty {type(names).__name__}: leave {option} out where "
            "any authenticated caller may pass"
        )
    return needs


def check_methods(names: object) -> frozenset[str]:
    """Check the methods of a rule: in capitals, each by its own name.

    Raises:
        ConfigurationError: for anything else; `*`, `ANY` and misspelt methods would match no request.
    """
    methods = check_names(names, "methods", _TOKEN)
    for name in methods:
        if methods_of([name]) != (name,) or name != name.upper():
            raise ConfigurationError(
                "methods must be in capitals, without HEAD, which always follows GET, and empty for all "
                f"methods, got {name!r}: {_write(methods, 'methods')}"
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
        ConfigurationError: for anything else, and for none.
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
    words = tuple(dict.fromkeys(_split(names, option)))
    if option == "methods":
        words = methods_of(sorted(name.upper() for name in words))
    return f"write {option}={list(words)!r}" if words else f"leave {option} out, or write a list of names"


def _split(names: object, option: str) -> Iterable[str]:
    if isinstance(names, bytes):
        names = names.decode("utf-8", "replace")
    if isinstance(names, str):
        separators = _SEPARATORS.get(option, _OTHER_SEPARATORS)
        yield from filter(None, separators.split(names.strip()))
    elif isinstance(names, Iterable):
        for name in names:
            yield from _split(name, option)
