"""Delete an account with all of its data, in the transaction of a use case."""

from sqlalchemy import Connection

from authguard.identity.keys.generations import end_keys, end_keys_of
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage import queries as store
from authguard.identity.usecases.sessions import Sessions


def remove_account(connection: Connection, sessions: Sessions, user_id: str, now: float) -> None:
    """Delete an account; its sessions, tokens and API keys end at once, in guards elsewhere, too.

    Args:
        connection: the transaction, which has locked the account: a transaction that would add a row for it
            waits, and is refused afterwards.
        sessions: ends its sessions.
        user_id: the account.
        now: seconds since the epoch.
    """
    keys = {key.id: key.session for key in key_store.list_keys(connection, user_id, None)}
    sessions.end_sessions_of(connection, user_id)
    end_keys_of(connection, user_id, now)
    end_keys(connection, keys, now)
    store.delete_user(connection, user_id)
