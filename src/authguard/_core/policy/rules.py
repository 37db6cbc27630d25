"""Rules: which paths, for which methods, ask what of the caller."""

import re
from collections.abc import Iterable
from typing import Literal, cast, get_args

from authguard._core.model import Principal
from authguard._core.options import check_list
from authguard._core.policy.names import check_methods, check_names
from authguard._core.policy.patterns import local_path, parse_pattern
from authguard.errors import (
    ConfigurationError,
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    RefusedError,
)

Optional = Literal["strict", "lenient"]
#: How a CORS preflight of a protected path is treated: answered by the guard, or passed on.
Preflight = Literal["answer", "pass"]

# scope-token of RFC 6749 section 3.3; anything else could not be named in a challenge. It is as good
# for `acr_values` of RFC 9470, which are quoted and separated by spaces, too.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+\Z")

_LONGEST_MAX_AGE = 2**31 - 1  # 68 years
_LEEWAY = 30.0  # seconds by which the clock of the issuer may be ahead; as by default for tokens


class Requirement:
    """What a caller must have been granted, and how and when it must have signed in.

    Args:
        scopes: all of these.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: the claim `acr` must be one of these, the preferred one first.
        max_age: the claim `auth_time` must be at most so many seconds ago.

    Raises:
        ConfigurationError: for a name that no token could carry, or that no challenge could name,
            and for a `max_age` that is no whole number of seconds above 0.
    """

    __slots__ = ("acr", "any_of", "max_age", "roles", "scopes", "signing_in")

    def __init__(
        self,
        scopes: Iterable[str] = (),
        any_of: Iterable[str] = (),
        roles: Iterable[str] = (),
        acr: str | Iterable[str] | None = None,
        max_age: float | None = None,
    ) -> None:
        self.scopes = check_names(scopes, "scopes", _SCOPE)
        self.any_of = check_names(any_of, "any_of", _SCOPE)
        self.roles = check_names(roles, "roles", None)
        self.acr = () if acr is None else _acr_values(acr)
        self.max_age = None if max_age is None else _seconds(max_age)
        #: Whether it asks how or when the caller has signed in.
        self.signing_in = bool(self.acr) or self.max_age is not None

    def not_granted(self, principal: Principal) -> InsufficientScopeError | None:
        """What the principal has not been granted, as an error; None if nothing is missing."""
        if not principal.scopes >= self.scopes:
            return InsufficientScopeError("a required scope is missing", scopes=self.scopes | self.any_of)
        if self.any_of and not principal.scopes & self.any_of:
            return InsufficientScopeError("none of the accepted scopes", scopes=self.scopes | self.any_of)
        if self.roles and not principal.roles & self.roles:
            return InsufficientScopeError("none of the accepted roles", scopes=self.scopes)
        return None

    def not_signed_in(self, principal: Principal, now: float) -> InsufficientUserAuthenticationError | None:
        """What is wrong with how or when the principal has signed in, as an error; None if nothing is.

        The error names all that is asked, since the next sign-in must do for all of it.
        """
        reason = ""
        if self.acr and principal.claims.get("acr") not in self.acr:
            reason = "none of the accepted acr values"
        elif self.max_age is not None and not _is_recent(
            principal.claims.get("auth_time"), self.max_age, now
        ):
            reason = "signed in too long ago, or nobody says when"
        if not reason:
            return None
        return InsufficientUserAuthenticationError(reason, acr_values=self.acr, max_age=self.max_age)

    def check(self, principal: Principal, now: float) -> None:
        """Raise what is lacking, unless the principal has what is required.

        Args:
            principal: who is calling.
            now: seconds since the epoch.

        Raises:
            InsufficientScopeError: for a scope or a role; this comes first.
            InsufficientUserAuthenticationError: for how or when the caller has signed in.
        """
        lacking = first_lack((self,), principal, now)
        if lacking is not None:
            raise lacking

    def is_met_by(self, principal: Principal, now: float) -> bool:
        """Whether the principal is somebody who has what is required.

        Args:
            principal: who is calling.
            now: seconds since the epoch.
        """
        if self.not_granted(principal) or (self.signing_in and self.not_signed_in(principal, now)):
            return False
        return principal.is_authenticated

    def _key(self) -> tuple[object, ...]:
        return (self.scopes, self.any_of, self.roles, self.acr, self.max_age)

    def __bool__(self) -> bool:
        return bool(self.scopes or self.any_of or self.roles or self.signing_in)

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
        if self.acr:
            parts.append(("acr " if len(self.acr) == 1 else "one of the acr ") + ", ".join(self.acr))
        if self.max_age is not None:
            parts.append(f"a sign-in at most {self.max_age} seconds ago")
        return " and ".join(parts) or "any authenticated caller"

    def arguments(self) -> str:
        """What it was built with, as written in Python."""
        asked = {
            "scopes": sorted(self.scopes),
            "any_of": sorted(self.any_of),
            "roles": sorted(self.roles),
            "acr": list(self.acr),
            "max_age": self.max_age,
        }
        return ", ".join(f"{name}={value!r}" for name, value in asked.items() if value)

    def __repr__(self) -> str:
        return f"Requirement({self.arguments()})"


def first_lack(requirements: Iterable[Requirement], principal: Principal, now: float) -> RefusedError | None:
    """What a caller must be told first, if anything is lacking; None if all requirements are met.

    A scope or a role that is missing comes before a sign-in that is not good enough, whichever
    requirement asks for it: nobody should sign in anew to be told that it was in vain.
    """
    for one in requirements:
        lacking = one.not_granted(principal)
        if lacking is not None:
            return lacking
    for one in requirements:
        if one.signing_in and (unmet := one.not_signed_in(principal, now)) is not None:
            return unmet
    return None


class Rule:
    """A path pattern, and what the paths that it covers ask of the caller.

    A pattern is read segment by segment: `*` stands for exactly one segment, `**` for any
    number of them, none included. A pattern without them covers its path and everything below.
    With them, a public rule opens just what it matches, while a protected rule goes on to cover
    what lies below. `"/"` in public_paths is the root page alone, in protected_paths everything.
    Where several rules match, the most specific decides: compared segment by segment, a word
    beats `*`, `*` beats `**`, and the longer pattern wins. Patterns in the syntax of other routers,
    such as `/users/{id}`, are refused with the spelling that works.

    Args:
        path: the pattern, starting with a slash, as the application sees it: decoded, and below
            the place where the application is mounted.
        methods: the methods that the rule is for; all if empty. `GET` includes `HEAD`, and in
            protected_paths websockets too; `WEBSOCKET` names websocket handshakes.
        scopes: scopes that the caller must have, all of them.
        any_of: scopes of which the caller must have at least one.
        roles: roles of which the caller must have at least one.
        acr: how the caller must have signed in: a value of the claim `acr`, or a list of those
            that are accepted, the preferred one first. If it is another, the answer asks for
            a sign-in (RFC 9470), as for `max_age`.
        max_age: seconds since the caller signed in, at most, by the claim `auth_time`; who has a
            token without it is asked to sign in.
        optional: `"strict"` lets requests without a credential pass as anonymous, and refuses
            bad ones; `"lenient"` treats a bad credential like none.
        login_path: where browsers are sent to sign in, instead of the guard's own login page.
        preflight: how a CORS preflight is treated here, instead of as the guard says; see `Guard`.

    Raises:
        ConfigurationError: for a rule that cannot be meant.
    """

    __slots__ = ("login_path", "methods", "optional", "path", "preflight", "requirement", "segments")

    def __init__(
        self,
        path: str,
        *,
        methods: Iterable[str] = (),
        scopes: Iterable[str] = (),
        any_of: Iterable[str] = (),
        roles: Iterable[str] = (),
        acr: str | Iterable[str] | None = None,
        max_age: float | None = None,
        optional: Optional | None = None,
        login_path: str | None = None,
        preflight: Preflight | None = None,
    ) -> None:
        self.segments = parse_pattern(path)
        self.path = path
        self.methods = check_methods(methods)
        self.requirement = Requirement(scopes, any_of, roles, acr, max_age)
        self.optional: Optional | None = optional
        self.login_path = None if login_path is None else local_path(login_path, "login_path")
        if optional not in (None, "strict", "lenient"):
            raise ConfigurationError(
                f"Rule({path!r}): optional must be 'strict' or 'lenient', or left out, got {optional!r}"
            )
        self.preflight = None if preflight is None else check_preflight(preflight)
        if preflight and optional:
            raise ConfigurationError(
                f"Rule({path!r}): preflight must be left out with optional, where preflights pass anyway"
            )
        if preflight and self.methods and "OPTIONS" not in self.methods:
            raise ConfigurationError(
                f"Rule({path!r}): methods must name OPTIONS, or be left out, for preflight to have an effect"
            )
        if optional and self.requirement:
            raise ConfigurationError(
                f"Rule({path!r}): authentication cannot be optional where {self.requirement} is required"
            )

    def __repr__(self) -> str:
        methods = f", methods={sorted(self.methods)}" if self.methods else ""
        asked = f", {self.requirement.arguments()}" if self.requirement else ""
        return f"Rule({self.path!r}{methods}{asked})"


def check_preflight(preflight: object) -> Preflight:
    """Check the option `preflight` of a guard or a rule.

    Args:
        preflight: the value of the option.

    Raises:
        ConfigurationError: if it is neither `"answer"` nor `"pass"`.
    """
    for mode in get_args(Preflight):
        if preflight == mode:
            return cast("Preflight", mode)
    raise ConfigurationError(
        f'preflight must be "answer" or "pass", got {preflight!r} ({type(preflight).__name__})'
    )


def _acr_values(values: str | Iterable[str]) -> tuple[str, ...]:
    listed = [values] if isinstance(values, str) else check_list(values, "acr")
    if not listed:
        raise ConfigurationError("acr is empty: leave it out, or name at least one value")
    for value in listed:
        if not isinstance(value, str) or not _SCOPE.match(value):
            raise ConfigurationError(
                f"acr: {value!r} cannot be named in a challenge; write a value, or a list of values, "
                "in ASCII without spaces, quotes and backslashes"
            )
    return tuple(dict.fromkeys(listed))


def _seconds(max_age: float) -> int:
    is_whole = type(max_age) is int or (type(max_age) is float and max_age.is_integer())
    if not is_whole or not 1 <= max_age <= _LONGEST_MAX_AGE:
        raise ConfigurationError(f"max_age {max_age!r}: write a whole number of seconds above 0, such as 300")
    return int(max_age)


def _is_recent(auth_time: object, max_age: int, now: float) -> bool:
    # By its type: bool is an int in Python. NaN is between no two numbers.
    if type(auth_time) is not int and type(auth_time) is not float:
        return False
    return now - max_age <= auth_time <= now + _LEEWAY
