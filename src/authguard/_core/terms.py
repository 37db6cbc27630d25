"""Define the conditions of a verifier for each request with a credential, and how it counts requests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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


class Count(Protocol):
    """Count a request, or take the count of one back."""

    def __call__(self, now: float, address: str | None, rule: str, outcome: str, uses: int = 1, /) -> None:
        """Count a request.

        Args:
            now: the time of the decision, in seconds since the epoch.
            address: the address of the client, if it is known.
            rule: the name of the rule that decided, as in `Verdict.rule`.
            outcome: one of `OUTCOMES`.
            uses: 1, or -1 to take back a count with the same time, rule and outcome.
        """


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
    """Hold the conditions for each request with a credential, also while the credential is remembered.

    Attributes:
        count: called for each request with the credential, when it is decided; it must not wait. It is called
            again, to take the count back, if a decorator, a dependency or an inner guard decides otherwise.
            None if requests are not counted.
        networks: the networks from which the credential may be used; empty for all.
        begin: called before the first request passes, with the seconds since the epoch; it may block. None if
            no call is needed.
        response_fields: fields of the response: names in lower case, and values.
    """

    count: Count | None = None
    networks: tuple[Network, ...] = ()
    begin: Callable[[float], None] | None = None
    response_fields: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def needs_request(self) -> bool:
        """Return whether the terms need more than the time of a request."""
        return bool(self.networks) or self.begin is not None


def outcome_of(error: RefusedError) -> str | None:
    """Return the outcome of a refused request; None if the caller is not responsible."""
    if isinstance(error, RateLimitedError):
        return "quota_exceeded" if error.window >= _DAY else "rate_limited"
    if isinstance(error, AddressDeniedError):
        return "ip_denied"
    if isinstance(error, InvalidTokenError):
        # Any other cause comes from the application, whose `user_loader` does not accept the caller.
        return _OUTCOMES_BY_CAUSE.get(error.cause, "forbidden")
    return "forbidden" if isinstance(error, _FORBIDDEN) else None
