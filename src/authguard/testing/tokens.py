"""Create tokens that a guard accepts or refuses."""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from math import inf
from typing import Any

import jwt

from authguard._core.options import check_list, check_moment, check_seconds


def issue_token(
    key: Any,
    *,
    algorithm: str = "HS256",
    subject: str = "somebody",
    scopes: Iterable[str] = (),
    expires_in: float | timedelta = 300,
    now: float | datetime | None = None,
    headers: dict[str, Any] | None = None,
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
        ConfigurationError: if `scopes` is no list, or a time is none.
    """
    moment = time.time() if now is None else check_moment(now, "now")
    expires_in = check_seconds(expires_in, "expires_in", inf, least=-inf)
    body: dict[str, Any] = {"sub": subject, "iat": int(moment), "exp": int(moment + expires_in)}
    if granted := " ".join(check_list(scopes, "scopes", '"read"')):
        body["scope"] = granted
    return jwt.encode(body | claims, key, algorithm=algorithm, headers=headers)
