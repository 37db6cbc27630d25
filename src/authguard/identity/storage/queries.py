"""Query accounts, one-time tokens and clients. Use cases pass the connection of their transaction."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, ScalarSelect, bindparam, delete, func, insert, select, update

from authguard.identity.mail.addresses import email_key, is_same_address
from authguard.identity.model import Client, User
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import address_changes, clients, one_time_tokens, users

#: The columns of an account, without its password.
USER_COLUMNS = (
    users.c.id,
    users.c.email,
    users.c.email_verified,
    users.c.name,
    users.c.role,
    users.c.disabled,
    users.c.created_at,
    users.c.picture,
    users.c.further_roles,
    users.c.scopes,
)

# Statements that every request uses are built once.
_USER_BY_ID = select(*USER_COLUMNS).where(users.c.id == bindparam("id"))
_USER_BY_KEY = select(*USER_COLUMNS, users.c.password_hash).where(users.c.email_key == bindparam("key"))
_LOCK_USER = _USER_BY_ID.with_for_update()
_LOCK_USER_BY_KEY = select(*USER_COLUMNS).where(users.c.email_key == bindparam("key")).with_for_update()
_SHARE_USER = (
    select(users.c.id).where(users.c.id == bindparam("id")).with_for_update(read=True, key_share=True)
)


def _first_hash(place: str) -> ScalarSelect[Any]:
    """Return the query for the password hash of the account at a place, or of one soon after it."""
    near = (
        select(users.c.id, users.c.password_hash)
        .where(users.c.id >= bindparam(place))
        .order_by(users.c.id)
        .limit(32)  # the limit keeps the query fast among accounts without a password
        .subquery()
    )
    with_hash = select(near.c.password_hash).where(near.c.password_hash.is_not(None))
    return with_hash.order_by(near.c.id).limit(1).scalar_subquery()


# The search wraps around after the last account.
_HASH_NEAR = select(func.coalesce(_first_hash("place"), _first_hash("beginning")))
_HOLDS_PASSWORD = (
    select(*USER_COLUMNS)
    .where(
        users.c.id == bindparam("id"),
        users.c.password_hash == bindparam("password_hash"),
        users.c.disabled.is_(False),
    )
    .with_for_update()
)


def user_from_row(row: Sequence[Any]) -> User:
    """Return the account of a row that begins with `USER_COLUMNS`."""
    user = User(*row[: len(USER_COLUMNS) - 2])
    further_roles, scopes = row[len(USER_COLUMNS) - 2 : len(USER_COLUMNS)]
    if not further_roles and not scopes:
        return user
    return replace(user, further_roles=roles_from_text(further_roles), scopes=tuple(scopes.split()))


def roles_from_text(further_roles: str) -> tuple[str, ...]:
    """Return the roles of the column `further_roles`."""
    return tuple(json.loads(further_roles)) if further_roles else ()


def right_values(roles: Sequence[str], scopes: Sequence[str]) -> dict[str, str]:
    """Return the columns with the scopes of an account and its roles, of which it has at least one."""
    role, *further = roles
    return {
        "role": role,
        "further_roles": json.dumps(further, ensure_ascii=False) if further else "",
        "scopes": " ".join(scopes),
    }


class UserRow(NamedTuple):
    """Hold an account and its password hash."""

    user: User
    password_hash: str | None


class ClientRow(NamedTuple):
    """Hold an OAuth client, the digest of its secret, and the time of its registration."""

    client: Client
    secret_digest: str
    created_at: float


def find_user(connection: Connection, user_id: str) -> User | None:
    """Find the account with this id."""
    row = connection.execute(_USER_BY_ID, {"id": user_id}).first()
    return None if row is None else user_from_row(row)


def find_user_by_address(connection: Connection, address: str) -> UserRow | None:
    """Return the account with this address, and its password hash; None for a merely similar address.

    Args:
        connection: the transaction.
        address: see `is_same_address`.
    """
    row = connection.execute(_USER_BY_KEY, {"key": email_key(address)}).first()
    return (
        None
        if row is None or not is_same_address(row.email, address)
        else UserRow(user_from_row(row), row.password_hash)
    )


def find_password_hash(connection: Connection, user_id: str) -> str | None:
    """Return the password hash of an account."""
    return connection.execute(select(users.c.password_hash).where(users.c.id == user_id)).scalar()


class NewUser(NamedTuple):
    """Hold an account to add, and its password hash, if it has one."""

    user: User
    password_hash: str | None
    password_proven: bool = False


def insert_user(
    connection: Connection, user: User, key: str, password_hash: str | None, *, password_proven: bool = False
) -> bool:
    """Add an account; False if its address is taken."""
    values = _user_values(NewUser(user, password_hash, password_proven), key)
    statement = (
        insert_into(connection, users).values(values).on_conflict_do_nothing(index_elements=["email_key"])
    )
    return connection.execute(statement.returning(users.c.id)).first() is not None


def insert_users(connection: Connection, accounts: Iterable[NewUser]) -> Sequence[str]:
    """Add accounts whose addresses and ids are not taken, by few statements; return their ids."""
    rows = [_user_values(account, email_key(account.user.email)) for account in accounts]
    # Every process inserts in the same order, so that no two wait for each other.
    rows.sort(key=itemgetter("email_key"))
    statement = insert_into(connection, users).on_conflict_do_nothing()
    return connection.execute(statement.returning(users.c.id), rows).scalars().all()


def _user_values(account: NewUser, key: str) -> dict[str, Any]:
    user = account.user
    return {
        "id": user.id,
        "email": user.email,
        "email_key": key,
        "email_verified": user.email_verified,
        "password_hash": account.password_hash,
        "password_proven": account.password_proven,
        "name": user.name,
        "picture": user.picture,
        "disabled": user.disabled,
        "created_at": user.created_at,
        **right_values(user.roles, user.scopes),
    }


def update_user(connection: Connection, user_id: str, **values: Any) -> bool:
    """Change an account; False if it does not exist."""
    return connection.execute(update(users).where(users.c.id == user_id).values(values)).rowcount == 1


def replace_password(connection: Connection, user_id: str, before: str | None, after: str) -> bool:
    """Replace a password hash, unless it was changed meanwhile."""
    same = users.c.password_hash.is_(None) if before is None else users.c.password_hash == before
    statement = update(users).where(users.c.id == user_id, same).values(password_hash=after)
    return connection.execute(statement).rowcount == 1


def lock_holder(connection: Connection, user_id: str, password_hash: str) -> User | None:
    """Lock an account that is enabled and has this password hash, and return its current row."""
    values = {"id": user_id, "password_hash": password_hash}
    row = connection.execute(_HOLDS_PASSWORD, values).first()
    return None if row is None else user_from_row(row)


def lock_account(connection: Connection, user_id: str) -> User | None:
    """Lock an account for the transaction, and return its current row."""
    row = connection.execute(_LOCK_USER, {"id": user_id}).first()
    return None if row is None else user_from_row(row)


def lock_account_at(connection: Connection, address: str) -> User | None:
    """Lock the account that has an address or an equivalent one, and return its current row."""
    row = connection.execute(_LOCK_USER_BY_KEY, {"key": email_key(address)}).first()
    return None if row is None else user_from_row(row)


def find_user_alike(connection: Connection, address: str) -> User | None:
    """Return the account that has an address or a similar one, of which only one can have an account."""
    row = connection.execute(_USER_BY_KEY, {"key": email_key(address)}).first()
    return None if row is None else user_from_row(row)


def share_account(connection: Connection, user_id: str) -> None:
    """Make transactions that lock an account wait for this one, but not those that share the account.

    Storing a row that belongs to an account has the same effect. A transaction that locks such a row must
    share the account first, because transactions that lock the account lock its rows afterwards.
    """
    connection.execute(_SHARE_USER, {"id": user_id})


def delete_user(connection: Connection, user_id: str) -> None:
    """Delete an account and its rows."""
    connection.execute(delete(users).where(users.c.id == user_id))


def find_hash_near(connection: Connection, place: str) -> str | None:
    """Return the password hash of the account with the next id; None if the next few accounts have none.

    Args:
        connection: the connection.
        place: an id, which need not be that of an account.
    """
    return connection.execute(_HASH_NEAR, {"place": place, "beginning": ""}).scalar()


def list_users(connection: Connection, limit: int, after: str = "") -> list[User]:
    """List accounts in the order of their canonical addresses, beginning after one of them."""
    statement = (
        select(*USER_COLUMNS).where(users.c.email_key > after).order_by(users.c.email_key).limit(limit)
    )
    return [user_from_row(row) for row in connection.execute(statement)]


def upsert_one_time_token(
    connection: Connection, user_id: str, purpose: str, digest: str, expires_at: float
) -> None:
    """Store a one-time token, replacing an older one for the same purpose."""
    values = {"user_id": user_id, "purpose": purpose, "digest": digest, "expires_at": expires_at}
    statement = insert_into(connection, one_time_tokens).values(values)
    changes = {"digest": statement.excluded.digest, "expires_at": statement.excluded.expires_at}
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id", "purpose"], set_=changes))


def consume_one_time_token(connection: Connection, purpose: str, digest: str, now: float) -> str | None:
    """Use up a one-time token, and return the id of its account.

    Of several simultaneous requests, one gets it.
    """
    statement = (
        delete(one_time_tokens)
        .where(
            one_time_tokens.c.digest == digest,
            one_time_tokens.c.purpose == purpose,
            one_time_tokens.c.expires_at > now,
        )
        .returning(one_time_tokens.c.user_id)
    )
    return connection.execute(statement).scalar()


def mark_one_time_token(connection: Connection, purpose: str, used: str, digest: str, now: float) -> bool:
    """Use up a one-time token, and store it for another purpose; return False if it does not exist.

    Args:
        connection: the connection.
        purpose: its purpose.
        used: its purpose from now on; of an account, only the newest token of that purpose is stored.
        digest: of the token.
        now: seconds since the epoch.
    """
    expires_at = select(one_time_tokens.c.expires_at).where(
        one_time_tokens.c.digest == digest, one_time_tokens.c.purpose == purpose
    )
    until = connection.execute(expires_at).scalar()
    user_id = consume_one_time_token(connection, purpose, digest, now)
    if user_id is None or until is None:
        return False
    upsert_one_time_token(connection, user_id, used, digest, until)
    return True


def retire_one_time_token(connection: Connection, user_id: str, purpose: str, used: str) -> None:
    """Store the one-time token of an account, if it has one, for another purpose from now on.

    Args:
        connection: the transaction, which has locked the account.
        user_id: the account.
        purpose: its purpose.
        used: its purpose from now on.
    """
    statement = (
        delete(one_time_tokens)
        .where(one_time_tokens.c.user_id == user_id, one_time_tokens.c.purpose == purpose)
        .returning(one_time_tokens.c.digest, one_time_tokens.c.expires_at)
    )
    for digest, expires_at in connection.execute(statement).all():
        upsert_one_time_token(connection, user_id, used, digest, expires_at)


def find_one_time_token(connection: Connection, purpose: str, digest: str, now: float) -> str | None:
    """Return the id of the account of a one-time token, without using it up."""
    statement = select(one_time_tokens.c.user_id).where(
        one_time_tokens.c.digest == digest,
        one_time_tokens.c.purpose == purpose,
        one_time_tokens.c.expires_at > now,
    )
    return connection.execute(statement).scalar()


def delete_one_time_tokens(connection: Connection, user_id: str, *, kept: Collection[str] = ()) -> None:
    """Delete one-time tokens of an account, except some purposes, and a waiting change of its address."""
    is_deleted = (one_time_tokens.c.user_id == user_id) & one_time_tokens.c.purpose.not_in(kept)
    connection.execute(delete(one_time_tokens).where(is_deleted))
    connection.execute(delete(address_changes).where(address_changes.c.user_id == user_id))


def insert_client(connection: Connection, client: Client, secret_digest: str, now: float) -> None:
    """Add an OAuth client; the digest of a public one is empty."""
    values = {
        "id": client.id,
        "name": client.name,
        "secret_digest": secret_digest,
        "scopes": " ".join(sorted(client.scopes)),
        "disabled": client.disabled,
        "is_public": client.is_public,
        "created_at": now,
    }
    connection.execute(insert(clients), values)


def find_client(connection: Connection, client_id: str) -> ClientRow | None:
    """Return an OAuth client, and the digest of its secret."""
    row = connection.execute(select(clients).where(clients.c.id == client_id)).first()
    return None if row is None else _client_from_row(row)


def list_clients(connection: Connection) -> list[ClientRow]:
    """List all OAuth clients, the oldest first."""
    statement = select(clients).order_by(clients.c.created_at, clients.c.id)
    return [_client_from_row(row) for row in connection.execute(statement)]


def update_client(connection: Connection, client_id: str, **values: Any) -> bool:
    """Change columns of an OAuth client; False if it does not exist."""
    statement = update(clients).where(clients.c.id == client_id).values(**values)
    return connection.execute(statement).rowcount == 1


def _client_from_row(row: Row[Any]) -> ClientRow:
    scopes = frozenset(row.scopes.split())
    client = Client(row.id, row.name, scopes, row.disabled, is_public=row.is_public)
    return ClientRow(client, row.secret_digest, row.created_at)
