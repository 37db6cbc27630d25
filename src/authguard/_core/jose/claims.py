"""Judge the claims of a token whose signature has been verified: RFC 7519 section 4, RFC 8725, RFC 9068."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard

from authguard._core.jose.compact import Token
from authguard._core.model import Claims, Method, Principal, make_principal
from authguard._core.options import LATEST_MOMENT, NUMERIC_TYPES, is_numeric_date
from authguard._core.strict_json import JSONError, decode_utf8, parse_object
from authguard.errors import (
    Cause,
    ExpiredTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidTokenError,
    MalformedTokenError,
    MissingRequiredClaimError,
)

#: What the subject of a client begins with, where a token has no `sub` (7 characters).
CLIENT_PREFIX = "client:"

_NOTHING: frozenset[str] = frozenset()
_DATES = ("exp", "nbf", "iat", "auth_time")
_TEXTS = ("iss", "sub", "jti", "client_id", "azp")

# How issuers mark tokens that are no access tokens, where `typ` in the header says nothing.
_KIND_CLAIMS = ("token_use", "token_type", "typ", "type")
_ACCESS_KINDS = frozenset({"access", "access_token", "at+jwt", "bearer", "jwt"})
_OTHER_KINDS = (
    "refresh",
    "id",
    "id_token",
    "reset",
    "verif",
    "state",
    "logout",
    "offline",
    "email",
    "password",
)
# Only ID tokens carry hashes of other tokens (OpenID Connect Core 3.1.3.6); only security event
# tokens carry events (RFC 8417). `cnf` is for the guard to judge: see `proofs`.
FOREIGN_CLAIMS = ("at_hash", "c_hash", "s_hash", "events")
_MEMBERS = {
    **dict.fromkeys(_TEXTS, "text"),
    **dict.fromkeys(_DATES, "date"),
    **dict.fromkeys(_KIND_CLAIMS, "kind"),
    **dict.fromkeys(FOREIGN_CLAIMS, "foreign"),
}


@dataclass(frozen=True, slots=True)
class Expectations:
    """Hold what a verifier asks of claims; see `JWTVerifier` for each."""

    issuer: str | None
    audience: frozenset[str]
    leeway: float
    required: tuple[str, ...]
    types: frozenset[str | None]
    scope_claims: tuple[str, ...]
    role_claims: tuple[str, ...]
    tier_claim: str | None = None


def read_claims(token: Token) -> tuple[str, dict[str, Any]]:
    """Read the claims, as text and as an object.

    Raises:
        MalformedTokenError: if they are not one strict JSON object in UTF-8.
    """
    try:
        text = decode_utf8(token.payload)
        return text, parse_object(text)
    except JSONError as error:
        raise MalformedTokenError("the claims are not a strict JSON object") from error


def verify_claims(
    text: str,
    claims: Mapping[str, Any],
    expected: Expectations,
    now: float,
    *,
    kind: str | None,
    key_id: str | None,
    method: Method,
) -> Principal:
    """Return the principal of an access token for us that is valid now.

    Args:
        text: the claims as they came; their signature has been verified.
        claims: the same, read.
        expected: what is asked.
        now: seconds since the epoch.
        kind: the header's `typ`, as `jose.media_type` returns it.
        key_id: the `kid` of the key that signed.
        method: how the token was carried.
    """
    find = claims.get
    for name in expected.required:
        if find(name) is None:
            raise MissingRequiredClaimError(f"no {name}", claim=name)
    if kind not in expected.types:
        raise MalformedTokenError("a token of another type", cause=Cause.KIND)
    _check_members(claims)
    issuer = find("iss")
    if expected.issuer is not None and issuer != expected.issuer:
        raise InvalidIssuerError("another issuer")
    check_audience(find("aud"), expected.audience)
    expires_at = find("exp")
    if expires_at is not None and now >= expires_at + expected.leeway:
        raise ExpiredTokenError("expired", claim="exp")
    latest = now + expected.leeway
    if latest < find("nbf", 0):
        raise ExpiredTokenError("not valid yet", cause=Cause.NOT_YET_VALID, claim="nbf")
    if latest < find("iat", 0):
        raise ExpiredTokenError("issued in the future", cause=Cause.ISSUED_IN_FUTURE, claim="iat")
    client = find("client_id", find("azp"))
    subject = find("sub")
    if not subject or subject[:7] == CLIENT_PREFIX:
        subject = _client_subject(claims, subject, client)
    return make_principal(
        subject=subject,
        scopes=_names_at(claims, expected.scope_claims, split=True),
        roles=_names_at(claims, expected.role_claims, split=False),
        claims=Claims(text),
        issuer=issuer,
        client_id=client,
        token_id=find("jti"),
        key_id=key_id,
        expires_at=expires_at,
        method=method,
        tier=None if expected.tier_claim is None else _tier_at(claims, expected.tier_claim),
        quotas=(),
    )


def _client_subject(claims: Mapping[str, Any], subject: str | None, client: str | None) -> str:
    """Return the subject of a token that is its client's own, such as `client:billing`.

    The mark keeps a client apart from a user of the same name. A user who could choose `client:billing`
    as `sub` would pass for that client, so it is taken only from that client's tokens.
    """
    if subject == "":
        raise MalformedTokenError("sub is empty", claim="sub")
    of_client = f"{CLIENT_PREFIX}{client}" if client else None
    if subject is None:
        if of_client is None or "username" in claims:
            raise MissingRequiredClaimError("no sub, and it is not a client's own token", claim="sub")
        return of_client
    if subject != of_client:
        raise InvalidTokenError("a sub that would pass for a client", claim="sub")
    return subject


def _check_members(claims: Mapping[str, Any]) -> None:
    """Check each claim that has a rule by its name, in one pass."""
    for name, value in claims.items():
        kind = _MEMBERS.get(name)
        if kind is None:
            continue
        if kind == "text":
            if type(value) is not str:
                raise MalformedTokenError(f"{name} is not text", claim=name)
        elif kind == "date":
            # As `is_numeric_date`, without a call for each date of each token.
            # Neither NaN nor infinity is between two numbers.
            if type(value) not in NUMERIC_TYPES or not 0 <= value <= LATEST_MOMENT:
                raise MalformedTokenError(f"{name} is not a date", claim=name)
        elif kind == "kind":
            if not _is_access(name, value, bound="cnf" in claims):
                raise MalformedTokenError(f"not an access token, says {name}", cause=Cause.KIND, claim=name)
        else:
            raise MalformedTokenError(
                f"not a plain bearer access token: it has {name}", cause=Cause.KIND, claim=name
            )


def _is_access(name: str, value: object, *, bound: bool) -> bool:
    if not isinstance(value, str):
        return name == "type"
    value = value.casefold()
    if value == "dpop":  # RFC 9449 section 6.2; what it is bound to is for the guard to check
        return bound
    if name == "type":  # a name that applications use for other things, too
        return not value.startswith(_OTHER_KINDS)
    return value in _ACCESS_KINDS


def is_date(value: object) -> TypeGuard[float]:
    """Tell a NumericDate (RFC 7519 section 2) that datetime can show."""
    return is_numeric_date(value) and 0 <= value <= LATEST_MOMENT


def check_audience(audience: object, expected: frozenset[str]) -> None:
    """Raise unless one of the names is expected."""
    if isinstance(audience, str):
        if audience not in expected:
            raise InvalidAudienceError("another audience")
        return
    if audience is None and not expected:
        return
    if not isinstance(audience, list) or not all(isinstance(name, str) for name in audience):
        raise InvalidAudienceError("no audience")
    if expected.isdisjoint(audience):
        raise InvalidAudienceError("another audience")


def _names_at(claims: Mapping[str, Any], paths: tuple[str, ...], *, split: bool) -> frozenset[str]:
    granted = _NOTHING
    for path in paths:
        # A name may have dots in it, such as https://example.com/roles, so it comes first.
        value = claims.get(path)
        if value is None and "." in path:
            value = _value_at(claims, path)
        if isinstance(value, str):
            names = _words(value) if split else _shared((value,))
        elif isinstance(value, list):
            names = _shared(tuple(name for name in value if isinstance(name, str)))
        else:
            continue
        granted = granted | names if granted else names
    return granted


def _tier_at(claims: Mapping[str, Any], path: str) -> str | None:
    tier = claims.get(path)
    if tier is None and "." in path:
        tier = _value_at(claims, path)
    if tier is not None and (type(tier) is not str or not tier):
        raise MalformedTokenError(f"{path} is no tier", claim=path)
    return tier


def _value_at(claims: Mapping[str, Any], path: str) -> object:
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


# Few sets for many tokens.
@lru_cache(maxsize=1024)
def _words(text: str) -> frozenset[str]:
    return _shared(tuple(text.split(" ")))


@lru_cache(maxsize=1024)
def _shared(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names) - {""}
