"""Query a page of an account's sessions, by keyset, so that only the rows of the page are read."""

from sqlalchemy import Connection, select, tuple_

from authguard.identity.model import Place, Session
from authguard.identity.storage.schema import sessions


def list_session_page(
    connection: Connection,
    user_id: str,
    now: float,
    *,
    limit: int,
    place: Place | None,
    except_id: str | None,
) -> list[Session]:
    """Return an account's living sessions from a place on, in the direction of the place.

    Args:
        connection: the transaction.
        user_id: the account.
        now: seconds since the epoch.
        limit: the greatest number of sessions to return.
        place: the place to begin at; None for the newest session.
        except_id: the id of a session to leave out.
    """
    statement = select(sessions).where(
        sessions.c.user_id == user_id, sessions.c.ended_at.is_(None), sessions.c.expires_at > now
    )
    if except_id is not None:
        statement = statement.where(sessions.c.id != except_id)
    is_older = place is None or place.is_older
    key = sessions.c.created_at, sessions.c.id
    if place is not None:
        row, begin = tuple_(*key), tuple_(place.created_at, place.id)
        statement = statement.where(row < begin if is_older else row > begin)
    order = [column.desc() if is_older else column.asc() for column in key]
    return [Session(*row) for row in connection.execute(statement.order_by(*order).limit(limit))]
