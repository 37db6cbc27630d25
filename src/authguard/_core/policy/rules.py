"""Define rules: the requirements of paths and methods for the caller."""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Literal, cast, get_args
from urllib.parse import quote

from authguard._core.model import Kind, Principal
from authguard._core.options import (
    Duration,
    check_choice,
    check_flag,
    check_text,
    check_text_or_list,
    check_whole,
    check_whole_seconds,
    is_numeric_date,
    named_options,
)
from authguard._core.policy.names import LEFT_OUT, check_kinds, check_methods, check_names, check_not_empty
from authguard._core.policy.other_claims import hint_of_lack
from authguard._core.policy.patterns import local_path, parse_pattern
from authguard._core.quota import Quota, check_quota_or_list
from authguard.errors import (
    ConfigurationError,
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    RefusedError,
    UnacceptedCredentialError,
)

Optional = Literal["strict", "lenient"]
#: The handling of a CORS preflight of a protected path: answered by the guard, or passed on.
Preflight = Literal["answer", "pass"]

# scope-token of RFC 6749 section 3.3; other text could not be named in a challenge. It also fits `acr_values`
# of RFC 9470, which are quoted and separated by spaces, too.
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+\Z")

_MAX_AGE = 2**31 - 1  # 68 years
_MAX_NAME = 120  # characters
_LEEWAY = 30.0  # seconds by which the clock of the issuer may be ahead; the same as the default for tokens


class Requirement:
    """State the scopes and roles that a caller must have, and how and when it must have signed in.

    Args:
        scopes: all of these scopes.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: the claim `acr` must be one of these, the preferred one first.
        max_age: the greatest age of the sign-in by the claim `auth_time`: seconds, or a timedelta.
        credentials: the accepted kinds of credential, as in `Principal.method`; None for all.

    Raises:
        ConfigurationError: if a name can be in no token or challenge, `max_age` is not a whole number of
            seconds above 0, or a kind does not exist.
    """

    __slots__ = ("acr", "any_of", "asks_more", "credentials", "max_age", "roles", "scopes", "signing_in")

    def __init__(
        self,
        scopes: Iterable[str] = (),
        any_of: Iterable[str] = (),
        roles: Iterable[str] = (),
        acr: str | Iterable[str] | None = None,
        max_age: float | Duration | None = None,
        *,
        credentials: Iterable[str] | None = None,
    ) -> None:
        self.scopes = check_names(scopes, "scopes", SCOPE)
        self.any_of = check_names(any_of, "any_of", SCOPE)
        self.roles = check_names(roles, "roles", None)
        self.acr = () if acr is None else _acr_values(acr)
        self.max_age = None if max_age is None else check_whole_seconds(max_age, "max_age", _MAX_AGE, least=1)
        #: Whether it requires a method or an age of the sign-in.
        self.signing_in = bool(self.acr) or self.max_age is not None
        self.credentials = frozenset() if credentials is None else check_kinds(credentials)
        #: Whether it requires more than scopes and roles.
        self.asks_more = self.signing_in or bool(self.credentials)

    def check_not_empty(self, **options: object) -> None:
        """Raise ConfigurationError if an option was set to a list without names.

        Args:
            options: the values of `scopes`, `any_of` and `roles`, as they were given.
        """
        for option, names in options.items():
            check_not_empty(option, names, getattr(self, option), "no requirement")

    def not_granted(self, principal: Principal) -> InsufficientScopeError | None:
        """Return an error about scopes or roles that the principal lacks; None if it lacks none."""
        if not principal.scopes >= self.scopes:
            missing = ", ".join(sorted(self.scopes - principal.scopes))
            return InsufficientScopeError(f"it lacks the scope {missing}", scopes=self.scopes | self.any_of)
        if self.any_of and not principal.scopes & self.any_of:
            accepted = ", ".join(sorted(self.any_of))
            return InsufficientScopeError(
                f"it has none of the scopes {accepted}", scopes=self.scopes | self.any_of
            )
        if self.roles and not principal.roles & self.roles:
            accepted = ", ".join(sorted(self.roles))
            return InsufficientScopeError(f"it has none of the roles {accepted}", scopes=self.scopes)
        return None

    def not_taken(self, principal: Principal) -> UnacceptedCredentialError | None:
        """Return an error if the kind of the credential is not accepted; otherwise None."""
        if not self.credentials or principal.method in self.credentials:
            return None
        return UnacceptedCredentialError(f"none of the accepted kinds: {principal.method}")

    def more_lacking(self, principal: Principal, now: float) -> RefusedError | None:
        """Return an error about the requirements besides scopes and roles that are not met; None if all are.

        Args:
            principal: the caller.
            now: seconds since the epoch.
        """
        return self.not_taken(principal) or self.not_signed_in(principal, now)

    def not_signed_in(self, principal: Principal, now: float) -> InsufficientUserAuthenticationError | None:
        """Return an error about the method or age of the principal's sign-in; None if both are sufficient.

        The error names all requirements of the sign-in, because the next sign-in must meet all of them.
        """
        reason = ""
        if self.acr and principal.claims.get("acr") not in self.acr:
            reason = "none of the accepted acr values"
        elif self.max_age is not None and not _is_recent(
            principal.claims.get("auth_time"), self.max_age, now
        ):
            reason = "signed in too long ago, or at an unknown time"
        if not reason:
            return None
        return InsufficientUserAuthenticationError(reason, acr_values=self.acr, max_age=self.max_age)

    def check(self, principal: Principal, now: float) -> None:
        """Raise an error unless the principal meets the requirement.

        Args:
            principal: the caller.
            now: seconds since the epoch.

        Raises:
            UnacceptedCredentialError: for the kind of the credential, which is checked first.
            InsufficientScopeError: for a scope or a role, which is checked second.
            InsufficientUserAuthenticationError: for the method or age of the sign-in.
        """
        lacking = first_lack((self,), principal, now)
        if lacking is not None:
            raise lacking

    def is_met_by(self, principal: Principal, now: float) -> bool:
        """Return whether the principal is authenticated and meets the requirement.

        Args:
            principal: the caller.
            now: seconds since the epoch.
        """
        if self.not_granted(principal) or (self.asks_more and self.more_lacking(principal, now)):
            return False
        return principal.is_authenticated

    def _key(self) -> tuple[object, ...]:
        return (self.scopes, self.any_of, self.roles, self.acr, self.max_age, self.credentials)

    def __bool__(self) -> bool:
        return bool(self.scopes or self.any_of or self.roles or self.asks_more)

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
        if self.credentials:
            words = "credential " if len(self.credentials) == 1 else "one of the credentials "
            parts.append(words + ", ".join(sorted(self.credentials)))
        return " and ".join(parts) or "any authenticated caller"

    def arguments(self) -> str:
        """Return the arguments of the rule, as written in Python."""
        options = {
            "scopes": sorted(self.scopes),
            "any_of": sorted(self.any_of),
            "roles": sorted(self.roles),
            "acr": list(self.acr),
            "max_age": self.max_age,
            "credentials": sorted(self.credentials),
        }
        return ", ".join(f"{name}={value!r}" for name, value in options.items() if value)

    def __repr__(self) -> str:
        return f"Requirement({self.arguments()})"


def first_lack(requirements: Iterable[Requirement], principal: Principal, now: float) -> RefusedError | None:
    """Return the first error for the caller; None if all requirements are met.

    A wrong kind of credential comes first, because another caller may present the right one. A missing scope
    or role comes before an insufficient sign-in, regardless of the requirement that it belongs to, because
    signing in again would not help the user.
    """
    for requirement in requirements:
        if (refused := requirement.not_taken(principal)) is not None:
            return refused
    for requirement in requirements:
        lacking = requirement.not_granted(principal)
        if lacking is not None:
            lacking.hint = hint_of_lack(principal, requirement)
            return lacking
    for requirement in requirements:
        if requirement.signing_in and (unmet := requirement.not_signed_in(principal, now)) is not None:
            return unmet
    return None


@named_options
class Rule:
    """Describe a path pattern, and the requirements of the paths that it covers.

    A pattern is compared segment by segment: `*` matches exactly one segment, `**` any number of them,
    including none. A pattern without them covers its path and everything below. With them, a public rule
    opens only the paths that it matches, while a protected rule also covers the paths below. `"/"` in
    public_paths is only the root page, in protected_paths everything. If several rules match, the most
    specific decides: compared segment by segment, a word beats `*`, `*` beats `**`, and the longer pattern
    wins. Patterns in the syntax of other routers, such as `/users/{id}`, are refused with the spelling that
    works.

    Args:
        path: the pattern, starting with a slash, as the application sees it: decoded, and below the mount
            point.
        methods: the methods of the rule; by default all. `GET` includes `HEAD`, and in protected_paths
            websockets too; `WEBSOCKET` names websocket handshakes.
        scopes: scopes that the caller must have, all of them.
        any_of: scopes of which the caller must have at least one.
        roles: roles of which the caller must have at least one.
        acr: how the caller must have signed in: a value of the claim `acr`, or a list of accepted values, the
            preferred one first. With another value, the answer requires a sign-in (RFC 9470), as with
            `max_age`.
        max_age: the greatest age of the sign-in by the claim `auth_time`, in seconds or as a timedelta; a
            caller whose token lacks the claim must sign in.
        credentials: the accepted kinds of credential, as in `Principal.method`: `"bearer"`, `"api_key"`,
            `"cookie"`, `"dpop"` and `"header"`; None for all. A caller with another kind gets a 401, like one
            without any.
        optional: `"strict"` lets requests without a credential pass as anonymous, and refuses invalid ones;
            `"lenient"` treats an invalid credential like none.
        login_path: the login page for browsers, instead of the guard's own.
        login_redirect: whether browsers are redirected to the login page; if False, they get the 401, as a
            page.
        preflight: the handling of CORS preflights, instead of the guard's; see `Guard`.
        quota: a `Quota` for these paths, or a list of them, in addition to those of the guard. One without a
            name belongs to the rule; rules with a quota of the same name share it.
        cost: the amount that a request takes from all quotas; with 0, no quota refuses it.

    Raises:
        ConfigurationError: if options contradict each other or are out of range, or the pattern is refused.
    """

    __slots__ = (
        "cost",
        "login_path",
        "login_redirect",
        "methods",
        "optional",
        "path",
        "preflight",
        "quotas",
        "requirement",
        "segments",
    )

    def __init__(
        self,
        path: str,
        *,
        methods: Iterable[str] = LEFT_OUT,
        scopes: Iterable[str] = LEFT_OUT,
        any_of: Iterable[str] = LEFT_OUT,
        roles: Iterable[str] = LEFT_OUT,
        acr: str | Iterable[str] | None = None,
        max_age: float | Duration | None = None,
        credentials: Iterable[Kind] | None = None,
        optional: Optional | None = None,
        login_path: str | None = None,
        login_redirect: bool = True,
        preflight: Preflight | None = None,
        quota: Quota | Iterable[Quota] | None = None,
        cost: int = 1,
    ) -> None:
        self.segments = parse_pattern(path)
        self.path = path
        self.methods = check_methods(methods)
        self.requirement = Requirement(scopes, any_of, roles, acr, max_age, credentials=credentials)
        check_not_empty("methods", methods, self.methods, "all methods")
        self.requirement.check_not_empty(scopes=scopes, any_of=any_of, roles=roles)
        self.optional: Optional | None = optional
        self.login_path = None if login_path is None else local_path(login_path, "login_path")
        self.login_redirect = check_flag(login_redirect, f"Rule({path!r}): login_redirect")
        if optional is not None:
            check_choice(optional, f"Rule({path!r}): optional", get_args(Optional))
        self.preflight = None if preflight is None else check_preflight(preflight)
        self.cost = check_whole(cost, f"Rule({path!r}): cost", 0)
        quotas = check_quota_or_list(quota, f"Rule({path!r}): quota")
        self.quotas = tuple(self._with_name(quota) for quota in quotas)
        if self.quotas and not self.cost:
            raise ConfigurationError(
                f"Rule({path!r}): quota must be left out with cost=0, which takes nothing from any, got "
                f"{[quota.policy for quota in quotas]}"
            )
        if self.login_path and not login_redirect:
            raise ConfigurationError(
                f"Rule({path!r}): login_path must be left out with login_redirect=False, which makes no "
                f"redirects, got {login_path!r}"
            )
        if preflight and optional:
            raise ConfigurationError(
                f"Rule({path!r}): preflight must be left out with optional, where preflights pass anyway, "
                f"got {preflight!r}"
            )
        if preflight and self.methods and "OPTIONS" not in self.methods:
            raise ConfigurationError(
                f"Rule({path!r}): methods must name OPTIONS, or be left out, for preflight to have an "
                f"effect, got {sorted(self.methods)}"
            )
        if optional and self.requirement:
            raise ConfigurationError(
                f"Rule({path!r}): optional must be left out where {self.requirement} is required, got "
                f"{optional!r}"
            )

    def _with_name(self, quota: Quota) -> Quota:
        """Return a quota under a name that no other rule has, unless it already has a name."""
        if quota.name is not None:
            return quota
        where = " ".join([*sorted(self.methods), quote(self.path, safe="/*:@!$&'()+,;=~")])
        return quota.named(f"{where} {quota.policy}")

    @property
    def name(self) -> str:
        """Return methods and path as they are written, in 120 characters at most, as a name for counting."""
        name = " ".join([*sorted(self.methods), self.path])
        if len(name) <= _MAX_NAME:
            return name
        return f"{name[: _MAX_NAME - 17]}…{sha256(name.encode()).hexdigest()[:16]}"

    def __repr__(self) -> str:
        methods = f", methods={sorted(self.methods)}" if self.methods else ""
        required = f", {self.requirement.arguments()}" if self.requirement else ""
        redirect = "" if self.login_redirect else ", login_redirect=False"
        quotas = f", quota={[quota.policy for quota in self.quotas]}" if self.quotas else ""
        cost = f", cost={self.cost}" if self.cost != 1 else ""
        return f"Rule({self.path!r}{methods}{required}{redirect}{quotas}{cost})"


def check_preflight(preflight: object) -> Preflight:
    """Check the option `preflight` of a guard or a rule.

    Args:
        preflight: the value of the option.

    Raises:
        ConfigurationError: if it is neither `"answer"` nor `"pass"`.
    """
    return cast("Preflight", check_choice(preflight, "preflight", get_args(Preflight)))


def _acr_values(values: str | Iterable[str]) -> tuple[str, ...]:
    listed = check_text_or_list(values, "acr")
    for value in listed:
        check_text(value, "acr", pattern=SCOPE, must="be ASCII without spaces, quotes and backslashes")
    check_names(listed, "acr", SCOPE)  # refuses a list in one text
    return tuple(dict.fromkeys(listed))


def _is_recent(auth_time: object, max_age: int, now: float) -> bool:
    return is_numeric_date(auth_time) and now - max_age <= auth_time <= now + _LEEWAY
