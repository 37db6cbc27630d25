"""Add, take, put off and list the mails that are to be made. Use cases pass their connection."""

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
from authguard.identity.storage.schema import mails

#: The condition that a mail was tried and could not be sent, and that no process has it now.
_WAS_PUT_OFF = mails.c.reason != ""
#: Mails to addresses whose account has not been looked up, which anybody can ask for; more are not taken.
MAX_UNKNOWN = 1_000
#: Rows that one mail tells of at most.
MAX_TOGETHER = 1_000


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
        reason: why the last one failed, in words; empty if none has, and while one goes on.
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
    """Add a mail, or let one that waits be tried at once; False if there are too many.

    One that could not be sent was counted at its first try, and is not counted again. Else those who ask
    again during an outage would use up the limit of the mailbox, and the mail would be lost.

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
    statement = _or_anew(insert_into(connection, mails).from_select(list(values), chosen))
    if connection.execute(statement.returning(mails.c.id)).first() is None:
        return False
    connection.info[MAILS_ADDED] = True
    return True


def add_mails(connection: Connection, kind: str, now: float, told: Iterable[tuple[str, str]]) -> None:
    """Add mails to accounts, or put those that wait back to their beginning.

    Args:
        connection: the transaction.
        kind: what they tell.
        now: seconds since the epoch.
        told: the account and the details of each; there may be none.
    """
    rows = [
        WaitingMail(mail_id(kind, user_id, details), kind, user_id, None, details, now, now, 0, "")._asdict()
        for user_id, details in told
    ]
    if rows:
        connection.execute(_or_anew(insert_into(connection, mails)), rows)
        connection.info[MAILS_ADDED] = True


def _or_anew(statement: Any) -> Any:
    """Let a statement put mails that wait back to their beginning, which were asked for again."""
    changes = {name: statement.excluded[name] for name in ("asked_at", "try_at")}
    changes["tries"] = case((_WAS_PUT_OFF, 1), else_=0)
    return statement.on_conflict_do_update(index_elements=["id"], set_=changes)


def count_due(connection: Connection, now: float, limit: int) -> int:
    """Count the mails that may be tried; more than the limit are counted as that."""
    due = select(literal(1)).where(mails.c.try_at <= now).limit(limit).subquery()
    return connection.execute(select(func.count()).select_from(due)).scalar() or 0


def take_mails(
    connection: Connection, now: float, until: float, together: Collection[str]
) -> list[WaitingMail]:
    """Take the mail that has waited longest, so that no other process does before a moment.

    Args:
        connection: the transaction.
        now: seconds since the epoch.
        until: the moment.
        together: the kinds of which all that are due of an account are taken with it.
    """
    due = select(mails).where(mails.c.try_at <= now).with_for_update(skip_locked=True)
    row = connection.execute(due.order_by(mails.c.try_at).limit(1)).first()
    if row is None:
        return []
    rows: Sequence[Any] = [row]
    if row.kind in together:
        of_one = (mails.c.user_id == row.user_id) & (mails.c.kind == row.kind)
        due = due.where(of_one).order_by(mails.c.try_at, mails.c.id)
        rows = connection.execute(due.limit(MAX_TOGETHER)).all()
    taken = [WaitingMail(*row)._replace(try_at=until, tries=row.tries + 1, reason="") for row in rows]
    values = {"try_at": until, "tries": mails.c.tries + 1, "reason": ""}
    statement = update(mails).where(mails.c.id == bindparam("one")).values(values)
    connection.execute(statement, [{"one": mail.id} for mail in taken])
    return taken


# The mail was not requested again since it was taken.
_is_unchanged = (mails.c.id == bindparam("one")) & (mails.c.try_at == bindparam("taken_until", type_=Double))


def _names(taken: Iterable[WaitingMail]) -> list[dict[str, Any]]:
    # In one order, so that two who change several never wait for each other.
    names = sorted((mail.id, mail.try_at) for mail in taken)
    return [{"one": mail_id, "taken_until": until} for mail_id, until in names]


def set_account(connection: Connection, mail: WaitingMail, user_id: str) -> WaitingMail:
    """Note whose account it is, and forget the address that was typed; return the mail by its new name.

    It takes the place of one of the same kind that waits for the account already. If that was put off, it has
    been counted, and this is its next try: see `add_mail`.
    """
    named = mail._replace(id=mail_id(mail.kind, user_id, mail.details), user_id=user_id, address=None)
    other = delete(mails).where(mails.c.id == named.id).returning(_WAS_PUT_OFF)
    if any(connection.execute(other).scalars().all()):
        named = named._replace(tries=2)
    values = {"id": named.id, "user_id": user_id, "address": None, "tries": named.tries}
    connection.execute(update(mails).where(mails.c.id == mail.id).values(values))
    return named


def delete_mails(connection: Connection, taken: Sequence[WaitingMail]) -> None:
    """Delete mails that were taken, unless they were requested again."""
    if taken:
        connection.execute(delete(mails).where(_is_unchanged), _names(taken))


def put_off(connection: Connection, taken: Sequence[WaitingMail], try_at: float, reason: str) -> None:
    """Note why mails that were taken were not sent, and when they may be tried again.

    Mails that were requested again meanwhile are retried at once, and have been counted: see `add_mail`.
    """
    if not taken:
        return
    reason = reason[:200]
    statement = update(mails).where(_is_unchanged).values(try_at=try_at, reason=reason)
    connection.execute(statement, _names(taken))
    is_new = (mails.c.id == bindparam("one")) & (mails.c.tries == 0)
    statement = update(mails).where(is_new).values(tries=1, reason=reason)
    connection.execute(statement, [{"one": name["one"]} for name in _names(taken)])


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
    chosen = and_(mails.c.try_at > now, _WAS_PUT_OFF)  # else those that are being sent would come twice
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
