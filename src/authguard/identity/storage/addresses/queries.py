"""Query changes of addresses that wait for the link of a mail. Use cases pass the connection."""

from typing import NamedTuple

from sqlalchemy import Connection, delete, exc, select, update

from authguard.identity.mail.addresses import email_key
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import address_changes, users


class AddressChange(NamedTuple):
    """Hold a change that waits.

    Attributes:
        user_id: the account.
        address: the new address.
        asked_at: when its owner asked for it, in seconds since the epoch.
        expires_at: when it ends.
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
    """Keep a change, in the place of an older one of the account, whose link ends."""
    statement = insert_into(connection, address_changes).values(**change._asdict(), digest=None)
    new = {name: statement.excluded[name] for name in ("address", "asked_at", "expires_at", "digest")}
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=new))


def find_change(connection: Connection, user_id: str, now: float) -> AddressChange | None:
    """Return the change of an account that waits; None if there is none, or it has ended."""
    statement = select(*_COLUMNS).where(
        address_changes.c.user_id == user_id, address_changes.c.expires_at > now
    )
    row = connection.execute(statement).first()
    return None if row is None else AddressChange(*row)


def set_digest(connection: Connection, change: AddressChange, digest: str, expires_at: float) -> bool:
    """Let a token be good for a change; False if the account has asked for another address meanwhile.

    A token must never be good for another address than the one that its mail goes to.
    """
    statement = update(address_changes).where(
        address_changes.c.user_id == change.user_id,
        address_changes.c.address == change.address,
        address_changes.c.asked_at == change.asked_at,
    )
    return connection.execute(statement.values(digest=digest, expires_at=expires_at)).rowcount == 1


def find_by_digest(connection: Connection, digest: str, now: float) -> AddressChange | None:
    """Return the change that a token is good for, without using it up."""
    statement = select(*_COLUMNS).where(
        address_changes.c.digest == digest, address_changes.c.expires_at > now
    )
    row = connection.execute(statement).first()
    return None if row is None else AddressChange(*row)


def take_by_digest(connection: Connection, digest: str, now: float) -> AddressChange | None:
    """Use a token up, and return its change. Of several requests at the same time one gets it."""
    statement = delete(address_changes).where(
        address_changes.c.digest == digest, address_changes.c.expires_at > now
    )
    row = connection.execute(statement.returning(*_COLUMNS)).first()
    return None if row is None else AddressChange(*row)


def delete_change(connection: Connection, user_id: str) -> None:
    """Delete the change of an account, whose link ends."""
    connection.execute(delete(address_changes).where(address_changes.c.user_id == user_id))


def is_taken(connection: Connection, address: str, user_id: str) -> bool:
    """Return whether another account than this one has an address, or one that counts as the same."""
    statement = select(users.c.id).where(users.c.email_key == email_key(address), users.c.id != user_id)
    return connection.execute(statement).first() is not None


def replace_address(connection: Connection, user_id: str, address: str) -> bool:
    """Give an account a new address; False if another one has it by now: the transaction has to end then."""
    values = {"email": address, "email_key": email_key(address)}
    try:
        connection.execute(update(users).where(users.c.id == user_id).values(values))
    except exc.IntegrityError:
        return False
    return True
