"""Define a caller's credential and principal."""

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeAlias, TypeVar, get_args

from authguard._core.options import (
    Moment,
    check_choice,
    check_list,
    check_mapping,
    check_moment,
    check_object,
    check_text,
    got,
    named_options,
)
from authguard._core.quota import Quota, check_quotas
from authguard._core.strict_json import parse_object
from authguard.errors import ConfigurationError

#: Keys or certificates to prove: pairs of a `cnf` member and its value (RFC 7800 section 3.1).
Confirmation: TypeAlias = tuple[tuple[str, str], ...]
#: The ways to send a credential: as `Bearer`, as an API key, in the cookie, as `DPoP`, or as a token in its
#: own field.
Kind = Literal["bearer", "api_key", "cookie", "dpop", "header"]
#: A kind of credential; empty for an anonymous caller.
Method = Kind | Literal[""]

Fields = ParamSpec("Fields")
Made = TypeVar("Made")

_KINDS = get_args(Kind)
_NOTHING: frozenset[str] = frozenset()


@dataclass(slots=True)
class Credential:
    """Hold the presented credential, which is secret, so `repr` does not show it.

    Attributes:
        value: the token or the key, without scheme or field name.
        method: how it was sent: `bearer`, `api_key`, `cookie`, `dpop`, or `header` for a token in its own
            field.
        header: the field that contained it, in lower case, such as `x-api-key`; empty if no field did.
    """

    value: str = field(repr=False)
    method: Method
    header: str = field(default="", compare=False)


class Claims(Mapping[str, Any]):
    """Hold verified claims as their JSON text, which is parsed when they are read.

    So a remembered principal is small, and no request can change the claims for the next one.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __getitem__(self, name: str) -> Any:
        return parse_object(self._text)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(parse_object(self._text))

    def __len__(self) -> int:
        return len(parse_object(self._text))

    def items(self) -> ItemsView[str, Any]:  # parses the text once, and not for each claim
        return parse_object(self._text).items()

    def __contains__(self, name: object) -> bool:
        # If no character is escaped, a name occurs in the text unchanged.
        if f'"{name}"' not in self._text and "\\" not in self._text:
            return False
        return name in parse_object(self._text)

    def __repr__(self) -> str:
        return f"Claims({', '.join(self)})"


def _frozen_maker(cls: Callable[Fields, Made]) -> Callable[Fields, Made]:
    """Return a function that makes a frozen, slotted dataclass faster than its constructor.

    The constructor sets each field through `object.__setattr__`. Here the fields are set on an object of a
    class with the same slots that is not frozen; then the object's class is changed to the dataclass. The
    function is generated from text, like the constructors of dataclasses. Its parameters have no defaults.
    """
    names = [each.name for each in fields(cls)]  # type: ignore[arg-type]  # a class, which mypy cannot tell
    text = [
        f"def make({', '.join(names)}):",
        "    made = unfrozen()",
        *(f"    made.{name} = {name}" for name in names),
        "    made.__class__ = cls",
        "    return made",
    ]
    # The class has the same bases, so that both classes have their slots in the same places.
    bases = cls.__bases__  # type: ignore[attr-defined]
    unfrozen = type("Unfrozen", bases, {"__slots__": tuple(names)})
    namespace: dict[str, Any] = {"cls": cls, "unfrozen": unfrozen}
    exec("\n".join(text), namespace)  # noqa: S102 (the text contains only names of fields)
    maker: Callable[Fields, Made] = namespace["make"]
    return maker


@named_options
@dataclass(frozen=True, slots=True)
class Principal:
    """Describe the caller, with only those facts that a verifier has established.

    It also has the attributes that Starlette expects of a user (`is_authenticated`, `display_name`,
    `identity`). Identify users by (`issuer`, `subject`), never by a claim such as `email` (RFC 7519 section
    4.1.2, OpenID Connect Core section 5.7).

    Attributes:
        subject: the `sub` of a token, the subject of an API key.
        scopes: the granted scopes (RFC 6749 section 3.3).
        roles: roles, from the claims that the verifier is configured to read.
        claims: the verified claims; empty for API keys.
        issuer: the `iss` of the subject, if any.
        client_id: the OAuth client that acts, by `client_id` or `azp`; with `client_ids`, also by `cid` or
            `appid`. None if the token names none.
        token_id: the `jti`, by which a token is revoked; for an API key of the identity service, the name of
            the presented secret, of which a key may have two.
        key_id: the public name of an API key, or the `kid` of the key that signed the token.
        expires_at: seconds since the epoch, or None if it does not expire.
        method: how the credential was sent: `bearer`, `api_key`, `cookie`, `dpop`, or `header` for a token in
            its own field; empty for an anonymous caller.
        tier: the tier of an API key, or of the claim that the verifier is configured to read, which selects
            the quotas; None for no tier.
        quotas: quotas of this API key, in addition to those of its tier.

    Raises:
        ConfigurationError: if the subject is missing, or an attribute has the wrong type. A list of scopes or
            roles becomes a frozenset, and a datetime with a time zone the seconds since the epoch.
    """

    subject: str
    scopes: frozenset[str] = _NOTHING
    roles: frozenset[str] = _NOTHING
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False, compare=False)
    issuer: str | None = None
    client_id: str | None = None
    token_id: str | None = None
    key_id: str | None = None
    expires_at: float | None = None
    method: Method = "bearer"
    tier: str | None = None
    quotas: tuple[Quota, ...] = ()

    if TYPE_CHECKING:
        # The constructor of the dataclass, with the types that `__post_init__` converts to the fields' own.
        def __init__(  # noqa: PLR0917 (the fields)
            self,
            subject: str,
            scopes: Iterable[str] = _NOTHING,
            roles: Iterable[str] = _NOTHING,
            claims: Mapping[str, Any] = ...,
            issuer: str | None = None,
            client_id: str | None = None,
            token_id: str | None = None,
            key_id: str | None = None,
            expires_at: float | Moment | None = None,
            method: Method = "bearer",
            tier: str | None = None,
            quotas: Iterable[Quota] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.method != "" or self.subject != "":  # the only principal without a method is `ANONYMOUS`
            check_text(self.subject, "subject of a Principal")
            check_choice(self.method, "method of a Principal", _KINDS)
        for name in ("scopes", "roles"):
            values = getattr(self, name)
            listed = check_list(values, f"{name} of a Principal")
            for value in listed:
                check_text(value, f"each of {name} of a Principal")
            object.__setattr__(self, name, frozenset(listed))
        check_mapping(self.claims, "claims of a Principal", 'claims={"tenant": "a"}')
        for name in ("issuer", "client_id", "token_id", "key_id", "tier"):
            if not isinstance(getattr(self, name), str | None):
                raise ConfigurationError(
                    f"{name} of a Principal must be text, got {got(getattr(self, name))}"
                )
        if self.expires_at is not None:
            moment = check_moment(self.expires_at, "expires_at of a Principal", infinite=True)
            object.__setattr__(self, "expires_at", moment)
        if self.quotas != ():
            object.__setattr__(self, "quotas", check_quotas(self.quotas, "quotas of a Principal"))

    @property
    def is_authenticated(self) -> bool:
        """Return whether the caller is authenticated: true for all but `ANONYMOUS`."""
        return self.method != ""

    def __bool__(self) -> bool:
        """Return the same as `is_authenticated`: `if current_user:` is false for an anonymous caller."""
        return self.method != ""

    @property
    def display_name(self) -> str:
        """Return the name of the caller for pages: the subject."""
        return self.subject

    @property
    def identity(self) -> str:
        """Return the subject, by the name that Starlette uses."""
        return self.subject


#: Creates a principal, for a first-seen token.
make_principal = _frozen_maker(Principal)


def api_key_id(principal: Principal) -> str | None:
    """Return the public name of an API key; None for a token, whose `key_id` is its issuer's `kid`."""
    return principal.key_id if principal.method == "api_key" else None


def session_of(claims: Mapping[str, Any]) -> str | None:
    """Return the `sid` of a token as text, because some issuers number their sessions; None without one."""
    session = claims.get("sid")
    return str(session) if type(session) in (str, int) and session != "" else None


#: The anonymous caller: on public paths, and where authentication is optional.
ANONYMOUS = Principal(subject="", method="")


class _Notable:
    """Add a slot for a mark."""

    __slots__ = ("noted",)

    noted: bool


@named_options
@dataclass(frozen=True, slots=True)
class Auth(_Notable):
    """Hold the value of `scope["auth"]`: the principal, and its scopes in Starlette's form.

    Attributes:
        principal: the caller.
        vary: request fields on which the response depends, for shared caches.
        confirmation: the keys or certificates that each request must prove to hold: pairs of a `cnf` member
            and its value, such as `("jkt", "0ZcO…")` (RFC 7800 section 3.1).
    """

    principal: Principal
    vary: str = ""
    confirmation: Confirmation = ()

    def __post_init__(self) -> None:
        check_object(
            self.principal, "principal of an Auth", Principal, 'Auth(Principal("ann"))', or_none=False
        )

    @property
    def scopes(self) -> frozenset[str]:
        """Return the principal's scopes, and `authenticated` if the caller is authenticated.

        So `starlette.authentication.requires` works unchanged; `principal.scopes` has only the granted
        scopes.
        """
        principal = self.principal
        return _with_authenticated(principal.scopes) if principal.is_authenticated else _NOTHING


def note(auth: Auth) -> None:
    """Mark an `Auth` as one that a decision event was reported with."""
    object.__setattr__(auth, "noted", True)


#: Creates an `Auth`, for a first-seen credential.
make_auth = _frozen_maker(Auth)


@lru_cache(maxsize=1024)
def _with_authenticated(scopes: frozenset[str]) -> frozenset[str]:
    return scopes | {"authenticated"}


ANONYMOUS_AUTH = Auth(ANONYMOUS)
