"""Query the marks of revocations. Use cases pass the connection of their transaction."""

import secrets

from sqlalchemy import Connection, bindparam, delete, or_, select

from authguard._core.encoding import sha256_hex
from authguard._core.model import Principal
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import marks, proofs
from authguard.stores.log import KEEP_SECONDS
from authguard.stores.marks import Mark, keys_of, mark_name, revokes

_NAMED = ("token", "key", "session", "subject")  # the kinds of marks that have a name
_DECOY, _STATE = "decoy-", "state-"
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


def use_state(connection: Connection, state: str, until: float) -> bool:
    """Store that the state of a sign-in with a provider was used; False if it was used before.

    Of several simultaneous transactions, the others wait for the first one.

    Args:
        connection: the transaction.
        state: of the attempt.
        until: the time from which no service accepts the state, in seconds since the epoch.
    """
    values = {"digest": f"{_STATE}{sha256_hex(state)}", "until": until}
    statement = insert_into(connection, proofs).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(proofs.c.digest)).first() is not None


def delete_old_marks(connection: Connection, now: float) -> None:
    """Delete decoys, expired states, and marks whose tokens have expired by every clock."""
    connection.execute(delete(marks).where(marks.c.until <= now - KEEP_SECONDS))
    is_own = or_(proofs.c.digest.startswith(_DECOY), proofs.c.digest.startswith(_STATE))
    connection.execute(delete(proofs).where(is_own, proofs.c.until <= now))
