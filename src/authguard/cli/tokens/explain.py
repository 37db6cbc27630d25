"""Explain why a token is refused, and the remedy; the text never contains the token."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

from authguard._core.credential.extractor import MAX_CREDENTIAL
from authguard._core.jose.compact import Token
from authguard._core.jose.jwk import ALIASES
from authguard._core.jose.token_kind import FOREIGN_CLAIMS
from authguard._core.options import LATEST_MOMENT, is_numeric_date
from authguard.cli.output import duration, moment
from authguard.errors import (
    Cause,
    ExpiredTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidTokenError,
    MissingRequiredClaimError,
    RefusedError,
    VerificationUnavailableError,
)

MAX_SHOWN = 200
COMPARE_ISSUER = "Every character must match, including a trailing slash and the tenant."
_TYPES = (None, "jwt", "at+jwt")


class Finding(NamedTuple):
    """Describe a fault of a token.

    Attributes:
        code: an identifier for programs.
        reason: the fault, as half a sentence.
        advice: the remedy.
    """

    code: str
    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class Expected:
    """Hold the expectations of the verifier; see `JWTVerifier`."""

    algorithms: frozenset[str]
    issuer: str | None
    audience: tuple[str, ...]
    leeway: float


def explain_text(text: str) -> Finding | None:
    """Return the fault of a text that should be a token, if it is visible before parsing."""
    faults = (
        (not text, "malformed", "no token was given", "Write it to standard input, or use --file."),
        (
            len(text) > MAX_CREDENTIAL,
            "malformed",
            f"it is longer than {MAX_CREDENTIAL} characters",
            "A guard answers 400. Configure the issuer to put fewer claims into it.",
        ),
        (
            any(character.isspace() or character in "\"'" for character in text),
            "malformed",
            "it contains white space or quotes",
            "Copy the token alone, in one piece.",
        ),
        (
            text.startswith("rt_"),
            "kind",
            "it looks like a refresh token",
            "Send the access token that came with it.",
        ),
        (
            text.startswith(("sk_live_", "sk_test_")),
            "kind",
            "it looks like an API key",
            "APIKeyVerifier looks up keys; they have no contents to inspect.",
        ),
        (
            text.count(".") == 4,
            "kind",
            "it looks encrypted (JWE)",
            "Configure the issuer to issue signed tokens.",
        ),
        (
            text.count(".") != 2,
            "malformed",
            "it is not a JWT: a JWT has three parts separated by dots",
            "Copy all of it. An opaque token is verified by IntrospectionVerifier.",
        ),
    )
    return next((Finding(*finding) for applies, *finding in faults if applies), None)


def explain(
    error: RefusedError, token: Token | None, claims: Mapping[str, Any], expected: Expected, now: float
) -> Finding:
    """Explain an error of the verifier for this token.

    Args:
        error: the error that the verifier raised.
        token: the parsed token; None if it cannot be parsed.
        claims: its claims, which are not verified.
        expected: the expectations of the verifier.
        now: seconds since the epoch.
    """
    match error:
        case InvalidSignatureError() if token is not None:
            return _signature(error, token, expected)
        case ExpiredTokenError():
            return _dates(error, claims, now)
        case InvalidIssuerError():
            issuer = f"wrong issuer: iss is {shown(claims.get('iss'))}, expected {shown(expected.issuer)}"
            return Finding("issuer", issuer, COMPARE_ISSUER)
        case InvalidAudienceError():
            return _audience(claims.get("aud"), expected)
        case MissingRequiredClaimError():
            return Finding("claim", f"there is {error.reason}", "Configure the issuer to add this claim.")
        case _:
            return _other(error, token, claims)


def _signature(error: InvalidSignatureError, token: Token, expected: Expected) -> Finding:
    algorithm, key_id = token.header.algorithm, token.header.key_id
    if ALIASES.get(algorithm, algorithm) not in expected.algorithms:
        allowed = ", ".join(sorted(expected.algorithms))
        return Finding(
            "algorithm",
            f"alg {shown(algorithm)} is not allowed here; allowed is {allowed}",
            "Change the algorithm of the issuer, or allow the one that it uses, if the key is for that "
            "algorithm.",
        )
    if error.cause != Cause.UNKNOWN_KEY:
        return Finding(
            "signature",
            "the signature is wrong: the token was signed with another key, or was changed",
            "Compare the key with the issuer's signing key.",
        )
    if key_id is None:
        return Finding(
            "kid",
            f"the token names no key (kid), and no key here is the only one for {algorithm} that fits",
            "Configure the issuer to add a kid to the header, or check that the key set is the current one.",
        )
    return Finding(
        "kid",
        f"unknown kid: the key set has no key {shown(key_id)} for {algorithm}",
        "Check that the key set is the current one of this issuer; its keys may have been rotated.",
    )


def _dates(error: ExpiredTokenError, claims: Mapping[str, Any], now: float) -> Finding:
    if error.cause == Cause.EXPIRED and is_date(claims.get("exp")):
        ago = duration(now - claims["exp"])
        expired = f"it expired at {moment(claims['exp'])}, {ago} ago"
        return Finding("expired", expired, "Get a new one: refresh, or sign in again.")
    what = {"nbf": "it is not valid yet: nbf", "iat": "it is from the future: iat"}.get(error.claim or "")
    begins = claims.get(error.claim or "")
    if what is not None and is_date(begins):
        ahead = f"{what} is {moment(begins)}, in {duration(begins - now)}"
        return Finding("not_yet_valid", ahead, "Wait, or set the clocks of the issuer and of this machine.")
    return Finding("expired", "it is not valid now", "Get a new one.")


def _audience(audience: object, expected: Expected) -> Finding:
    has = "the token has no aud" if audience is None else f"the token has {shown(audience)}"
    expected_audience = " or ".join(map(shown, expected.audience)) or "none"
    return Finding(
        "audience",
        f"wrong audience: {has}, expected {expected_audience}",
        "Request a token for this API, or expect this aud (--audience), if it is the API's.",
    )


def _condition(error: InvalidTokenError, claims: Mapping[str, Any]) -> Finding:
    """Explain that a claim, a header parameter or a client differs from the expected one."""
    value = f": it is {shown(claims[error.claim])}" if error.claim and error.claim in claims else ""
    return Finding(
        "claim",
        f"{error.reason}{value}",
        "Write what the issuer sends (client_ids=, claims=, header_claims=), with the same type, or get "
        "another token.",
    )


def _other(error: RefusedError, token: Token | None, claims: Mapping[str, Any]) -> Finding:
    if type(error) is InvalidTokenError:
        return _condition(error, claims)
    if isinstance(error, VerificationUnavailableError):
        return Finding("unavailable", error.reason, "The check could not be made. Try again.")
    advice = "Send an access token, not an ID, refresh, reset or logout token."
    if token is not None and token.header.type not in _TYPES:
        typ = f"it is of another kind: typ is {shown(token.header.type)}"
        return Finding("kind", f"{typ}, and that of access tokens is JWT, at+jwt or absent", advice)
    if isinstance(error, InvalidTokenError) and error.cause == Cause.KIND and error.claim in FOREIGN_CLAIMS:
        return Finding("kind", error.reason, advice)
    if isinstance(error, InvalidTokenError) and error.cause == Cause.KIND and error.claim is not None:
        value = shown(claims.get(error.claim))
        return Finding("kind", f"it is no access token: {error.claim} is {value}", advice)
    return Finding("malformed", f"it is malformed: {error.reason}", "Correct this at the issuer.")


def is_date(value: object) -> TypeGuard[float]:
    """Return whether a value is a NumericDate that can be displayed (RFC 7519 section 2)."""
    return is_numeric_date(value) and 0 <= value <= LATEST_MOMENT


def shown(value: object) -> str:
    """Format a value of the token for a sentence: short JSON in ASCII."""
    text = json.dumps(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
