"""Help to test applications: be anybody, and make tokens that a guard accepts."""

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from math import inf
from typing import Any

import jwt

from authguard._core.guard import Guard
from authguard._core.model import Principal
from authguard._core.options import check_moment, check_seconds


def override(guard: Guard, user: Any, *, principal: Principal | None = None) -> AbstractContextManager[None]:
    """Take whoever sends a request through the guard for this user, inside this context.

    Path rules, scopes and roles still apply, to the principal. It works for middleware,
    decorators, dependencies and websockets alike, in all threads. Of contexts that overlap, the one that
    was entered last holds.

    Args:
        guard: the guard that the application is built with.
        user: a `Principal`, `ANONYMOUS`, or the application's own user.
        principal: whom the guard sees, if the user is not a principal.
    """
    return guard.override(user, principal=principal)


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
        algorithm: how to sign.
        subject: the `sub`.
        scopes: the `scope`.
        expires_in: seconds, or a timedelta, from now; negative for an expired token.
        now: seconds since the epoch, or a datetime with a time zone; None for the time of day.
        headers: more header parameters, such as `kid`.
        claims: more claims, such as `iss` and `aud`, or others in the place of the above.
    """
    moment = time.time() if now is None else check_moment(now, "now")
    expires_in = check_seconds(expires_in, "expires_in", inf, least=-inf)
    body: dict[str, Any] = {"sub": subject, "iat": int(moment), "exp": int(moment + expires_in)}
    if granted := " ".join(scopes):
        body["scope"] = granted
    return jwt.encode(body | claims, key, algorithm=algorithm, headers=headers)
