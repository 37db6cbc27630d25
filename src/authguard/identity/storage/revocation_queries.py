"""Query the marks of what is revoked. Use cases pass the connection of their transaction."""

import secrets
from typing import Any

from sqlalchemy import Connection, bindparam, delete, or_, select

from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import revocations

# Statements of every request are made once.
_MARKS = select(revocations.c.kind, revocations.c.revoked_at).where(
    revocations.c.until > bindparam("now"),
    or_(
        (revocations.c.kind == "token") & (revocations.c.name == bindparam("token")),
        (revocations.c.kind == "key") & (revocations.c.name == bindparam("key")),
        (revocations.c.kind == "session") & (revocations.c.name == bindparam("session")),
        (revocations.c.kind == "subject") & (revocations.c.name == bindparam("subject")),
    ),
)
#: The columns of a mark, for an INSERT from a SELECT.
MARK_COLUMNS = ("kind", "name", "revoked_at", "until")


def find_marks(
    connection: Connection, *, token: str, key: str, session: str, subject: str, now: float
) -> dict[str, float]:
    """Return which of a token, an API key, a session and a subject are revoked, and since when."""
    values = {"token": token, "key": key, "session": session, "subject": subject, "now": now}
    return {row[0]: row[1] for row in connection.execute(_MARKS, values)}


def upsert_revocation(connection: Connection, kind: str, name: str, now: float, until: float) -> None:
    """Mark something as revoked; a later mark takes the place of the one before."""
    values = dict(zip(MARK_COLUMNS, (kind, name, now, until), strict=True))
    upsert_marks(connection, insert_into(connection, revocations).values(values))


def upsert_marks(connection: Connection, statement: Any) -> None:
    """Run an INSERT of marks; later marks take the place of the ones before."""
    changes = {"revoked_at": statement.excluded.revoked_at, "until": statement.excluded.until}
    connection.execute(statement.on_conflict_do_update(index_elements=["kind", "name"], set_=changes))


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
