"""Find claims by their names, or by paths below objects; read scopes, roles and the tier there."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

from authguard._core.options import check_identifier, check_list, got
from authguard.errors import ConfigurationError, MalformedTokenError

MAX_PATHS = 100
_MAX_NAMES = 32  # the most names in a path; issuers nest a few objects
_MAX_NAME = 1024  # characters; the longest names are URLs

#: A claim as options name it: its name, a dotted path, or the names of a path.
ClaimName: TypeAlias = str | tuple[str, ...]
#: Called with the name of a claim that cannot be used, and the reason.
Report: TypeAlias = Callable[[ClaimName, str], None]

_NOTHING: frozenset[str] = frozenset()


class ClaimPath(NamedTuple):
    """Describe the place of a claim.

    Attributes:
        name: as in the option. A name may contain dots, such as `https://example.com/roles`, so a claim with
            exactly this name takes precedence.
        find_below: finds it below objects; None for a name without dots.
    """

    name: ClaimName
    find_below: Callable[[Mapping[str, Any]], object] | None = None

    def find(self, claims: Mapping[str, Any]) -> Any:
        """Return the value of the claim; None if it is missing."""
        value = claims.get(self.name)  # type: ignore[arg-type]  # a tuple is the name of no claim
        return value if value is not None or self.find_below is None else self.find_below(claims)


def claim_path(name: object, option: str) -> ClaimPath:
    """Check the name of a claim in an option.

    Args:
        name: a name, a dotted path, or a tuple of names, each of which may have dots in it.
        option: the name of the option, for errors.

    Raises:
        ConfigurationError: if it has another form, or a path is too long.
    """
    must = f"be the name of a claim of at most {_MAX_NAME} characters, or a tuple of names as a path"
    parts = name if isinstance(name, tuple) else (name,)
    names = [check_identifier(part, option, must=must) for part in parts]
    for each in names:
        if len(each) > _MAX_NAME:
            raise ConfigurationError(f"{option} must {must}, got {got(each)}")
    parts = tuple(name.split(".")) if isinstance(name, str) else parts
    if not 1 <= len(parts) <= _MAX_NAMES:
        raise ConfigurationError(f"{option} must have between 1 and {_MAX_NAMES} names, got {len(parts)}")
    if isinstance(name, tuple):
        return ClaimPath(tuple(names), partial(_find, names))
    return ClaimPath(names[0], partial(_find_dotted, list(parts)) if len(parts) > 1 else None)


def claim_paths(names: object, option: str, example: str) -> tuple[ClaimPath, ...]:
    """Check a list of names of claims; it may be empty.

    Raises:
        ConfigurationError: as `claim_path`, and for a list that is too long.
    """
    listed = check_list(names, option, example)
    if len(listed) > MAX_PATHS:
        raise ConfigurationError(f"{option} must name at most {MAX_PATHS} claims, got {len(listed)}")
    return tuple(claim_path(name, f"each of {option}") for name in listed)


def _find(names: list[str], claims: object) -> object:
    value = claims
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _find_dotted(parts: list[str], value: object) -> object:
    """Return the value at a dotted path.

    Of several ways to split it into names, the longest name takes precedence.

    So `resource_access.my.api.roles` finds the roles of the client `my.api`. Each object of the token is
    examined at most once.
    """
    if not parts:
        return value
    if isinstance(value, Mapping):
        for end in range(len(parts), 0, -1):
            below = value.get(".".join(parts[:end]))
            if below is not None and (nested := _find_dotted(parts[end:], below)) is not None:
                return nested
    return None


def names_at(
    claims: Mapping[str, Any], paths: tuple[ClaimPath, ...], report: Report, *, split: bool
) -> frozenset[str]:
    """Return the scopes or roles that claims grant.

    Args:
        claims: of a token that has been verified.
        paths: the places of the scopes or roles.
        report: called with a claim that grants nothing because its type cannot be used.
        split: whether a text contains several names, separated by spaces.
    """
    granted = _NOTHING
    for name, find_below in paths:
        value: Any = claims.get(name)  # type: ignore[arg-type]
        if value is None and (find_below is None or (value := find_below(claims)) is None):
            continue
        if isinstance(value, str):
            names = _words(value) if split else _shared((value,))
        elif isinstance(value, list):
            texts = tuple(each for each in value if isinstance(each, str))
            names = _shared(texts)
            if len(texts) != len(value):
                report(name, "has members that are no text")
        else:
            names = _names_of(name, value, report)
        granted = granted | names if granted else names
    return granted


def _names_of(name: ClaimName, value: object, report: Report) -> frozenset[str]:
    """Return the names of an object whose members are roles, as Zitadel writes them.

    A member counts if its value is true, or a non-empty object: `{"admin": false}` is not a role, and neither
    is `roles` in `{"roles": ["admin"]}`.
    """
    if not isinstance(value, Mapping):
        report(name, f"is {_type_of(value)}")
        return _NOTHING
    names = [role for role, of in value.items() if of is True or (isinstance(of, Mapping) and of)]
    if not names:
        report(name, "is an object whose members are not roles: their values are neither true nor objects")
    return _shared(tuple(names))


def _type_of(value: object) -> str:
    return "true or false" if isinstance(value, bool) else "a number"


def tier_at(claims: Mapping[str, Any], path: ClaimPath) -> str | None:
    """Return the tier that claims name.

    Raises:
        MalformedTokenError: if the tier has another type; it does not count as missing.
    """
    tier = path.find(claims)
    if tier is not None and (type(tier) is not str or not tier):
        name = shown_name(path.name)
        raise MalformedTokenError(f"{name} is no tier", claim=name)
    return tier


def shown_name(name: ClaimName) -> str:
    """Return the name of a claim as text: a path with dots."""
    return name if isinstance(name, str) else ".".join(name)


# Cached, because many tokens have the same few sets.
@lru_cache(maxsize=1024)
def _words(text: str) -> frozenset[str]:
    return _shared(tuple(text.split(" ")))


@lru_cache(maxsize=1024)
def _shared(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names) - {""}
