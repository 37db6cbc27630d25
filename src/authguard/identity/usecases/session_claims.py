"""Find the session of an access token by its claims."""

from sqlalchemy import Connection

from authguard._core.model import Principal
from authguard._core.options import is_numeric_date
from authguard.errors import InvalidTokenError
from authguard.identity.storage.session_queries import SessionRow, find_session


def session_id_of(principal: Principal) -> str:
    """Return the id of the session that the principal's token belongs to.

    Raises:
        InvalidTokenError: if it belongs to no session.
    """
    session_id = session_id_or_empty(principal)
    if not session_id:
        raise InvalidTokenError("a token of no session")
    return session_id


def session_id_or_empty(principal: Principal) -> str:
    """Return the id of the session of the principal's token; empty if it belongs to none."""
    session_id = principal.claims.get("sid")
    return session_id if isinstance(session_id, str) else ""


def issued_at_of(principal: Principal) -> float:
    """Return when the principal's token was issued, by the clock of the issuing machine; 0 if unknown."""
    issued = principal.claims.get("iat")
    return issued if is_numeric_date(issued) else 0


def is_of_key(principal: Principal) -> bool:
    """Return whether a token was issued for an API key, which is then its client and its session."""
    session_id = session_id_or_empty(principal)
    key_id = principal.client_id
    return bool(key_id) and (session_id == key_id or session_id.startswith(f"{key_id}."))


def is_alive(row: SessionRow, principal: Principal) -> bool:
    """Return whether a session is active, and its account is the principal's and not disabled."""
    session, user = row
    return session.ended_at is None and not user.disabled and user.id == principal.subject


def check_session(connection: Connection, principal: Principal) -> None:
    """Check again that the session of the principal is active, in a transaction that has locked its account.

    The session may have ended while the transaction waited for the account.

    Raises:
        InvalidTokenError: if it has ended, or the account is disabled.
    """
    row = find_session(connection, session_id_or_empty(principal))
    if row is None or not is_alive(row, principal):
        raise InvalidTokenError("the session has ended")
