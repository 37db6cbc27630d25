"""Add, take, postpone and list waiting mails. Callers pass their connection."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Double,
    String,
    and_,
    bindparam,
    case,
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
from authguard.identity.storage.queries import share_account
from authguard.identity.storage.schema import mails

#: The condition of a mail that was tried and not sent, and that no process has taken.
_WAS_PUT_OFF = mails.c.reason != ""
#: The greatest number of mails whose account has not been looked up; any caller can request these.
MAX_UNKNOWN = 1_000
#: The greatest number of rows that become one mail.
MAX_TOGETHER = 1_000


class WaitingMail(NamedTuple):
    """Hold a mail that waits to be sent.

    Attributes:
        id: its name, derived from its kind and recipient.
        kind: the subject of the mail.
        user_id: the account, once it is known.
        address: the typed address, until the account is known; if the account was known from the beginning,
            the address to which the mail is sent.
        details: such as the name of a provider.
        asked_at: the time of the request, in seconds since the epoch.
        try_at: the time of the next attempt.
        tries: the number of attempts, including one in progress.
        reason: the reason why the last attempt failed, in words; empty if none failed, and in the database
            during an attempt.
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
    """Return the name of a mail: repeated requests for the same mail have the same name."""
    return sha256_hex("\0".join((kind, whom, details)))


def _recipient(user_id: str | None, address: str | None) -> str:
    """Return the recipient of a mail for its name: an account, an address, or an address for an account."""
    return " ".join(filter(None, (user_id, email_key(address or ""))))


def add_mail(
    connection: Connection,
    kind: str,
    now: float,
    *,
    user_id: str | None = None,
    address: str | None = None,
    details: str = "",
) -> bool:
    """Add a mail, or make a waiting one due at once; return False if too many wait.

    A mail that could not be sent was counted at its first attempt, and is not counted again. Otherwise
    repeated requests during an outage would use up the limit of the mailbox, and the mail would be lost.

    Args:
        connection: the transaction.
        kind: the subject of the mail.
        now: seconds since the epoch.
        user_id: the account, if it is known.
        address: the typed address, if the account is not known; otherwise an earlier address of the account.
        details: such as the name of a provider.
    """
    values: dict[str, Any] = {
        "id": literal(mail_id(kind, _recipient(user_id, address), details), String),
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
    statement = _or_anew(insert_into(connection, mails).from_select(list(values), chosen))
    if connection.execute(statement.returning(mails.c.id)).first() is None:
        return False
    connection.info[MAILS_ADDED] = True
    return True


def add_mails(connection: Connection, kind: str, now: float, told: Iterable[tuple[str, str]]) -> None:
    """Add mails to accounts, or reset those that wait.

    Args:
        connection: the transaction.
        kind: the subject of the mails.
        now: seconds since the epoch.
        told: the account and the details of each mail; may be empty.
    """
    rows = [
        WaitingMail(mail_id(kind, user_id, details), kind, user_id, None, details, now, now, 0, "")._asdict()
        for user_id, details in told
    ]
    if rows:
        connection.execute(_or_anew(insert_into(connection, mails)), rows)
        connection.info[MAILS_ADDED] = True


def _or_anew(statement: Any) -> Any:
    """Let a statement reset waiting mails that were requested again."""
    changes = {name: statement.excluded[name] for name in ("asked_at", "try_at")}
    changes["tries"] = case((_WAS_PUT_OFF, 1), else_=0)
    return statement.on_conflict_do_update(index_elements=["id"], set_=changes)


def count_due(connection: Connection, now: float, limit: int) -> int:
    """Count the mails that may be tried, at most up to the limit."""
    due = select(literal(1)).where(mails.c.try_at <= now).limit(limit).subquery()
    return connection.execute(select(func.count()).select_from(due)).scalar() or 0


def take_mails(
    connection: Connection, now: float, until: float, together: Collection[str]
) -> list[WaitingMail]:
    """Take the mail that has waited longest, so that no other process takes it before a given time.

    Args:
        connection: the transaction.
        now: seconds since the epoch.
        until: that time.
        together: the kinds whose due mails to one account are taken together.
    """
    due = select(mails).where(mails.c.try_at <= now).with_for_update(skip_locked=True)
    row = connection.execute(due.order_by(mails.c.try_at).limit(1)).first()
    if row is None:
        return []
    rows: Sequence[Any] = [row]
    if row.kind in together:
        is_together = (mails.c.user_id == row.user_id) & (mails.c.kind == row.kind)
        due = due.where(is_together).order_by(mails.c.try_at, mails.c.id)
        rows = connection.execute(due.limit(MAX_TOGETHER)).all()
    taken = [WaitingMail(*row)._replace(try_at=until, tries=row.tries + 1) for row in rows]
    values = {"try_at": until, "tries": mails.c.tries + 1, "reason": ""}
    statement = update(mails).where(mails.c.id == bindparam("mail_id")).values(values)
    connection.execute(statement, [{"mail_id": mail.id} for mail in taken])
    return taken


# The condition that the mail was not requested again since it was taken.
_is_unchanged = (mails.c.id == bindparam("mail_id")) & (
    mails.c.try_at == bindparam("taken_until", type_=Double)
)


def _names(taken: Iterable[WaitingMail]) -> list[dict[str, Any]]:
    # Rows are always locked in one order, so that two such transactions never wait for each other.
    names = sorted((mail.id, mail.try_at) for mail in taken)
    return [{"mail_id": mail_id, "taken_until": until} for mail_id, until in names]


def set_account(
    connection: Connection, mail: WaitingMail, user_id: str, address: str | None = None
) -> WaitingMail:
    """Store the account of a mail, and delete the typed address; return the mail under its new name.

    It replaces a waiting mail of the same kind and account. If the replaced mail was postponed, it has been
    counted, and this is its next attempt: see `add_mail`.

    Args:
        connection: the transaction.
        mail: the mail.
        user_id: the account.
        address: the address to which the mail is sent; None for that of the account.
    """
    share_account(connection, user_id)
    name = mail_id(mail.kind, _recipient(user_id, address), mail.details)
    named = mail._replace(id=name, user_id=user_id, address=address)
    other = delete(mails).where(mails.c.id == named.id).returning(_WAS_PUT_OFF)
    if any(connection.execute(other).scalars().all()):
        named = named._replace(tries=2)
    values = {"id": named.id, "user_id": user_id, "address": address, "tries": named.tries}
    connection.execute(update(mails).where(mails.c.id == mail.id).values(values))
    return named


def delete_mails(connection: Connection, taken: Sequence[WaitingMail]) -> None:
    """Delete mails that were taken, unless they were requested again."""
    if taken:
        connection.execute(delete(mails).where(_is_unchanged), _names(taken))


def put_off(connection: Connection, taken: Sequence[WaitingMail], try_at: float, reason: str) -> None:
    """Store why taken mails were not sent, and when they may be retried.

    Mails that were requested again meanwhile are retried at once, and have been counted: see `add_mail`.
    """
    if not taken:
        return
    reason = reason[:200]
    statement = update(mails).where(_is_unchanged).values(try_at=try_at, reason=reason)
    connection.execute(statement, _names(taken))
    is_new = (mails.c.id == bindparam("mail_id")) & (mails.c.tries == 0)
    statement = update(mails).where(is_new).values(tries=1, reason=reason)
    connection.execute(statement, [{"mail_id": name["mail_id"]} for name in _names(taken)])


def list_mails(connection: Connection, limit: int) -> Sequence[WaitingMail]:
    """List the waiting mails, the next attempt first."""
    statement = select(mails).order_by(mails.c.try_at, mails.c.id).limit(limit)
    return [WaitingMail(*row) for row in connection.execute(statement)]


def try_now(connection: Connection, now: float, mail_id: str | None) -> int:
    """Make mails due at once; return their number.

    Args:
        connection: the transaction.
        now: seconds since the epoch.
        mail_id: the beginning of a name; None for all mails that wait for a retry.
    """
    # Otherwise mails that are being sent would be sent twice.
    chosen = and_(mails.c.try_at > now, _WAS_PUT_OFF)
    if mail_id is not None:
        chosen = mails.c.id.startswith(mail_id, autoescape=True)
    statement = update(mails).where(chosen).values(try_at=now, asked_at=now)
    changed = connection.execute(statement).rowcount
    if changed:
        connection.info[MAILS_ADDED] = True
    return changed


def count_mails(connection: Connection, late: float) -> tuple[int, int, float | None]:
    """Return the number of waiting mails, of those due before a given time, and the earliest due time."""
    is_late = mails.c.try_at < bindparam("late", late, Double)
    statement = select(func.count(), func.count().filter(is_late), func.min(mails.c.try_at))
    total, overdue, first = connection.execute(statement.select_from(mails)).one()
    return total, overdue, first
