"""Query API keys that were found in public. Callers pass the connection of their transaction."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from authguard.identity.model import EXPOSED, session_of
from authguard.identity.storage.dialects import insert_into
from authguard.identity.storage.schema import api_key_exposures, api_key_secrets, api_keys, users


class SecretRow(NamedTuple):
    """Hold the properties of a known secret on which its exposure depends.

    Attributes:
        digest: of its text.
        ends_at: the time when it expires.
        key_id: the key that it belongs to.
        user_id: the owner of the key.
        revoked_at: the time when the key was revoked, if it was.
        session: the session in the tokens of the key.
    """

    digest: str
    ends_at: float
    key_id: str
    user_id: str
    revoked_at: float | None
    session: str

    def is_live(self, now: float) -> bool:
        """Return whether the secret is usable, or would be if its owner enabled the key or account."""
        return self.revoked_at is None and now < self.ends_at


class Exposure(NamedTuple):
    """Describe where a key was found.

    Attributes:
        key_id: the key.
        user_id: its owner.
        source: the kind of place, by the scanner's name.
        place: a URL that may be shown, or None.
    """

    key_id: str
    user_id: str
    source: str
    place: str | None


class ExposedKey(NamedTuple):
    """Hold an exposed key, for the mail to its owner.

    Attributes:
        key_id: the key.
        text: its prefix and readable id, with which its text begins.
        created_at: the time at which it was created.
        source: the kind of place.
        place: a URL that may be shown, or None.
    """

    key_id: str
    text: str
    created_at: float
    source: str
    place: str | None


def list_secrets(
    connection: Connection, digests: Sequence[str], client_digests: Sequence[str]
) -> list[SecretRow]:
    """List the secrets that have these digests.

    Args:
        connection: the transaction.
        digests: of texts of keys.
        client_digests: of client secrets.
    """
    rows: list[SecretRow] = []
    kinds = (api_key_secrets.c.digest, digests), (api_key_secrets.c.client_digest, client_digests)
    for column, values in kinds:
        if not values:
            continue
        statement = (
            select(
                column,
                api_key_secrets.c.expires_at,
                api_keys.c.expires_at,
                api_keys.c.id,
                api_keys.c.user_id,
                api_keys.c.revoked_at,
                api_keys.c.switches,
            )
            .join(api_keys, api_keys.c.id == api_key_secrets.c.key_id)
            .where(column.in_(values))
        )
        for digest, ends_at, key_ends_at, key_id, user_id, revoked_at, switches in connection.execute(
            statement
        ):
            ends = key_ends_at if ends_at is None else min(ends_at, key_ends_at)
            session = session_of(key_id, switches)
            rows.append(SecretRow(digest, ends, key_id, user_id, revoked_at, session))
    return rows


def lock_keys(connection: Connection, secrets: Sequence[SecretRow]) -> None:
    """Block other transactions that change the keys of some secrets; in SQLite they wait anyway.

    The accounts are shared first; see `queries.share_account`.
    """
    key_ids, user_ids = {row.key_id for row in secrets}, {row.user_id for row in secrets}
    # Rows are always locked in one order, so that two such transactions never wait for each other.
    accounts = select(users.c.id).where(users.c.id.in_(user_ids)).order_by(users.c.id)
    keys = select(api_keys.c.id).where(api_keys.c.id.in_(key_ids)).order_by(api_keys.c.id)
    connection.execute(accounts.with_for_update(read=True, key_share=True)).all()
    connection.execute(keys.with_for_update(key_share=True)).all()


def revoke_exposed(connection: Connection, exposures: Sequence[Exposure], now: float) -> None:
    """Revoke keys that are locked, and note the places where they were found."""
    values = {"revoked_at": now, "revoked_for": EXPOSED, "notice_at": None}
    key_ids = [exposure.key_id for exposure in exposures]
    connection.execute(update(api_keys).where(api_keys.c.id.in_(key_ids)).values(values))
    rows = [{**exposure._asdict(), "found_at": now} for exposure in exposures]
    statement = insert_into(connection, api_key_exposures)
    # A row exists if an operator has undone a revocation.
    changes = {name: statement.excluded[name] for name in ("found_at", "source", "place")}
    connection.execute(statement.on_conflict_do_update(index_elements=["key_id"], set_=changes), rows)


def list_exposed(connection: Connection, key_ids: Collection[str], found_at: float) -> set[str]:
    """Return those of some keys that were noted as exposed at a given time."""
    is_noted = api_key_exposures.c.key_id.in_(list(key_ids)) & (api_key_exposures.c.found_at == found_at)
    return set(connection.execute(select(api_key_exposures.c.key_id).where(is_noted)).scalars())


def list_keys_for_mail(connection: Connection, key_ids: Collection[str]) -> list[ExposedKey]:
    """List exposed keys, in the order of their creation."""
    statement = (
        select(api_keys, api_key_exposures.c.source, api_key_exposures.c.place)
        .join(api_keys, api_keys.c.id == api_key_exposures.c.key_id)
        .where(api_key_exposures.c.key_id.in_(list(key_ids)))
        .order_by(api_keys.c.created_at, api_keys.c.id)
    )
    return [
        ExposedKey(row.id, f"{row.prefix}{row.readable_id}", row.created_at, row.source, row.place)
        for row in connection.execute(statement)
    ]
