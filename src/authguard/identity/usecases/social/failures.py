"""Record failed sign-ins with providers: an event for each, and a warning if an operator can correct it."""

import logging
from threading import Lock

from authguard.errors import (
    InsufficientUserAuthenticationError,
    RateLimitedError,
    RefusedError,
    VerificationUnavailableError,
)
from authguard.identity.audit import Event, limit_of
from authguard.identity.errors import InvalidFieldsError, ProviderUnavailableError, SocialSignInError
from authguard.identity.model import Caller
from authguard.identity.social_reasons import SocialReason
from authguard.identity.usecases.context import Base

logger = logging.getLogger("authguard")

#: Seconds between two warnings of one reason about one provider, because any caller can cause some of them.
WARNING_SECONDS = 60.0


class SocialFailures:
    """Record failed sign-ins with providers; thread-safe.

    Args:
        base: the common parts of use cases.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        self._lock = Lock()
        self._warned: dict[tuple[str, SocialReason], float] = {}

    def record(
        self,
        provider: str,
        caller: Caller,
        error: RefusedError,
        why: SocialReason | None = None,
        *,
        user_id: str | None = None,
    ) -> None:
        """Record the event of a failed sign-in, and a warning if the operator can correct it.

        Args:
            provider: its name.
            caller: the origin of the request.
            error: the error for the caller.
            why: the reason of the failure; None for that of the error.
            user_id: the affected account, if it is known.
        """
        why = why or reason_of(error)
        event = Event(
            "social",
            False,
            self._base.clock(),
            why,
            user_id=user_id,
            address=caller.address,
            provider=provider,
            provider_error=_provider_error(error),
            limit=limit_of(error),
        )
        self._base.audit.record(event)
        if isinstance(error, ProviderUnavailableError) or why is SocialReason.CLOCK_SKEW:
            self._warn(provider, why, error)

    def _warn(self, provider: str, why: SocialReason, error: RefusedError) -> None:
        if isinstance(error, ProviderUnavailableError):
            if error.is_logged:
                return
            error.is_logged = True
        now, key = self._base.clock(), (provider, why)
        with self._lock:
            is_due = abs(now - self._warned.get(key, float("-inf"))) >= WARNING_SECONDS
            if is_due:
                self._warned[key] = now
        if is_due:
            logger.warning("signing in with %s fails (%s): %s", provider, why, ascii(error.reason)[1:-1])


def _provider_error(error: RefusedError) -> str:
    return error.provider_error if isinstance(error, (SocialSignInError, ProviderUnavailableError)) else ""


def reason_of(error: RefusedError) -> SocialReason:
    """Return the reason of an event for an error."""
    if isinstance(error, (SocialSignInError, ProviderUnavailableError)):
        return error.why
    if isinstance(error, RateLimitedError):
        return SocialReason.RATE_LIMITED
    if isinstance(error, InsufficientUserAuthenticationError):
        return SocialReason.STALE
    if isinstance(error, VerificationUnavailableError):
        return SocialReason.UNAVAILABLE
    if isinstance(error, InvalidFieldsError) and "redirect_uri" in error.fields:
        return SocialReason.REDIRECT_URI
    return SocialReason.INTERNAL_ERROR if error.status_code == 500 else SocialReason.INVALID_FIELDS
