"""Rules: which paths, for which methods, ask what of the caller."""

import re
from collections.abc import Iterable
from typing import Any, Literal

from authguard._core.model import Principal
from authguard._core.paths import is_canonical
from authguard.errors import ConfigurationError, InsufficientScopeError

Optional = Literal["strict", "lenient"]

#: The method under which a websocket handshake is matched; on the wire it is a GET.
WEBSOCKET = "WEBSOCKET"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
# scope-token of RFC 6749 section 3.3; anything else could not be named in a challenge.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+\Z")


class Requirement:
    """What a caller must have been granted.

    Args:
        scopes: all of these.
        any_of: at least one of these scopes.
        roles: at least one of these roles.

    Raises:
        ConfigurationError: for a name that no token could carry.
    """

    __slots__ = ("any_of", "roles", "scopes")

    def __init__(
        self, scopes: Iterable[str] = (), any_of: Iterable[str] = (), roles: Iterable[str] = ()
    ) -> None:
        self.scopes = _names(scopes, "scopes", _SCOPE)
        self.any_of = _names(any_of, "any_of", _SCOPE)
        self.roles = _names(roles, "roles", None)

    def check(self, principal: Principal) -> None:
        """Raise InsufficientScopeError unless the principal has what is required."""
        if not principal.scopes >= self.scopes:
            raise InsufficientScopeError("a required scope is missing", scopes=self.scopes | self.any_of)
        if self.any_of and not principal.scopes & self.any_of:
            raise InsufficientScopeError("none of the accepted scopes", scopes=self.scopes | self.any_of)
        if self.roles and not principal.roles & self.roles:
            raise InsufficientScopeError("none of the accepted roles", scopes=self.scopes)

    def is_met_by(self, principal: Principal) -> bool:
        """Whether the principal is somebody who has what is required."""
        try:
            self.check(principal)
        except InsufficientScopeError:
            return False
        return principal.is_authenticated

    def _key(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        return (self.scopes, self.any_of, self.roles)

    def __bool__(self) -> bool:
        return bool(self.scopes or self.any_of or self.roles)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Requirement) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        parts = [f"scope {name}" for name in sorted(self.scopes)]
        if self.any_of:
            parts.append("one of the scopes " + ", ".join(sorted(self.any_of)))
        if self.roles:
            parts.append("one of the roles " + ", ".join(sorted(self.roles)))
        return " and ".join(parts) or "any authenticated caller"


_MARK = "__authguard_requirements__"


def mark(endpoint: Any, requirement: Requirement) -> None:
    """Leave on an endpoint what a decorator asks there, for whoever lists the routes."""
    setattr(endpoint, _MARK, (*requirements_of(endpoint), requirement))


def requirements_of(endpoint: Any) -> tuple[Requirement, ...]:
    """What decorators ask of the callers of an endpoint."""
    found: tuple[Requirement, ...] = getattr(endpoint, _MARK, ())
    return found


class Rule:
    """A path pattern, and what the paths that it covers ask of the caller.

    A pattern is read segment by segment: `*` stands for exactly one segment, `**` for any
    number of them, none included. A pattern without them covers its path and everything below.
    With them, a public rule opens just what it matches, while a protected rule goes on to cover
    what lies below. `"/"` in public_paths is the root page alone, in protected_paths everything.
    Where several rules match, the most specific decides: compared segment by segment, a word
    beats `*`, `*` beats `**`, and the longer pattern wins.

    Args:
        path: the pattern, starting with a slash, as the application sees it: decoded, and below
            the place where the application is mounted.
        methods: the methods that the rule is for; all if empty. `GET` includes `HEAD`, and in
            protected_paths websockets too; `WEBSOCKET` names websocket handshakes.
        scopes: scopes that the caller must have, all of them.
        any_of: scopes of which the caller must have at least one.
        roles: roles of which the caller must have at least one.
        optional: `"strict"` lets requests without a credential pass as anonymous, and refuses
            bad ones; `"lenient"` treats a bad credential like none.
        login_path: where browsers are sent to sign in, instead of the guard's own login page.

    Raises:
        ConfigurationError: for a rule that cannot be meant.
    """

    __slots__ = ("login_path", "methods", "optional", "path", "requirement", "segments")

    def __init__(
        self,
        path: str,
        *,
        methods: Iterable[str] = (),
        scopes: Iterable[str] = (),
        any_of: Iterable[str] = (),
        roles: Iterable[str] = (),
        optional: Optional | None = None,
        login_path: str | None = None,
    ) -> None:
        self.segments = _pattern(path)
        self.path = path
        self.methods = _names(methods, "methods", _TOKEN)
        self.requirement = Requirement(scopes, any_of, roles)
        self.optional: Optional | None = optional
        self.login_path = None if login_path is None else local_path(login_path, "login_path")
        if any(method != method.upper() for method in self.methods):
            raise ConfigurationError(f"Rule({path!r}): write methods in capitals")
        if "HEAD" in self.methods:
            raise ConfigurationError(f"Rule({path!r}): HEAD always follows GET; write GET")
        if optional not in (None, "strict", "lenient"):
            raise ConfigurationError(f'Rule({path!r}): optional is "strict" or "lenient"')
        if optional and self.requirement:
            raise ConfigurationError(
                f"Rule({path!r}): authentication cannot be optional where {self.requirement} is required"
            )

    def __repr__(self) -> str:
        methods = f", methods={sorted(self.methods)}" if self.methods else ""
        return f"Rule({self.path!r}{methods})"


def _names(names: Iterable[str], what: str, grammar: re.Pattern[str] | None) -> frozenset[str]:
    if isinstance(names, str):
        raise ConfigurationError(f"{what} is a list of names; write [{names!r}]")
    found = frozenset(names)
    for name in found:
        if not isinstance(name, str) or not name or (grammar and not grammar.match(name)):
            raise ConfigurationError(f"{what}: {name!r} is not a name that can be matched")
    return found


def _pattern(path: str) -> tuple[str, ...]:
    if not isinstance(path, str) or not path.startswith("/"):
        raise ConfigurationError(f"path {path!r} must be text that starts with a slash")
    segments = tuple(path.strip("/").split("/")) if path != "/" else ()
    for segment in segments:
        if "*" in segment and segment not in ("*", "**"):
            raise ConfigurationError(f"path {path!r}: * and ** stand for whole segments")
    if not is_canonical(path):
        raise ConfigurationError(
            f"path {path!r} can be read in more than one way: write it decoded, without empty or dot "
            "segments, backslashes, ';', '%', '?' or '#'"
        )
    return segments


def local_path(path: str, name: str) -> str:
    """Check a path on this site given by configuration, such as the login page's."""
    if not isinstance(path, str) or not is_canonical(path) or not path.isascii() or "*" in path:
        raise ConfigurationError(f"{name} {path!r} must be a plain path on this site, such as '/login'")
    return path
