"""Check the claims of a logout token whose signature is verified: OpenID Connect Back-Channel Logout 1.0."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authguard._core.jose.claims import (
    Expectations,
    check_audience,
    check_expected_issuer,
    is_date,
    not_a_date,
)
from authguard.errors import (
    ExpiredTokenError,
    InvalidIssuerError,
    MalformedTokenError,
    MissingRequiredClaimError,
)

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class Logout:
    """Describe the session or subject that an issuer has logged out.

    Attributes:
        issuer: the `iss`.
        token_id: the `jti` of the logout token, to be used once.
        subject: the owner of the sessions; None if only the session is named.
        session: the `sid`; None for all sessions of the subject.
        issued_at: the `iat`; sessions that began later continue.
        expires_at: the `exp` of the logout token.
    """

    issuer: str
    token_id: str
    subject: str | None
    session: str | None
    issued_at: float
    expires_at: float


def read_logout(claims: Mapping[str, Any], expected: Expectations, now: float, *, kind: str | None) -> Logout:
    """Return the logout of a token (section 2.6).

    Raise an error unless the token is for this client and valid now.

    Args:
        claims: of the token; their signature has been verified.
        expected: the expectations.
        now: seconds since the epoch.
        kind: the header's `typ`, as `jose.media_type` returns it.
    """
    if kind not in expected.types:
        raise MalformedTokenError("a token of another type than logout+jwt")
    if "nonce" in claims:
        raise MalformedTokenError("a logout token has no nonce: this may be an ID token")
    if not _has_event(claims.get("events")):
        raise MalformedTokenError("no event of a back-channel logout")
    issuer = _text(claims, "iss")
    if issuer is None:
        raise InvalidIssuerError("no issuer")
    check_expected_issuer(issuer, expected)
    check_audience(claims.get("aud"), expected)
    issued_at, expires_at = _date(claims, "iat"), _date(claims, "exp")
    if now >= expires_at + expected.leeway:
        raise ExpiredTokenError("expired")
    if now + expected.leeway < issued_at:
        raise ExpiredTokenError("issued in the future")
    token_id = _text(claims, "jti")
    if token_id is None:
        raise MissingRequiredClaimError("no jti")
    subject, session = _text(claims, "sub"), _text(claims, "sid")
    if subject is None and session is None:
        raise MissingRequiredClaimError("neither sub nor sid")
    return Logout(issuer, token_id, subject, session, issued_at, expires_at)


def _has_event(events: object) -> bool:
    return isinstance(events, dict) and isinstance(events.get(EVENT), dict)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise MalformedTokenError(f"{name} is not text")
    return value


def _date(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if value is None:
        raise MissingRequiredClaimError(f"no {name}")
    if not is_date(value):
        raise not_a_date(name, value)
    return float(value)
