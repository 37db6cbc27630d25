"""Build the JSON documents of API keys, field by field as in the APIs of AINative and Invora."""

from datetime import UTC, datetime

from authguard.identity.api.answers import FullKey, KeyShown, NewKey, NewPair, PairShown, UsageShown
from authguard.identity.api.documents import moment
from authguard.identity.model import NewAPIKey, StoredAPIKey
from authguard.identity.tiers import Usage

#: The message of the Invora document: save the secret, which is shown only once.
_KEEP_SECRET = "请妥善保存 secret,它只会显示一次。"


def new_key_document(new: NewAPIKey) -> NewKey:
    """Return a key that was just created or rotated, with its text, which cannot be shown again."""
    key = new.key
    document: NewKey = {
        "id": key.id,
        "api_key": new.text,
        "name": key.name,
        "prefix": _prefix_of(key),
        "expires_at": moment(key.expires_at),
        "created_at": moment(key.created_at),
    }
    return document if new.secret is None else {**document, "secret": new.secret}


def key_document(key: StoredAPIKey, now: float) -> KeyShown:
    """Return a key in the format of the AINative list.

    Args:
        key: the key.
        now: seconds since the epoch, for its state.
    """
    return {
        "id": key.id,
        "name": key.name,
        "prefix": _prefix_of(key),
        "is_active": key.is_active(now),
        "last_used_at": None if key.last_used_at is None else moment(key.last_used_at),
        "usage_count": key.usage_count,
        "expires_at": moment(key.expires_at),
        "created_at": moment(key.created_at),
    }


def full_key_document(key: StoredAPIKey, now: float) -> FullKey:
    """Return a key with its state and scopes, which the lists of these APIs do not show.

    Args:
        key: the key.
        now: seconds since the epoch, for its state.
    """
    return {
        **key_document(key, now),
        "shown": key.shown,
        "scopes": sorted(key.scopes),
        "tier": key.tier,
        "state": key.state(now),
        "disabled_by": key.disabled_by,
        "revoked_for": key.revoked_for,
        "networks": list(key.networks),
        "metadata": dict(key.metadata),
    }


def new_pair_document(new: NewAPIKey) -> NewPair:
    """Return a new key and its client secret, which cannot be shown again."""
    key = new.key
    return {
        "id": key.id,
        "key": new.text,
        "secret": new.secret,
        "name": key.name,
        "permissions": key.permissions,
        "tier": key.tier,
        "message": _KEEP_SECRET,
    }


def pair_document(key: StoredAPIKey, now: float) -> PairShown:
    """Return a key in the format of the Invora list, with its first twelve characters.

    Args:
        key: the key.
        now: seconds since the epoch, for its state.
    """
    return {
        "_id": key.id,
        "key": f"{key.shown}...",
        "name": key.name,
        "permissions": key.permissions,
        "tier": key.tier,
        "enabled": key.is_active(now),
        "createdAt": _moment_with_milliseconds(key.created_at),
    }


def usage_document(usage: Usage) -> UsageShown:
    """Return how many requests the keys of an owner have made, and their limits."""
    return {
        "tier": usage.tier,
        "usage": {"today": usage.today, "month": usage.month},
        "limits": {"perDay": usage.per_day, "perMinute": usage.per_minute},
    }


def _prefix_of(key: StoredAPIKey) -> str:
    """Return the prefix in the format of these APIs, without the final `_`."""
    return key.prefix.removesuffix("_")


def _moment_with_milliseconds(seconds: float) -> str:
    milliseconds = int(seconds * 1000) / 1000
    text = datetime.fromtimestamp(milliseconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
