"""Create tokens that a guard accepts or refuses."""

import json
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Any

import jwt
from jwt.algorithms import get_default_algorithms

from authguard._core.options import (
    check_list,
    check_mapping,
    check_moment,
    check_seconds,
    check_text,
    got,
    type_of,
)
from authguard.errors import ConfigurationError

# Names of options, here and elsewhere, which would make claims that no verifier reads; with the right ones.
_CLAIM_OF = {
    "issuer": "iss=",
    "audience": "aud=",
    "expires_at": "exp=",
    "issued_at": "iat=",
    "not_before": "nbf=",
    "token_id": "jti=",
    "session": "sid=",
    **dict.fromkeys(
        ("expire", "expire_in", "expires", "expiration", "expiry", "lifetime", "max_age", "ttl"),
        "expires_in=60",
    ),
}
_OPTION_OF = {
    "alg": 'algorithm="HS256"',
    **dict.fromkeys(("header", "key_id", "kid"), 'headers={"kid": "a"}'),
}


def issue_token(
    key: Any,
    *,
    algorithm: str = "HS256",
    subject: str = "somebody",
    scopes: Iterable[str] = (),
    expires_in: float | timedelta = 300,
    now: float | datetime | None = None,
    headers: Mapping[str, Any] | None = None,
    **claims: Any,
) -> str:
    """Return a signed access token.

    Args:
        key: the secret, or the private key in PEM or as an object.
        algorithm: the signature algorithm.
        subject: the `sub`.
        scopes: the `scope`.
        expires_in: seconds, or a timedelta, from now; negative for an expired token.
        now: seconds since the epoch, or a datetime with a time zone; None for the current time.
        headers: further header parameters, such as `kid`.
        claims: further claims, such as `iss` and `aud`, or replacements for the above.

    Raises:
        ConfigurationError: if an option has the wrong type, the key does not fit the algorithm, or a claim
            has the name of an option, such as `issuer` or `ttl`.
    """
    check_claims(claims, _OPTION_OF)
    _check_json(subject, "subject")
    moment = time.time() if now is None else check_moment(now, "now")
    expires_in = check_seconds(expires_in, "expires_in", inf, least=-inf)
    body: dict[str, Any] = {"sub": subject, "iat": int(moment), "exp": int(moment + expires_in)}
    # Any text, because a test may need a token with a scope that no issuer writes.
    granted = [check_text(scope, "each of scopes") for scope in check_list(scopes, "scopes", '"read"')]
    if granted:
        body["scope"] = " ".join(granted)
    if headers is not None:
        check_mapping(headers, "headers", 'headers={"kid": "a"}')
    return sign(body | claims, key, check_text(algorithm, "algorithm"), headers)


def sign(
    claims: Mapping[str, Any], key: object, algorithm: str, headers: Mapping[str, Any] | None = None
) -> str:
    """Return a JWT with these claims, which a guard need not accept.

    Args:
        claims: the claims.
        key: the secret, or the private key.
        algorithm: the signature algorithm.
        headers: further header parameters.

    Raises:
        ConfigurationError: if a claim is not a value of JSON, or the key does not fit the algorithm.
    """
    for name, value in (*claims.items(), *(headers or {}).items()):
        _check_json(value, name)
    if algorithm not in get_default_algorithms():
        raise ConfigurationError(f"algorithm must be one such as HS256 or ES256, got {got(algorithm)}")
    given: Any = key
    try:
        return jwt.encode(dict(claims), given, algorithm, dict(headers or {}))
    except (TypeError, ValueError, AttributeError, jwt.InvalidKeyError):
        # The cause is not shown, because it may contain a part of the key.
        raise ConfigurationError(
            f"key must be a secret or a private key for {algorithm}, got {type_of(key)}: write it as text in "
            "PEM, or as an object of cryptography"
        ) from None


def check_claims(claims: Mapping[str, Any], option_of: Mapping[str, str]) -> None:
    """Refuse the name of an option in place of the name of a claim.

    Args:
        claims: the claims.
        option_of: further names that are refused, with the option to write.

    Raises:
        ConfigurationError: if a claim has one of these names, or all claims are in one mapping.
    """
    for name in ("claims", "additional_claims"):
        if isinstance(claims.get(name), Mapping):
            raise ConfigurationError(
                f"claims must be separate arguments, got the mapping {name}: write **{name} in place of "
                f"{name}={name}, or each claim, such as tenant='a'"
            )
    for name in claims:
        if write := _CLAIM_OF.get(name) or option_of.get(name):
            raise ConfigurationError(f"claims must have the names of JWT claims, got {name}: write {write}")


def _check_json(value: object, name: str) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"{name} must be a value of JSON, got {type_of(value)}: write dates and numbers as text"
        ) from None
