"""Add, take, put off and list the mails that are to be made. Use cases pass their connection."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Double,
    String,
    and_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from authguard._core.encoding import sha256_hex
from authguard.identity.mail.addresses import email_key
from authguard.identity.storage.database import MAILS_ADDED
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import mails

#: Mails to addresses whose account has not been looked up, which anybody can ask for; more are not taken.
MAX_UNKNOWN = 1_000


class WaitingMail(NamedTuple):
    """Hold a mail that is to be made.

    Attributes:
        id: names it; of its kind and whom it is for.
        kind: what it tells.
        user_id: the account, once it is known.
        address: as it was typed, until then.
        details: such as the name of a provider.
        asked_at: when somebody asked for it, in seconds since the epoch.
        try_at: when it may be tried next.
        tries: how often it was tried; a try that goes on is counted.
        reason: why the last one failed, in words; empty if none has.
    """

    id: str
    kind: str
    user_id: str | None
    address: str | None
    details: str
    asked_at: float
    try_at: float
    tries: int
    reason: str


def mail_id(kind: str, whom: str, details: str) -> str:
    """Return the name of a mail: who asks for the same again gets one mail."""
    return sha256_hex("\0".join((kind, whom, details)))


def add_mail(
    connection: Connection,
    kind: str,
    now: float,
    *,
    user_id: str | None = None,
    address: str | None = None,
    details: str = "",
) -> bool:
    """Add a mail, or put one that waits back to its beginning; False if there are too many.

    Args:
        connection: the transaction.
        kind: what it tells.
        now: seconds since the epoch.
        user_id: the account, if it is known.
        address: else the address that was typed.
        details: such as the name of a provider.
    """
    whom = user_id or email_key(address or "")
    values: dict[str, Any] = {
        "id": literal(mail_id(kind, whom, details), String),
        "kind": literal(kind, String),
        "user_id": literal(user_id, String),
        "address": literal(address, String),
        "details": literal(details, String),
        "asked_at": literal(now, Double),
        "try_at": literal(now, Double),
        "tries": literal(0),
        "reason": literal("", String),
    }
    unknown = select(literal(1)).where(mails.c.user_id.is_(None)).limit(MAX_UNKNOWN).subquery()
    room = select(func.count()).select_from(unknown).scalar_subquery() < MAX_UNKNOWN
    chosen = select(*values.values()).where(or_(values["user_id"].is_not(None), room))
    statement = insert_into(connection, mails).from_select(list(values), chosen)
    changes = {name: statement.excluded[name] for name in ("asked_at", "try_at", "tries", "reason")}
    statement = statement.on_conflict_do_update(index_elements=["id"], set_=changes)
    if connection.execute(statement.returning(mails.c.id)).first() is None:
        return False
    connection.info[MAILS_ADDED] = True
    return True


def count_due(connection: Connection, now: float, limit: int) -> int:
    """Count the mails that may be tried; more than the limit are counted as that."""
    due = select(literal(1)).where(mails.c.try_at <= now).limit(limit).subquery()
    return connection.execute(select(func.count()).select_from(due)).scalar() or 0


def take_mail(connection: Connection, now: float, until: float) -> WaitingMail | None:
    """Take the mail that has waited longest, so that no other process does before a moment."""
    statement = (
        select(mails)
        .where(mails.c.try_at <= now)
        .order_by(mails.c.try_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    taken = WaitingMail(*row)._replace(try_at=until, tries=row.tries + 1)
    values = {"try_at": until, "tries": taken.tries}
    connection.execute(update(mails).where(mails.c.id == taken.id).values(values))
    return taken


def _is_unchanged(mail: WaitingMail) -> Any:
    """Return the condition that nobody has asked for a mail anew since it was taken."""
    return and_(mails.c.id == mail.id, mails.c.try_at == mail.try_at)


def set_account(connection: Connection, mail: WaitingMail, user_id: str) -> WaitingMail:
    """Note whose account it is, and forget the address that was typed; return the mail by its new name.

    It takes the place of one of the same kind that waits for the account already.
    """
    named = mail._replace(id=mail_id(mail.kind, user_id, mail.details), user_id=user_id, address=None)
    connection.execute(delete(mails).where(mails.c.id == named.id))
    values = {"id": named.id, "user_id": user_id, "address": None}
    connection.execute(update(mails).where(mails.c.id == mail.id).values(values))
    return named


def delete_mail(connection: Connection, mail: WaitingMail) -> None:
    """Delete a mail that was taken, unless it was asked for anew."""
    connection.execute(delete(mails).where(_is_unchanged(mail)))


def put_off(connection: Connection, mail: WaitingMail, try_at: float, reason: str) -> None:
    """Note why a mail that was taken was not sent, and when it may be tried again."""
    values = {"try_at": try_at, "reason": reason[:200]}
    connection.execute(update(mails).where(_is_unchanged(mail)).values(values))


def list_mails(connection: Connection, limit: int) -> Sequence[WaitingMail]:
    """List the mails that wait, those that are tried next first."""
    statement = select(mails).order_by(mails.c.try_at, mails.c.id).limit(limit)
    return [WaitingMail(*row) for row in connection.execute(statement)]


def try_now(connection: Connection, now: float, mail_id: str | None) -> int:
    """Let mails be tried at once; return how many.

    Args:
        connection: the transaction.
        now: seconds since the epoch.
        mail_id: the beginning of the name of one; None for all that wait for another try.
    """
    chosen = mails.c.try_at > now
    if mail_id is not None:
        chosen = mails.c.id.startswith(mail_id, autoescape=True)
    statement = update(mails).where(chosen).values(try_at=now, asked_at=now)
    changed = connection.execute(statement).rowcount
    if changed:
        connection.info[MAILS_ADDED] = True
    return changed


def count_mails(connection: Connection, late: float) -> tuple[int, int, float | None]:
    """Return how many mails wait, how many of them were to be tried before a moment, and the first moment."""
    is_late = mails.c.try_at < bindparam("late", late, Double)
    statement = select(func.count(), func.count().filter(is_late), func.min(mails.c.try_at))
    total, overdue, first = connection.execute(statement.select_from(mails)).one()
    return total, overdue, first
