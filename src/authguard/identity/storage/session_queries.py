"""Query sessions. Use cases pass the connection of their transaction."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from authguard.identity.mail.addresses import email_key
from authguard.identity.model import Session, User
from authguard.identity.storage.queries import USER_COLUMNS, user_from_row
from authguard.identity.storage.schema import sessions, users

# Statements that every request uses are built once.
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
_INSERT = insert(sessions)
_DELETE_DEAD = delete(sessions).where(
    sessions.c.user_id == bindparam("user"), sessions.c.expires_at < bindparam("before")
)
_SESSIONS = select(sessions, *USER_COLUMNS).join(users, users.c.id == sessions.c.user_id)
_SESSIONS = _SESSIONS.where(sessions.c.id.in_(bindparam("ids", expanding=True)))
_SESSION_COLUMNS = len(sessions.c)


class SessionRow(NamedTuple):
    """Hold a session and its account."""

    session: Session
    user: User


def insert_session(connection: Connection, session: Session) -> None:
    """Add a session."""
    values = {name: getattr(session, name) for name in Session.__slots__}
    connection.execute(_INSERT, values)


def find_sessions(connection: Connection, session_ids: Iterable[str]) -> dict[str, SessionRow]:
    """Return sessions and their accounts by the id of the session, ended or not."""
    rows = connection.execute(_SESSIONS, {"ids": list(session_ids)})
    return {
        row[0]: SessionRow(Session(*row[:_SESSION_COLUMNS]), user_from_row(row[_SESSION_COLUMNS:]))
        for row in rows
    }


def find_session(connection: Connection, session_id: str) -> SessionRow | None:
    """Return a session and its account, ended or not."""
    return find_sessions(connection, [session_id]).get(session_id)


def advance_session(connection: Connection, before: Session, after: Session) -> bool:
    """Compare and swap the generation and its repeats; False if the session has ended or changed."""
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
        .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
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
    """Return the ids of an account's oldest living sessions, beyond a given number."""
    newest_first = select_alive(user_id, now).order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
    return connection.execute(newest_first.offset(limit)).scalars().all()


def end_sessions(
    connection: Connection, session_ids: Select[str] | Iterable[str], now: float
) -> Sequence[tuple[str, float]]:
    """End any number of sessions in one statement, and return their ids and when they were refreshed.

    Args:
        connection: the transaction.
        session_ids: the ids of the sessions, or the query for them.
        now: seconds since the epoch.
    """
    is_ended = sessions.c.id.in_(session_ids if isinstance(session_ids, Select) else list(session_ids))
    statement = update(sessions).where(is_ended).values(ended_at=func.coalesce(sessions.c.ended_at, now))
    rows = connection.execute(statement.returning(sessions.c.id, sessions.c.refreshed_at))
    return [(session_id, refreshed_at) for session_id, refreshed_at in rows]


def delete_dead_sessions(connection: Connection, user_id: str, before: float) -> None:
    """Delete the sessions of an account that had expired before this time."""
    connection.execute(_DELETE_DEAD, {"user": user_id, "before": before})
