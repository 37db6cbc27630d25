"""Query accounts, sessions and keys. Use cases pass the connection, and so decide about transactions."""

import secrets
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from authguard.identity.mail.addresses import email_key, is_same_address
from authguard.identity.model import Client, Session, SocialIdentity, User
from authguard.identity.storage.schema import (
    clients,
    linked_identities,
    one_time_tokens,
    revocations,
    sessions,
    signing_keys,
    users,
)

_USER = (
    users.c.id,
    users.c.email,
    users.c.email_verified,
    users.c.name,
    users.c.role,
    users.c.disabled,
    users.c.created_at,
    users.c.picture,
)

# Statements of every request are made once.
_USER_BY_ID = select(*_USER).where(users.c.id == bindparam("id"))
_USER_BY_KEY = select(*_USER, users.c.password_hash).where(users.c.email_key == bindparam("key"))
_MARKS = select(revocations.c.kind, revocations.c.revoked_at).where(
    revocations.c.until > bindparam("now"),
    or_(
        (revocations.c.kind == "token") & (revocations.c.name == bindparam("token")),
        (revocations.c.kind == "key") & (revocations.c.name == bindparam("key")),
        (revocations.c.kind == "session") & (revocations.c.name == bindparam("session")),
        (revocations.c.kind == "subject") & (revocations.c.name == bindparam("subject")),
    ),
)
_ADVANCED = (
    "generation",
    "refreshed_at",
    "expires_at",
    "refreshed_network",
    "refreshed_agent",
    "repeats",
    "repeated",
)
_ADVANCE = (
    update(sessions)
    .where(
        sessions.c.id == bindparam("session"),
        sessions.c.generation == bindparam("before"),
        sessions.c.repeated == bindparam("repeated_before"),
        sessions.c.ended_at.is_(None),
    )
    .values({name: bindparam(name) for name in _ADVANCED})
)
_PROLONG = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"), sessions.c.ended_at.is_(None))
    .values(expires_at=bindparam("until"))
)
_MARK = ("kind", "name", "revoked_at", "until")
_BEGIN = insert(sessions)
_HOLDS_PASSWORD = (
    select(users.c.id)
    .where(
        users.c.id == bindparam("id"),
        users.c.password_hash == bindparam("password_hash"),
        users.c.disabled.is_(False),
    )
    .with_for_update()
)
_DELETE_DEAD = delete(sessions).where(
    sessions.c.user_id == bindparam("user"), sessions.c.expires_at < bindparam("before")
)
_SESSIONS = select(sessions, *_USER).join(users, users.c.id == sessions.c.user_id)
_SESSIONS = _SESSIONS.where(sessions.c.id.in_(bindparam("ids", expanding=True)))
_SESSION_COLUMNS = len(sessions.c)


class UserRow(NamedTuple):
    """An account and its password hash."""

    user: User
    password_hash: str | None


class SessionRow(NamedTuple):
    """A session and its account."""

    session: Session
    user: User


class ClientRow(NamedTuple):
    """An OAuth client and the digest of its secret."""

    client: Client
    secret_digest: str


def _user(row: Sequence[Any]) -> User:
    return User(*row[:8])


def find_user(connection: Connection, user_id: str) -> User | None:
    """Find the account with this id."""
    row = connection.execute(_USER_BY_ID, {"id": user_id}).first()
    return None if row is None else _user(row)


def find_user_by_address(connection: Connection, address: str) -> UserRow | None:
    """Return the account with this address, and its password hash; None for an address that is only alike.

    Args:
        connection: the transaction.
        address: see `is_same_address`.
    """
    row = connection.execute(_USER_BY_KEY, {"key": email_key(address)}).first()
    return None if row is None or not is_same_address(row.email, address) else UserRow(_user(row), row[8])


def find_password_hash(connection: Connection, user_id: str) -> str | None:
    """Return the password hash of an account."""
    return connection.execute(select(users.c.password_hash).where(users.c.id == user_id)).scalar()


def insert_user(
    connection: Connection, user: User, key: str, password_hash: str | None, *, password_proven: bool = False
) -> bool:
    """Add an account; False if its address is taken."""
    values = {
        "id": user.id,
        "email": user.email,
        "email_key": key,
        "email_verified": user.email_verified,
        "password_hash": password_hash,
        "password_proven": password_proven,
        "name": user.name,
        "picture": user.picture,
        "role": user.role,
        "disabled": user.disabled,
        "created_at": user.created_at,
    }
    statement = _insert(connection, users).values(values).on_conflict_do_nothing(index_elements=["email_key"])
    return connection.execute(statement.returning(users.c.id)).first() is not None


def update_user(connection: Connection, user_id: str, **values: Any) -> bool:
    """Change an account; False if there is none."""
    return connection.execute(update(users).where(users.c.id == user_id).values(values)).rowcount == 1


def replace_password(connection: Connection, user_id: str, before: str | None, after: str) -> bool:
    """Change a password hash, unless it was changed meanwhile."""
    same = users.c.password_hash.is_(None) if before is None else users.c.password_hash == before
    statement = update(users).where(users.c.id == user_id, same).values(password_hash=after)
    return connection.execute(statement).rowcount == 1


def holds_password(connection: Connection, user_id: str, password_hash: str) -> bool:
    """Lock an account that is not disabled and has this password hash; False if there is none."""
    values = {"id": user_id, "password_hash": password_hash}
    return connection.execute(_HOLDS_PASSWORD, values).first() is not None


def list_users(connection: Connection, limit: int, after: str = "") -> list[User]:
    """List accounts in the order of their canonical addresses, beginning after one of them."""
    statement = select(*_USER).where(users.c.email_key > after).order_by(users.c.email_key).limit(limit)
    return [_user(row) for row in connection.execute(statement)]


def insert_link(connection: Connection, identity: SocialIdentity, user_id: str, now: float) -> bool:
    """Link a social identity to an account; False if it is linked already."""
    values = {
        "provider": identity.provider,
        "subject": identity.subject,
        "user_id": user_id,
        "created_at": now,
        "verified": identity.email_verified,
    }
    statement = _insert(connection, linked_identities).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(linked_identities.c.user_id)).first() is not None


def insert_session(connection: Connection, session: Session) -> None:
    """Add a session."""
    values = {name: getattr(session, name) for name in Session.__slots__}
    connection.execute(_BEGIN, values)


def find_sessions(connection: Connection, session_ids: Iterable[str]) -> dict[str, SessionRow]:
    """Return sessions and their accounts by the id of the session, ended or not."""
    rows = connection.execute(_SESSIONS, {"ids": list(session_ids)})
    return {
        row[0]: SessionRow(Session(*row[:_SESSION_COLUMNS]), _user(row[_SESSION_COLUMNS:])) for row in rows
    }


def find_session(connection: Connection, session_id: str) -> SessionRow | None:
    """Return a session and its account, ended or not."""
    return find_sessions(connection, [session_id]).get(session_id)


def advance_session(connection: Connection, before: Session, after: Session) -> bool:
    """Compare and swap the generation and its repeats; False if the session has ended, or has changed."""
    values = {"session": before.id, "before": before.generation, "repeated_before": before.repeated}
    values |= {name: getattr(after, name) for name in _ADVANCED}
    return connection.execute(_ADVANCE, values).rowcount == 1


def prolong_session(connection: Connection, session_id: str, until: float) -> bool:
    """Move the end of a session that has not ended; False if it has."""
    return connection.execute(_PROLONG, {"session": session_id, "until": until}).rowcount == 1


def list_sessions(connection: Connection, user_id: str, now: float) -> list[Session]:
    """List the sessions of an account that are alive, the newest first."""
    statement = (
        select(sessions)
        .where(sessions.c.user_id == user_id, sessions.c.ended_at.is_(None), sessions.c.expires_at > now)
        .order_by(sessions.c.created_at.desc())
    )
    return [Session(*row) for row in connection.execute(statement)]


def has_session_in(connection: Connection, address: str, network: str) -> bool:
    """Return whether the account with this address has had a session in a network; see `grace.network_of`."""
    statement = (
        select(sessions.c.id)
        .join(users, users.c.id == sessions.c.user_id)
        .where(users.c.email_key == email_key(address), sessions.c.refreshed_network == network)
    )
    return connection.execute(statement.limit(1)).first() is not None


def select_alive(user_id: str, now: float, *, except_id: str | None = None) -> Select[str]:
    """Return the query for the ids of an account's sessions that are alive, except for one."""
    conditions = sessions.c.user_id == user_id, sessions.c.ended_at.is_(None), sessions.c.expires_at > now
    return select(sessions.c.id).where(
        *conditions, *(() if except_id is None else (sessions.c.id != except_id,))
    )


def list_surplus_sessions(connection: Connection, user_id: str, now: float, limit: int) -> Sequence[str]:
    """Return the ids of an account's oldest living sessions, those beyond so many."""
    newest_first = select_alive(user_id, now).order_by(sessions.c.created_at.desc(), sessions.c.id)
    return connection.execute(newest_first.offset(limit)).scalars().all()


def end_sessions(
    connection: Connection, session_ids: Select[str] | Iterable[str], now: float, until: float
) -> None:
    """End sessions and revoke their access tokens, in two statements however many sessions there are.

    Args:
        connection: the transaction.
        session_ids: the ids of the sessions, or the query for them.
        now: seconds since the epoch.
        until: when the last of their access tokens has expired.
    """
    is_ended = sessions.c.id.in_(session_ids if isinstance(session_ids, Select) else list(session_ids))
    marks = select(literal("session"), sessions.c.id, literal(now), literal(until)).where(is_ended)
    _upsert_marks(connection, _insert(connection, revocations).from_select(_MARK, marks))
    statement = update(sessions).where(is_ended, sessions.c.ended_at.is_(None))
    connection.execute(statement.values(ended_at=now))


def delete_dead_sessions(connection: Connection, user_id: str, before: float) -> None:
    """Delete the sessions of an account that had expired before this time."""
    connection.execute(_DELETE_DEAD, {"user": user_id, "before": before})


def upsert_revocation(connection: Connection, kind: str, name: str, now: float, until: float) -> None:
    """Mark something as revoked; a later mark takes the place of the one before."""
    values = dict(zip(_MARK, (kind, name, now, until), strict=True))
    _upsert_marks(connection, _insert(connection, revocations).values(values))


def _upsert_marks(connection: Connection, statement: Any) -> None:
    changes = {"revoked_at": statement.excluded.revoked_at, "until": statement.excluded.until}
    connection.execute(statement.on_conflict_do_update(index_elements=["kind", "name"], set_=changes))


def find_marks(
    connection: Connection, *, token: str, key: str, session: str, subject: str, now: float
) -> dict[str, float]:
    """Return which of a token, an API key, a session and a subject are revoked, and since when."""
    values = {"token": token, "key": key, "session": session, "subject": subject, "now": now}
    return {row[0]: row[1] for row in connection.execute(_MARKS, values)}


def write_decoy(connection: Connection, now: float) -> None:
    """Write a mark that revokes nothing, where a known address leaves no row and a new one does.

    A transaction that has written takes the time of flushing the disk. Of these marks there are few, and they
    are deleted with the old ones. It comes last in a transaction, so that others wait for its row no longer
    than for the commit.
    """
    upsert_revocation(connection, "decoy", secrets.token_hex(1), now, now)


def delete_old_marks(connection: Connection, now: float) -> None:
    """Forget marks about what has expired."""
    connection.execute(delete(revocations).where(revocations.c.until <= now))


def upsert_one_time_token(
    connection: Connection, user_id: str, purpose: str, digest: str, expires_at: float
) -> None:
    """Keep a one-time token, in the place of an older one for the same purpose."""
    values = {"user_id": user_id, "purpose": purpose, "digest": digest, "expires_at": expires_at}
    statement = _insert(connection, one_time_tokens).values(values)
    changes = {"digest": statement.excluded.digest, "expires_at": statement.excluded.expires_at}
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id", "purpose"], set_=changes))


def consume_one_time_token(connection: Connection, purpose: str, digest: str, now: float) -> str | None:
    """Use a one-time token up, and return the id of its account. Of several at the same time one gets it."""
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


def find_one_time_token(connection: Connection, purpose: str, digest: str, now: float) -> str | None:
    """Return the id of the account of a one-time token, without using it up."""
    statement = select(one_time_tokens.c.user_id).where(
        one_time_tokens.c.digest == digest,
        one_time_tokens.c.purpose == purpose,
        one_time_tokens.c.expires_at > now,
    )
    return connection.execute(statement).scalar()


def delete_one_time_tokens(connection: Connection, user_id: str) -> None:
    """Delete the one-time tokens of an account."""
    connection.execute(delete(one_time_tokens).where(one_time_tokens.c.user_id == user_id))


def list_signing_keys(connection: Connection, algorithm: str) -> list[Row[Any]]:
    """List signing keys, oldest first: kid, algorithm, public_jwk, encrypted_key, signs_from."""
    statement = select(signing_keys).where(signing_keys.c.algorithm == algorithm)
    return list(connection.execute(statement.order_by(signing_keys.c.signs_from, signing_keys.c.kid)))


def list_encrypted_keys(connection: Connection) -> list[tuple[str, str]]:
    """List all signing keys, of whatever algorithm: their names, and the encrypted keys."""
    rows = connection.execute(select(signing_keys.c.kid, signing_keys.c.encrypted_key))
    return [(row.kid, row.encrypted_key) for row in rows]


def update_signing_key(connection: Connection, kid: str, encrypted_key: str) -> None:
    """Keep a signing key in another encryption."""
    statement = update(signing_keys).where(signing_keys.c.kid == kid)
    connection.execute(statement.values(encrypted_key=encrypted_key))


def insert_signing_key(connection: Connection, **values: Any) -> None:
    """Add a signing key."""
    connection.execute(insert(signing_keys), values)


def delete_signing_keys(connection: Connection, kids: list[str]) -> None:
    """Forget signing keys."""
    connection.execute(delete(signing_keys).where(signing_keys.c.kid.in_(kids)))


def lock_signing_keys(connection: Connection) -> None:
    """Let others who want to add a key wait; in SQLite they do so anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE signing_keys IN EXCLUSIVE MODE")


def insert_client(connection: Connection, client: Client, secret_digest: str, now: float) -> None:
    """Add an OAuth client."""
    values = {
        "id": client.id,
        "name": client.name,
        "secret_digest": secret_digest,
        "scopes": " ".join(sorted(client.scopes)),
        "disabled": client.disabled,
        "created_at": now,
    }
    connection.execute(insert(clients), values)


def find_client(connection: Connection, client_id: str) -> ClientRow | None:
    """Return an OAuth client, and the digest of its secret."""
    row = connection.execute(select(clients).where(clients.c.id == client_id)).first()
    if row is None:
        return None
    client = Client(row.id, row.name, frozenset(row.scopes.split()), row.disabled)
    return ClientRow(client, row.secret_digest)


def _insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT that has ON CONFLICT; both dialects write it the same way."""
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
