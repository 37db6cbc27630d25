"""Check that a key is valid now."""

from authguard.errors import Cause, InvalidAPIKeyError
from authguard.identity.storage.api_key_queries import KeyRow


def end_of(row: KeyRow) -> float:
    """Return the expiry of the presented secret of a key, in seconds since the epoch."""
    ends_at = row.secret.expires_at
    return row.key.expires_at if ends_at is None else min(row.key.expires_at, ends_at)


def refusal_of(row: KeyRow | None, now: float) -> InvalidAPIKeyError | None:
    """Return the reason why a key is refused; None if it is valid."""
    if row is None:
        return InvalidAPIKeyError("unknown API key")
    key_id, state = row.key.id, row.key.state(now)
    if row.owner_disabled or state == "disabled":
        return InvalidAPIKeyError("disabled API key", key_id=key_id, cause=Cause.DISABLED)
    if state == "revoked":
        return InvalidAPIKeyError("revoked API key", key_id=key_id, cause=Cause.REVOKED)
    if now >= end_of(row):
        return InvalidAPIKeyError("expired API key", key_id=key_id, cause=Cause.EXPIRED)
    return None
