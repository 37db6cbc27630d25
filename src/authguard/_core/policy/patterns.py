"""Parse path patterns of the configuration, or refuse them with the spelling that works."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from authguard._core.policy.paths import is_canonical
from authguard._core.policy.spelling import Spelling, is_foreign, spelling_of, spelling_of_mapping
from authguard.errors import ConfigurationError

_PREFIX = re.compile(r"(/[\w./-]*\w)(?:\.?\*|\.\+|\?\w*)")
# An endpoint of Flask or a name of Django: `auth.login`, `accounts:login`; not a file such as `login.html`.
_VIEW = re.compile(r"(?:\w+[.:])+(?!(?:html?|php|aspx?|jsp)\Z)([a-z_]\w*)")
# Characters that a URL has only percent-encoded, and that of a pattern.
_NOT_IN_A_LOCATION = frozenset(' "<>^`{|}*')
_EXAMPLE = "a path such as '/admin'"


def parse_pattern(path: object) -> tuple[str, ...]:
    """Parse the pattern of a rule.

    Args:
        path: text that starts with a slash, decoded; `*` and `**` match whole segments.

    Returns:
        Its segments.

    Raises:
        ConfigurationError: for any other pattern, such as one in the syntax of a router.
    """
    if not isinstance(path, str):
        spelling = spelling_of(path)
        if _has_rights(path) and "methods=" not in str(spelling or ""):
            raise ConfigurationError(
                f"path must be text or a Rule, got {_type(path)}, whose rights would be lost: write "
                f"{_rule_of(path)}, without a list around it"
            )
        raise ConfigurationError(
            f"path must be text or a Rule, got {_type(path)}: write {spelling or _EXAMPLE}{_more(spelling)}"
        )
    if not path.strip():
        raise ConfigurationError(
            f"path must start with a slash, got {path!r} (leave it out if it is of an empty variable, split "
            "at commas), and for the root page alone: write '/'"
        )
    if not is_canonical(path) or is_foreign(path):
        spelling = spelling_of(path)
        prefix = _PREFIX.fullmatch(path)
        nearest = f", or {prefix[1]!r} for it and what is below it" if prefix else ""
        raise ConfigurationError(
            "path must be a decoded path on this site, with '*' for one segment and '**' for any number of "
            f"them, none included, got {path!r}: write {spelling}{_more(spelling)}{nearest}"
        )
    return tuple(path.strip("/").split("/")) if path != "/" else ()


def _has_rights(path: object) -> bool:
    """Return whether a value instead of a path has more than paths, such as scopes or a rule."""
    if not isinstance(path, (list, tuple)):
        return isinstance(path, Mapping)
    lists = (list, tuple, set, frozenset, Mapping)
    return any(isinstance(each, lists) or type(each).__name__ == "Rule" for each in path)


def _rule_of(path: Any) -> str:
    """Return the spelling of a rule, with the first path of the values."""
    values = path.values() if isinstance(path, Mapping) else path
    paths = (each for each in values if isinstance(each, str) and each.startswith("/"))
    return f"Rule({next(paths, '/admin')!r}, scopes=['admin'])"


def local_path(path: object, name: str) -> str:
    """Check a path on this site given by configuration, such as the login page's.

    Args:
        path: a plain path, without wildcards, in ASCII.
        name: the name of the option.

    Raises:
        ConfigurationError: for anything else.
    """
    if isinstance(path, str) and is_canonical(path) and not is_foreign(path) and _is_plain(path):
        return path
    if isinstance(path, str) and (view := _VIEW.fullmatch(path)):
        raise ConfigurationError(
            f"{name} must be a plain path on this site such as {'/' + view[1]!r}, got {path!r}, which looks "
            "like the name of a view: write the path of its route"
        )
    spelling = spelling_of(path)
    example = next(filter(_is_plain, spelling.paths), "/login") if spelling else "/login"
    shown = repr(path) if isinstance(path, str) else _type(path)
    raise ConfigurationError(f"{name} must be a plain path on this site such as {example!r}, got {shown}")


def _is_plain(path: str) -> bool:
    return path.isascii() and _NOT_IN_A_LOCATION.isdisjoint(path)


def listed(paths: object, name: str) -> list[Any]:
    """List the paths of an option that takes several.

    Args:
        paths: any iterable of them.
        name: the option.

    Raises:
        ConfigurationError: if it is a mapping, or a path instead of a list.
    """
    if isinstance(paths, Mapping):
        raise ConfigurationError(
            f"{name} must be a list of paths and rules, got a mapping, whose values would be lost: "
            f"write {spelling_of_mapping(paths)}, or roles="
        )
    if isinstance(paths, str) and not paths.strip():
        raise ConfigurationError(
            f"{name} must be a list of paths and rules, got {paths!r}, perhaps of an empty variable: write a "
            "list such as ['/admin'], or ['/'] for the root page"
        )
    if isinstance(paths, (str, bytes)) or not isinstance(paths, Iterable):
        spelling = spelling_of(paths)
        raise ConfigurationError(
            f"{name} must be a list of paths and rules, got {_type(paths)}: "
            f"write {f'[{spelling}]' if spelling else 'a list such as ' + repr(['/admin'])}{_more(spelling)}"
        )
    return list(paths)


def _more(spelling: Spelling | None) -> str:
    if spelling is None or not spelling.wider:
        return ""
    return ", which covers more (in public_paths, name each path that may be open instead)"


def _type(value: object) -> str:
    return "None" if value is None else type(value).__name__
