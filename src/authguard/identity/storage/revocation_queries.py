"""Query the marks of revocations. Use cases pass the connection of their transaction."""

import secrets

from sqlalchemy import Connection, bindparam, delete, or_, select

from authguard._core.model import Principal
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import marks, proofs
from authguard.stores.log import KEEP_SECONDS
from authguard.stores.marks import Mark, keys_of, mark_name, revokes

_NAMED = ("token", "key", "session", "subject")  # the kinds of marks that have a name
_DECOY = "decoy-"
# Statements that every request uses are built once.
_MARKS = select(marks.c.kind, marks.c.issuer, marks.c.name, marks.c.issued_before, marks.c.until).where(
    marks.c.issuer.in_(["", bindparam("issuer")]),
    marks.c.until > bindparam("now"),
    or_(
        *((marks.c.kind == kind) & (marks.c.name == bindparam(kind)) for kind in _NAMED),
        marks.c.kind == "all",
    ),
)


def is_revoked(connection: Connection, principal: Principal, now: float) -> bool:
    """Return whether a principal's token, API key, session or subject is revoked, by a query."""
    names = {kind: name for kind, issuer, name in keys_of(principal) if not issuer and kind != "all"}
    values = {**dict.fromkeys(_NAMED, ""), **names, "issuer": mark_name(principal.issuer or ""), "now": now}
    return revokes([Mark(*row) for row in connection.execute(_MARKS, values)], principal, now)


def write_decoy(connection: Connection, now: float) -> None:
    """Write a row without meaning for a known address, because a new address writes a row.

    A transaction that has written waits for the disk, so its duration would disclose the difference. The
    table has only few of these rows, and they are deleted with old marks. The write comes last in a
    transaction, so that other transactions wait for its row only until the commit.
    """
    statement = insert_into(connection, proofs).values(digest=f"{_DECOY}{secrets.token_hex(1)}", until=now)
    changes = {"until": statement.excluded.until}
    connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=changes))


def delete_old_marks(connection: Connection, now: float) -> None:
    """Delete decoys, and marks whose tokens have expired by every clock."""
    connection.execute(delete(marks).where(marks.c.until <= now - KEEP_SECONDS))
    connection.execute(delete(proofs).where(proofs.c.digest.startswith(_DECOY), proofs.c.until <= now))
