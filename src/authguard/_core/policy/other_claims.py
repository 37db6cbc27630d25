"""Find a missing scope or role in a claim that the verifier does not read, or in another spelling."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

from authguard._core.model import Principal

_BOTH = frozenset({"authorities", "entitlements", "permission", "permissions"})
#: The last words of the names of such claims. A claim with another name is never suggested, because users may
#: choose its value: a user may be named `admin`.
_WORDS = {
    "scope": _BOTH | {"scope", "scopes", "scp"},
    "role": _BOTH | {"role", "roles", "group", "groups"},
}
_LAST_WORD = re.compile(
    r"(?:[A-Z]|(?<![a-z]))[a-z]+\Z"
)  # `roles` in `userRoles` and `https://example.com/roles`
_SEPARATORS = re.compile(r"[\s,;]+")
_MAX_DEPTH = 3  # the names of Keycloak's `resource_access.client.roles`
_MAX_CLAIMS = 100
_MAX_NAME = 200  # characters
_MAX_SHOWN = 60  # characters


class Lacking(Protocol):
    """Describe the scopes and roles of a `Requirement`, whose module imports this one."""

    scopes: frozenset[str]
    any_of: frozenset[str]
    roles: frozenset[str]


def hint_of_lack(principal: Principal, requirement: Lacking) -> str | None:
    """Return the option to change if a token has a missing scope or role elsewhere; otherwise None.

    Args:
        principal: the caller.
        requirement: the requirement, of which the caller lacks a scope or a role.
    """
    scopes, roles = principal.scopes, principal.roles
    missing = requirement.scopes - scopes
    if not missing and not scopes & requirement.any_of:
        missing = requirement.any_of
    if missing:
        return _hint_of_kind("scope", missing, roles, principal.claims)
    return _hint_of_kind("role", requirement.roles, scopes, principal.claims)


def _hint_of_kind(
    kind: str, missing: frozenset[str], others: frozenset[str], claims: Mapping[str, Any]
) -> str | None:
    for name in sorted(missing & others):
        other = "role" if kind == "scope" else "scope"
        return (
            f"a caller lacks the {kind} {_shown(name)}, and has a {other} of this name: write "
            f"{other}s=[{name!r}] in the requirement"
        )
    for path, value in islice(_candidates(claims, _WORDS[kind]), _MAX_CLAIMS):
        if (hint := _hint_of_claim(kind, missing, path, value)) is not None:
            return hint
    return None


def _hint_of_claim(kind: str, missing: frozenset[str], path: tuple[str, ...], value: object) -> str | None:
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else ()
    if isinstance(value, Mapping):  # the roles of Zitadel; `{"admin": false}` is none
        texts = [name for name, of in value.items() if of is True or (isinstance(of, Mapping) and of)]
    for text in texts:
        if not isinstance(text, str):
            continue
        names = text.split(" ") if kind == "scope" and text is value else [text]
        for name in sorted(missing.intersection(names)):
            written = path[0] if len(path) == 1 else path if "." in "".join(path) else ".".join(path)
            usual = "scope" if kind == "scope" else "roles"
            return (
                f"a token lacks the {kind} {_shown(name)}, and has it in a claim that is not read: if the "
                f"issuer grants {kind}s there, write {kind}_claims=[{usual!r}, {written!a}]"
            )
        words = {word.casefold() for word in (text, *_SEPARATORS.split(text))}
        for name in sorted(missing):
            if name.casefold() in words:
                form = "one text with spaces, or a list" if kind == "scope" else "a list of texts"
                return (
                    f"a token lacks the {kind} {_shown(name)}, and has {_shown(text)} in its claim "
                    f"{_shown('.'.join(path))}: {kind}s are compared exactly, and must be {form}"
                )
    return None


def _candidates(
    claims: Mapping[str, Any], words: frozenset[str], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the claims, and the members of objects in them, whose names end with one of the words."""
    for name, value in claims.items():
        if not isinstance(name, str) or len(name) > _MAX_NAME:
            continue
        path = (*above, name)
        last = _LAST_WORD.search(name)
        if last is not None and last[0].lower() in words:
            yield path, value
        elif isinstance(value, Mapping) and len(path) < _MAX_DEPTH:
            yield from _candidates(value, words, path)


def _shown(text: str) -> str:
    return ascii(text[:_MAX_SHOWN]) + ("…" if len(text) > _MAX_SHOWN else "")
