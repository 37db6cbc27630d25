"""Query changes of addresses that wait for confirmation by the link of a mail.

Use cases pass the connection.
"""

from typing import NamedTuple

from sqlalchemy import Connection, delete, exc, select, update

from authguard.identity.mail.addresses import email_key
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import address_changes, users


class AddressChange(NamedTuple):
    """Hold a waiting change.

    Attributes:
        user_id: the account.
        address: the new address.
        asked_at: the time of the request, in seconds since the epoch.
        expires_at: the time when it ends.
    """

    user_id: str
    address: str
    asked_at: float
    expires_at: float


_COLUMNS = (
    address_changes.c.user_id,
    address_changes.c.address,
    address_changes.c.asked_at,
    address_changes.c.expires_at,
)


def put_change(connection: Connection, change: AddressChange) -> None:
    """Store a change, and replace an older one of the account, whose link then ends."""
    statement = insert_into(connection, address_changes).values(**change._asdict(), digest=None)
    new = {name: statement.excluded[name] for name in ("address", "asked_at", "expires_at", "digest")}
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=new))


def find_change(connection: Connection, user_id: str, now: float) -> AddressChange | None:
    """Return the waiting change of an account; None if it has none, or the change has ended."""
    statement = select(*_COLUMNS).where(
        address_changes.c.user_id == user_id, address_changes.c.expires_at > now
    )
    row = connection.execute(statement).first()
    return None if row is None else AddressChange(*row)


def set_digest(connection: Connection, change: AddressChange, digest: str, expires_at: float) -> bool:
    """Make a token valid for a change; False if the account has requested another address meanwhile.

    A token must never be valid for another address than the one that its mail is sent to.
    """
    statement = update(address_changes).where(
        address_changes.c.user_id == change.user_id,
        address_changes.c.address == change.address,
        address_changes.c.asked_at == change.asked_at,
    )
    return connection.execute(statement.values(digest=digest, expires_at=expires_at)).rowcount == 1


def find_by_digest(connection: Connection, digest: str, now: float) -> AddressChange | None:
    """Return the change that a token is valid for, without using up the token."""
    statement = select(*_COLUMNS).where(
        address_changes.c.digest == digest, address_changes.c.expires_at > now
    )
    row = connection.execute(statement).first()
    return None if row is None else AddressChange(*row)


def take_by_digest(connection: Connection, digest: str, now: float) -> AddressChange | None:
    """Use up a token, and return its change. Of several simultaneous requests, one gets the change."""
    statement = delete(address_changes).where(
        address_changes.c.digest == digest, address_changes.c.expires_at > now
    )
    row = connection.execute(statement.returning(*_COLUMNS)).first()
    return None if row is None else AddressChange(*row)


def delete_change(connection: Connection, user_id: str) -> None:
    """Delete the change of an account; its link then ends."""
    connection.execute(delete(address_changes).where(address_changes.c.user_id == user_id))


def is_taken(connection: Connection, address: str, user_id: str) -> bool:
    """Return whether another account has an address, or an equivalent one."""
    statement = select(users.c.id).where(users.c.email_key == email_key(address), users.c.id != user_id)
    return connection.execute(statement).first() is not None


def replace_address(connection: Connection, user_id: str, address: str) -> bool:
    """Give an account a new address; False if another account has it: the transaction must end then."""
    values = {"email": address, "email_key": email_key(address)}
    try:
        connection.execute(update(users).where(users.c.id == user_id).values(values))
    except exc.IntegrityError:
        return False
    return True
