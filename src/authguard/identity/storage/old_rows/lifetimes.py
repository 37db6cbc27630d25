"""Store the lifetimes of access tokens that services of this database have.

Commands and other services end sessions, too, and a service may get a shorter lifetime while its older tokens
are still valid. So the lifetime in the settings of the process that ends a session is not enough.
"""

from sqlalchemy import Connection, delete, select

from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import access_lifetimes, sessions

#: Seconds after which a service that issues tokens notes its lifetime again.
NOTE_SECONDS = 3_600
#: The lifetime that is assumed of services of an earlier release, which note nothing: the default of
#: `Settings.access_lifetime`.
ASSUMED_SECONDS = 28_800
# Seconds after the last note in which tokens may have been issued, and by which clocks may differ.
_LATE_SECONDS = 2 * NOTE_SECONDS

_ENDS_AT = access_lifetimes.c.seen_at + access_lifetimes.c.seconds + _LATE_SECONDS
_ALL = select(access_lifetimes.c.seconds, _ENDS_AT)
_ANY_SESSION = select(sessions.c.id).limit(1)


def find_longest_lifetime(connection: Connection, own: int, now: float) -> int:
    """Return the seconds after which all access tokens that services have issued so far have expired.

    Args:
        connection: of the database.
        own: the lifetime in the settings of this process.
        now: seconds since the epoch.
    """
    rows = connection.execute(_ALL).all()
    noted = [seconds for seconds, ends_at in rows if ends_at > now] if rows else [ASSUMED_SECONDS]
    return max([own, *noted])


def note_lifetime(connection: Connection, own: int, now: float) -> None:
    """Store that a service issues tokens of this lifetime now.

    If the table has no row, existing sessions are those of an earlier release, whose lifetime is not known.
    """
    is_first = connection.execute(_ALL.limit(1)).first() is None
    is_upgraded = is_first and connection.execute(_ANY_SESSION).first() is not None
    lifetimes = {own, max(own, ASSUMED_SECONDS)} if is_upgraded else {own}
    # Processes that start together lock the rows in the same order.
    for seconds in sorted(lifetimes):
        statement = insert_into(connection, access_lifetimes).values(seconds=seconds, seen_at=now)
        changes = {"seen_at": statement.excluded.seen_at}
        connection.execute(statement.on_conflict_do_update(index_elements=["seconds"], set_=changes))


def delete_old_lifetimes(connection: Connection, now: float) -> None:
    """Delete lifetimes of which all tokens have expired."""
    connection.execute(delete(access_lifetimes).where(now >= _ENDS_AT))
