"""Query API keys and their secrets. Callers pass the connection of their transaction."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from authguard.identity.model import StoredAPIKey
from authguard.identity.storage.queries import roles_from_text
from authguard.identity.storage.schema import api_key_secrets, api_keys, users

_SECRET_COLUMNS = (
    api_key_secrets.c.generation,
    api_key_secrets.c.made_at,
    api_key_secrets.c.active_from,
    api_key_secrets.c.grace,
    api_key_secrets.c.expires_at,
    api_key_secrets.c.client_digest,
)
_KEY_COLUMNS = len(api_keys.c)
# Statements that every request uses are built once.
_BY_DIGEST = (
    select(api_keys, *_SECRET_COLUMNS, users.c.role, users.c.further_roles, users.c.disabled)
    .join(api_keys, api_keys.c.id == api_key_secrets.c.key_id)
    .join(users, users.c.id == api_keys.c.user_id)
    .where(api_key_secrets.c.digest == bindparam("digest"))
)
_ID_BY_READABLE_ID = select(api_keys.c.id).where(api_keys.c.readable_id == bindparam("readable_id"))


class Secret(NamedTuple):
    """Hold a generation of a key's secret, without its digest.

    Attributes:
        generation: its number.
        made_at: the time of its creation.
        active_from: the time of its first use, or of its creation; None until its first use.
        grace: seconds for which the previous generation stays valid after that.
        expires_at: the time when it ends; None if it ends with the key.
        client_digest: the digest of its client secret.
    """

    generation: int
    made_at: float
    active_from: float | None
    grace: float
    expires_at: float | None
    client_digest: str | None


class Owner(NamedTuple):
    """Hold the properties of an account on which its keys depend."""

    roles: tuple[str, ...]
    disabled: bool


class KeyRow(NamedTuple):
    """Hold a key that was found by one of its secrets, and the properties of its owner."""

    key: StoredAPIKey
    secret: Secret
    roles: tuple[str, ...]
    owner_disabled: bool


def find_key_by_digest(connection: Connection, digest: str) -> KeyRow | None:
    """Return the key with this secret digest, valid or not."""
    row = connection.execute(_BY_DIGEST, {"digest": digest}).first()
    if row is None:
        return None
    *values, role, further, disabled = row
    roles = (role, *roles_from_text(further))
    return KeyRow(key_from_row(values), Secret(*values[_KEY_COLUMNS:]), roles, disabled)


def find_id_by_readable_id(connection: Connection, readable_id: str) -> str | None:
    """Return the id of the key whose texts name it so."""
    return connection.execute(_ID_BY_READABLE_ID, {"readable_id": readable_id}).scalar()


def find_key(connection: Connection, key_id: str, user_id: str, *, lock: bool = False) -> StoredAPIKey | None:
    """Return a key of an account.

    Args:
        connection: the transaction.
        key_id: the public id of the key.
        user_id: the account.
        lock: whether other transactions that change the key must wait.
    """
    statement = select(api_keys).where(api_keys.c.id == key_id, api_keys.c.user_id == user_id)
    row = connection.execute(statement.with_for_update(key_share=True) if lock else statement).first()
    return None if row is None else key_from_row(row)


def find_owner_id(connection: Connection, key_id: str) -> str | None:
    """Return the account of a key."""
    return connection.execute(select(api_keys.c.user_id).where(api_keys.c.id == key_id)).scalar()


def list_keys(connection: Connection, user_id: str, limit: int | None) -> list[StoredAPIKey]:
    """List the keys of an account in any state, the newest first; a limit of None lists all."""
    newest_first = api_keys.c.created_at.desc(), api_keys.c.id.desc()
    statement = select(api_keys).where(api_keys.c.user_id == user_id).order_by(*newest_first).limit(limit)
    return [key_from_row(row) for row in connection.execute(statement)]


def find_owner(connection: Connection, user_id: str, *, lock: bool = False) -> Owner | None:
    """Return the properties of an account on which its keys depend.

    Args:
        connection: the transaction.
        user_id: the account.
        lock: whether other transactions that create keys for it must wait.
    """
    statement = select(users.c.role, users.c.further_roles, users.c.disabled).where(users.c.id == user_id)
    row = connection.execute(statement.with_for_update(key_share=True) if lock else statement).first()
    if row is None:
        return None
    return Owner((row.role, *roles_from_text(row.further_roles)), row.disabled)


def count_live_keys(connection: Connection, user_id: str, now: float) -> int:
    """Return how many keys of an account have neither expired nor been revoked."""
    statement = select(func.count()).where(
        api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None), api_keys.c.expires_at > now
    )
    return connection.execute(statement).scalar_one()


def delete_dead_keys(connection: Connection, user_id: str, now: float, keep: int) -> None:
    """Delete expired and revoked keys of an account, except the newest of them."""
    is_dead = api_keys.c.revoked_at.is_not(None) | (api_keys.c.expires_at <= now)
    statement = select(api_keys.c.id).where(api_keys.c.user_id == user_id, is_dead)
    newest_first = api_keys.c.created_at.desc(), api_keys.c.id.desc()
    surplus = connection.execute(statement.order_by(*newest_first).offset(keep)).scalars().all()
    if surplus:
        connection.execute(delete(api_keys).where(api_keys.c.id.in_(surplus)))


def insert_key(connection: Connection, key: StoredAPIKey) -> None:
    """Add a key without a secret."""
    values: dict[str, Any] = {name: getattr(key, name) for name in StoredAPIKey.__slots__}
    values["scopes"] = " ".join(sorted(key.scopes))
    values["metadata"] = json.dumps(dict(key.metadata), separators=(",", ":"), ensure_ascii=False)
    values["networks"] = " ".join(key.networks)
    connection.execute(insert(api_keys), values)


def update_key(connection: Connection, key_id: str, **values: Any) -> None:
    """Change a key."""
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(values))


def insert_secret(connection: Connection, key_id: str, digest: str, secret: Secret) -> None:
    """Add a generation of the secret of a key."""
    connection.execute(insert(api_key_secrets), {"key_id": key_id, "digest": digest, **secret._asdict()})


def list_key_ids(connection: Connection, user_id: str) -> Sequence[str]:
    """Return the ids of the keys of an account, in any state."""
    return connection.execute(select(api_keys.c.id).where(api_keys.c.user_id == user_id)).scalars().all()


def key_from_row(row: Sequence[Any]) -> StoredAPIKey:
    """Return the key of a row that begins with the columns of its table."""
    values = dict(zip(api_keys.c.keys(), row, strict=False))
    values["scopes"] = frozenset(values["scopes"].split())
    values["metadata"] = json.loads(values["metadata"])
    values["networks"] = tuple(values["networks"].split())
    return StoredAPIKey(**values)


def list_secrets(connection: Connection, key_id: str) -> list[Secret]:
    """List the generations of the secret of a key, the oldest first."""
    statement = select(*_SECRET_COLUMNS).where(api_key_secrets.c.key_id == key_id)
    return [Secret(*row) for row in connection.execute(statement.order_by(api_key_secrets.c.generation))]


def update_secret(connection: Connection, key_id: str, generation: int, **values: Any) -> None:
    """Change a generation of the secret of a key."""
    connection.execute(update(api_key_secrets).where(_is_secret(key_id, generation)).values(values))


def delete_secret(connection: Connection, key_id: str, generation: int) -> None:
    """Delete a generation of the secret of a key."""
    connection.execute(delete(api_key_secrets).where(_is_secret(key_id, generation)))


def _is_secret(key_id: str, generation: int) -> ColumnElement[bool]:
    return (api_key_secrets.c.key_id == key_id) & (api_key_secrets.c.generation == generation)
