"""The claims of a token whose signature has been verified: RFC 7519 section 4, RFC 8725, RFC 9068."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

from authguard._core.jose import Token
from authguard._core.model import Claims, Method, Principal
from authguard._core.strict_json import JSONError, decode_utf8, parse_object
from authguard.errors import (
    ExpiredTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    MalformedTokenError,
    MissingRequiredClaimError,
)

_NOTHING: frozenset[str] = frozenset()
_LATEST = 253_402_300_799  # the last second that datetime can show: 9999-12-31T23:59:59Z
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
_FOREIGN_CLAIMS = ("at_hash", "c_hash", "s_hash", "events")


@dataclass(frozen=True, slots=True)
class Expectations:
    """What a verifier asks of claims; see `JWTVerifier` for each."""

    issuer: str | None
    audience: frozenset[str]
    leeway: float
    required: tuple[str, ...]
    types: frozenset[str | None]
    scope_claims: tuple[str, ...]
    role_claims: tuple[str, ...]


def read_claims(token: Token) -> tuple[str, dict[str, Any]]:
    """The claims, as text and as an object.

    Raises:
        MalformedTokenError: if they are not one strict JSON object in UTF-8.
    """
    try:
        text = decode_utf8(token.payload)
        return text, parse_object(text)
    except JSONError as error:
        raise MalformedTokenError("the claims are not a strict JSON object") from error


def check_claims(claims: Mapping[str, Any], kind: str | None, expected: Expectations, now: float) -> None:
    """Raise unless this is an access token for us that is valid now.

    Args:
        claims: the verified claims.
        kind: the header's `typ`, as `jose.media_type` returns it.
        expected: what is asked.
        now: seconds since the epoch.
    """
    for name in expected.required:
        if claims.get(name) is None:
            raise MissingRequiredClaimError(f"no {name}")
    _check_types(claims)
    _check_kind(claims, kind, expected.types)
    if expected.issuer is not None and claims.get("iss") != expected.issuer:
        raise InvalidIssuerError("another issuer")
    _check_audience(claims.get("aud"), expected.audience)
    _check_dates(claims, expected.leeway, now)


def _check_types(claims: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        if name in claims and not isinstance(claims[name], str):
            raise MalformedTokenError(f"{name} is not text")
    if claims.get("sub") == "":
        raise MalformedTokenError("sub is empty")
    for name in _DATES:
        if name in claims:
            value = claims[name]
            # bool is an int in Python; NumericDate is a JSON number (RFC 7519 section 2).
            if type(value) not in (int, float) or not isfinite(value) or not 0 <= value <= _LATEST:
                raise MalformedTokenError(f"{name} is not a date")


def _check_kind(claims: Mapping[str, Any], kind: str | None, types: Collection[str | None]) -> None:
    if kind not in types:
        raise MalformedTokenError("a token of another type")
    for name in _FOREIGN_CLAIMS:
        if name in claims:
            raise MalformedTokenError(f"not a plain bearer access token: it has {name}")
    for name in _KIND_CLAIMS:
        if name in claims and not _is_access(name, claims[name]):
            raise MalformedTokenError(f"not an access token, says {name}")


def _is_access(name: str, value: object) -> bool:
    if not isinstance(value, str):
        return name == "type"
    value = value.casefold()
    if name == "type":  # a name that applications use for other things, too
        return not value.startswith(_OTHER_KINDS)
    return value in _ACCESS_KINDS


def _check_audience(audience: object, expected: frozenset[str]) -> None:
    if audience is None and not expected:
        return
    names = [audience] if isinstance(audience, str) else audience
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidAudienceError("no audience")
    if expected.isdisjoint(names):
        raise InvalidAudienceError("another audience")


def _check_dates(claims: Mapping[str, Any], leeway: float, now: float) -> None:
    if "exp" in claims and now >= claims["exp"] + leeway:
        raise ExpiredTokenError("expired")
    if "nbf" in claims and now < claims["nbf"] - leeway:
        raise ExpiredTokenError("not valid yet")
    if "iat" in claims and now < claims["iat"] - leeway:
        raise ExpiredTokenError("issued in the future")


def principal_from(
    text: str, claims: Mapping[str, Any], expected: Expectations, *, key_id: str | None, method: Method
) -> Principal:
    """Who the claims speak of; they must have been checked."""
    client = claims.get("client_id", claims.get("azp"))
    subject = claims.get("sub") or client
    if not subject:
        raise MissingRequiredClaimError("neither sub nor client_id")
    return Principal(
        subject=subject,
        scopes=_names_at(claims, expected.scope_claims, split=True),
        roles=_names_at(claims, expected.role_claims, split=False),
        claims=Claims(text),
        issuer=claims.get("iss"),
        client_id=client,
        token_id=claims.get("jti"),
        key_id=key_id,
        expires_at=claims.get("exp"),
        method=method,
    )


def _names_at(claims: Mapping[str, Any], paths: Iterable[str], *, split: bool) -> frozenset[str]:
    found: list[str] = []
    for path in paths:
        # A name may have dots in it, such as https://example.com/roles, so it comes first.
        value = claims[path] if path in claims else _value_at(claims, path) if "." in path else None
        if isinstance(value, str):
            found += value.split(" ") if split else [value]
        elif isinstance(value, list):
            found += [name for name in value if isinstance(name, str)]
    return _shared(tuple(found)) if found else _NOTHING


def _value_at(claims: Mapping[str, Any], path: str) -> object:
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@lru_cache(maxsize=1024)
def _shared(names: tuple[str, ...]) -> frozenset[str]:
    # Few sets for many tokens: 0.2 KB and 0.5 µs less for each.
    return frozenset(names) - {""}
