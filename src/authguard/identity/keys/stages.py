"""Compute when the owner of an API key is notified that it expires."""

from authguard.identity.model import StoredAPIKey

#: Days before the expiry of a key at which its owner is notified; 0 is the expiry itself.
NOTICE_DAYS = (30, 7, 1, 0)
_DAY = 86_400


def next_notice_at(expires_at: float, now: float) -> float | None:
    """Return the time when the owner of a key is notified next; None for never.

    Args:
        expires_at: the expiry of the key, in seconds since the epoch.
        now: seconds since the epoch.
    """
    moments = (expires_at - days * _DAY for days in NOTICE_DAYS)
    return next((moment for moment in moments if moment > now), None)


def days_left(key: StoredAPIKey, now: float) -> int | None:
    """Return the smallest notice stage that has begun; None before the first one."""
    begun = [days for days in NOTICE_DAYS if now >= key.expires_at - days * _DAY]
    return min(begun, default=None)
