"""Query linked identities, and proofs of passwords."""

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from authguard.identity.model import LinkedIdentity, SocialIdentity, User
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.queries import USER_COLUMNS, find_user, user_from_row
from authguard.identity.storage.schema import linked_identities, users


def find_owner(connection: Connection, identity: SocialIdentity) -> User | None:
    """Return the account that a social identity is linked to, without a lock."""
    statement = select(*USER_COLUMNS).join(linked_identities, linked_identities.c.user_id == users.c.id)
    row = connection.execute(statement.where(*_is(identity))).first()
    return None if row is None else user_from_row(row)


def find_linked_user(connection: Connection, identity: SocialIdentity) -> tuple[User, bool] | None:
    """Return the account of a social identity, locked, and whether the link is verified.

    The statements are the same without a link: see `SocialSignIn.sign_in_with`.
    """
    statement = select(linked_identities.c.user_id, linked_identities.c.verified).where(*_is(identity))
    row = connection.execute(statement).first()
    user_id = "" if row is None else row.user_id
    # While this transaction waited for the account, the link may have ended, or another account may have got
    # it.
    lock_user(connection, user_id)
    row = connection.execute(statement).first()
    user = find_user(connection, user_id)
    return None if row is None or user is None or row.user_id != user.id else (user, row.verified)


def lock_user(connection: Connection, user_id: str) -> tuple[str | None, bool]:
    """Lock an account for the transaction; return its password hash, and whether the password is proven."""
    statement = select(users.c.password_hash, users.c.password_proven).where(users.c.id == user_id)
    row = connection.execute(statement.with_for_update()).first()
    return (None, False) if row is None else (row.password_hash, row.password_proven)


def insert_link(connection: Connection, identity: SocialIdentity, user_id: str, now: float) -> bool:
    """Link a social identity to an account; False if it is linked already."""
    values = {
        "provider": identity.provider,
        "subject": identity.subject,
        "user_id": user_id,
        "created_at": now,
        "verified": identity.email_verified,
    }
    statement = insert_into(connection, linked_identities).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(linked_identities.c.user_id)).first() is not None


def verify_identity(connection: Connection, identity: SocialIdentity) -> None:
    """Mark a link as verified."""
    connection.execute(update(linked_identities).where(*_is(identity)).values(verified=True))


def verify_identities(connection: Connection, user_id: str) -> None:
    """Mark all links of an account as verified."""
    statement = update(linked_identities).where(linked_identities.c.user_id == user_id)
    connection.execute(statement.values(verified=True))


def delete_unverified_identities(connection: Connection, user_id: str) -> bool:
    """Delete the links of an account that are not verified; False if it had none."""
    statement = delete(linked_identities).where(
        linked_identities.c.user_id == user_id, linked_identities.c.verified.is_(False)
    )
    return connection.execute(statement).rowcount > 0


def delete_identities(connection: Connection, user_id: str, provider: str) -> None:
    """Delete an account's links to a provider."""
    statement = delete(linked_identities).where(
        linked_identities.c.user_id == user_id, linked_identities.c.provider == provider
    )
    connection.execute(statement)


def list_identities(connection: Connection, user_id: str) -> list[LinkedIdentity]:
    """List the providers that are linked to an account, the oldest first.

    Each provider is listed once, with its oldest link, because unlinking a provider ends all links to it. So
    the list has no more entries than the settings have providers.
    """
    provider, begun = linked_identities.c.provider, func.min(linked_identities.c.created_at)
    statement = (
        select(provider, begun)
        .where(linked_identities.c.user_id == user_id)
        .group_by(provider)
        .order_by(begun, provider)
    )
    return [LinkedIdentity(*row) for row in connection.execute(statement)]


def delete_unverified_user(connection: Connection, user_id: str) -> bool:
    """Delete an account and its rows, unless its address has been verified meanwhile."""
    statement = delete(users).where(users.c.id == user_id, users.c.email_verified.is_(False))
    return connection.execute(statement).rowcount > 0


def _is(identity: SocialIdentity) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    columns = linked_identities.c
    return columns.provider == identity.provider, columns.subject == identity.subject
