"""Begin and end the generations of the secret of a key, so that guards which remember one learn of it.

A guard remembers the principal of a generation with its name in `token_id`. When a generation becomes one
that ends soon, its name changes, and the name of before is revoked: the guard looks the key up again, and
learns when the generation ends. When a key is switched off, the names of its generations change, too, so that
none of the names that are revoked then is one of a key that has been switched on again.
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

#: Seconds for which a guard may remember a key at most.
MAX_REMEMBERED = 300
#: Seconds for which the token of a key is valid at most.
MAX_TOKEN_SECONDS = 900
#: Seconds after which no guard remembers a key that was revoked, and no token of it is good.
END_SECONDS = max(MAX_TOKEN_SECONDS, MAX_REMEMBERED) + MAX_LEEWAY
_ENDING = ".ending"
_MARK_SECONDS = MAX_REMEMBERED + MAX_LEEWAY


def generation_name(key: StoredAPIKey, secret: Secret) -> str:
    """Return the name of a generation: another one as soon as it is to end before its key does."""
    return f"{_lasting_name(key, secret)}{'' if secret.expires_at is None else _ENDING}"


def _lasting_name(key: StoredAPIKey, secret: Secret) -> str:
    """Return the name of a generation that does not end before its key does."""
    return f"{key.session}.{secret.generation}"


def find_presented(
    connection: Connection, key: StoredAPIKey, principal: Principal, now: float
) -> Secret | None:
    """Return the generation that a principal has presented, as it is now; None if it has ended since."""
    presented = (principal.token_id or "").removesuffix(_ENDING)
    for secret in key_store.list_secrets(connection, key.id):
        if presented == _lasting_name(key, secret):
            return secret if secret.expires_at is None or now < secret.expires_at else None
    return None


def revoke_generation(connection: Connection, key: StoredAPIKey, secret: Secret, now: float) -> None:
    """Let guards forget a generation as it was."""
    mark = make_mark(token_id=generation_name(key, secret), until=now + _MARK_SECONDS)
    add_marks(connection, [mark])


def switch_off(connection: Connection, key: StoredAPIKey, now: float) -> None:
    """Let guards forget a key, and refuse the tokens that were issued for it; it may be switched on again.

    The transaction has to count up `switches` of the key.
    """
    for secret in key_store.list_secrets(connection, key.id):
        revoke_generation(connection, key, secret, now)
    add_marks(connection, [make_mark(session=key.session, until=now + MAX_TOKEN_SECONDS + MAX_LEEWAY)])


def end_keys_of(connection: Connection, user_id: str, now: float) -> None:
    """Let guards forget all keys of an account, and refuse the tokens that were issued for them.

    If the account is enabled again, guards that follow the log refuse its keys for ten minutes more.
    """
    keys = key_store.list_keys(connection, user_id, None)
    if keys:
        until = now + MAX_TOKEN_SECONDS + MAX_LEEWAY
        add_marks(connection, [make_mark(session=key.session, until=until) for key in keys])
        add_marks(connection, [make_mark(subject=user_id, issued_before=now, until=now + _MARK_SECONDS)])


def end_keys(connection: Connection, sessions: Mapping[str, str], now: float) -> None:
    """Let guards refuse keys that were revoked, and the tokens that were issued for them.

    For keys that were revoked within `END_SECONDS` it is done again: the first time, the store that guards
    follow may not have answered.

    Args:
        connection: the transaction.
        sessions: for each key the session that its tokens name.
        now: seconds since the epoch.
    """
    until = now + END_SECONDS
    for key_id, session in sessions.items():
        marks = [make_mark(key_id=key_id, until=until), make_mark(session=session, until=until)]
        add_marks(connection, marks)
    revocation_store.delete_old_marks(connection, now)


def begin_generation(connection: Connection, key: StoredAPIKey, secret: Secret, now: float) -> None:
    """Let the newest generation be the good one, and end those before it.

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
        else:  # of two that are good, one is the newest
            key_store.delete_secret(connection, key.id, older.generation)
    key_store.update_secret(connection, key.id, secret.generation, active_from=now)
