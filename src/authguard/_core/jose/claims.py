"""Check the claims of a token whose signature has been verified: RFC 7519 section 4, RFC 8725, RFC 9068."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from authguard._core.jose.claim_paths import ClaimName, ClaimPath, Report, names_at, tier_at
from authguard._core.jose.compact import Token
from authguard._core.jose.conditions import Conditions
from authguard._core.jose.issuers import Issuers, check_issuer
from authguard._core.jose.subject import CLIENT_PREFIX, SubjectClaims, subject_of
from authguard._core.jose.token_kind import check_foreign, check_kind, rules_of_kinds
from authguard._core.model import Claims, Method, Principal, make_principal, session_of
from authguard._core.options import LATEST_MOMENT, NUMERIC_TYPES, is_numeric_date
from authguard._core.strict_json import JSONError, read_object
from authguard.errors import (
    Cause,
    ExpiredTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    MalformedTokenError,
    MissingRequiredClaimError,
)

_DATES = ("exp", "nbf", "iat")  # `max_age` of a rule checks `auth_time`
_TEXTS = ("iss", "sub", "jti", "client_id", "azp")
_MEMBERS = {**dict.fromkeys(_TEXTS, "text"), **dict.fromkeys(_DATES, "date"), "sid": "session"}
_RULES = _MEMBERS | rules_of_kinds((), id_tokens=False)


def _report_nothing(name: ClaimName, why: str) -> None:
    """Ignore reports about claims that cannot be used."""


def report_no_mismatch(option: str, received: object, expected: object) -> None:
    """Ignore reports about valid tokens with another audience or issuer."""


def rules_for(taken: Collection[str], *, id_tokens: bool) -> dict[str, str]:
    """Return the rule for each claim; the arguments are those of `rules_of_kinds`."""
    return _MEMBERS | rules_of_kinds(taken, id_tokens=id_tokens) if taken or id_tokens else _RULES


@dataclass(frozen=True, slots=True)
class Expectations:
    """Hold a verifier's expectations of claims; see `JWTVerifier`."""

    issuer: str | Issuers | None
    audience: frozenset[str]
    leeway: float
    required: tuple[str, ...]
    types: frozenset[str | None]
    scope_claims: tuple[ClaimPath, ...]
    role_claims: tuple[ClaimPath, ...]
    tier_claim: ClaimPath | None = None
    subject_claims: SubjectClaims | None = None
    conditions: Conditions | None = None
    report: Report = _report_nothing
    report_mismatch: Callable[[str, object, object], None] = report_no_mismatch
    rules: dict[str, str] = field(default_factory=lambda: _RULES)


def read_claims(token: Token) -> tuple[str, dict[str, Any]]:
    """Read the claims, as text and as an object.

    Raises:
        MalformedTokenError: if they are not one strict JSON object in UTF-8.
    """
    try:
        return read_object(token.payload)
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
    """Return the principal of a valid access token for this resource.

    Args:
        text: the claims as received; their signature was verified.
        claims: the parsed claims.
        expected: the expectations.
        now: seconds since the epoch.
        kind: the header's `typ`, as `jose.media_type` returns it.
        key_id: the `kid` of the key that signed.
        method: how the token was sent.
    """
    find = claims.get
    for name in expected.required:
        if find(name) is None:
            raise MissingRequiredClaimError(f"no {name}", claim=name)
    if kind not in expected.types:
        raise MalformedTokenError("a token of another type", cause=Cause.KIND)
    _check_members(claims, expected.rules)
    issuer = find("iss")
    if issuer != expected.issuer:
        check_expected_issuer(issuer, expected)
    check_audience(find("aud"), expected)
    expires_at = find("exp")
    if expires_at is not None and now >= expires_at + expected.leeway:
        raise ExpiredTokenError("expired", claim="exp")
    latest = now + expected.leeway
    if latest < (find("nbf") or 0):
        raise ExpiredTokenError("not valid yet", cause=Cause.NOT_YET_VALID, claim="nbf")
    if latest < (find("iat") or 0):
        raise ExpiredTokenError("issued in the future", cause=Cause.ISSUED_IN_FUTURE, claim="iat")
    client = find("client_id") or find("azp")
    if expected.conditions is not None:
        client = expected.conditions.check(claims, client)
    subject = find("sub")
    if not subject or subject[:7] == CLIENT_PREFIX or expected.subject_claims is not None:
        subject = subject_of(claims, subject, client, expected.subject_claims)
    return make_principal(
        subject=subject,
        scopes=names_at(claims, expected.scope_claims, expected.report, split=True),
        roles=names_at(claims, expected.role_claims, expected.report, split=False),
        claims=Claims(text),
        issuer=issuer,
        client_id=client,
        token_id=find("jti"),
        key_id=key_id,
        expires_at=expires_at,
        method=method,
        tier=None if expected.tier_claim is None else tier_at(claims, expected.tier_claim),
        quotas=(),
    )


def _check_members(claims: Mapping[str, Any], rules: dict[str, str]) -> None:
    """Check each claim that has a rule, in one pass; null counts as missing."""
    for name, value in claims.items():
        rule = rules.get(name)
        if rule is None:
            continue
        if rule == "text":
            if type(value) is not str and value is not None:
                raise MalformedTokenError(f"{name} is not text", claim=name)
        elif rule == "date":
            # The same check as `is_date`, without a call for each date of each token. NaN and infinity fail
            # the comparison.
            if type(value) not in NUMERIC_TYPES or not 0 <= value <= LATEST_MOMENT:
                if value is None:
                    continue
                raise not_a_date(name, value)
        elif rule == "session":
            _check_session(claims)
        elif rule == "foreign":
            check_foreign(name, value)
        else:
            check_kind(name, value, bound="cnf" in claims, id_tokens=rule != "kind")


def _check_session(claims: Mapping[str, Any]) -> None:
    """Check that a revocation can name the session of a token; null and empty text name none."""
    if claims["sid"] not in (None, "") and session_of(claims) is None:
        raise MalformedTokenError("sid is neither text nor a whole number", claim="sid")


def not_a_date(name: str, value: object) -> MalformedTokenError:
    """Return the error for a claim that is not a NumericDate."""
    is_long = type(value) in NUMERIC_TYPES and LATEST_MOMENT < value <= 1000 * LATEST_MOMENT  # type: ignore[operator]
    reason = " in seconds: it seems to be in milliseconds" if is_long else ""
    return MalformedTokenError(f"{name} is not a date{reason}", claim=name)


def is_date(value: object) -> TypeGuard[float]:
    """Return whether a value is a NumericDate (RFC 7519 section 2) that datetime can represent."""
    return is_numeric_date(value) and 0 <= value <= LATEST_MOMENT


def check_expected_issuer(issuer: object, expected: Expectations) -> None:
    """Raise an error unless the issuer is expected, and report it: the signature of the token is valid."""
    try:
        check_issuer(issuer, expected.issuer)
    except InvalidIssuerError:
        expected.report_mismatch("issuer", issuer, expected.issuer)
        raise


def check_audience(audience: object, expected: Expectations) -> None:
    """Raise an error unless an expected audience is among the names, and report the others."""
    if isinstance(audience, str):
        if audience not in expected.audience:
            raise _audience_error("another audience", audience, expected)
        return
    if not expected.audience and (audience is None or audience == []):  # an empty list names no audience
        return
    if not isinstance(audience, list) or not all(isinstance(name, str) for name in audience):
        raise _audience_error("no audience", audience, expected)
    if expected.audience.isdisjoint(audience):
        raise _audience_error("another audience", audience, expected)


def _audience_error(reason: str, audience: object, expected: Expectations) -> InvalidAudienceError:
    expected.report_mismatch("audience", audience, sorted(expected.audience))
    return InvalidAudienceError(reason)
