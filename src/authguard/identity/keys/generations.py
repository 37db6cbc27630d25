"""Start and end the generations of a key's secret, and tell guards that have one in memory.

A guard remembers the principal of a generation, with the generation's name in `token_id`. When a generation
gets an earlier end, its name changes and the old name is revoked, so that the guard looks the key up again
and learns the end. When a key is disabled, the names of its generations change, too, so that the revoked
names do not affect a key that is enabled again.
"""

from collections.abc import Mapping

from sqlalchemy import Connection

from authguard._core.model import Principal
from authguard._core.options import MAX_LEEWAY
from authguard.identity.model import StoredAPIKey
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage.api_key_queries import Secret
from authguard.identity.storage.marks import add_marks
from authguard.stores.marks import make_mark

#: Seconds for which a guard may remember a key.
MAX_REMEMBERED = 300
#: Seconds for which the token of a key is valid.
MAX_TOKEN_SECONDS = 900
#: Seconds after which no guard remembers a revoked key, and all of its tokens have expired.
END_SECONDS = max(MAX_TOKEN_SECONDS, MAX_REMEMBERED) + MAX_LEEWAY
_ENDING = ".ending"
_MARK_SECONDS = MAX_REMEMBERED + MAX_LEEWAY


def generation_name(key: StoredAPIKey, secret: Secret) -> str:
    """Return the name of a generation; it changes when the generation gets an earlier end than its key."""
    return f"{_lasting_name(key, secret)}{'' if secret.expires_at is None else _ENDING}"


def _lasting_name(key: StoredAPIKey, secret: Secret) -> str:
    """Return the name of a generation that does not end before its key does."""
    return f"{key.session}.{secret.generation}"


def find_presented(
    connection: Connection, key: StoredAPIKey, principal: Principal, now: float
) -> Secret | None:
    """Return the current generation that a principal presented; None if it has ended since."""
    presented = (principal.token_id or "").removesuffix(_ENDING)
    for secret in key_store.list_secrets(connection, key.id):
        if presented == _lasting_name(key, secret):
            return secret if secret.expires_at is None or now < secret.expires_at else None
    return None


def revoke_generation(connection: Connection, key: StoredAPIKey, secret: Secret, now: float) -> None:
    """Let guards forget the old name of a generation."""
    mark = make_mark(token_id=generation_name(key, secret), until=now + _MARK_SECONDS)
    add_marks(connection, [mark])


def switch_off(connection: Connection, key: StoredAPIKey, now: float) -> None:
    """Let guards forget a key, and refuse its tokens; it may be enabled again.

    The transaction must increment `switches` of the key.
    """
    for secret in key_store.list_secrets(connection, key.id):
        revoke_generation(connection, key, secret, now)
    add_marks(connection, [make_mark(session=key.session, until=now + MAX_TOKEN_SECONDS + MAX_LEEWAY)])


def end_keys_of(connection: Connection, user_id: str, now: float) -> None:
    """Let guards forget all keys of an account, and refuse their tokens.

    If the account is enabled again, guards that follow the log refuse its keys for another ten minutes.
    """
    keys = key_store.list_keys(connection, user_id, None)
    if keys:
        until = now + MAX_TOKEN_SECONDS + MAX_LEEWAY
        add_marks(connection, [make_mark(session=key.session, until=until) for key in keys])
        add_marks(connection, [make_mark(subject=user_id, issued_before=now, until=now + _MARK_SECONDS)])


def end_keys(connection: Connection, sessions: Mapping[str, str], now: float) -> None:
    """Let guards refuse revoked keys and their tokens.

    This is repeated for keys that were revoked within `END_SECONDS`, because the store that guards follow may
    not have answered the first time.

    Args:
        connection: the transaction.
        sessions: for each key the session in its tokens.
        now: seconds since the epoch.
    """
    until = now + END_SECONDS
    for key_id, session in sessions.items():
        marks = [make_mark(key_id=key_id, until=until), make_mark(session=session, until=until)]
        add_marks(connection, marks)
    revocation_store.delete_old_marks(connection, now)


def revoke_keys_of(connection: Connection, user_id: str, now: float) -> None:
    """Revoke all keys of an account; guards refuse them and their tokens."""
    keys = [key for key in key_store.list_keys(connection, user_id, None) if key.revoked_at is None]
    for key in keys:
        key_store.update_key(connection, key.id, revoked_at=now, notice_at=None)
    if keys:
        end_keys(connection, {key.id: key.session for key in keys}, now)


def begin_generation(connection: Connection, key: StoredAPIKey, secret: Secret, now: float) -> None:
    """Make the newest generation the valid one, and end the earlier ones.

    Args:
        connection: the transaction, which has locked the key.
        key: the key.
        secret: the generation.
        now: seconds since the epoch.
    """
    ends_at = min(now + secret.grace, key.expires_at)
    for older in key_store.list_secrets(connection, key.id):
        if older.generation >= secret.generation:
            continue
        revoke_generation(connection, key, older, now)
        if older.expires_at is None and older.active_from is not None and ends_at > now:
            key_store.update_secret(connection, key.id, older.generation, expires_at=ends_at)
        else:  # at most two generations are valid, and one of them is the newest
            key_store.delete_secret(connection, key.id, older.generation)
    key_store.update_secret(connection, key.id, secret.generation, active_from=now)
