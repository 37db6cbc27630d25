"""Hold what a verifier asks of each request with a credential, and wants to be told of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from authguard._core.networks import Network
from authguard.errors import (
    AddressDeniedError,
    Cause,
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    InvalidTokenError,
    RateLimitedError,
    RefusedError,
    UnacceptedCredentialError,
)

#: Takes the moment, in seconds since the epoch; the address of the client if it is known; the name of the
#: rule that decided, as in `Verdict.rule`; and one of `OUTCOMES`.
Count: TypeAlias = Callable[[float, str | None, str, str], None]

#: Takes the moment when a request was decided, the name of the rule, and one of `OUTCOMES`.
Recount: TypeAlias = Callable[[float, str, str], None]

OK = "ok"
#: The possible outcomes of a request with a credential that can be identified.
OUTCOMES = (
    OK,
    "invalid",
    "revoked",
    "expired",
    "disabled",
    "forbidden",
    "ip_denied",
    "rate_limited",
    "quota_exceeded",
)

_DAY = 86_400
_FORBIDDEN = (InsufficientScopeError, InsufficientUserAuthenticationError, UnacceptedCredentialError)
_OUTCOMES_BY_CAUSE = {
    Cause.UNKNOWN_API_KEY: "invalid",
    Cause.REVOKED: "revoked",
    Cause.EXPIRED: "expired",
    Cause.DISABLED: "disabled",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """Hold for each request with a credential, also while the credential is remembered.

    Attributes:
        count: called with each request with the credential, when it is decided; it must not wait for
            anything. None for nothing to tell.
        recount: called when a decorator or dependency refuses a request that has passed, and was counted so:
            with the moment of the decision, the rule, and the outcome. None for nothing to tell.
        networks: from where the credential may be used; empty for from everywhere.
        begin: called before the first request passes, with the seconds since the epoch; it may block. None
            for nothing to do.
        response_fields: for the response: names in lower case, and values.
    """

    count: Count | None = None
    recount: Recount | None = None
    networks: tuple[Network, ...] = ()
    begin: Callable[[float], None] | None = None
    response_fields: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def needs_request(self) -> bool:
        """Tell terms that need more than the moment of a request."""
        return bool(self.networks) or self.begin is not None


def outcome_of(error: RefusedError) -> str | None:
    """Return the outcome of a request that was refused; None if that was not the caller's doing."""
    if isinstance(error, RateLimitedError):
        return "quota_exceeded" if error.window >= _DAY else "rate_limited"
    if isinstance(error, AddressDeniedError):
        return "ip_denied"
    if isinstance(error, InvalidTokenError):
        # Any other cause is one of the application, whose `user_loader` does not take the caller.
        return _OUTCOMES_BY_CAUSE.get(error.cause, "forbidden")
    return "forbidden" if isinstance(error, _FORBIDDEN) else None
