"""Query what has happened to API keys, and the mails about it. Use cases pass their connection."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from authguard.identity.model import StoredAPIKey, User
from authguard.identity.storage.api_key_queries import key_from_row
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.queries import USER_COLUMNS, user_from_row
from authguard.identity.storage.schema import api_key_events, api_keys, users

#: Of the events of one name, how many are kept of a key; those of the expiry are fewer.
MAX_EVENTS = 50
_EVENT_COLUMNS = (
    api_key_events.c.key_id,
    api_key_events.c.name,
    api_key_events.c.number,
    api_key_events.c.at,
    api_key_events.c.actor,
    api_key_events.c.actor_key_id,
)
_is_event = (
    (api_key_events.c.key_id == bindparam("key"))
    & (api_key_events.c.name == bindparam("event"))
    & (api_key_events.c.number == bindparam("count"))
)
_is_due_key = api_keys.c.notice_at <= bindparam("now")
_is_due_mail = api_key_events.c.mail_at <= bindparam("now")


class KeyEvent(NamedTuple):
    """Hold what has happened to a key.

    Attributes:
        key_id: the public id of the key.
        name: one of `KEY_EVENTS`.
        number: days before the expiry, the generation, or how often the key has been switched off; else 0.
            No two events of a key have the same name and number.
        at: when, in seconds since the epoch.
        actor: who has done it, as a `KeyActor`.
        actor_key_id: the public id of the key that has done it, if one has.
    """

    key_id: str
    name: str
    number: int
    at: float
    actor: str
    actor_key_id: str | None = None


class DueMail(NamedTuple):
    """Hold an event whose mail is to be sent, with its key and the owner."""

    event: KeyEvent
    key: StoredAPIKey
    user: User


def insert_event(connection: Connection, event: KeyEvent, mail_at: float | None) -> bool:
    """Add an event; False if it has been added before.

    Args:
        connection: the transaction.
        event: what has happened.
        mail_at: from when on a process may send the mail; None for no mail.
    """
    values = {**event._asdict(), "mail_at": mail_at}
    statement = insert_into(connection, api_key_events).values(values).on_conflict_do_nothing()
    is_new = connection.execute(statement.returning(api_key_events.c.number)).first() is not None
    if is_new and event.number > MAX_EVENTS:
        is_old = api_key_events.c.number <= event.number - MAX_EVENTS
        mine = (api_key_events.c.key_id == event.key_id) & (api_key_events.c.name == event.name)
        connection.execute(delete(api_key_events).where(mine, is_old))
    return is_new


def insert_events(connection: Connection, events: Sequence[KeyEvent], mail_at: float | None) -> set[str]:
    """Add events of several keys, one of each key, and return the ids of those keys for which it is new.

    Args:
        connection: the transaction.
        events: what has happened.
        mail_at: as for `insert_event`.
    """
    if not events:
        return set()
    rows = [{**event._asdict(), "mail_at": mail_at} for event in events]
    statement = insert_into(connection, api_key_events).values(rows).on_conflict_do_nothing()
    return set(connection.execute(statement.returning(api_key_events.c.key_id)).scalars())


def has_due_keys(connection: Connection, now: float) -> bool:
    """Return whether the owner of a key is to be told of its expiry."""
    statement = select(api_keys.c.id).where(_is_due_key).limit(1)
    return connection.execute(statement, {"now": now}).first() is not None


def has_due_mails(connection: Connection, now: float) -> bool:
    """Return whether a mail is to be sent."""
    statement = select(api_key_events.c.key_id).where(_is_due_mail).limit(1)
    return connection.execute(statement, {"now": now}).first() is not None


def take_due_keys(connection: Connection, now: float, limit: int) -> list[StoredAPIKey]:
    """Lock keys whose owners are to be told of their expiry, without those that others have locked."""
    statement = (
        select(api_keys)
        .where(_is_due_key)
        .order_by(api_keys.c.notice_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    return [key_from_row(row) for row in connection.execute(statement, {"now": now})]


def set_next_notices(connection: Connection, moments: Mapping[str, float | None]) -> None:
    """Note when the owners of keys are to be told next, by the ids of the keys; there may be none."""
    statement = update(api_keys).where(api_keys.c.id == bindparam("key"))
    rows = [{"key": key_id, "moment": at} for key_id, at in moments.items()]
    if rows:
        connection.execute(statement.values(notice_at=bindparam("moment")), rows)


def take_due_mails(connection: Connection, now: float, limit: int, until: float) -> list[DueMail]:
    """Take mails that are to be sent, so that no other process does before a moment.

    Args:
        connection: the transaction.
        now: seconds since the epoch.
        limit: how many.
        until: the moment.
    """
    statement = (
        select(*_EVENT_COLUMNS, *USER_COLUMNS, api_keys)
        .join(api_keys, api_keys.c.id == api_key_events.c.key_id)
        .join(users, users.c.id == api_keys.c.user_id)
        .where(_is_due_mail)
        .order_by(api_key_events.c.mail_at, api_key_events.c.at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=api_key_events)
    )
    rows = connection.execute(statement, {"now": now}).all()
    due = [_due_mail(row) for row in rows]
    set_mails(connection, [mail.event for mail in due], until)
    return due


def _due_mail(row: Sequence[Any]) -> DueMail:
    first, second = len(_EVENT_COLUMNS), len(_EVENT_COLUMNS) + len(USER_COLUMNS)
    return DueMail(KeyEvent(*row[:first]), key_from_row(row[second:]), user_from_row(row[first:second]))


def set_mails(connection: Connection, events: Iterable[KeyEvent], mail_at: float | None) -> None:
    """Note from when on the mails of events may be sent; None if there is none to send any more."""
    # In one order in every process, so that none of two waits for the other.
    names = sorted({event[:3] for event in events})
    if names:
        statement = update(api_key_events).where(_is_event).values(mail_at=bindparam("moment"))
        rows = [{"key": key, "event": name, "count": count, "moment": mail_at} for key, name, count in names]
        connection.execute(statement, rows)
