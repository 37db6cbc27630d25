"""Query the events of API keys. Callers pass their connection."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from authguard.identity.model import StoredAPIKey
from authguard.identity.storage.api_key_queries import key_from_row
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import api_key_events, api_keys

#: The number of events of one name that are stored for a key; a key has fewer events about its expiry.
MAX_EVENTS = 50
_EVENT_COLUMNS = (
    api_key_events.c.key_id,
    api_key_events.c.name,
    api_key_events.c.number,
    api_key_events.c.at,
    api_key_events.c.actor,
    api_key_events.c.actor_key_id,
)
_is_due_key = api_keys.c.notice_at <= bindparam("now")


class KeyEvent(NamedTuple):
    """Hold an event of a key.

    Attributes:
        key_id: the public id of the key.
        name: one of `KEY_EVENTS`.
        number: the days before the expiry, the generation, or the number of times the key was disabled;
            otherwise 0. No two events of a key have the same name and number.
        at: the time, in seconds since the epoch.
        actor: the author of the event, as a `KeyActor`.
        actor_key_id: the public id of the key that made the request, if any.
    """

    key_id: str
    name: str
    number: int
    at: float
    actor: str
    actor_key_id: str | None = None


class EventOfKey(NamedTuple):
    """Hold an event and its key."""

    event: KeyEvent
    key: StoredAPIKey


def insert_event(connection: Connection, event: KeyEvent) -> bool:
    """Add an event; False if it has been added before."""
    statement = insert_into(connection, api_key_events).values(event._asdict()).on_conflict_do_nothing()
    is_new = connection.execute(statement.returning(api_key_events.c.number)).first() is not None
    if is_new and event.number > MAX_EVENTS:
        is_old = api_key_events.c.number <= event.number - MAX_EVENTS
        mine = (api_key_events.c.key_id == event.key_id) & (api_key_events.c.name == event.name)
        connection.execute(delete(api_key_events).where(mine, is_old))
    return is_new


def insert_events(connection: Connection, events: Sequence[KeyEvent]) -> set[str]:
    """Add events of several keys, one of each key, and return the ids of those keys for which it is new."""
    if not events:
        return set()
    rows = [event._asdict() for event in events]
    statement = insert_into(connection, api_key_events).values(rows).on_conflict_do_nothing()
    return set(connection.execute(statement.returning(api_key_events.c.key_id)).scalars())


def has_due_keys(connection: Connection, now: float) -> bool:
    """Return whether an expiry notice of a key is due."""
    statement = select(api_keys.c.id).where(_is_due_key).limit(1)
    return connection.execute(statement, {"now": now}).first() is not None


def take_due_keys(connection: Connection, now: float, limit: int) -> list[StoredAPIKey]:
    """Lock keys with due expiry notices, except those that others have locked."""
    statement = (
        select(api_keys)
        .where(_is_due_key)
        .order_by(api_keys.c.notice_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    return [key_from_row(row) for row in connection.execute(statement, {"now": now})]


def set_next_notices(connection: Connection, moments: Mapping[str, float | None]) -> None:
    """Set the times of the next notices, by key id; the mapping may be empty."""
    statement = update(api_keys).where(api_keys.c.id == bindparam("key"))
    rows = [{"key": key_id, "moment": at} for key_id, at in moments.items()]
    if rows:
        connection.execute(statement.values(notice_at=bindparam("moment")), rows)


def list_events(connection: Connection, name: str, key_ids: Collection[str]) -> list[EventOfKey]:
    """List the events of one name of some keys, with the keys, in the order in which they happened."""
    statement = (
        select(*_EVENT_COLUMNS, api_keys)
        .join(api_keys, api_keys.c.id == api_key_events.c.key_id)
        .where(api_key_events.c.key_id.in_(list(key_ids)), api_key_events.c.name == name)
        .order_by(api_key_events.c.at, api_key_events.c.key_id, api_key_events.c.number)
    )
    split = len(_EVENT_COLUMNS)
    rows = connection.execute(statement)
    return [EventOfKey(KeyEvent(*row[:split]), key_from_row(row[split:])) for row in rows]
